import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from magicoder_kit import paper, report, runs

PARAMETERS = {"06_qlora_finetuning": {"base_model": "embedded", "lora_rank": 16, "learning_rate": 2e-4}}
RESULTS = {
    "02_prompt_exploration": {
        "parse_rates": [{"variant": "paper", "n": 12, "parsed": 0}, {"variant": "one_shot", "n": 12, "parsed": 7}]
    },
    "03_generation": {"requested": 240, "answered": 238, "parsed": 131, "tokens_per_second": 81.5},
    "04_cleaning_decontamination": {
        "responses": 131,
        "parsed": 131,
        "after_deduplication": 120,
        "kept": 119,
        "contaminated": 1,
    },
    "05_data_analysis": {
        "similarity": [{"data set": "this run", "n": 119, "mean": 0.0871}],
        "python_share": [{"data set": "this run", "n": 119, "share": 0.437}],
    },
    "06_qlora_finetuning": {"pairs": 119, "loss_before": 1.4321, "loss_after": 1.1012, "loss_of": "held-out pairs"},
    "07_evaluation": {
        "scores": [
            {"model": m, "form": f, "estimate": p / 24, "low": lo, "high": hi, "tasks": 24, "passed": p}
            for m, f, p, lo, hi in [
                ("base", "prefilled", 0, 0.0, 0.142),
                ("tuned", "prefilled", 1, 0.001, 0.211),
                ("base", "template", 1, 0.001, 0.211),
                ("tuned", "template", 3, 0.027, 0.324),
            ]
        ],
        "sandbox_level": "isolated",
    },
}


def make_run(outputs: Path, *, leave_out: tuple[str, ...] = ()) -> Path:
    """Write a run's manifests and figures through the kit's own stages."""
    for name in report.STAGES:
        if name in leave_out:
            continue
        stage = runs.open_stage(
            name, run_name="sample", outputs=str(outputs), parameters=PARAMETERS.get(name, {"seed": 976})
        )
        stage.record(**RESULTS.get(name, {}))
        if name.startswith("01"):
            stage.write_table("snippets.jsonl", ({"index": index} for index in range(240)))
        if name.startswith("04"):
            stage.reject({"duplicate problem": 11, "HumanEval docstring": 1})
        if name[:2] in ("05", "06"):
            figure = Figure(figsize=(7, 3))
            figure.subplots().plot([1, 3, 2])
            stage.save_figure("loss_curve" if name.startswith("06") else "languages", figure)
        stage.finish()
    return outputs / "sample"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("outputs"))


def text_of(page: Path) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<style>.*</style>|<[^>]+>", " ", page.read_text(), flags=re.DOTALL)).replace(
        "&nbsp;", " "
    )


def test_measured_stands_beside_published_each_with_its_n(run, tmp_path):
    page = report.build(run)
    rows = {row["measure"]: row for row in page["comparison"]}
    prefilled = rows["HumanEval pass@1, after tuning, prefilled form"]
    assert "Magicoder-CL-7B 60.4 %" in prefilled["published"]
    assert prefilled["published_n"] == "164 problems"
    assert prefilled["measured"] == "4.2 % [0.1–21.1]"
    assert prefilled["n"] == "24 problems"
    assert rows["Python share: this run"]["measured"] == "43.7 %"
    assert rows["Rows removed by decontamination"]["published"] == "9"
    assert rows["Yield: rows kept of snippets asked"]["measured"] == "49.6 % (119 kept)"
    assert all(row["n"] and row["published_n"] for row in page["comparison"])


def test_every_published_figure_is_either_compared_or_listed_as_not_run(run, tmp_path):
    text = text_of(report.write(run, tmp_path))
    for name, values in paper.PASS_AT_1.items():
        assert name in text
        assert all(f"{value} %" in text for value in values)
    for value in [*paper.DS1000_OVERALL.values(), *paper.APPS_300.values(), paper.WITHOUT_PARTIAL_ROWS]:
        assert str(value) in text
    for pair in [*paper.LANGUAGE_ABLATION.values(), *paper.MIXTRAL_TEACHER.values(), paper.COMMENT_FUNCTION_PAIRS]:
        assert f"{pair[0]} / {pair[1]}" in text
    assert all(f"{mean:.3f}" in text for mean in paper.HUMANEVAL_SIMILARITY.values())
    assert "about 57 %" in text


def test_the_summary_claims_no_difference_where_intervals_overlap_and_says_what_scale_this_is(run):
    page = report.build(run)
    assert "0.0 % before and 4.2 % after tuning (n = 24 problems): the 95 % intervals overlap" in page["summary"]
    assert "A 135M model on 119 rows is no reproduction of the 7B result" in page["scale"]


def test_the_html_needs_no_other_file_and_the_markdown_links_figures_that_exist(run):
    output = run / "08_reproduction_report"
    page = report.write(run, output)
    sources = re.findall(r'src="([^"]*)"', page.read_text())
    assert len(sources) == 2
    assert base64.b64decode(sources[0].removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    assert not re.search(r"https?://|<link|<script", page.read_text())
    links = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", (output / "report.md").read_text())
    assert len(links) == 2
    assert all((output / link).is_file() for link in links)


def test_the_same_manifests_give_the_same_bytes(run, tmp_path):
    first, second = tmp_path / "first", tmp_path / "other"
    report.write(run, first)
    report.write(run, second)
    assert (first / "report.html").read_bytes() == (second / "report.html").read_bytes()
    assert (first / "report.md").read_bytes() == (second / "report.md").read_bytes()


@pytest.mark.parametrize("missing", report.STAGES)
def test_a_stage_that_is_missing_is_told_and_breaks_nothing(missing, tmp_path):
    run = make_run(tmp_path, leave_out=(missing,))
    text = text_of(report.write(run, tmp_path / "page"))
    assert re.search(rf"{missing} not run", text)
    assert f"Not run here: {report.STAGES[missing].lower()}." in text


def test_an_empty_run_has_a_page_that_says_so(tmp_path):
    text = text_of(report.write(tmp_path / "nothing", tmp_path / "page"))
    assert "No stage of this run has a figure" in text


def test_a_stage_that_was_stopped_has_no_figures_on_the_page(tmp_path):
    run = make_run(tmp_path)
    manifest = run / "07_evaluation" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"status": "running"}))
    assert report.build(run)["scores"] == []


def test_nothing_in_a_manifest_becomes_markup(tmp_path):
    run = make_run(tmp_path)
    hostile = "<script>alert(1)</script> | **b** [x](y) `c`"
    manifest = run / "04_cleaning_decontamination" / "manifest.json"
    changed = json.loads(manifest.read_text())
    changed["parameters"] = {hostile: hostile}
    changed["rejected"] = {hostile: 2}
    manifest.write_text(json.dumps(changed))
    page = report.write(run, tmp_path / "page")
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(page.read_text())
    assert "script" not in tags
    markdown = (tmp_path / "page" / "report.md").read_text()
    assert "<script" not in markdown
    assert "**b**" not in markdown
    assert "[x]" not in markdown


def test_no_secret_reaches_the_page(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    monkeypatch.setenv("SOME_API_KEY", "very-secret-value")
    manifest = run / "03_generation" / "manifest.json"
    changed = json.loads(manifest.read_text())
    changed["parameters"] = {"note": "very-secret-value"}
    manifest.write_text(json.dumps(changed))
    page = report.write(run, tmp_path / "page")
    assert "very-secret-value" not in page.read_text() + (tmp_path / "page" / "report.md").read_text()
