"""The reproduction report: what a run measured, beside what the paper published.

``build(run)`` gathers one page from the manifests and figures of a run's stages; ``write(run, output)`` renders it
as ``report.md`` and ``report.html``. The HTML holds its figures, so it can be sent by itself. A figure never
stands without its n. The same manifests give the same bytes.

Not covered: significance. Two 95 % intervals are compared by eye and said to overlap or not, no more.
"""

import base64
import html
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from magicoder_kit import embedded, paper, records, runs
from magicoder_kit.records import Row

STAGES = {
    "01_snippet_sampling": "Snippets",
    "02_prompt_exploration": "Prompts",
    "03_generation": "Generation",
    "04_cleaning_decontamination": "Cleaning and decontamination",
    "05_data_analysis": "Analysis",
    "06_qlora_finetuning": "Fine-tuning",
    "07_evaluation": "Evaluation",
}
"""The stages a report tells of; notebook 08, which writes it, is left out so that the page does not change itself."""

HUMANEVAL_TASKS = 164
_PREFILLED = "prefilled"
_TIMES = (("base", "before tuning"), ("tuned", "after tuning"))
_NONE = "–"

Block = tuple[Any, ...]


def build(run: Path) -> Row:
    """Gather what a run measured.

    Parameters
    ----------
    run : Path
        The run's folder. Stages and keys that are missing are shown as not run.

    Returns
    -------
    dict
        ``title, summary, scale, profile, tiles, stages, funnel, losses, figures, prompts, scores, comparison,
        not_run``: plain values, in the order of the page.
    """
    manifests = {name: runs.read_manifest(run / name) or {} for name in STAGES}
    results = {name[:2]: _results(manifest) for name, manifest in manifests.items()}
    described = _read_run(run)
    scores = [row for row in results["07"].get("scores", []) if _is_score(row)]
    return {
        "title": f"Magicoder, rerun: {run.name}",
        "profile": described.get("profile", ""),
        "created": described.get("created", ""),
        "summary": _summary(manifests, results, scores),
        "scale": _scale(manifests, results, scores),
        "tiles": list(_tiles(results, scores)),
        "stages": [_stage(name, manifest) for name, manifest in manifests.items()],
        "funnel": list(_funnel(manifests, results)),
        "losses": [
            {"stage": name, "reason": reason, "rows": count}
            for name, manifest in manifests.items()
            for reason, count in sorted(manifest.get("rejected", {}).items())
        ],
        "figures": [
            {"stage": name, "name": path.stem, "path": path}
            for name in STAGES
            if _done(manifests[name])
            for path in sorted((run / name / "figures").glob("*.png"))
        ],
        "prompts": results["02"].get("parse_rates", []),
        "scores": scores,
        "comparison": list(_comparison(results, scores)),
        "not_run": list(_not_run(results)),
    }


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
    markdown = "\n\n".join(_markdown(block, output) for block in blocks) + "\n"
    body = "\n".join(_html(block) for block in blocks)
    document = _DOCUMENT.replace("{title}", html.escape(page["title"])).replace("{body}", body)
    for name, text in (("report.md", markdown), ("report.html", document)):
        with records.atomic(output / name) as file:
            file.write(runs.scrub(text).encode())
    return output / "report.html"


def _results(manifest: Row) -> Row:
    """Return a stage's results where it ran to its end: half a stage has none worth citing."""
    results = manifest.get("results", {}) if _done(manifest) else {}
    return results if isinstance(results, dict) else {}


def _done(manifest: Row) -> bool:
    return manifest.get("status") == "done"


def _read_run(run: Path) -> Row:
    try:
        described = json.loads((run / "run.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return described if isinstance(described, dict) else {}


def _is_score(row: Any) -> bool:
    return isinstance(row, dict) and {"model", "form", "estimate", "low", "high", "tasks"} <= row.keys()


def _student(manifests: Mapping[str, Row]) -> str:
    parameters = manifests["06_qlora_finetuning"].get("parameters", {})
    found = next((parameters[key] for key in ("base_model", "student", "model", "base") if parameters.get(key)), "")
    return "SmolLM2-135M-Instruct" if found == embedded.STUDENT else str(found)


def _summary(manifests: Mapping[str, Row], results: Mapping[str, Row], scores: list[Row]) -> str:
    asked, kept, tuned = results["03"], results["04"], results["06"]
    missing = [STAGES[name].lower() for name, manifest in manifests.items() if not _done(manifest)]
    parts = []
    if "requested" in asked:
        told = f"The teacher was asked for {_count(asked['requested'])} problems"
        if "parsed" in asked:
            told += f" and {_count(asked['parsed'])} of its answers could be parsed"
        parts.append(told + ".")
    if "kept" in kept:
        parts.append(f"{_count(kept['kept'])} examples were left after cleaning and decontamination.")
    if _number(tuned.get("loss_before")) and _number(tuned.get("loss_after")):
        student, pairs = _student(manifests) or "the student", _count(tuned.get("pairs", "an unknown number of"))
        of = f" ({tuned['loss_of']})" if tuned.get("loss_of") else ""
        before, after = tuned["loss_before"], tuned["loss_after"]
        parts.append(f"Tuning {student} on {pairs} pairs moved the loss{of} from {before:.3f} to {after:.3f}.")
    parts += [_effect(form, base, both) for form, base, both in _by_form(scores)]
    if missing:
        parts.append(f"Not run here: {', '.join(missing)}.")
    return " ".join(parts)


def _by_form(scores: list[Row]) -> Iterator[tuple[str, Row, Row]]:
    """Yield each form that has both models, the paper's form first."""
    for form in sorted({row["form"] for row in scores}, key=lambda name: (name != _PREFILLED, name)):
        models = {row["model"]: row for row in scores if row["form"] == form}
        if "base" in models and "tuned" in models:
            yield form, models["base"], models["tuned"]


def _effect(form: str, base: Row, tuned: Row) -> str:
    overlap = base["low"] <= tuned["high"] and tuned["low"] <= base["high"]
    verdict = (
        "the 95 % intervals overlap, so no difference is shown" if overlap else "the 95 % intervals do not overlap"
    )
    n = str(base["tasks"]) if base["tasks"] == tuned["tasks"] else f"{base['tasks']} and {tuned['tasks']}"
    change = f"{_percent(base['estimate'])} before and {_percent(tuned['estimate'])} after tuning"
    return f"HumanEval pass@1 in the {form} form was {change} (n = {n} problems): {verdict}."


def _scale(manifests: Mapping[str, Row], results: Mapping[str, Row], scores: list[Row]) -> str:
    student = _student(manifests) or "the student of this run"
    pairs = results["06"].get("pairs", results["04"].get("kept"))
    rows = f"{_count(pairs)} rows" if pairs is not None else "an unknown number of rows"
    here = f"{student} on {rows}"
    published = (
        f"The published figures are of models with 6.7 and 7 billion parameters, tuned on "
        f"{paper.OSS_INSTRUCT_ROWS:,} rows and scored on all {HUMANEVAL_TASKS} HumanEval problems"
    )
    tasks = sorted({int(row["tasks"]) for row in scores})
    scored = f", scored on {' or '.join(map(str, tasks))} problems" if tasks else ""
    size = re.search(r"(\d+(?:\.\d+)?)\s*([mb])(?![a-z])", student, re.IGNORECASE)
    small = size is not None and float(size[1]) * (1 if size[2].lower() == "b" else 1e-3) < 6
    if small and size is not None:
        unit = size[0].replace(" ", "").upper()
        return (
            f"A {unit} model on {rows} is no reproduction of the 7B result. {published}; this run tuned "
            f"{here}{scored}. It shows that every step works and what each does, not how good the method is."
        )
    return f"{published}; this run tuned {here}{scored}. Compare the settings before the figures."


def _tiles(results: Mapping[str, Row], scores: list[Row]) -> Iterator[Row]:
    cleaned, tuned = results["04"], results["06"]
    if "kept" in cleaned:
        of = f"of {_count(cleaned['responses'])} responses" if "responses" in cleaned else "after cleaning"
        yield {"value": _count(cleaned["kept"]), "label": "examples kept", "note": of}
    if _number(tuned.get("loss_before")) and _number(tuned.get("loss_after")):
        pairs = f"tuned on {_count(tuned['pairs'])} pairs" if "pairs" in tuned else "pairs not recorded"
        change = f"{tuned['loss_before']:.2f} → {tuned['loss_after']:.2f}"
        yield {"value": change, "label": "loss, before → after", "note": pairs}
    for form, base, after in _by_form(scores):
        change = f"{_percent(base['estimate'])} → {_percent(after['estimate'])}"
        yield {"value": change, "label": f"pass@1, {form} form", "note": f"n = {after['tasks']} problems"}


def _stage(name: str, manifest: Row) -> Row:
    keys = ["parameters", "counts", "rejected", "seconds", "peak_memory_mb", "kit_version", "hardware", "versions"]
    status = manifest.get("status", "not run")
    return {"name": name, "title": STAGES[name], "status": status} | {key: manifest.get(key) for key in keys}


def _funnel(manifests: Mapping[str, Row], results: Mapping[str, Row]) -> Iterator[Row]:
    sampling = manifests["01_snippet_sampling"]
    drawn = sampling.get("counts", {}).get("snippets.jsonl") if _done(sampling) else None
    asked, cleaned = results["03"], results["04"]
    steps = {
        "snippets drawn": drawn,
        "asked of the teacher": asked.get("requested"),
        "answered": asked.get("answered", cleaned.get("responses")),
        "parsed": asked.get("parsed", cleaned.get("parsed")),
        "after cleaning (duplicates out)": cleaned.get("after_deduplication"),
        "after decontamination": cleaned.get("kept"),
    }
    first = next((rows for rows in steps.values() if rows), None)
    for step, rows in steps.items():
        yield {"step": step, "rows": rows, "share": rows / first if rows is not None and first else None}


def _comparison(results: Mapping[str, Row], scores: list[Row]) -> Iterator[Row]:
    """Yield every published figure that this run has a counterpart for: both values, each with its n."""
    counterparts = {"base": ["CodeLlama-Python-7B"], "tuned": ["Magicoder-CL-7B", "Magicoder-DS-6.7B"]}
    for model, when in _TIMES:
        values = " · ".join(f"{name} {paper.PASS_AT_1[name][0]} %" for name in counterparts[model])
        rows = sorted(
            (row for row in scores if row["model"] == model), key=lambda row: (row["form"] != _PREFILLED, row["form"])
        )
        for row in rows:
            same = row["form"] == _PREFILLED
            yield {
                "measure": f"HumanEval pass@1, {when}, {row['form']} form",
                "published": values if same else f"{_NONE} (the paper uses the {_PREFILLED} form)",
                "published_n": f"{HUMANEVAL_TASKS} problems" if same else _NONE,
                "measured": f"{_percent(row['estimate'])} [{100 * row['low']:.1f}–{100 * row['high']:.1f}]",
                "n": f"{row['tasks']} problems",
            }
    oss = "OSS-Instruct"
    for row in results["05"].get("similarity", []):
        name = str(row.get("data set", "this run"))
        reference = name if name in paper.HUMANEVAL_SIMILARITY else oss
        yield {
            "measure": f"Similarity to HumanEval, mean of the highest TF-IDF cosine: {name}",
            "published": f"{reference} {paper.HUMANEVAL_SIMILARITY[reference]:.3f}",
            "published_n": f"{paper.OSS_INSTRUCT_ROWS:,} rows" if reference == oss else "all its rows",
            "measured": f"{row['mean']:.3f}" if _number(row.get("mean")) else "not run",
            "n": _rows(row.get("n")),
        }
    for row in results["05"].get("python_share", []):
        yield {
            "measure": f"Python share: {row.get('data set', 'this run')}",
            "published": f"about {100 * paper.PYTHON_SHARE:.0f} %",
            "published_n": f"{paper.OSS_INSTRUCT_ROWS:,} rows",
            "measured": _percent(row["share"]) if _number(row.get("share")) else "not run",
            "n": _rows(row.get("n")),
        }
    cleaned, asked = results["04"], results["03"]
    if "contaminated" in cleaned:
        removed = paper.DECONTAMINATED[oss]
        yield {
            "measure": "Rows removed by decontamination",
            "published": str(removed),
            "published_n": f"{paper.OSS_INSTRUCT_ROWS:,} rows remain",
            "measured": _count(cleaned["contaminated"]),
            "n": _rows(cleaned.get("after_deduplication")),
        }
    if "kept" in cleaned and asked.get("requested"):
        seeds = sum(paper.QUOTA.values())
        yield {
            "measure": "Yield: rows kept of snippets asked",
            "published": f"{_percent(paper.OSS_INSTRUCT_ROWS / seeds)} ({paper.OSS_INSTRUCT_ROWS:,} kept)",
            "published_n": f"{seeds:,} snippets",
            "measured": f"{_percent(cleaned['kept'] / asked['requested'])} ({_count(cleaned['kept'])} kept)",
            "n": f"{_count(asked['requested'])} snippets",
        }


def _not_run(results: Mapping[str, Row]) -> Iterator[Row]:
    """Yield the published figures this run has no counterpart for, with the profile that would make one."""
    ours = {row.get("model") for row in results["07"].get("scores", []) if isinstance(row, dict)}
    matched = {"base": {"CodeLlama-Python-7B"}, "tuned": {"Magicoder-CL-7B", "Magicoder-DS-6.7B"}}
    shown = set().union(*(names for model, names in matched.items() if model in ours))
    trained = {"CodeLlama-Python-7B", *(name for name in paper.PASS_AT_1 if name.startswith("Magicoder"))}
    for name, values in paper.PASS_AT_1.items():
        columns = [
            f"{column} {value} %"
            for column, value in zip(paper.PASS_AT_1_COLUMNS, values, strict=True)
            if not (column == "HumanEval" and name in shown)
        ]
        profile = "paper" if name in trained else "none: the paper's reference, not trained by this kit"
        yield {"figure": f"{name}, pass@1 (tables 1, 4)", "published": " · ".join(columns), "profile": profile}
    if not results["05"].get("python_share"):
        yield {"figure": "Python share", "published": f"about {100 * paper.PYTHON_SHARE:.0f} %", "profile": "paper"}
    measured = {row.get("data set") for row in results["05"].get("similarity", [])}
    for name, mean in paper.HUMANEVAL_SIMILARITY.items():
        if name not in measured and not (name == "OSS-Instruct" and measured):
            yield {
                "figure": f"Similarity to HumanEval of {name} (figure 6)",
                "published": f"{mean:.3f}",
                "profile": "paper",
            }
    for name, count in paper.DECONTAMINATED.items():
        if name != "OSS-Instruct" or "contaminated" not in results["04"]:
            yield {"figure": f"Rows removed from {name} (section 2.3)", "published": str(count), "profile": "paper"}
    groups: tuple[tuple[str, Mapping[str, Any], str], ...] = (
        ("DS-1000 completion (table 3)", paper.DS1000_OVERALL, "paper"),
        ("APPS, 300 problems", paper.APPS_300, "paper"),
        ("Languages: HumanEval+ / MultiPL-E mean (table 5)", paper.LANGUAGE_ABLATION, "ablations/…"),
        ("Weaker teacher: HumanEval+ / MBPP+ (table 7)", paper.MIXTRAL_TEACHER, "ablations/…"),
    )
    for figure, group, profile in groups:
        shown_values = (f"{name} {_slashed(value)} %" for name, value in group.items())
        yield {"figure": figure, "published": " · ".join(shown_values), "profile": profile}
    pairs = f"{_slashed(paper.COMMENT_FUNCTION_PAIRS)} %"
    yield {
        "figure": "Comment–function pairs: HumanEval+ / MultiPL-E mean (table 6)",
        "published": pairs,
        "profile": "ablations/…",
    }
    without = f"{paper.WITHOUT_PARTIAL_ROWS} %"
    yield {
        "figure": "Rows with pass or NotImplemented left out: HumanEval+ (table 10)",
        "published": without,
        "profile": "ablations/…",
    }


def _slashed(value: Any) -> str:
    return " / ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _rows(value: Any) -> str:
    return f"{_count(value)} rows" if value is not None else "n not recorded"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


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
        rows = [[row["stage"], row["reason"], _count(row["rows"])] for row in page["losses"]]
        yield "table", ["stage", "what fell away", "rows"], rows, ""
    if page["prompts"]:
        yield "heading", "Prompts tried"
        rows = [
            [
                str(row.get("variant", "")),
                _count(row.get("parsed", _NONE)),
                _percent(row["parsed"] / row["n"]) if row.get("n") and "parsed" in row else _NONE,
                _count(row.get("n", _NONE)),
            ]
            for row in page["prompts"]
        ]
        yield "table", ["variant", "parsed", "share", "n"], rows, ""
    if page["scores"]:
        yield "heading", "Scores"
        when = dict(_TIMES)
        rows = [
            [
                str(row["form"]),
                when.get(row["model"], str(row["model"])),
                _count(row.get("passed", _NONE)),
                _percent(row["estimate"]),
                f"{100 * row['low']:.1f}–{100 * row['high']:.1f} %",
                _count(row["tasks"]),
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
            f"{stage['seconds']:,.1f}" if _number(stage["seconds"]) else _NONE,
            f"{stage['peak_memory_mb']:,}" if _number(stage["peak_memory_mb"]) else _NONE,
            stage["kit_version"] or _NONE,
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
    return _count(value) if type(value) is int else json.dumps(value, ensure_ascii=False)


def _html(block: Block) -> str:
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
            inner = "\n".join(_html(one) for one in blocks)
            return f"<details><summary>{_escape(title)}</summary>\n{inner}\n</details>"
        case ("figure", path, caption):
            image = base64.b64encode(path.read_bytes()).decode()
            alt = html.escape(caption)
            return (
                f'<figure><img alt="{alt}" src="data:image/png;base64,{image}"><figcaption>{alt}</figcaption></figure>'
            )
    raise ValueError(f"no block is called {block[0]!r}")


def _markdown(block: Block, output: Path) -> str:
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
            return _markdown(("table", ["step", "rows", "share"], rows, ""), output)
        case ("table", head, rows, _):
            rule = ["---:" if _numeric(index, rows) else "---" for index in range(len(head))]
            lines = [[_mark(cell) for cell in head], rule, *([_mark(cell) for cell in row] for row in rows)]
            return "\n".join(f"| {' | '.join(line)} |" for line in lines)
        case ("details", title, blocks):
            inner = "\n\n".join(_markdown(one, output) for one in blocks)
            return f"<details><summary>{_mark(title)}</summary>\n\n{inner}\n\n</details>"
        case ("figure", path, caption):
            where = Path(os.path.relpath(path, output)).as_posix().replace(" ", "%20")
            return f"![{_mark(caption)}]({where})"
    raise ValueError(f"no block is called {block[0]!r}")


def _step_rows(step: Row) -> str:
    return _count(step["rows"]) if step["rows"] is not None else "not run"


def _step_share(step: Row) -> str:
    return _percent(step["share"]) if step["share"] is not None else ""


def _numeric(index: int, rows: Iterable[list[str]]) -> bool:
    """Say whether a column holds numbers alone, which are set flush right."""
    cells = [row[index] for row in rows]
    return any(cell != _NONE for cell in cells) and all(re.fullmatch(r"[\d.,–\s%]+", cell) for cell in cells)


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


_DOCUMENT = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root { --ink: #1d2733; --soft: #5c6b7a; --line: #dfe5ea; --paper: #fff; --tint: #f5f7f9; --accent: #0b6e75; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ee; --soft: #9aa8b5; --line: #2f3a45; --paper: #12181f; --tint: #1a222b; --accent: #5cc3c9; }
}
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
body { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -.015em; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .75rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
.facts, .small, figcaption { color: var(--soft); font-size: .875rem; }
.facts { margin: .25rem 0 1.5rem; }
.lead { font-size: 1.0625rem; max-width: 46rem; }
.note { border-left: 3px solid var(--accent); background: var(--tint); padding: .75rem 1rem; margin: 1.5rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .75rem; margin: 1.5rem 0; }
.tiles div { border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem;
  display: flex; flex-direction: column; }
.tiles b { font-size: 1.2rem; line-height: 1.3; color: var(--accent);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.tiles small { color: var(--soft); }
.wide { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 600; font-size: .8125rem;
  border-bottom: 1px solid var(--line); }
th, td { padding: .4rem .75rem .4rem 0; vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
td { border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
details td { overflow-wrap: anywhere; } details td:first-child { width: 40%; }
details .number { text-align: left; white-space: normal; }
td:first-child { min-width: 10rem; }
.keep { white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
td.strong { font-weight: 600; }
.bar { width: 45%; vertical-align: middle; }
.bar i { display: block; height: .7rem; border-radius: .2rem; background: var(--accent); }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; padding: 0 1rem; }
summary { cursor: pointer; padding: .55rem 0; font-weight: 600; }
figure { margin: 1.5rem 0; break-inside: avoid; }
img { display: block; max-width: 100%; max-height: 34rem; margin: 0 auto;
  background: #fff; border: 1px solid var(--line); border-radius: .5rem; padding: .75rem; }
figcaption { text-align: center; margin-top: .4rem; }
@media print {
  :root { --ink: #000; --soft: #444; --line: #ccc; --paper: #fff; --tint: #f5f5f5; --accent: #0b6e75; }
  html { font-size: 11px; } body { max-width: none; padding: 0; }
  h2 { break-after: avoid; } tr, .tiles div, .note { break-inside: avoid; } .wide { overflow: visible; }
  .bar i { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
</style>
</head>
<body>
{body}
</body>
</html>
"""
