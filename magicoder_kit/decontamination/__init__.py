"""04: rows that hold a benchmark's problem or its solution fall away.

The rule is the reference implementation's: each benchmark string is searched for, ignoring case, in the row's
problem and solution joined by a blank line. :mod:`~magicoder_kit.decontamination.strings` says what is searched
for, :mod:`~magicoder_kit.decontamination.matching` searches for all of it in one pass over a row, and
:mod:`~magicoder_kit.decontamination.marking` shows a person what was found.

Not covered: a problem told in other words (:mod:`magicoder_kit.filters` counts shared n-grams).
"""

from magicoder_kit.decontamination.marking import Place, locate, marked
from magicoder_kit.decontamination.matching import Decontaminator
from magicoder_kit.decontamination.strings import (
    REFERENCE,
    SHOWN,
    SOURCES,
    benchmark_strings,
    docstring,
    humaneval_strings,
)

__all__ = [
    "REFERENCE",
    "SHOWN",
    "SOURCES",
    "Decontaminator",
    "Place",
    "benchmark_strings",
    "docstring",
    "humaneval_strings",
    "locate",
    "marked",
]
