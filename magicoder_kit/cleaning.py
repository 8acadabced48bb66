"""04: rows that repeat another row fall away, in the order and by the rules of the reference implementation."""

import random
from collections.abc import Iterable, Sequence

from magicoder_kit import paper
from magicoder_kit.records import Row

COLUMNS = ("seed", "problem", "solution")
"""What makes a row a duplicate, in the order in which it names the reason."""


def deduplicate(
    rows: Iterable[Row], *, seed: int = paper.CLEANING_SEED, columns: Sequence[str] = COLUMNS
) -> tuple[list[Row], list[Row]]:
    """Shuffle rows, then keep them first come, first served.

    A row falls away where its seed, its problem or its solution is that of a row kept before it, white space
    aside. A row that falls away is forgotten: what it alone had may come again.

    Parameters
    ----------
    rows : iterable of Row
        Examples. They are left as they are; the same order in gives the same order out.
    seed : int
        Seed of the shuffle, which decides who comes first.
    columns : sequence of str
        What makes a row a duplicate; a set without seeds has but its problem and solution.

    Returns
    -------
    kept, rejected : list of Row
        Both in the shuffled order. A rejected row has ``reason`` (``duplicate_seed``, ``duplicate_problem`` or
        ``duplicate_solution``, the first that applies) and ``detail``, the kept row it repeats.

    Source: section 2.2; the order and the choice of reason follow the reference implementation.
    """
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    seen: dict[str, dict[str, Row]] = {column: {} for column in columns}
    kept: list[Row] = []
    rejected: list[Row] = []
    for row in shuffled:
        squeezed = {column: without_white_space(row[column]) for column in columns}
        repeated = next((column for column in columns if squeezed[column] in seen[column]), "")
        if repeated:
            first = seen[repeated][squeezed[repeated]]
            place = f"{first['lang']} row {first['index']}" if "index" in first else "a row that was kept"
            detail = f"the {repeated} of {place}"
            rejected.append(row | {"reason": f"duplicate_{repeated}", "detail": detail})
            continue
        kept.append(row)
        for column in columns:
            seen[column][squeezed[column]] = row
    return kept, rejected


def without_white_space(text: str) -> str:
    """Return a text with everything gone that :meth:`str.split` takes for white space."""
    return "".join(text.split())
