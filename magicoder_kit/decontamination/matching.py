"""Every string of every benchmark searched for in one pass over a row.

An Aho-Corasick automaton finds a short piece of each string, so it stays small enough for a processor's cache
however long the strings are; a string is then looked for only in rows that hold its piece. A row costs its own
length and not that length times the number of strings.
"""

from collections.abc import Iterable, Mapping, Sequence

import ahocorasick_rs

from magicoder_kit.decontamination.strings import shorten
from magicoder_kit.errors import ParameterError
from magicoder_kit.records import Row

PIECE = 32
"""Bytes of a string that the automaton looks for: few strings share that many, and few rows hold them by chance."""


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
        self._folded = [_fold(string) for _, string in self.strings]
        holders: dict[bytes, list[int]] = {}
        for number, folded in enumerate(self._folded):
            middle = max(0, (len(folded) - PIECE) // 2)  # Openings are what strings share.
            holders.setdefault(folded[middle : middle + PIECE], []).append(number)
        self._holders = list(holders.values())
        self._automaton = ahocorasick_rs.BytesAhoCorasick(list(holders))

    def find(self, text: str) -> tuple[str, str] | None:
        """Return the first benchmark with a string in the text and its first such string, or None.

        First is what comes first in the order given, wherever in the text it stands.
        """
        folded = _fold(text)
        # Overlapping, because a piece may lie inside another one.
        pieces = {match[0] for match in self._automaton.find_matches_as_indexes(folded, overlapping=True)}
        candidates = sorted(number for piece in pieces for number in self._holders[piece])
        return next((self.strings[number] for number in candidates if self._folded[number] in folded), None)

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
            A rejected row has ``reason`` ``"contaminated"``, ``detail`` (benchmark and string on one short line),
            ``benchmark`` and ``benchmark_string``, the string in full.

        Raises
        ------
        ParameterError
            A row lacks one of the columns.
        """
        kept: list[Row] = []
        rejected: list[Row] = []
        for row in rows:
            try:
                match = self.find("\n\n".join([row[column] for column in columns]))
            except KeyError as error:
                raise ParameterError(f"rows have no column {error}; their columns are {', '.join(row)}") from error
            if match is None:
                kept.append(row)
                continue
            benchmark, string = match
            found = {"benchmark": benchmark, "benchmark_string": string}
            rejected.append(row | {"reason": "contaminated", "detail": f"{benchmark}: {shorten(string)}"} | found)
        return kept, rejected


def _fold(text: str) -> bytes:
    """Return the lower-case text as bytes; half a surrogate pair, which JSON may carry, passes too.

    No character's UTF-8 begins inside another's, so that bytes are found in bytes where text is in text. A piece
    may cut a character: it lies in the bytes of its string all the same, which is all that is asked of it.
    """
    return text.lower().encode("utf-8", "surrogatepass")
