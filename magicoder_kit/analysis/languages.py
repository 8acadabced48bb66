"""Programming languages of a data set: what the seeds were written in, and what the teacher answered in.

The two differ: a teacher may answer a shell seed in Python. So the seeds' own column, the labels of the
solutions' code blocks and the paper's one-string rule are counted apart.

Not covered: the language of a block that carries no label is not guessed.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

ALIASES = {
    alias: language
    for language, aliases in {
        "python": "py py2 py3 python2 python3 ipython pycon",
        "cpp": "c++ cc cxx hpp h++",
        "csharp": "cs c# c-sharp dotnet",
        "javascript": "js jsx mjs node nodejs",
        "typescript": "ts tsx",
        "shell": "sh bash zsh ksh console terminal shell-session shellscript",
        "rust": "rs",
        "go": "golang",
        "ruby": "rb",
        "kotlin": "kt",
        "php": "php5 php7 php8",
        "yaml": "yml",
        "markdown": "md",
        "text": "txt plain plaintext plain-text output",
    }.items()
    for alias in aliases.split()
}
"""Other names people write after a fence, and the name the released data has for them."""

UNLABELLED, NO_BLOCK, NOT_GIVEN, OTHER = "unlabelled", "no block", "not given", "other languages"
PYTHON_MARK = "```python"

_FENCES = ("```", "~~~")
_OPENING = re.compile(r"[ \t]*(`{3,}|~{3,})([^`]*)")


def distribution(datasets: Mapping[str, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """Count the languages of the seeds.

    Parameters
    ----------
    datasets : mapping of str to rows
        Rows with a column ``lang``; a row without one counts as ``not given``.

    Returns
    -------
    DataFrame
        Columns ``data set, language, rows, n, share``: ``n`` is the number of rows of the data set and
        ``share = rows / n``. The most common language of a data set comes first.

    Source: section 2.1.
    """
    return _count(datasets, lambda row: {row.get("lang") or NOT_GIVEN})


def fences(datasets: Mapping[str, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """Count the rows whose solution has a code block of a language.

    Parameters
    ----------
    datasets : mapping of str to rows
        Rows with a column ``solution``.

    Returns
    -------
    DataFrame
        Columns as :func:`distribution`. A row with blocks in two languages counts for both, so shares can add
        up to more than 1; one without a block counts as ``no block``.
    """
    return _count(datasets, lambda row: set(block_languages(row["solution"])) or {NO_BLOCK})


def split(datasets: Mapping[str, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """Part rows into Python and the rest, as the paper's language ablation does.

    Parameters
    ----------
    datasets : mapping of str to rows
        Rows with columns ``problem`` and ``solution``.

    Returns
    -------
    DataFrame
        Columns as :func:`distribution`, with ``language`` one of ``python`` (as :func:`python_share` counts it),
        ``other languages`` and ``no block``; the shares of a data set add up to 1. The paper's other half is all
        that is not ``python``; a set that writes its code without fences is ``no block``, and its Python share
        says nothing.

    Source: section 4.1 (the language ablation).
    """

    def part(row: Mapping[str, Any]) -> set[str]:
        if _is_python(row):
            return {"python"}
        return {OTHER} if block_languages(row["solution"]) or block_languages(row["problem"]) else {NO_BLOCK}

    return _count(datasets, part)


def side_by_side(datasets: Mapping[str, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """Return the shares of seeds and of solutions in one table, to be read and not to be computed with.

    Parameters
    ----------
    datasets : mapping of str to rows
        Rows with a column ``solution``, and ``lang`` where they have seeds.

    Returns
    -------
    DataFrame
        A row a language, the most common first; for every data set a column ``(name, "solutions")`` of
        :func:`fences`, before it ``(name, "seeds")`` of :func:`distribution` where the set has seeds.
    """
    columns = {}
    for name, rows in datasets.items():
        if any(row.get("lang") for row in rows):
            columns[name, "seeds"] = distribution({name: rows}).set_index("language")["share"]
        columns[name, "solutions"] = fences({name: rows}).set_index("language")["share"]
    table = pd.DataFrame(columns).fillna(0.0).rename_axis(index="language")
    table.columns = pd.MultiIndex.from_tuples(list(columns), names=["data set", "counted in"])
    return table.loc[table.max(axis=1).sort_values(ascending=False, kind="stable").index]


def python_share(datasets: Mapping[str, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """Count Python rows as the paper does: a row is Python where it contains ```` ```python ````.

    Parameters
    ----------
    datasets : mapping of str to rows
        Rows with columns ``problem`` and ``solution``; the mark may stand in either.

    Returns
    -------
    DataFrame
        One row a data set, columns ``data set, rows, n, share``; ``share`` is NaN where ``n`` is 0.

    Source: section 4.1 (the language ablation); published share in ``paper.PYTHON_SHARE``.
    """
    counted = []
    for name, rows in datasets.items():
        python = sum(_is_python(row) for row in rows)
        counted.append((name, python, len(rows), python / len(rows) if len(rows) else float("nan")))
    return pd.DataFrame(counted, columns=["data set", "rows", "n", "share"])


def block_languages(text: str) -> list[str]:
    """Return the language of every fenced code block of a Markdown text, in order.

    A block that is never closed (an answer cut short) counts as long as something stands in it.
    """
    languages: list[str] = []
    fence, label, filled = "", "", False
    # Most lines are no fence, and many a text has none.
    for line in text.split("\n") if any(mark in text for mark in _FENCES) else ():
        opening = _OPENING.fullmatch(line.rstrip()) if line.lstrip(" \t").startswith(_FENCES) else None
        if not fence:
            if opening:
                fence, label, filled = opening[1], opening[2], False
        elif opening and opening[1].startswith(fence) and not opening[2]:
            languages.append(_name(label))
            fence = ""
        else:
            filled = filled or bool(line.strip())
    if fence and filled:
        languages.append(_name(label))
    return languages


def _is_python(row: Mapping[str, Any]) -> bool:
    return PYTHON_MARK in row["problem"] or PYTHON_MARK in row["solution"]


def _name(label: str) -> str:
    # "Python", "python title=a.py", "python:a.py" and "{.python}" all say the same.
    words = re.split(r"[\s,:{}]+", label.lower().strip(" \t{}."))
    return ALIASES.get(words[0], words[0]) or UNLABELLED


def _count(
    datasets: Mapping[str, Sequence[Mapping[str, Any]]], languages: Callable[[Mapping[str, Any]], set[str]]
) -> pd.DataFrame:
    counted = []
    for name, rows in datasets.items():
        counts = Counter(language for row in rows for language in languages(row))
        for language, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
            counted.append((name, language, count, len(rows), count / len(rows)))
    return pd.DataFrame(counted, columns=["data set", "language", "rows", "n", "share"])
