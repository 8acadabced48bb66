"""Blocks of a page as HTML and as Markdown."""

import base64
import html
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from magicoder_kit.records import Row
from magicoder_kit.report.wording import NONE, grouped, percent

Block = tuple[Any, ...]
"""A kind (``"heading"``, ``"table"``, ``"figure"`` …) and what it holds."""


def to_html(block: Block) -> str:
    """Render one block; a figure is put into the page itself."""
    match block:
        case ("title", text, facts):
            return f"<h1>{_escape(text)}</h1>\n<p class=facts>{_escape(facts)}</p>"
        case ("lead", text):
            return f"<p class=lead>{_escape(text)}</p>"
        case ("note", text):
            return f"<p class=note><strong>On scale.</strong> {_escape(text)}</p>"
        case ("paragraph", text):
            return f"<p class=small>{_escape(text)}</p>"
        case ("heading", text):
            return f"<h2>{_escape(text)}</h2>"
        case ("tiles", tiles):
            parts = (
                f"<div><b>{_escape(tile['value'])}</b><span>{_escape(tile['label'])}</span>"
                f"<small>{_escape(tile['note'])}</small></div>"
                for tile in tiles
            )
            return f"<div class=tiles>{''.join(parts)}</div>"
        case ("bars", steps):
            rows = "".join(
                f"<tr><td>{_escape(step['step'])}<td class=number>{_escape(_step_rows(step))}"
                f'<td class=bar><i style="width:{100 * min(step["share"] or 0, 1):.1f}%"></i>'
                f"<td class=number>{_step_share(step)}"
                for step in steps
            )
            head = "<tr><th>step<th class=number>rows<th><th class=number>share"
            return f"<div class=wide><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>"
        case ("table", head, rows, strong):
            kinds = [_column_class(index, rows, strong) for index in range(len(head))]
            top = "".join(f"<th{kind}>{_escape(cell)}" for cell, kind in zip(head, kinds, strict=True))
            body = "".join(
                "<tr>" + "".join(f"<td{kind}>{_escape(cell)}" for cell, kind in zip(row, kinds, strict=True))
                for row in rows
            )
            return f"<div class=wide><table><thead><tr>{top}</thead><tbody>{body}</tbody></table></div>"
        case ("details", title, blocks):
            inner = "\n".join(to_html(one) for one in blocks)
            return f"<details><summary>{_escape(title)}</summary>\n{inner}\n</details>"
        case ("figure", path, caption):
            image = base64.b64encode(path.read_bytes()).decode()
            alt = html.escape(caption)
            return (
                f'<figure><img alt="{alt}" src="data:image/png;base64,{image}"><figcaption>{alt}</figcaption></figure>'
            )
    raise ValueError(f"no block is called {block[0]!r}")


def to_markdown(block: Block, output: Path) -> str:
    """Render one block; a figure is linked relative to ``output``, the folder the file will be in."""
    match block:
        case ("title", text, facts):
            return f"# {_mark(text)}\n\n{_mark(facts)}".rstrip()
        case ("lead" | "paragraph", text):
            return _mark(text)
        case ("note", text):
            return f"> **On scale.** {_mark(text)}"
        case ("heading", text):
            return f"## {_mark(text)}"
        case ("tiles", tiles):
            return "\n".join(f"- **{_mark(t['value'])}** {_mark(t['label'])} ({_mark(t['note'])})" for t in tiles)
        case ("bars", steps):
            rows = [[step["step"], _step_rows(step), _step_share(step)] for step in steps]
            return to_markdown(("table", ["step", "rows", "share"], rows, ""), output)
        case ("table", head, rows, _):
            rule = ["---:" if _numeric(index, rows) else "---" for index in range(len(head))]
            lines = [[_mark(cell) for cell in head], rule, *([_mark(cell) for cell in row] for row in rows)]
            return "\n".join(f"| {' | '.join(line)} |" for line in lines)
        case ("details", title, blocks):
            inner = "\n\n".join(to_markdown(one, output) for one in blocks)
            return f"<details><summary>{_mark(title)}</summary>\n\n{inner}\n\n</details>"
        case ("figure", path, caption):
            where = Path(os.path.relpath(path, output)).as_posix().replace(" ", "%20")
            return f"![{_mark(caption)}]({where})"
    raise ValueError(f"no block is called {block[0]!r}")


def _step_rows(step: Row) -> str:
    return grouped(step["rows"]) if step["rows"] is not None else "not run"


def _step_share(step: Row) -> str:
    return percent(step["share"]) if step["share"] is not None else ""


def _numeric(index: int, rows: Iterable[list[str]]) -> bool:
    """Say whether a column holds numbers alone, which are set flush right."""
    cells = [row[index] for row in rows]
    return any(cell != NONE for cell in cells) and all(re.fullmatch(r"[\d.,–\s%]+", cell) for cell in cells)


def _column_class(index: int, rows: list[list[str]], strong: str) -> str:
    if _numeric(index, rows):
        return " class=number"
    if strong:
        return ' class="strong keep"' if str(index) == strong else " class=keep" if index >= 2 else ""
    return ""


def _escape(text: str) -> str:
    # "5.0 %" and "n = 24" stay on one line.
    return re.sub(r"(?<=\d) (?=%)|(?<=\bn) (?==)|(?<==) (?=\d)", "&nbsp;", html.escape(text))


def _mark(text: str) -> str:
    """Escape a text for Markdown: whatever could be markup or HTML is an entity."""
    text = html.escape(" ".join(text.split()), quote=False)
    text = re.sub(r"[*`\[\]|\\~]", lambda found: f"&#{ord(found[0])};", text)
    return re.sub(r"(?<!\w)_|_(?!\w)", "&#95;", text)
