"""Filters that compare words: rows with each other, and rows with benchmarks."""

import re
from collections.abc import Iterable, Mapping, Sequence

from magicoder_kit.errors import ParameterError
from magicoder_kit.filters.blocks import Split, split_by
from magicoder_kit.records import Row

_TOKEN = re.compile(r"\w+")


def near_duplicates(
    rows: Iterable[Row],
    *,
    columns: Sequence[str] = ("problem", "solution"),
    threshold: float = 0.7,
    ngram: int = 5,
    permutations: int = 128,
    seed: int = 1,
) -> Split:
    """Keep rows first come, first served; drop one that is nearly a row kept before it.

    Parameters
    ----------
    rows : iterable of Row
        Any rows with the columns.
    columns : sequence of str
        Columns compared.
    threshold : float
        Jaccard similarity of two rows' sets of word n-grams, as MinHash estimates it, from which on they are
        called the same; the reference's unused script has 0.7.
    ngram : int
        Words in an n-gram.
    permutations : int
        MinHash values a row; the estimate's standard error is at most ``0.5 / sqrt(permutations)``.
    seed : int
        Seed of the permutations: the same seed and rows give the same result on any machine.

    Returns
    -------
    kept, rejected : list of Row
        Rows without a word are kept. ``detail`` of a rejected row is the estimate and the position, among the rows
        given, of the kept one.

    Raises
    ------
    ParameterError
        The threshold is below 0.1 or above 0.95.
    """
    from datasketch import MinHash, MinHashLSH

    if not 0.1 <= threshold <= 0.95:
        raise ParameterError(f"threshold is {threshold}; use a similarity from 0.1 to 0.95")
    index = MinHashLSH(threshold=threshold, num_perm=permutations)
    blank = MinHash(num_perm=permutations, seed=seed)
    sketches: dict[int, MinHash] = {}
    kept: list[Row] = []
    rejected: list[Row] = []
    for position, row in enumerate(rows):
        shingles = set(_ngrams(tokens("\n\n".join(row[column] for column in columns)), ngram))
        sketch = blank.copy()
        sketch.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in shingles])
        near = [(sketch.jaccard(sketches[other]), -other) for other in index.query(sketch)] if shingles else []
        similarity, first = max(near, default=(0.0, 0))
        if similarity >= threshold:
            detail = f"{similarity:.2f} similar to row {-first}"
            rejected.append(row | {"reason": "near_duplicates", "detail": detail})
            continue
        kept.append(row)
        if shingles:
            sketches[position] = sketch
            index.insert(position, sketch)
    return kept, rejected


def ngram_overlap(
    rows: Iterable[Row],
    benchmarks: Mapping[str, Sequence[str]],
    *,
    n: int = 10,
    above: float = 0.0,
    columns: Sequence[str] = ("problem", "solution"),
) -> Split:
    """Drop rows that share word n-grams with a benchmark.

    Parameters
    ----------
    rows : iterable of Row
        Any rows with the columns.
    benchmarks : mapping of str to sequence of str
        Texts by benchmark, as :func:`decontamination.benchmark_strings` returns them.
    n : int
        Words in an n-gram, lower case, punctuation aside; 10 and 13 are customary.
    above : float
        A row falls where the share of its n-grams that occur in a benchmark is greater; 0 is any n-gram.
    columns : sequence of str
        Columns compared.

    Returns
    -------
    kept, rejected : list of Row
        ``detail`` of a rejected row is the share, the benchmark of the first n-gram shared, and that n-gram.
    """
    known = _known(benchmarks, n)

    def why(row: Row) -> str:
        share, first = _overlap(row, known, n, columns)
        return f"{share:.1%} of {n}-grams; {known[first]}: {first}" if first and share > above else ""

    return split_by(rows, f"ngram_overlap_{n}", why)


def ngram_shares(
    rows: Iterable[Row],
    benchmarks: Mapping[str, Sequence[str]],
    *,
    n: int = 10,
    columns: Sequence[str] = ("problem", "solution"),
) -> list[float]:
    """Return for every row the share, 0 to 1, of its n-grams that occur in a benchmark; see :func:`ngram_overlap`."""
    known = _known(benchmarks, n)
    return [_overlap(row, known, n, columns)[0] for row in rows]


def tokens(text: str) -> list[str]:
    """Return the words of a text in lower case: letters, digits and underscores."""
    return _TOKEN.findall(text.lower())


def _ngrams(words: Sequence[str], n: int) -> list[str]:
    """Return the n-grams of words; a text with fewer has one, all of them."""
    return [" ".join(words[start : start + n]) for start in range(max(1, len(words) - n + 1))] if words else []


def _known(benchmarks: Mapping[str, Sequence[str]], n: int) -> dict[str, str]:
    """Return the benchmark in which each n-gram occurs first; texts of fewer words hold none."""
    known: dict[str, str] = {}
    for name, texts in benchmarks.items():
        for words in map(tokens, texts):
            if len(words) >= n:
                for ngram in _ngrams(words, n):
                    known.setdefault(ngram, name)
    return known


def _overlap(row: Row, known: Mapping[str, str], n: int, columns: Sequence[str]) -> tuple[float, str]:
    ngrams = _ngrams(tokens("\n\n".join(row[column] for column in columns)), n)
    shared = [ngram for ngram in ngrams if ngram in known]
    return (len(shared) / len(ngrams), shared[0]) if shared else (0.0, "")
