"""Token rows whose loss falls on the response alone, and the batches made of them.

A row is a prompt (begin-of-sequence token where the tokenizer has one, no end) followed by its response (no
beginning, end-of-sequence token), cut at a number of tokens. Prompt and response are tokenized apart, as the
reference does, so the border between them is the same whatever the response begins with.

Not covered yet: packing several rows into one sequence.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from magicoder_kit import paper
from magicoder_kit.errors import KitError, ModelError
from magicoder_kit.finetuning import pairs as pairs_module
from magicoder_kit.records import Pair, Row

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""The label torch's cross-entropy passes over."""


def with_bos(token_ids: Sequence[int], tokenizer: Any) -> list[int]:
    """Put the begin-of-sequence token before ``token_ids`` where the tokenizer has one."""
    return [*([] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]), *token_ids]


def tokenize(
    pairs: Sequence[Pair], tokenizer: Any, *, max_tokens: int = paper.MAX_TRAINING_TOKENS["stage 1"]
) -> list[Row]:
    """Turn pairs into token rows.

    Parameters
    ----------
    pairs : sequence of Pair
        Columns ``instruction`` and ``response``.
    tokenizer : transformers tokenizer
        That of the base model.
    max_tokens : int
        A longer row loses its end. A row of whose response nothing would be left is dropped: it would teach
        nothing. ``len(pairs) - len(rows)`` is their number.

    Returns
    -------
    list of Row
        ``input_ids``, ``labels`` (:data:`IGNORED` on the prompt) and ``cut``, whether the end was lost.

    Raises
    ------
    KitError
        No row is left.
    ModelError
        The tokenizer has no end-of-sequence token, so a student would never learn to stop.

    Source: section "Implementation details"; 1,216 tokens in stage 1, 1,024 in stage 2.
    """
    if not pairs:
        raise KitError(
            "there are no pairs to train on; run the notebook that makes them first, or keep more of its rows"
        )
    if tokenizer.eos_token_id is None:
        raise ModelError(
            "the tokenizer has no end-of-sequence token, so the student could not learn to stop; set eos_token"
        )
    prompts = _token_ids([pairs_module.prompt(pair["instruction"]) for pair in pairs], tokenizer)
    responses = _token_ids([pair["response"] for pair in pairs], tokenizer)
    rows = []
    for prompt, response in zip(prompts, responses, strict=True):
        before = with_bos(prompt, tokenizer)
        after = [*response, tokenizer.eos_token_id]
        if len(before) < max_tokens:
            rows.append(
                {
                    "input_ids": (before + after)[:max_tokens],
                    "labels": ([IGNORED] * len(before) + after)[:max_tokens],
                    "cut": len(before) + len(after) > max_tokens,
                }
            )
    if not rows:
        raise KitError(f"none of the {len(pairs)} pairs has a prompt under {max_tokens} tokens; raise max_tokens")
    return rows


def _token_ids(texts: list[str], tokenizer: Any) -> list[list[int]]:
    # A model's maximum length is no concern here (rows are cut below), so its warning would only mislead.
    return list(tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"])


class Collator:
    """Makes a batch of rows by padding on the right; padding carries neither attention nor loss.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Its padding token is used, or its end-of-sequence token where it has none.
    """

    def __init__(self, tokenizer: Any):
        self.pad_id: int = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, "torch.Tensor"]:
        """Return ``input_ids``, ``attention_mask`` and ``labels``, each of shape (rows, longest row)."""
        import torch

        longest = max(len(row["input_ids"]) for row in rows)

        def padded(values: list[list[int]], filler: int) -> torch.Tensor:
            return torch.tensor([[*value, *[filler] * (longest - len(value))] for value in values])

        return {
            "input_ids": padded([row["input_ids"] for row in rows], self.pad_id),
            "attention_mask": padded([[1] * len(row["input_ids"]) for row in rows], 0),
            "labels": padded([row["labels"] for row in rows], IGNORED),
        }


def shown(row: Mapping[str, Any], tokenizer: Any) -> list[tuple[str, bool]]:
    """Return each token's text and whether it is trained on, for a person to look at."""
    return [
        (tokenizer.decode([token]), label != IGNORED)
        for token, label in zip(row["input_ids"], row["labels"], strict=True)
    ]
