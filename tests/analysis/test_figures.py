import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from magicoder_kit import paper
from magicoder_kit.analysis import categories, figures, languages

NAMES = ("our run", "ise-uiuc/Magicoder-OSS-Instruct-75K", "Code Alpaca 20K (Self-Instruct)", "four", "five")


def draw(kind, sets, n):
    """Draw one of the figures for data sets of n rows each."""
    draws, names = np.random.default_rng(976), NAMES[:sets]
    if kind == "languages":
        return figures.languages(
            languages.distribution(
                {name: [{"lang": lang} for lang in draws.choice(paper.LANGUAGES, n)] for name in names}
            )
        )
    if kind == "categories":
        chosen = [(name, category) for name in names for category in draws.choice(paper.CATEGORIES, n)]
        return figures.categories(categories.shares(pd.DataFrame(chosen, columns=["data set", "category"])))
    if kind == "lengths":
        tokens = [
            (name, part, draws.integers(5, 900)) for name in names for _ in range(n) for part in ("problem", "solution")
        ]
        counts = pd.DataFrame(tokens, columns=["data set", "part", "tokens"])
        counts.attrs["tokenizer"] = "cl100k_base"
        return figures.lengths(counts)
    if kind == "clusters":
        places = [(name, draws.integers(1, 4), *draws.normal(size=2)) for name in names for _ in range(n)]
        frame = pd.DataFrame(places, columns=["data set", "cluster", "x", "y"])
        typical = frame.groupby("cluster").size().rename("rows").reset_index()
        return figures.clusters(frame, typical.assign(share=typical["rows"] / max(len(frame), 1), opening="Sort it."))
    scores = [(name, score) for name in names for score in draws.beta(2, 14, n)]
    frame = pd.DataFrame(scores, columns=["data set", "similarity"])
    return figures.similarity(frame, reference=paper.HUMANEVAL_SIMILARITY)


def texts(figure):
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(plt.Text) if text.get_visible() and text.get_text()]


@pytest.mark.parametrize("kind", ["languages", "categories", "clusters", "lengths", "similarity"])
@pytest.mark.parametrize(("sets", "n"), [(1, 3), (1, 400), (3, 400), (5, 3), (1, 0)])
def test_each_data_set_has_a_panel_with_its_n_and_the_same_axes(kind, sets, n):
    figure = draw(kind, sets, n)
    panels = figure.axes
    assert len(panels) == sets
    assert len({axes.get_xlim() for axes in panels}) == len({axes.get_ylim() for axes in panels}) == 1
    for name, axes in zip(NAMES if n else ["no rows"], panels, strict=False):
        title = axes.get_title(loc="left").replace("\n", "")
        assert title.replace(" ", "").startswith(name.replace(" ", ""))
        assert f"n = {n}" in title


@pytest.mark.parametrize("kind", ["languages", "categories"])
def test_no_axis_shows_a_share_above_the_whole(kind):
    for n in (1, 3, 400):
        assert max(draw(kind, 1, n).axes[0].get_xticks()) <= 1.0


@pytest.mark.parametrize("highest", [0.027, 0.045, 0.34, 0.9])
def test_the_label_of_a_tick_is_its_value(highest):
    hits = round(1_000 * highest)
    frame = pd.DataFrame(
        {"data set": "ours", "similarity": [0.2] * hits + np.linspace(0.21, 0.48, 1_000 - hits).tolist()}
    )
    figure = figures.similarity(frame)
    figure.draw_without_rendering()
    axis = figure.axes[0].yaxis
    for tick, label in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True):
        assert float(label.get_text().rstrip("%")) / 100 == pytest.approx(tick)


def test_the_categories_figure_quotes_how_far_its_labels_can_be_trusted():
    shares = categories.shares(pd.DataFrame({"data set": "ours", "category": paper.CATEGORIES}))
    measured = {"encoder": "embedded", "n": 60, "agreed": 30, "share": 0.5, "low": 0.377, "high": 0.623}
    shown = " ".join(texts(figures.categories(shares, agreement=measured))).replace("\n", " ")
    assert "30 of 60 labelled rows: 50% (38% to 62%)" in shown
    assert "labelled" not in " ".join(texts(figures.categories(shares)))


def test_the_clusters_figure_names_every_cluster_by_its_most_typical_problem():
    frame = pd.DataFrame({"data set": "ours", "cluster": [1, 1, 2], "x": [0, 1, 5], "y": [0, 1, 5]})
    typical = pd.DataFrame(
        {
            "cluster": [1, 1, 2],
            "rows": [2, 2, 1],
            "share": [2 / 3, 2 / 3, 1 / 3],
            "opening": ["Sort.", "Again.", "Join."],
        }
    )
    figure = figures.clusters(frame, typical)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "1: 2 rows (67%), Sort.",
        "2: 1 rows (33%), Join.",
    ]
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "2"]


def test_the_lengths_figure_names_the_tokenizer_and_what_it_leaves_out():
    counts = pd.DataFrame({"data set": "ours", "part": ["problem", "solution"], "tokens": [10, 1_000]})
    counts.attrs["tokenizer"] = "smollm2-135m-instruct"
    shown = texts(figures.lengths(counts))
    assert any("smollm2-135m-instruct" in text and "bins of 20" in text for text in shown)
    assert "solution: mean 1,000, 1 over 700" in shown


def test_the_similarity_figure_marks_means_and_references_with_their_values():
    frame = pd.DataFrame({"data set": "ours", "similarity": [0.1, 0.2, 0.9]})
    shown = texts(figures.similarity(frame, reference={"paper: OSS-Instruct": 0.105}))
    assert "mean 0.400" in shown
    assert any("paper: OSS-Instruct 0.105" in text for text in shown)
    assert not any("paper" in text for text in texts(figures.similarity(frame)))


def test_reference_labels_do_not_touch_each_other():
    figure = draw("similarity", 3, 400)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].texts]
    assert len(boxes) == len(paper.HUMANEVAL_SIMILARITY)
    # The boxes include the lines down to the panel, so the labels' upper edges are compared.
    tops = sorted(box.y1 for box in boxes)
    assert min(np.diff(tops)) >= 10


def test_the_waterfall_says_what_every_stage_left_and_lost():
    figure = figures.waterfall({"snippets": 80_000, "parsed": 78_000, "decontaminated": 77_991, "kept": 77_991})
    shown = [text.get_text().strip() for text in figure.axes[0].texts]
    assert shown == ["80,000", "78,000  (−2,000, −2.5%)", "77,991  (−9, −0.01%)", "77,991"]
    assert any("n = 80,000 to 77,991" in text for text in texts(figure))


def test_the_loss_curve_takes_the_trainers_mixed_log():
    log = [{"step": step, "loss": 2.0 / step} for step in range(1, 61)] + [{"step": 60, "eval_loss": 0.5}]
    shown = texts(figures.loss_curve(log))
    assert {"training, mean of 3 log entries", "held out"} <= set(shown)
    assert any("n = 60 log entries" in text for text in shown)


def test_pass_rates_show_n_and_a_bar_a_score():
    scores = [
        {"model": "base", "form": "chat", "estimate": 9 / 164, "low": 0.03, "high": 0.1, "tasks": 164, "passed": 9},
        {"model": "tuned", "form": "pre-filled", "estimate": 0.0, "low": 0.0, "high": 0.02, "tasks": 164, "passed": 0},
        {"model": "base", "form": "pre-filled", "estimate": 1.0, "low": 0.9, "high": 1.0, "tasks": 3, "passed": 3},
    ]
    figure = figures.pass_rates(scores)
    assert [text.get_text().strip() for text in figure.axes[0].texts] == [
        "5.5% (9 of 164)",
        "100.0% (3 of 3)",
        "0.0% (0 of 164)",
    ]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["base", "tuned"]
    assert any("n = 164 tasks" in text for text in texts(figures.pass_rates(scores[:2])))


@pytest.mark.parametrize(
    "make",
    [
        lambda: figures.waterfall({}),
        lambda: figures.waterfall({"snippets": 0, "kept": 0}),
        lambda: figures.loss_curve([]),
        lambda: figures.loss_curve([{"step": 1, "loss": float("nan")}]),
        lambda: figures.pass_rates([]),
    ],
)
def test_nothing_to_show_is_still_a_figure(make):
    file = io.BytesIO()
    make().savefig(file, format="svg")
    assert b"</svg>" in file.getvalue()


def test_a_figure_is_closed_for_pyplot_and_leaves_its_style_to_itself():
    before = dict(plt.rcParams)
    figure = figures.waterfall({"snippets": 3, "kept": 1})
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before
    for suffix in ("png", "svg"):
        file = io.BytesIO()
        figure.savefig(file, format=suffix)
        assert file.tell() > 1_000
