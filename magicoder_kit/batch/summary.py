"""What a run made, in a few lines."""

from pathlib import Path
from typing import Any

from magicoder_kit import runs


def print_summary(run: Path) -> None:
    """Print what a run made: rows kept, loss and pass@1 before and after, and where its report is."""
    results = {}
    for stage in sorted(run.glob("[0-9]*_*")):
        manifest = runs.read_manifest(stage)
        if manifest is not None and manifest.get("status") == "done":
            results[stage.name[:2]] = manifest.get("results", {})
    lines = []
    cleaned, tuned = results.get("04", {}), results.get("06", {})
    if "kept" in cleaned:
        lines.append(("rows kept", f"{cleaned['kept']:,}" + _of(cleaned.get("responses"), " of {:,} responses")))
    if isinstance(tuned.get("loss_before"), float) and isinstance(tuned.get("loss_after"), float):
        pairs = _of(tuned.get("pairs"), " ({:,} pairs)")
        lines.append(("loss", f"{tuned['loss_before']:.3f} before, {tuned['loss_after']:.3f} after{pairs}"))
    scores = results.get("07", {}).get("scores", [])
    for form in dict.fromkeys(row["form"] for row in scores):
        shares = {row["model"]: row for row in scores if row["form"] == form}
        parts = [
            f"{100 * shares[model]['estimate']:.1f} % {when} (n = {shares[model]['tasks']})"
            for model, when in (("base", "before"), ("tuned", "after"))
            if model in shares
        ]
        lines.append((f"pass@1 {form}", ", ".join(parts)))
    report = run / "08_reproduction_report" / "report.html"
    if report.exists():
        lines.append(("report", str(report)))
    width = max((len(name) for name, _ in lines), default=0)
    for name, value in lines:
        print(f"{name.ljust(width)}  {value}")


def _of(value: Any, text: str) -> str:
    return text.format(value) if isinstance(value, int) else ""
