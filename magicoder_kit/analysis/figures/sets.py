"""Figures of data sets: one panel a set, the same axes for the same question."""

import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from magicoder_kit.analysis.figures.style import (
    COLOURS,
    INK,
    MARKERS,
    STYLE,
    bars,
    finish,
    label_x,
    mark,
    percent,
    set_panels,
)


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
    return bars(frame, "language", drawn, title=title, xlabel=label)


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
    return bars(shares, "category", order, title=title, xlabel=label)


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
        figure, panels = set_panels(frame, width=width, height=3.2, heading=0.19 * len(named) + 0.3)
        for axes, rows in panels:
            for cluster, size, share, opening in named[["cluster", "rows", "share", "opening"]].itertuples(index=False):
                members = rows[rows["cluster"] == cluster]
                # Colour and shape together tell more clusters apart than either.
                look: Any = {"color": COLOURS[(cluster - 1) % 6], "marker": MARKERS[(cluster - 1) % 7]}
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
        return finish(figure, title)


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
        figure, panels = set_panels(counts, width=4.2, height=2.9)
        for axes, rows in panels:
            for part, colour, style in (("problem", COLOURS[0], "-"), ("solution", COLOURS[1], "--")):
                tokens = rows.loc[rows["part"] == part, "tokens"].to_numpy()
                shares = np.histogram(tokens, edges)[0] / max(len(tokens), 1)
                mean = f"mean {tokens.mean():,.0f}" if len(tokens) else "none"
                label = f"{part}: {mean}, {np.sum(tokens > longest):,} over {longest}"
                axes.stairs(shares, edges, fill=True, color=colour, alpha=0.3)
                axes.stairs(shares, edges, color=colour, linestyle=style, linewidth=1.5, label=label)
            axes.set_xlim(0, longest)
            axes.yaxis.set_major_formatter(percent)
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.legend(loc="upper right", fontsize=8.5, handlelength=1.6)
        # The legend stands above the curves, whatever their shape.
        axes.set_ylim(0, axes.get_ylim()[1] * 1.4)
        figure.supylabel("share of rows", fontsize=10)
        label_x(figure, f"tokens ({tokenizer}), bins of {bin_tokens}")
        return finish(figure, "Lengths of problems and solutions")


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
    return bars(frame, "opening", order[:most], title="How problems begin", xlabel=label)


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
        return finish(figure, f"Growth of the vocabulary of {' and '.join(frame.attrs.get('columns', ['rows']))}s")


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
        figure, panels = set_panels(frame, width=7.0, height=2.0, columns=1, heading=0.2 * len(reference or {}))
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
            axes.yaxis.set_major_formatter(percent)
            axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_ylim(bottom=0)
        last = f"{highest - 0.01:.2f} and above"
        axes.set_xlabel(f"highest TF-IDF cosine similarity to a HumanEval problem, bins of 0.01 (last: {last})")
        if reference:
            mark(figure.axes[0], reference)
        return finish(figure, "Similarity to HumanEval")
