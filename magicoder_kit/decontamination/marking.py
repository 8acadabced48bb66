"""Where in a rejected row the benchmark's string stands, and a page that marks it beside the benchmark's text."""

import html
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from magicoder_kit.errors import ParameterError

_TEXT = "white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px;margin:2px 0 10px;text-align:left"
_MARK = "background:#ffd54f;color:#102a43"


class Place(NamedTuple):
    """A part of one column's text, from character ``start`` to before character ``end``."""

    column: str
    start: int
    end: int


def locate(row: Mapping[str, Any], string: str, *, columns: Sequence[str] = ("problem", "solution")) -> list[Place]:
    """Find where a string first stands in a row, ignoring case as decontamination does.

    Parameters
    ----------
    row : mapping
        A row that holds the columns.
    string : str
        A benchmark's string.
    columns : sequence of str
        The columns that were searched, joined by a blank line.

    Returns
    -------
    list of Place
        In the original text; one place, or one in each column where the string runs from one into the next, or
        none where the row does not hold it.
    """
    text = "\n\n".join(row[column] for column in columns)
    lowered, searched = text.lower(), string.lower()
    begin = lowered.find(searched)
    if begin < 0 or not searched:
        return []
    end = begin + len(searched)
    if len(lowered) != len(text):
        # A few characters have a longer lower case: a match that begins or ends within one takes all of it.
        ends = list(itertools.accumulate(len(character.lower()) for character in text))
        begin = next(place for place, reached in enumerate(ends) if reached > begin)
        end = next(place for place, reached in enumerate(ends) if reached >= end) + 1
    places = []
    offset = 0
    for column in columns:
        start, stop = max(begin - offset, 0), min(end - offset, len(row[column]))
        if start < stop:
            places.append(Place(column, start, stop))
        offset += len(row[column]) + len("\n\n")
    return places


def marked(rejected_row: Mapping[str, Any], *, columns: Sequence[str] = ("problem", "solution")) -> str:
    """Return a page (HTML) with a row's text, its match marked, beside the benchmark's text.

    Parameters
    ----------
    rejected_row : mapping
        A row as :meth:`Decontaminator.split` rejects it.
    columns : sequence of str
        The columns that were searched.

    Raises
    ------
    ParameterError
        The row was not rejected for a benchmark's string.
    """
    if "benchmark_string" not in rejected_row:
        raise ParameterError("the row was not rejected by decontamination: it has no column 'benchmark_string'")
    string = rejected_row["benchmark_string"]
    places = {place.column: place for place in locate(rejected_row, string, columns=columns)}
    parts = []
    for column in columns:
        text = rejected_row[column]
        _, start, end = places.get(column, Place(column, 0, 0))
        held = f'<mark style="{_MARK}">{_escape(text[start:end])}</mark>' if end else ""
        marked_text = f"{_escape(text[:start])}{held}{_escape(text[end:])}"
        parts.append(f'<b>{_escape(column)}</b><pre style="{_TEXT}">{marked_text}</pre>')
    half = "flex:1 1 320px;min-width:0"
    return (
        f'<div style="display:flex;flex-wrap:wrap;gap:24px"><div style="{half}">{"".join(parts)}</div>'
        f'<div style="{half}"><b>{_escape(rejected_row["benchmark"])}</b>'
        f'<pre style="{_TEXT}">{_escape(string)}</pre></div></div>'
    )


def _escape(text: str) -> str:
    # Half a surrogate pair is valid in JSON and in no page.
    return html.escape(text.encode("utf-8", "replace").decode())
