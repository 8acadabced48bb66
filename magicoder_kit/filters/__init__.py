"""04: filters beyond the reference's, each off unless it is asked for, each with a count of its own.

Every filter takes rows and returns those kept and those rejected, both in the order they came in; a rejected row
has ``reason``, the filter's name, and ``detail``. :func:`apply` runs the chosen ones one after the other.

Not covered: whether a row's code runs, or is right.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from magicoder_kit.errors import ParameterError, not_known
from magicoder_kit.filters.blocks import (
    GRAMMARS,
    Block,
    Split,
    blocks,
    copies_block,
    first_error,
    partial_implementations,
    unparsable,
)
from magicoder_kit.filters.ngrams import near_duplicates, ngram_overlap, ngram_shares, tokens
from magicoder_kit.records import Row

__all__ = [
    "FILTERS",
    "GRAMMARS",
    "Block",
    "Split",
    "apply",
    "blocks",
    "copies_block",
    "first_error",
    "near_duplicates",
    "ngram_overlap",
    "ngram_shares",
    "partial_implementations",
    "tokens",
    "unparsable",
]

FILTERS: dict[str, Callable[[Iterable[Row], Mapping[str, Sequence[str]]], Split]] = {
    "near_duplicates": lambda rows, benchmarks: near_duplicates(rows),
    "copies_block": lambda rows, benchmarks: copies_block(rows),
    "partial_implementations": lambda rows, benchmarks: partial_implementations(rows),
    "unparsable": lambda rows, benchmarks: unparsable(rows),
    "ngram_overlap_10": lambda rows, benchmarks: ngram_overlap(rows, benchmarks, n=10),
    "ngram_overlap_13": lambda rows, benchmarks: ngram_overlap(rows, benchmarks, n=13),
}
"""Every filter by the name a notebook's parameter uses."""


def apply(
    rows: Iterable[Row], names: Sequence[str], *, benchmarks: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[Row], list[Row], dict[str, int]]:
    """Run filters one after the other, each on what the one before it kept.

    Parameters
    ----------
    rows : iterable of Row
        Examples.
    names : sequence of str
        Names in :data:`FILTERS`, in the order to run them.
    benchmarks : mapping of str to sequence of str, optional
        Texts that the n-gram filters compare with.

    Returns
    -------
    kept, rejected : list of Row
    counts : dict of str to int
        Rows each filter rejected, by its name.

    Raises
    ------
    ParameterError
        There is no filter of that name, or an n-gram filter is given no texts.
    """
    kept, rejected, counts = list(rows), list[Row](), dict[str, int]()
    for name in names:
        if name not in FILTERS:
            raise ParameterError(not_known("filter", name, FILTERS))
        if name.startswith("ngram") and not benchmarks:
            raise ParameterError(f"filter {name!r} compares with benchmarks; name at least one that can be had")
    for name in names:
        kept, fallen = FILTERS[name](kept, benchmarks or {})
        rejected += fallen
        counts[name] = len(fallen)
    return kept, rejected, counts
