"""The kit's figures: one style, one panel a data set, the same axes for the same question.

Every function takes a frame or plain rows and returns a matplotlib ``Figure`` that is closed for pyplot, so that a
notebook shows it once, where it is a cell's last value. Colours are Okabe and Ito's, which colour-blind readers
tell apart; where colour alone would carry meaning a hatch or a label repeats it for print.
"""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
INK, PALE = "#333333", "#C8C8C8"
_HATCHES = ("", "///", "...", "\\\\\\", "xxx", "++")

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "font.size": 10,
    "grid.color": "#E4E4E4",
    "hatch.color": "white",
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "ytick.major.size": 0,
}
"""What every figure of the kit looks like; use it with ``matplotlib.pyplot.rc_context(STYLE)``."""


def languages(frame: pd.DataFrame, *, title: str = "Languages of the seeds", most: int = 12) -> Figure:
    """Draw the share of rows of each language, one panel a data set.

    Parameters
    ----------
    frame : DataFrame
        As ``languages.distribution`` or ``languages.fences`` returns it.
    most : int
        Languages drawn: those with the highest share in any data set. The axis says how many there are.
    """
    ranked = frame.groupby("language")["share"].max().sort_values(ascending=False, kind="stable").index
    drawn = list(ranked[:most])
    label = "share of rows" if len(ranked) <= most else f"share of rows; the {most} most common of {len(ranked)}"
    return _bars(frame, "language", drawn, title=title, xlabel=label)


def categories(shares: pd.DataFrame, *, title: str = "Categories, nearest by embedding") -> Figure:
    """Draw the share of each category with its 95 % interval, one panel a data set.

    Parameters
    ----------
    shares : DataFrame
        As ``categories.shares`` returns it.
    """
    encoder = shares.attrs.get("encoder", "")
    title += f" ({encoder} encoder)" if encoder else ""
    order = list(dict.fromkeys(shares["category"]))
    return _bars(shares, "category", order, title=title, xlabel="share of rows, with 95 % interval")


def lengths(counts: pd.DataFrame, *, bin_tokens: int = 20, longest: int = 700) -> Figure:
    """Draw histograms of problem and solution lengths, one panel a data set.

    Parameters
    ----------
    counts : DataFrame
        As ``lengths.token_counts`` returns it; the axis names ``attrs["tokenizer"]``.
    bin_tokens, longest : int
        Width of a bin and end of the axis, in tokens, as in the paper's figure. The legend says how many texts
        are longer than the axis.
    """
    tokenizer = counts.attrs.get("tokenizer", "tokenizer not recorded")
    edges = np.arange(0, longest + bin_tokens, bin_tokens)
    with plt.rc_context(STYLE):
        figure, panels = _panels(counts, width=4.2, height=2.9)
        for axes, (_, rows) in panels:
            for part, colour, style in (("problem", COLOURS[0], "-"), ("solution", COLOURS[1], "--")):
                tokens = rows.loc[rows["part"] == part, "tokens"].to_numpy()
                shares = np.histogram(tokens, edges)[0] / max(len(tokens), 1)
                mean = f"mean {tokens.mean():,.0f}" if len(tokens) else "none"
                label = f"{part}: {mean}, {np.sum(tokens > longest):,} over {longest}"
                axes.stairs(shares, edges, fill=True, color=colour, alpha=0.3)
                axes.stairs(shares, edges, color=colour, linestyle=style, linewidth=1.5, label=label)
            axes.set(xlim=(0, longest), xlabel=f"tokens ({tokenizer}), bins of {bin_tokens}")
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.yaxis.set_major_locator(MaxNLocator(5, min_n_ticks=2))
            axes.legend(loc="upper right", fontsize=8.5, handlelength=1.6)
        return _finish(figure, "Lengths of problems and solutions", ylabel="share of rows", legend_room=1.45)


def similarity(frame: pd.DataFrame, *, reference: Mapping[str, float] | None = None, highest: float = 0.5) -> Figure:
    """Draw how similar rows are to their nearest HumanEval problem, one row of the figure a data set.

    Parameters
    ----------
    frame : DataFrame
        As ``similarity.humaneval_similarity`` returns it.
    reference : mapping of str to float
        Values to mark with thin labelled lines, such as ``paper.HUMANEVAL_SIMILARITY``.
    highest : float
        End of the axis, as in the paper's figure 6; the last bin also counts the rows above it.
    """
    edges = np.linspace(0, highest, round(highest / 0.01) + 1)
    with plt.rc_context(STYLE):
        figure, panels = _panels(frame, width=7.0, height=2.0, columns=1, heading=0.9 if reference else 0.0)
        for place, (axes, (_, rows)) in enumerate(panels):
            scores, colour = rows["similarity"].to_numpy(), COLOURS[place % len(COLOURS)]
            shares = np.histogram(scores.clip(max=highest - 1e-9), edges)[0] / max(len(scores), 1)
            axes.stairs(shares, edges, fill=True, color=colour, alpha=0.35)
            axes.stairs(shares, edges, color=colour, linewidth=1.2)
            if len(scores):
                axes.axvline(scores.mean(), color=colour, linewidth=2, label=f"mean {scores.mean():.3f}")
                axes.legend(loc="upper right", handlelength=1.4)
            for value in (reference or {}).values():
                axes.axvline(value, color=INK, linewidth=0.8, linestyle=":")
            axes.set(xlim=(0, highest), ylabel="share of rows")
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.yaxis.set_major_locator(MaxNLocator(4, min_n_ticks=2))
        axes.set_xlabel(f"highest TF-IDF cosine similarity to a HumanEval problem, bins of 0.01 (last: {highest - 0.01:.2f} and above)")
        if reference:
            _mark(figure.axes[0], reference)
        return _finish(figure, "Similarity to HumanEval")


def waterfall(counts: Mapping[str, int], *, title: str = "From snippets to the data set") -> Figure:
    """Draw how many rows each stage left, and in a paler tone how many fell away at it.

    Parameters
    ----------
    counts : mapping of str to int
        Rows left after each stage, in order.
    """
    stages, rows = list(counts), list(counts.values())
    with plt.rc_context(STYLE):
        figure, axes = _single(len(stages))
        for place, (stage, left) in enumerate(zip(stages, rows, strict=True)):
            before = rows[place - 1] if place else left
            axes.barh(place, left, color=COLOURS[0], height=0.65)
            if before > left:
                axes.barh(place, before - left, left=left, color=PALE, edgecolor="white", hatch="///", height=0.65)
            change = f"  ({left - before:+,}, {(left - before) / before:+.1%})" if place and before else ""
            axes.text(max(before, left), place, f"  {left:,}{change}", va="center")
        _stack(axes, stages, highest=max(rows, default=0))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xlabel("rows; hatched: fell away at this stage")
        span = f" (n = {rows[0]:,} to {rows[-1]:,})" if rows else ""
        return _finish(figure, title + span)


def loss_curve(log: Iterable[Mapping[str, Any]], *, title: str = "Loss on the responses") -> Figure:
    """Draw the training loss, its running mean, and the held-out loss where it was measured.

    Parameters
    ----------
    log : rows
        Columns ``step`` and ``loss``, ``eval_loss``, or both, as the trainer logs them; nats per token.
    """
    frame = pd.DataFrame(list(log)).reindex(columns=["step", "loss", "eval_loss"]).astype(float).sort_values("step")
    train, held_out = (frame[["step", column]].dropna().to_numpy() for column in ("loss", "eval_loss"))
    window = len(train) // 20
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.4, 3.4))
        few = {"marker": "o", "markersize": 4} if len(train) <= 20 else {}
        if window >= 2:
            mean = pd.Series(train[:, 1]).rolling(window, center=True, min_periods=1).mean()
            axes.plot(*train.T, color=COLOURS[0], alpha=0.35, linewidth=1)
            axes.plot(train[:, 0], mean, color=COLOURS[0], linewidth=2, label=f"training, mean of {window} log entries")
        elif len(train):
            axes.plot(*train.T, color=COLOURS[0], linewidth=1.5, label="training", **few)
        if len(held_out):
            axes.plot(*held_out.T, color=COLOURS[3], linestyle="--", marker="s", markersize=4, label="held out")
        if len(train) or len(held_out):
            axes.legend()
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set(xlabel="optimizer step", ylabel="cross-entropy (nats per token)")
        return _finish(figure, f"{title} (n = {len(train):,} log entries)")


def pass_rates(scores: Iterable[Mapping[str, Any]], *, title: str = "pass@1") -> Figure:
    """Draw pass rates with their intervals, one group a model and one bar a form of prompting it.

    Parameters
    ----------
    scores : rows
        Columns ``model, form, estimate, low, high, tasks, passed``; the first three numbers are shares in [0, 1].
    """
    frame = pd.DataFrame(list(scores), columns=["model", "form", "estimate", "low", "high", "tasks", "passed"])
    models, forms = list(dict.fromkeys(frame["model"])), list(dict.fromkeys(frame["form"]))
    height = 0.8 / max(len(forms), 1)
    with plt.rc_context(STYLE):
        figure, axes = _single(len(models) * max(len(forms), 1) * 0.8)
        for place, form in enumerate(forms):
            rows = frame[frame["form"] == form]
            at = np.array([models.index(model) for model in rows["model"]]) + (place - (len(forms) - 1) / 2) * height
            errors = np.array([rows["estimate"] - rows["low"], rows["high"] - rows["estimate"]]).clip(min=0)
            look = {"color": COLOURS[place % len(COLOURS)], "hatch": _HATCHES[place % len(_HATCHES)], "edgecolor": "white"}
            axes.barh(at, rows["estimate"], height * 0.92, xerr=errors, label=form, error_kw=_ERROR, **look)
            for y, row in zip(at, rows.itertuples(), strict=True):
                axes.text(row.high, y, f"  {row.estimate:.1%} ({row.passed:,} of {row.tasks:,})", va="center", fontsize=9)
        _stack(axes, models, highest=frame["high"].max() if len(frame) else 0)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("tasks passed, with 95 % interval")
        if len(forms) > 1:
            figure.legend(loc="outside lower center", ncols=3)
        n = sorted(set(frame["tasks"]))
        tasks = f"n = {n[0]:,} tasks" if len(n) == 1 else "n beside each bar"
        return _finish(figure, f"{title} ({tasks})")


_ERROR = {"ecolor": INK, "elinewidth": 1.1, "capsize": 2.5}


def _bars(frame: pd.DataFrame, column: str, order: Sequence[str], *, title: str, xlabel: str) -> Figure:
    highest = frame["high" if "high" in frame else "share"].max() if len(frame) else 0.0
    with plt.rc_context(STYLE):
        figure, panels = _panels(frame, width=3.4, height=0.8 + 0.3 * max(len(order), 3))
        for place, (axes, (_, rows)) in enumerate(panels):
            rows = rows.set_index(column).reindex(order)
            known = rows["share"].notna().to_numpy()
            rows, at = rows[known], np.flatnonzero(known)
            interval = "high" in rows
            errors = np.array([rows["share"] - rows["low"], rows["high"] - rows["share"]]).clip(min=0) if interval else None
            axes.barh(at, rows["share"], 0.7, color=COLOURS[place % len(COLOURS)], xerr=errors, error_kw=_ERROR)
            for y, share, end in zip(at, rows["share"], rows["high" if interval else "share"], strict=True):
                axes.text(end, y, f"  {share:.1%}", va="center", fontsize=9)
            _stack(axes, order, highest=highest)
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.xaxis.set_major_locator(MaxNLocator(4))
        figure.supxlabel(xlabel, fontsize=10)
        return _finish(figure, title)


def _panels(
    frame: pd.DataFrame, *, width: float, height: float, columns: int = 3, heading: float = 0.0
) -> tuple[Figure, Iterator[tuple[Axes, tuple[str, pd.DataFrame]]]]:
    """Make one panel a data set, all with the same axes, each titled with its name and n."""
    groups = [(str(name), rows) for name, rows in frame.groupby("data set", sort=False)] or [("no rows", frame)]
    columns = min(columns, len(groups))
    lines = -(-len(groups) // columns)
    size = (max(width * columns + 1.2, 5.5), height * lines + heading + 0.6)
    figure, grid = plt.subplots(lines, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(groups) :]:
        axes.remove()
    for axes, (name, rows) in zip(grid.flat, groups, strict=False):
        n = rows["n"].iloc[0] if "n" in rows and len(rows) else len(rows) // max(rows["part"].nunique(), 1) if "part" in rows else len(rows)
        axes.set_title(textwrap.fill(f"{name} (n = {n:,})", 40))
    return figure, zip(grid.flat, groups, strict=False)
