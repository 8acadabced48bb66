"""The page: its blocks in the order of reading, and the files they are written to."""

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from magicoder_kit import records, runs
from magicoder_kit.records import Row
from magicoder_kit.report.comparison import TIMES
from magicoder_kit.report.measures import STAGES, build
from magicoder_kit.report.rendering import Block, to_html, to_markdown
from magicoder_kit.report.wording import NONE, grouped, is_number, percent


def write(run: Path, output: Path) -> Path:
    """Write ``report.md`` and ``report.html`` into a folder and return the path of the HTML.

    Parameters
    ----------
    run : Path
        The run's folder.
    output : Path
        Usually the run's ``08_reproduction_report``; the Markdown links figures relative to it.
    """
    page = build(run)
    blocks = list(_page(page))
    markdown = "\n\n".join(to_markdown(block, output) for block in blocks) + "\n"
    body = "\n".join(to_html(block) for block in blocks)
    frame = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    document = frame.replace("{title}", html.escape(page["title"])).replace("{body}", body)
    for name, text in (("report.md", markdown), ("report.html", document)):
        with records.atomic(output / name) as file:
            file.write(runs.scrub(text).encode())
    return output / "report.html"


def _page(page: Row) -> Iterator[Block]:
    """Lay the page out as blocks that both renderers know."""
    facts = [
        f"profile {page['profile']}" if page["profile"] else "",
        f"begun {page['created']}" if page["created"] else "",
    ]
    yield "title", page["title"], " · ".join(fact for fact in facts if fact)
    yield "lead", page["summary"] or "Nothing of this run is finished yet."
    if page["tiles"]:
        yield "tiles", page["tiles"]
    yield "note", page["scale"]
    yield "heading", "Measured beside published"
    if page["comparison"]:
        columns = ("measure", "published", "published_n", "measured", "n")
        rows = [[row[column] for column in columns] for row in page["comparison"]]
        yield "table", ["", "published", "n", "this run", "n"], rows, "3"
        yield "paragraph", "pass@1 is greedy, with its 95 % interval in brackets. Published: arXiv 2312.02120v2."
    else:
        yield "paragraph", "No stage of this run has a figure to set beside the paper's yet."
    yield "heading", "From snippets to the data set"
    yield "bars", page["funnel"]
    if page["losses"]:
        rows = [[row["stage"], row["reason"], grouped(row["rows"])] for row in page["losses"]]
        yield "table", ["stage", "what fell away", "rows"], rows, ""
    if page["prompts"]:
        yield "heading", "Prompts tried"
        rows = [
            [
                str(row.get("variant", "")),
                grouped(row.get("parsed", NONE)),
                percent(row["parsed"] / row["n"]) if row.get("n") and "parsed" in row else NONE,
                grouped(row.get("n", NONE)),
            ]
            for row in page["prompts"]
        ]
        yield "table", ["variant", "parsed", "share", "n"], rows, ""
    if page["scores"]:
        yield "heading", "Scores"
        when = dict(TIMES)
        rows = [
            [
                str(row["form"]),
                when.get(row["model"], str(row["model"])),
                grouped(row.get("passed", NONE)),
                percent(row["estimate"]),
                f"{100 * row['low']:.1f}–{100 * row['high']:.1f} %",
                grouped(row["tasks"]),
            ]
            for row in page["scores"]
        ]
        yield "table", ["form", "model", "passed", "pass@1", "95 % interval", "n"], rows, ""
    if page["figures"]:
        yield "heading", "Figures"
        for figure in page["figures"]:
            yield "figure", figure["path"], f"{STAGES[figure['stage']]}: {figure['name'].replace('_', ' ')}"
    yield "heading", "What ran, with which settings"
    rows = [
        [
            stage["name"],
            stage["status"],
            f"{stage['seconds']:,.1f}" if is_number(stage["seconds"]) else NONE,
            f"{stage['peak_memory_mb']:,}" if is_number(stage["peak_memory_mb"]) else NONE,
            stage["kit_version"] or NONE,
        ]
        for stage in page["stages"]
    ]
    yield "table", ["stage", "status", "seconds", "peak MB", "kit"], rows, ""
    for stage in page["stages"]:
        inside: list[Block] = [
            ("table", [title, ""], [[str(name), _value(value)] for name, value in stage[key].items()], "")
            for title, key in (("parameter", "parameters"), ("rows in", "counts"))
            if stage[key]
        ]
        inside += [
            ("paragraph", f"{title}: " + ", ".join(f"{name} {value}" for name, value in stage[key].items()))
            for title, key in (("Hardware", "hardware"), ("Versions", "versions"))
            if stage[key]
        ]
        if inside:
            yield "details", stage["name"], inside
    yield "heading", "Not run here"
    rows = [[row["figure"], row["published"], row["profile"]] for row in page["not_run"]]
    yield "table", ["published figure", "value", "profile that would"], rows, ""


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value or '""'
    return grouped(value) if type(value) is int else json.dumps(value, ensure_ascii=False)
