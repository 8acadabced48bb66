"""Filters that look at the fenced blocks of a problem and its solution."""

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

from magicoder_kit.cleaning import without_white_space
from magicoder_kit.records import Row

Split = tuple[list[Row], list[Row]]
"""Rows kept and rows rejected."""

GRAMMARS = {
    "python": "python py python3 py3",
    "cpp": "cpp c++ cc cxx hpp",
    "c": "c h",
    "java": "java",
    "typescript": "typescript ts",
    "javascript": "javascript js node",
    "bash": "bash sh shell zsh",
    "csharp": "csharp c# cs",
    "rust": "rust rs",
    "php": "php",
    "swift": "swift",
    "go": "go golang",
    "ruby": "ruby rb",
    "kotlin": "kotlin kt",
    "scala": "scala",
    "json": "json",
}
"""tree-sitter grammars, each with the names that a fence may give its language."""

_GRAMMAR_OF = {name: grammar for grammar, names in GRAMMARS.items() for name in names.split()}
_PARTIAL = re.compile(r"^[^#\n]*?(?:^|[:;])[ \t]*(pass)[ \t]*(?:$|[#;])|(NotImplemented\w*)", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: the language its fence claims, in lower case or ``""``, and the lines within."""

    lang: str
    code: str


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a text; one that is never closed is none, as in the reference.

    A line that begins with three backticks, white space aside, opens a block or closes it.
    """
    found: list[Block] = []
    opened: int | None = None
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if not line.strip().startswith("```"):
            continue
        if opened is None:
            opened = number
            continue
        claimed = lines[opened].strip().strip("`").strip().lower().split()
        found.append(Block(claimed[0] if claimed else "", "".join(lines[opened + 1 : number])))
        opened = None
    return found


def copies_block(rows: Iterable[Row]) -> Split:
    """Drop rows whose solution holds a fenced block of the problem, white space aside.

    The reference has this filter and leaves it off, because it saw no gain.
    """

    def why(row: Row) -> str:
        given = {squeezed for block in blocks(row["problem"]) if (squeezed := without_white_space(block.code))}
        copied = next((block for block in blocks(row["solution"]) if without_white_space(block.code) in given), None)
        return f"copies a block of the problem: {_first_line(copied.code)}" if copied else ""

    return split_by(rows, "copies_block", why)


def partial_implementations(rows: Iterable[Row]) -> Split:
    """Drop rows whose solution's code leaves something out: a ``pass`` statement or ``NotImplemented…``.

    Code is what the fenced blocks hold, or the whole solution where it has none. A ``pass`` that is meant
    (``except KeyError: pass``) counts too, as it does in the paper.

    Source: appendix C.3, where it makes 75K rows 68K.
    """

    def why(row: Row) -> str:
        code = "\n".join(block.code for block in blocks(row["solution"])) or row["solution"]
        found = _PARTIAL.search(code)
        return f"{found[1] or found[2]}: {_first_line(code[found.start(found.lastindex or 0) :])}" if found else ""

    return split_by(rows, "partial_implementations", why)


def unparsable(rows: Iterable[Row]) -> Split:
    """Drop rows with a fenced block in the solution that does not parse in the language its fence claims.

    A block without a language, or with one that :data:`GRAMMARS` does not know, is not judged. tree-sitter's
    grammars accept what their languages accept and a little more, and a fragment where a statement may stand.
    """

    def why(row: Row) -> str:
        for block in blocks(row["solution"]):
            if (grammar := _GRAMMAR_OF.get(block.lang)) and (line := first_error(block.code, grammar)):
                return f"{block.lang}, line {line} of the block: {_first_line(block.code, line)}"
        return ""

    return split_by(rows, "unparsable", why)


def first_error(code: str, grammar: str) -> int:
    """Return the line, from 1, of the first syntax error of a text, or 0 where it parses."""
    # A block in a list is indented as a whole; PHP between no tags would all be taken for a page's text.
    margin = min((len(line) - len(line.lstrip()) for line in code.split("\n") if line.strip()), default=0)
    dedented = "\n".join(line[margin:] for line in code.split("\n"))
    opening = "<?php " if grammar == "php" and "<?" not in code else ""
    root = _parser(grammar).parse((opening + dedented).encode("utf-8", "replace")).root_node
    if not root.has_error:
        return 0
    node = root
    while not (node.is_error or node.is_missing):
        node = next(child for child in node.children if child.has_error)
    return int(node.start_point[0]) + 1


def split_by(rows: Iterable[Row], reason: str, why: Callable[[Row], str]) -> Split:
    """Separate rows by what a function says against each of them; ``""`` is nothing."""
    kept: list[Row] = []
    rejected: list[Row] = []
    for row in rows:
        if detail := why(row):
            rejected.append(row | {"reason": reason, "detail": detail})
        else:
            kept.append(row)
    return kept, rejected


def _first_line(text: str, number: int = 0) -> str:
    """Return line ``number`` of a text from 1, or with 0 its first that is not blank; cut where it is long."""
    lines = text.split("\n")
    line = lines[min(number, len(lines)) - 1] if number else next((line for line in lines if line.strip()), "")
    return line.strip()[:80]


@functools.cache
def _parser(grammar: str) -> Any:
    from tree_sitter_language_pack import get_parser

    return get_parser(cast(Any, grammar))  # Its names are literals there; ours are the keys of GRAMMARS.
