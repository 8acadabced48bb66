"""Instructions, responses, and the text a student sees before it answers."""

from collections.abc import Iterable, Mapping
from typing import Any

from magicoder_kit import paper
from magicoder_kit.records import Pair


def from_examples(examples: Iterable[Mapping[str, Any]]) -> list[Pair]:
    """Turn problem-solution examples into instruction pairs, in their order.

    Parameters
    ----------
    examples : iterable of Example
        Columns ``problem`` and ``solution``.

    Source: the instruction wording of the reference's training data (section 2.2, :data:`paper.INSTRUCTION`).
    """
    return [
        {"instruction": paper.INSTRUCTION.replace("{problem}", example["problem"]), "response": example["solution"]}
        for example in examples
    ]


def prompt(instruction: str) -> str:
    """Return the template of training and evaluation up to where the response begins (appendix B)."""
    # str.format would trip over the braces of the code that instructions are full of.
    return paper.TRAINING_TEMPLATE.partition("{response}")[0].replace("{instruction}", instruction)
