"""Tasks are asked in the stated form, answers end where their code does, and no batch is answered twice."""

import functools
from pathlib import Path

import pytest

from magicoder_kit import devices
from magicoder_kit.errors import ModelError, ParameterError
from magicoder_kit.evaluation import benchmarks, completion
from magicoder_kit.records import Journal

TASKS = benchmarks.humaneval(limit=3)
ASKED = {"max_new_tokens": 32, "batch_size": 2, "model_id": "embedded"}


@functools.cache
def device() -> devices.Device:
    return devices.detect("fp32")


@functools.cache
def student():
    return completion.load("embedded", device=device())


def answers(form: str, journal: Journal | None = None, model=None, **changes) -> list[dict]:
    chosen = student() if model is None else model
    return completion.complete(TASKS, model=chosen, form=form, device=device(), journal=journal, **(ASKED | changes))


def test_the_prefilled_form_is_the_papers_and_begins_the_code():
    prompt, code = completion.prefilled(TASKS[0], student()[1])
    assert code == TASKS[0]["prompt"].strip()
    begun = f"Write a solution to the following problem:\n```python\n{code}\n```\n\n@@ Response\n```python\n{code}"
    assert prompt.endswith(begun)
    ids = completion.prompt_ids(prompt, form="prefilled", tokenizer=student()[1])
    assert student()[1].decode(ids) == student()[1].bos_token + prompt


def test_a_chat_prompt_has_the_templates_own_special_tokens_and_no_more():
    prompt, code = completion.chat(TASKS[0], student()[1])
    assert code == ""
    ids = completion.prompt_ids(prompt, form="chat", tokenizer=student()[1])
    assert student()[1].decode(ids) == prompt


@pytest.mark.slow
@pytest.mark.parametrize("form", sorted(completion.FORMS))
def test_every_form_answers_every_task_in_order_within_the_limit(form: str):
    rows = answers(form)
    assert [row["task_id"] for row in rows] == [task["task_id"] for task in TASKS]
    for row in rows:
        assert 1 <= row["tokens"] <= 32
        assert row["finish"] == "stop" or (row["finish"] == "length" and row["tokens"] == 32)
    if form == "prefilled":
        assert all(row["code"] == t["prompt"].strip() + row["completion"] for row, t in zip(rows, TASKS, strict=True))


@pytest.mark.slow
def test_a_resumed_journal_gives_the_same_rows_and_asks_only_what_is_missing(tmp_path: Path):
    whole = tmp_path / "whole.jsonl"
    with Journal(whole) as journal:
        rows = answers("template", journal)
    lines = whole.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(b"".join(lines[:2]) + lines[2][:40])
    with Journal(torn) as journal:
        assert answers("template", journal) == rows
    assert torn.read_bytes() == whole.read_bytes()
    # Without a network the model cannot be asked at all, so every row comes out of the journal.
    with Journal(torn) as journal:
        assert answers("template", journal, model=(None, student()[1])) == rows
    assert torn.read_bytes() == whole.read_bytes()


def test_code_is_the_first_fenced_block_or_the_whole_text():
    assert completion.code_of("Here:\n```python\nx = 1\n```\n```\ny\n```", prefix="") == "x = 1\n"
    assert completion.code_of("```python\nx = 1", prefix="") == "x = 1"
    assert completion.code_of("x = 1", prefix="") == "x = 1"
    assert completion.code_of("    return 1\n```\nDone.", prefix="def f():\n") == "def f():\n    return 1\n"


def test_an_unknown_form_and_an_unknown_model_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ParameterError, match="did you mean 'template'"):
        answers("templat")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # Read at import; no network is tried.
    with pytest.raises(ModelError, match="no-such/model") as caught:
        completion.load("no-such/model", device=device())
    assert "\n" not in str(caught.value)
