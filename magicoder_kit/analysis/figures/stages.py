"""Figures of a run's stages: what fell away, what was learnt, what was solved."""

from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from magicoder_kit.analysis.figures.style import COLOURS, ERROR, HATCHES, PALE, STYLE, VALUE, finish, percent, stack


def waterfall(counts: Mapping[str, int], *, title: str = "From snippets to the data set") -> Figure:
    """Draw how many rows each stage left, and in a paler tone how many fell away at it.

    Parameters
    ----------
    counts : mapping of str to int
        Rows left after each stage, in order.
    """
    stages, rows = list(counts), list(counts.values())
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.2, 1.4 + 0.38 * len(stages)))
        for place, left in enumerate(rows):
            before = rows[place - 1] if place else left
            axes.barh(place, left, color=COLOURS[0], height=0.65)
            if before > left:
                axes.barh(place, before - left, left=left, color=PALE, edgecolor="white", hatch="///", height=0.65)
            share = (left - before) / before if before else 0.0
            change = f"  ({left - before:+,}, {share:+.{1 if abs(share) >= 0.001 else 2}%})" if share else ""
            axes.text(max(before, left), place, f"  {left:,}{change}".replace("-", "\N{MINUS SIGN}"), va="center")
        stack(axes, range(len(stages)), stages, highest=max(rows, default=0))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xlabel("rows; hatched: fell away at this stage")
        span = f" (n = {rows[0]:,} to {rows[-1]:,})" if rows else ""
        return finish(figure, title + span)


def outcomes(counts: Mapping[str, int], *, title: str = "What the snippets gave") -> Figure:
    """Draw how many responses became examples, and how many fell away for each reason.

    Parameters
    ----------
    counts : mapping of str to int
        The examples first, then a reason each, such as ``length`` or ``error:timeout``.
    """
    names, rows = list(counts), list(counts.values())
    total = sum(rows)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.4, 1.3 + 0.34 * len(names)))
        kept = [place == 0 for place in range(len(names))]
        tones = [COLOURS[0] if one else PALE for one in kept]
        axes.barh(names, rows, 0.65, color=tones, hatch=["" if one else "///" for one in kept], edgecolor="white")
        for place, count in enumerate(rows):
            axes.text(count, place, f"  {count:,} ({count / total:.1%})" if total else "  0", **VALUE)
        stack(axes, range(len(names)), names, highest=max(rows, default=0))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xlabel("rows; hatched: fell away")
        return finish(figure, f"{title} (n = {total:,})")


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
        few: Any = {"marker": "o", "markersize": 4} if len(train) <= 20 else {}
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
        return finish(figure, f"{title} (n = {len(train):,} log entries)")


def pass_rates(scores: Iterable[Mapping[str, Any]], *, title: str = "pass@1") -> Figure:
    """Draw pass rates with their intervals, one group a model and one bar a form of prompting it.

    Parameters
    ----------
    scores : rows
        Columns ``model, form, estimate, low, high, tasks, passed``; the first three numbers are shares in [0, 1].
    """
    rows = list(scores)
    models, forms = (list(dict.fromkeys(row[column] for row in rows)) for column in ("model", "form"))
    rows.sort(key=lambda row: (models.index(row["model"]), forms.index(row["form"])))
    # Bars of one model touch; half a bar's room parts it from the next.
    at = [place + 0.5 * models.index(row["model"]) for place, row in enumerate(rows)]
    groups = [[y for y, row in zip(at, rows, strict=True) if row["model"] == model] for model in models]
    centres = [sum(group) / len(group) for group in groups]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.2, 1.4 + 0.38 * len(rows) + 0.2 * len(models)))
        for y, row in zip(at, rows, strict=True):
            place = forms.index(row["form"])
            look: Any = {"color": COLOURS[place % 6], "hatch": HATCHES[place % 6], "edgecolor": "white"}
            errors = np.array([[row["estimate"] - row["low"]], [row["high"] - row["estimate"]]]).clip(min=0)
            axes.barh(y, row["estimate"], 0.9, xerr=errors, error_kw=ERROR, label=row["form"], **look)
            axes.text(row["high"], y, f"  {row['estimate']:.1%} ({row['passed']:,} of {row['tasks']:,})", **VALUE)
        stack(axes, centres, models, highest=max((row["high"] for row in rows), default=0), last=max(at, default=0))
        axes.xaxis.set_major_formatter(percent)
        axes.set_xlabel("tasks passed, with 95 % interval")
        if len(forms) > 1:
            handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
            figure.legend([handles[form] for form in forms], forms, loc="outside lower center", ncols=3)
        sizes = {row["tasks"] for row in rows}
        n = f"n = {sizes.pop():,} tasks" if len(sizes) == 1 else "n beside each bar"
        return finish(figure, f"{title} ({n})")
