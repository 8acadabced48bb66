"""The kit's figures: one style, one panel a data set, the same axes for the same question.

Every function takes a frame or plain rows and returns a matplotlib ``Figure`` that is closed for pyplot, so that a
notebook shows it once, where it is a cell's last value. Colours are Okabe and Ito's, which colour-blind readers
tell apart; where colour alone would carry meaning a hatch or a label repeats it for print.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
INK, PALE = "#333333", "#C8C8C8"
_ERROR = {"ecolor": INK, "elinewidth": 1.1, "capsize": 2.5}
_VALUE: Any = {"va": "center", "fontsize": 9}
_MARKERS = "osD^vPX"
_HATCHES = ("", "///", "...", "\\\\\\", "xxx", "++")

STYLE: Any = {
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
    # A name may hold a dollar sign.
    "text.parse_math": False,
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


def categories(
    shares: pd.DataFrame,
    *,
    agreement: Mapping[str, Any] | None = None,
    title: str = "Categories, nearest by embedding",
) -> Figure:
    """Draw the share of each category with its 95 % interval, one panel a data set.

    Parameters
    ----------
    shares : DataFrame
        As ``categories.shares`` returns it.
    agreement : mapping, optional
        As ``categories.agreement`` returns it; the axis then says how often the encoder agrees with a reader.
    """
    encoder = shares.attrs.get("encoder", "")
    title += f" ({encoder} encoder)" if encoder else ""
    shares = shares.assign(category=shares["category"].str.removesuffix(" Problems"))
    order = list(dict.fromkeys(shares["category"]))
    label = "share of rows, with 95 % interval"
    if agreement:
        note = (
            f"the encoder agrees with a reader on {agreement['agreed']} of {agreement['n']} labelled rows: "
            f"{agreement['share']:.0%} ({agreement['low']:.0%} to {agreement['high']:.0%})"
        )
        label += "\n" + textwrap.fill(note, 44)
    return _bars(shares, "category", order, title=title, xlabel=label)


def clusters(frame: pd.DataFrame, typical: pd.DataFrame, *, title: str = "Clusters of solutions") -> Figure:
    """Draw the rows in the plane, one panel a data set, and name each cluster by its most typical problem.

    Parameters
    ----------
    frame : DataFrame
        As ``clusters.clusters`` returns it.
    typical : DataFrame
        As ``clusters.typical`` returns it for ``frame``; the first row of a cluster names it.
    """
    named = typical.drop_duplicates("cluster")
    centres = frame.groupby("cluster")[["x", "y"]].median()
    plane = {"pca": "the first two principal components", "tsne": "t-SNE"}.get(frame.attrs.get("projection", ""), "")
    title += f" ({frame.attrs['encoder']} encoder)" if "encoder" in frame.attrs else ""
    with plt.rc_context(STYLE):
        width = max(3.8, 7.2 / max(frame["data set"].nunique(), 1))
        figure, panels = _panels(frame, width=width, height=3.2, heading=0.19 * len(named) + 0.3)
        for axes, rows in panels:
            for cluster, size, share, opening in named[["cluster", "rows", "share", "opening"]].itertuples(index=False):
                members = rows[rows["cluster"] == cluster]
                # Colour and shape together tell more clusters apart than either.
                look: Any = {"color": COLOURS[(cluster - 1) % 6], "marker": _MARKERS[(cluster - 1) % 7]}
                label = f"{cluster}: {size:,} rows ({share:.0%}), {opening}"
                area = float(np.clip(4_000 / max(len(rows), 1), 3, 36))
                axes.scatter(members["x"], members["y"], area, alpha=0.6, linewidths=0, label=label, **look)
                if len(members):
                    above: Any = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "weight": "bold"}
                    halo = [withStroke(linewidth=3, foreground="white")]
                    axes.annotate(str(cluster), tuple(centres.loc[cluster]), path_effects=halo, **above)
            axes.tick_params(labelbottom=False, labelleft=False, length=0)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        if handles:
            heading = "clusters by their most typical problem" + (f"; the plane: {plane}" if plane else "")
            legend = figure.legend(handles, labels, loc="outside lower left", fontsize=8.5, title=heading)
            legend.set_alignment("left")
        return _finish(figure, title)


def lengths(counts: pd.DataFrame, *, bin_tokens: int = 20, longest: int = 700) -> Figure:
    """Draw histograms of problem and solution lengths, one panel a data set.

    Parameters
    ----------
    counts : DataFrame
        As ``lengths.token_counts`` returns it; the axis names ``attrs["tokenizer"]``, and what it stands in for.
    bin_tokens, longest : int
        Width of a bin and end of the axis, in tokens, as in the paper's figure. The legend says how many texts
        are longer than the axis.
    """
    tokenizer = counts.attrs.get("tokenizer", "tokenizer not recorded")
    if wanted := counts.attrs.get("stands_in_for"):
        tokenizer += f", as {wanted} could not be had"
    edges = np.arange(0, longest + bin_tokens, bin_tokens)
    with plt.rc_context(STYLE):
        figure, panels = _panels(counts, width=4.2, height=2.9)
        for axes, rows in panels:
            for part, colour, style in (("problem", COLOURS[0], "-"), ("solution", COLOURS[1], "--")):
                tokens = rows.loc[rows["part"] == part, "tokens"].to_numpy()
                shares = np.histogram(tokens, edges)[0] / max(len(tokens), 1)
                mean = f"mean {tokens.mean():,.0f}" if len(tokens) else "none"
                label = f"{part}: {mean}, {np.sum(tokens > longest):,} over {longest}"
                axes.stairs(shares, edges, fill=True, color=colour, alpha=0.3)
                axes.stairs(shares, edges, color=colour, linestyle=style, linewidth=1.5, label=label)
            axes.set_xlim(0, longest)
            axes.yaxis.set_major_formatter(_percent)
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.legend(loc="upper right", fontsize=8.5, handlelength=1.6)
        # The legend stands above the curves, whatever their shape.
        axes.set_ylim(0, axes.get_ylim()[1] * 1.4)
        figure.supylabel("share of rows", fontsize=10)
        _label_x(figure, f"tokens ({tokenizer}), bins of {bin_tokens}")
        return _finish(figure, "Lengths of problems and solutions")


def openings(frame: pd.DataFrame, *, most: int = 12) -> Figure:
    """Draw how many problems begin with the same words, one panel a data set.

    Parameters
    ----------
    frame : DataFrame
        As ``wording.openings`` returns it.
    most : int
        Openings drawn: the most common of each data set in turn.
    """
    ranked = frame.assign(rank=frame.groupby("data set", sort=False).cumcount()).query("rows > 0")
    order = list(dict.fromkeys(ranked.sort_values(["rank", "share"], ascending=[True, False])["opening"]))
    label = "share of rows that begin so; the most common of each set"
    return _bars(frame, "opening", order[:most], title="How problems begin", xlabel=label)


def vocabulary(frame: pd.DataFrame) -> Figure:
    """Draw distinct words over words read, both on logarithmic axes, one curve a data set.

    Parameters
    ----------
    frame : DataFrame
        As ``wording.vocabulary`` returns it.
    """
    lines = ("-", "--", "-.", ":")
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.2, 4.2))
        for place, (name, curve) in enumerate(frame.groupby("data set", sort=False)):
            look: Any = {"color": COLOURS[place % len(COLOURS)], "linestyle": lines[place % len(lines)]}
            end = curve.iloc[-1]
            label = f"{name} (n = {end['n']:,}): {end['distinct']:,} distinct of {end['words']:,} words"
            axes.plot(curve["words"], curve["distinct"], linewidth=1.8, label=textwrap.fill(label, 60), **look)
            axes.plot(end["words"], end["distinct"], "o", markersize=5, color=look["color"])
        if len(frame):
            axes.set(xscale="log", yscale="log")
            axes.legend(loc="upper left", fontsize=9, handlelength=2.6)
        axes.grid()
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set(xlabel="words read, rows in shuffled order", ylabel="distinct words")
        return _finish(figure, f"Growth of the vocabulary of {' and '.join(frame.attrs.get('columns', ['rows']))}s")


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
        figure, panels = _panels(frame, width=7.0, height=2.0, columns=1, heading=0.2 * len(reference or {}))
        for place, (axes, rows) in enumerate(panels):
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
            axes.yaxis.set_major_formatter(_percent)
            axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_ylim(bottom=0)
        last = f"{highest - 0.01:.2f} and above"
        axes.set_xlabel(f"highest TF-IDF cosine similarity to a HumanEval problem, bins of 0.01 (last: {last})")
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
        figure, axes = plt.subplots(figsize=(7.2, 1.4 + 0.38 * len(stages)))
        for place, left in enumerate(rows):
            before = rows[place - 1] if place else left
            axes.barh(place, left, color=COLOURS[0], height=0.65)
            if before > left:
                axes.barh(place, before - left, left=left, color=PALE, edgecolor="white", hatch="///", height=0.65)
            share = (left - before) / before if before else 0.0
            change = f"  ({left - before:+,}, {share:+.{1 if abs(share) >= 0.001 else 2}%})" if share else ""
            axes.text(max(before, left), place, f"  {left:,}{change}".replace("-", "\N{MINUS SIGN}"), va="center")
        _stack(axes, range(len(stages)), stages, highest=max(rows, default=0))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xlabel("rows; hatched: fell away at this stage")
        span = f" (n = {rows[0]:,} to {rows[-1]:,})" if rows else ""
        return _finish(figure, title + span)


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
            axes.text(count, place, f"  {count:,} ({count / total:.1%})" if total else "  0", **_VALUE)
        _stack(axes, range(len(names)), names, highest=max(rows, default=0))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xlabel("rows; hatched: fell away")
        return _finish(figure, f"{title} (n = {total:,})")


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
        return _finish(figure, f"{title} (n = {len(train):,} log entries)")


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
            look: Any = {"color": COLOURS[place % 6], "hatch": _HATCHES[place % 6], "edgecolor": "white"}
            errors = np.array([[row["estimate"] - row["low"]], [row["high"] - row["estimate"]]]).clip(min=0)
            axes.barh(y, row["estimate"], 0.9, xerr=errors, error_kw=_ERROR, label=row["form"], **look)
            axes.text(row["high"], y, f"  {row['estimate']:.1%} ({row['passed']:,} of {row['tasks']:,})", **_VALUE)
        _stack(axes, centres, models, highest=max((row["high"] for row in rows), default=0), last=max(at, default=0))
        axes.xaxis.set_major_formatter(_percent)
        axes.set_xlabel("tasks passed, with 95 % interval")
        if len(forms) > 1:
            handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
            figure.legend([handles[form] for form in forms], forms, loc="outside lower center", ncols=3)
        sizes = {row["tasks"] for row in rows}
        n = f"n = {sizes.pop():,} tasks" if len(sizes) == 1 else "n beside each bar"
        return _finish(figure, f"{title} ({n})")


def _bars(frame: pd.DataFrame, column: str, order: Sequence[str], *, title: str, xlabel: str) -> Figure:
    interval = "high" in frame
    end = "high" if interval else "share"
    highest = float(frame[end].max()) if len(frame) else 0.0
    longest = max((len(name) for name in order), default=0)
    with plt.rc_context(STYLE):
        figure, panels = _panels(frame, width=3.2, height=0.8 + 0.3 * max(len(order), 3), margin=0.08 * longest)
        for place, (axes, rows) in enumerate(panels):
            rows = rows[rows[column].isin(order)]
            at = [order.index(name) for name in rows[column]]
            share = rows["share"]
            errors = np.array([share - rows["low"], rows["high"] - share]).clip(min=0) if interval else None
            axes.barh(at, share, 0.7, color=COLOURS[place % len(COLOURS)], xerr=errors, error_kw=_ERROR)
            for x, y, value in zip(rows[end], at, share, strict=True):
                axes.text(x, y, f"  {value:.1%}", **_VALUE)
            _stack(axes, range(len(order)), order, highest=highest)
            axes.xaxis.set_major_formatter(_percent)
        _label_x(figure, xlabel)
        return _finish(figure, title)


def _panels(
    frame: pd.DataFrame, *, width: float, height: float, columns: int = 3, heading: float = 0.0, margin: float = 0.6
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Make one panel a data set, all with the same axes, each titled with its name and n; sizes in inches."""
    groups = [(str(name), rows) for name, rows in frame.groupby("data set", sort=False)] or [("no rows", frame)]
    columns = min(columns, len(groups))
    lines = -(-len(groups) // columns)
    size = (max(width * columns + margin, 5.5), height * lines + heading + 0.6)
    figure, grid = plt.subplots(lines, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(groups) :]:
        axes.remove()
    for place, (axes, (name, rows)) in enumerate(zip(grid.flat, groups, strict=False)):
        title, room = f"{name} (n = {_n(rows):,})", int(10 * width)
        axes.set_title(title if len(title) <= room else f"{textwrap.fill(name, room)}\nn = {_n(rows):,}")
        # Where the last line is short, the panels above its gap are the lowest of their column.
        axes.tick_params(labelbottom=place + columns >= len(groups))
    return figure, [(axes, rows) for axes, (_, rows) in zip(grid.flat, groups, strict=False)]


def _n(rows: pd.DataFrame) -> int:
    """Return the rows of a data set: as the frame says, or one a row, or one a problem."""
    if "n" in rows:
        return int(rows["n"].max()) if len(rows) else 0
    return int((rows["part"] == "problem").sum()) if "part" in rows else len(rows)


def _stack(axes: Axes, at: Sequence[float], names: Sequence[str], *, highest: float, last: float = 0) -> None:
    """Name horizontal bars from the top down and leave room for the text behind the longest."""
    highest = highest or 1
    axes.set_yticks(at, [textwrap.fill(name, 40) for name in names])
    axes.set_ylim(max(last, len(names) - 1) + 0.6, -0.6)
    axes.set_xlim(0, highest * 1.35)
    # No ticks under the text: a share of 120 % means nothing.
    ticks = np.asarray(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=highest > 2).tick_values(0, highest))
    axes.set_xticks(ticks[ticks <= highest * 1.1])
    axes.grid(axis="x")


def _mark(axes: Axes, reference: Mapping[str, float]) -> None:
    """Label vertical lines above a panel, a step lower for each higher value, so that no two labels touch."""
    line: Any = {"arrowstyle": "-", "lw": 0.8, "ls": ":", "color": INK, "relpos": (0, 0), "shrinkA": 0, "shrinkB": 0}
    for step, (name, value) in enumerate(sorted(reference.items(), key=lambda pair: -pair[1])):
        place: Any = {
            "xycoords": ("data", "axes fraction"),
            "xytext": (0, 3 + 13 * step),
            "textcoords": "offset points",
        }
        axes.annotate(f" {name} {value:.3f}", (value, 1), fontsize=8.5, arrowprops=line, **place)
    axes.set_title(axes.get_title(loc="left"), pad=8 + 13 * len(reference))


def _percent(share: float, _: float = 0) -> str:
    return f"{100 * share:.4g}%"


def _label_x(figure: Figure, label: str) -> None:
    if len(figure.axes) == 1:
        figure.axes[0].set_xlabel(label)
    else:
        figure.supxlabel(label, fontsize=10)


def _finish(figure: Figure, title: str) -> Figure:
    figure.suptitle(textwrap.fill(title, 80), x=0.01, ha="left")
    # Ticks are made when a figure is first drawn; here the style still holds.
    figure.draw_without_rendering()
    plt.close(figure)
    return figure
