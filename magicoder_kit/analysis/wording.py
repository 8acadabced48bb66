"""What makes a generated set look generated: repeated seeds, repeated openings, a vocabulary that stops growing.

A word is a run of letters, digits and underscores, apostrophes within it included, in lower case.

Not covered: meaning. Two problems that ask for the same in other words count as different here.
"""

import itertools
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from magicoder_kit import paper

Sets = Mapping[str, Sequence[Mapping[str, Any]]]

WORD = re.compile(r"\w+(?:['’]\w+)*")
NO_WORD = "(no word)"


def duplicate_seeds(datasets: Sets) -> pd.DataFrame:
    """Count the seeds that occur more than once.

    Parameters
    ----------
    datasets : mapping of str to rows
        Rows with a column ``seed``; those without one, or with an empty one, do not count.

    Returns
    -------
    DataFrame
        One row a data set, columns ``data set, n, seeds, repeated, rows, share``: ``n`` rows have a seed, ``seeds``
        of which are distinct; ``repeated`` of these occur more than once, in ``rows`` rows; ``share = rows / n``,
        NaN for a set without seeds.

    Seeds that differ in white space alone are the same, as they are in cleaning (section 2.3).
    """
    table = []
    for name, rows in datasets.items():
        counts = _seed_counts(rows)[0]
        repeats = [count for count in counts.values() if count > 1]
        n = counts.total()
        table.append((name, n, len(counts), len(repeats), sum(repeats), sum(repeats) / n if n else float("nan")))
    return pd.DataFrame(table, columns=["data set", "n", "seeds", "repeated", "rows", "share"])


def common_seeds(datasets: Sets, *, most: int = 5) -> pd.DataFrame:
    """Return the seeds that occur more than once, the most common of each data set first.

    Parameters
    ----------
    datasets : mapping of str to rows
        As for :func:`duplicate_seeds`.
    most : int
        Seeds a data set.

    Returns
    -------
    DataFrame
        Columns ``data set, seed, rows, n, share``; ``seed`` as it stands in the first row that has it.
    """
    table = []
    for name, rows in datasets.items():
        counts, first = _seed_counts(rows)
        n = counts.total()
        table += [(name, first[key], count, n, count / n) for key, count in counts.most_common(most) if count > 1]
    return pd.DataFrame(table, columns=["data set", "seed", "rows", "n", "share"])


def openings(datasets: Sets, *, words: int = 3, most: int = 10) -> pd.DataFrame:
    """Count the first words of problems.

    Parameters
    ----------
    datasets : mapping of str to rows
        Rows with a column ``problem``.
    words : int
        Words an opening has; a shorter problem is its own opening.
    most : int
        Openings taken from each data set, its most common; each is then counted in every set.

    Returns
    -------
    DataFrame
        Columns ``data set, opening, rows, n, share``: every opening taken in every data set, 0 included, the most
        common of a set first.
    """
    counts = {name: _opening_counts(rows, words) for name, rows in datasets.items()}
    taken = dict.fromkeys(opening for found in counts.values() for opening, _ in found.most_common(most))
    table = []
    for name, found in counts.items():
        n = found.total()
        for opening in sorted(taken, key=lambda opening: -found[opening]):
            table.append((name, opening, found[opening], n, found[opening] / n if n else 0.0))
    return pd.DataFrame(table, columns=["data set", "opening", "rows", "n", "share"])


def variety(datasets: Sets, *, words: int = 3, most: int = 10) -> pd.DataFrame:
    """Say how few openings the problems of a data set share.

    Parameters
    ----------
    datasets, words, most
        As in :func:`openings`.

    Returns
    -------
    DataFrame
        One row a data set, columns ``data set, n, openings, top, half``: ``openings`` are distinct; ``top`` is the
        share of rows that begin with one of the ``most`` most common (NaN where there are no rows); the ``half``
        most common begin at least half the rows. All three depend on ``n``: compare sets of one size (``limit`` of
        ``instruction_sets.load``).
    """
    table = []
    for name, rows in datasets.items():
        counts = _opening_counts(rows, words)
        n = counts.total()
        reached = list(itertools.accumulate(count for _, count in counts.most_common()))
        half = next((rank for rank, begun in enumerate(reached, 1) if 2 * begun >= n), 0)
        top = reached[min(most, len(reached)) - 1] / n if n else float("nan")
        table.append((name, n, len(counts), top, half))
    return pd.DataFrame(table, columns=["data set", "n", "openings", "top", "half"])


def vocabulary(datasets: Sets, *, columns: Sequence[str] = ("problem",), seed: int = paper.SEED) -> pd.DataFrame:
    """Count distinct words over words read.

    Parameters
    ----------
    datasets : mapping of str to rows
        Rows with ``columns``.
    columns : sequence of str
        What is read of a row: ``problem``, ``solution`` or both.
    seed : int
        Rows are read in an order shuffled with it, so that a set sorted by language or length grows without steps.

    Returns
    -------
    DataFrame
        Columns ``data set, words, distinct, n``: ``distinct`` words are among the first ``words`` read of a set of
        ``n`` rows. All sets are counted at the same numbers of words (20 a decade, from 10), and each at its end.
        ``attrs["columns"]`` lists ``columns``.
    """
    table = []
    for name, rows in datasets.items():
        shuffled = random.Random(seed).sample(range(len(rows)), len(rows))
        texts = (rows[position][column] for position in shuffled for column in columns)
        table += [(name, read, distinct, len(rows)) for read, distinct in _growth(texts)]
    frame = pd.DataFrame(table, columns=["data set", "words", "distinct", "n"])
    frame.attrs["columns"] = list(columns)
    return frame


def _growth(texts: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield words read and distinct words, at every mark passed and at the end."""
    marks = (round(10 ** (step / 20)) for step in itertools.count(20))
    seen: set[str] = set()
    mark, read, told = next(marks), 0, 0
    for text in texts:
        words = WORD.findall(text.lower())
        while mark <= read + len(words):
            seen.update(words[: mark - read])
            yield (told := mark), len(seen)
            mark = next(marks)
        seen.update(words)
        read += len(words)
    if read > told:
        yield read, len(seen)


def _opening_counts(rows: Iterable[Mapping[str, Any]], words: int) -> Counter[str]:
    return Counter(
        " ".join(found[0].lower() for found in itertools.islice(WORD.finditer(row["problem"]), words)) or NO_WORD
        for row in rows
    )


def _seed_counts(rows: Iterable[Mapping[str, Any]]) -> tuple[Counter[str], dict[str, str]]:
    """Count seeds without their white space, and keep each as it first stands."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for row in rows:
        if key := "".join((row.get("seed") or "").split()):
            counts[key] += 1
            first.setdefault(key, row["seed"])
    return counts, first
