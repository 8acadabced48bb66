"""Published figures: those a run has a counterpart for beside it, the others as not run here."""

from collections.abc import Iterator, Mapping
from typing import Any

from magicoder_kit import paper
from magicoder_kit.records import Row
from magicoder_kit.report.wording import NONE, grouped, is_number, n_rows, percent, slashed

HUMANEVAL_TASKS = 164
PREFILLED = "prefilled"
"""The form the paper evaluates in: its template, and the answer's opening fence and signature given."""
TIMES = (("base", "before tuning"), ("tuned", "after tuning"))


def comparison(results: Mapping[str, Row], scores: list[Row]) -> Iterator[Row]:
    """Yield every published figure that this run has a counterpart for: both values, each with its n.

    Parameters
    ----------
    results : mapping
        The stages' results by number, such as ``results["05"]["similarity"]``.
    scores : list of Row
        The rows of stage 07 with ``model, form, estimate, low, high, tasks``.
    """
    yield from _pass_at_1(scores)
    yield from _data_set(results)


def _pass_at_1(scores: list[Row]) -> Iterator[Row]:
    counterparts = {"base": ["CodeLlama-Python-7B"], "tuned": ["Magicoder-CL-7B", "Magicoder-DS-6.7B"]}
    for model, when in TIMES:
        values = " · ".join(f"{name} {paper.PASS_AT_1[name][0]} %" for name in counterparts[model])
        rows = sorted(
            (row for row in scores if row["model"] == model), key=lambda row: (row["form"] != PREFILLED, row["form"])
        )
        for row in rows:
            same = row["form"] == PREFILLED
            yield {
                "measure": f"HumanEval pass@1, {when}, {row['form']} form",
                "published": values if same else f"{NONE} (the paper uses the {PREFILLED} form)",
                "published_n": f"{HUMANEVAL_TASKS} problems" if same else NONE,
                "measured": f"{percent(row['estimate'])} [{100 * row['low']:.1f}–{100 * row['high']:.1f}]",
                "n": f"{row['tasks']} problems",
            }


def _data_set(results: Mapping[str, Row]) -> Iterator[Row]:
    oss = "OSS-Instruct"
    for row in results["05"].get("similarity", []):
        name = str(row.get("data set", "this run"))
        reference = name if name in paper.HUMANEVAL_SIMILARITY else oss
        yield {
            "measure": f"Similarity to HumanEval, mean of the highest TF-IDF cosine: {name}",
            "published": f"{reference} {paper.HUMANEVAL_SIMILARITY[reference]:.3f}",
            "published_n": f"{paper.OSS_INSTRUCT_ROWS:,} rows" if reference == oss else "all its rows",
            "measured": f"{row['mean']:.3f}" if is_number(row.get("mean")) else "not run",
            "n": n_rows(row.get("n")),
        }
    for row in results["05"].get("python_share", []):
        yield {
            "measure": f"Python share: {row.get('data set', 'this run')}",
            "published": f"about {100 * paper.PYTHON_SHARE:.0f} %",
            "published_n": f"{paper.OSS_INSTRUCT_ROWS:,} rows",
            "measured": percent(row["share"]) if is_number(row.get("share")) else "not run",
            "n": n_rows(row.get("n")),
        }
    cleaned, asked = results["04"], results["03"]
    if "contaminated" in cleaned:
        removed = paper.DECONTAMINATED[oss]
        yield {
            "measure": "Rows removed by decontamination",
            "published": str(removed),
            "published_n": f"{paper.OSS_INSTRUCT_ROWS:,} rows remain",
            "measured": grouped(cleaned["contaminated"]) + _searched(cleaned),
            "n": n_rows(cleaned.get("after_deduplication")),
        }
    if "kept" in cleaned and asked.get("requested"):
        seeds = sum(paper.QUOTA.values())
        yield {
            "measure": "Yield: rows kept of snippets asked",
            "published": f"{percent(paper.OSS_INSTRUCT_ROWS / seeds)} ({paper.OSS_INSTRUCT_ROWS:,} kept)",
            "published_n": f"{seeds:,} snippets",
            "measured": f"{percent(cleaned['kept'] / asked['requested'])} ({grouped(cleaned['kept'])} kept)",
            "n": f"{grouped(asked['requested'])} snippets",
        }


def _searched(cleaned: Row) -> str:
    """Say which benchmarks a run searched for, where it was not all it was asked to."""
    return f" (searched for {', '.join(cleaned['searched']) or 'none'} alone)" if cleaned.get("not_searched") else ""


def not_run(results: Mapping[str, Row]) -> Iterator[Row]:
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
        shown_values = (f"{name} {slashed(value)} %" for name, value in group.items())
        yield {"figure": figure, "published": " · ".join(shown_values), "profile": profile}
    pairs = f"{slashed(paper.COMMENT_FUNCTION_PAIRS)} %"
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
