"""What a run measured, gathered from the manifests and figures of its stages."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from magicoder_kit import embedded, paper, runs
from magicoder_kit.records import Row
from magicoder_kit.report.comparison import HUMANEVAL_TASKS, PREFILLED, comparison, not_run
from magicoder_kit.report.wording import grouped, is_number, percent

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
        "comparison": list(comparison(results, scores)),
        "not_run": list(not_run(results)),
    }


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
        told = f"The teacher was asked for {grouped(asked['requested'])} problems"
        if "parsed" in asked:
            told += f" and {grouped(asked['parsed'])} of its answers could be parsed"
        parts.append(told + ".")
    if "kept" in kept:
        parts.append(f"{grouped(kept['kept'])} examples were left after cleaning and decontamination.")
    if is_number(tuned.get("loss_before")) and is_number(tuned.get("loss_after")):
        student, pairs = _student(manifests) or "the student", grouped(tuned.get("pairs", "an unknown number of"))
        of = f" ({tuned['loss_of']})" if tuned.get("loss_of") else ""
        before, after = tuned["loss_before"], tuned["loss_after"]
        parts.append(f"Tuning {student} on {pairs} pairs moved the loss{of} from {before:.3f} to {after:.3f}.")
    parts += [_effect(form, base, both) for form, base, both in _by_form(scores)]
    if missing:
        parts.append(f"Not run here: {', '.join(missing)}.")
    return " ".join(parts)


def _by_form(scores: list[Row]) -> Iterator[tuple[str, Row, Row]]:
    """Yield each form that has both models, the paper's form first."""
    for form in sorted({row["form"] for row in scores}, key=lambda name: (name != PREFILLED, name)):
        models = {row["model"]: row for row in scores if row["form"] == form}
        if "base" in models and "tuned" in models:
            yield form, models["base"], models["tuned"]


def _effect(form: str, base: Row, tuned: Row) -> str:
    overlap = base["low"] <= tuned["high"] and tuned["low"] <= base["high"]
    verdict = (
        "the 95 % intervals overlap, so no difference is shown" if overlap else "the 95 % intervals do not overlap"
    )
    n = str(base["tasks"]) if base["tasks"] == tuned["tasks"] else f"{base['tasks']} and {tuned['tasks']}"
    change = f"{percent(base['estimate'])} before and {percent(tuned['estimate'])} after tuning"
    return f"HumanEval pass@1 in the {form} form was {change} (n = {n} problems): {verdict}."


def _scale(manifests: Mapping[str, Row], results: Mapping[str, Row], scores: list[Row]) -> str:
    student = _student(manifests) or "the student of this run"
    pairs = results["06"].get("pairs", results["04"].get("kept"))
    rows = f"{grouped(pairs)} rows" if pairs is not None else "an unknown number of rows"
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
        of = f"of {grouped(cleaned['responses'])} responses" if "responses" in cleaned else "after cleaning"
        yield {"value": grouped(cleaned["kept"]), "label": "examples kept", "note": of}
    if is_number(tuned.get("loss_before")) and is_number(tuned.get("loss_after")):
        pairs = f"tuned on {grouped(tuned['pairs'])} pairs" if "pairs" in tuned else "pairs not recorded"
        change = f"{tuned['loss_before']:.2f} → {tuned['loss_after']:.2f}"
        yield {"value": change, "label": "loss, before → after", "note": pairs}
    for form, base, after in _by_form(scores):
        change = f"{percent(base['estimate'])} → {percent(after['estimate'])}"
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
