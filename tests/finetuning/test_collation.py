"""The loss falls on the response alone, whatever the text and however it is cut."""

import functools
import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from magicoder_kit import embedded, paper
from magicoder_kit.errors import KitError, ModelError
from magicoder_kit.finetuning import collation, pairs

PAIR = {"instruction": "Print {name} and {response}.", "response": "```python\nprint('Grüße')\n```"}


@functools.cache
def tokenizer():
    return AutoTokenizer.from_pretrained(embedded.resolve("embedded"))


def test_a_prompt_is_the_papers_template_with_braces_unharmed():
    example = {"problem": "Use {x} and {problem}.", "solution": "def f(): return {}"}
    (pair,) = pairs.from_examples([example])
    assert pair == {
        "instruction": "Write a solution to the following coding problem:\nUse {x} and {problem}.",
        "response": "def f(): return {}",
    }
    text = pairs.prompt(pair["instruction"])
    assert text.endswith("@@ Instruction\n" + pair["instruction"] + "\n\n@@ Response\n")
    assert pairs.prompt("{response}").count("{response}") == 1


def test_only_the_response_and_the_end_token_are_trained_on():
    (row,) = collation.tokenize([PAIR], tokenizer())
    prompt = tokenizer().decode([t for t, label in zip(row["input_ids"], row["labels"], strict=True) if label == -100])
    trained = tokenizer().decode([label for label in row["labels"] if label != -100])
    assert prompt == tokenizer().bos_token + pairs.prompt(PAIR["instruction"])
    assert trained == PAIR["response"] + tokenizer().eos_token
    assert row["cut"] is False
    assert [trained for _, trained in collation.shown(row, tokenizer())] == [label != -100 for label in row["labels"]]


def test_a_long_row_loses_its_end_and_one_without_response_is_dropped():
    (whole,) = collation.tokenize([PAIR], tokenizer())
    border = whole["labels"].count(-100)
    (cut,) = collation.tokenize([PAIR], tokenizer(), max_tokens=border + 1)
    assert cut == {"input_ids": whole["input_ids"][: border + 1], "labels": whole["labels"][: border + 1], "cut": True}
    exact = collation.tokenize([PAIR], tokenizer(), max_tokens=len(whole["input_ids"]))
    assert exact == [whole]
    longer = {"instruction": PAIR["instruction"] + " Please." * 50, "response": "no"}
    assert collation.tokenize([longer, PAIR], tokenizer(), max_tokens=border + 1) == [cut]
    with pytest.raises(KitError, match="raise max_tokens"):
        collation.tokenize([PAIR], tokenizer(), max_tokens=border)
    with pytest.raises(KitError, match="no pairs"):
        collation.tokenize([], tokenizer())
    assert paper.MAX_TRAINING_TOKENS["stage 1"] == 1216


def test_a_tokenizer_without_an_end_token_is_refused_and_one_without_a_beginning_is_not_given_one(tmp_path: Path):
    tokenizer().save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    for name, change in {"endless": ("eos_token", "pad_token"), "plain": ("bos_token", "pad_token")}.items():
        changed = {key: value for key, value in settings.items() if key not in change}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(changed))
        other = AutoTokenizer.from_pretrained(tmp_path)
        if name == "endless":
            with pytest.raises(ModelError, match="end-of-sequence"):
                collation.tokenize([PAIR], other)
        else:
            (with_bos,), (without,) = collation.tokenize([PAIR], tokenizer()), collation.tokenize([PAIR], other)
            assert without["input_ids"] == with_bos["input_ids"][1:]
            assert collation.Collator(other).pad_id == other.eos_token_id


def test_a_batch_is_padded_on_the_right_without_attention_or_loss():
    rows = collation.tokenize([PAIR, {"instruction": "Hi", "response": "ok"}], tokenizer())
    batch = collation.Collator(tokenizer())(rows)
    for number, row in enumerate(rows):
        length = len(row["input_ids"])
        assert batch["input_ids"][number, :length].tolist() == row["input_ids"]
        assert batch["labels"][number, :length].tolist() == row["labels"]
        assert batch["attention_mask"][number].sum() == length
        assert set(batch["labels"][number, length:].tolist()) <= {-100}
        assert set(batch["input_ids"][number, length:].tolist()) <= {tokenizer().pad_token_id}
