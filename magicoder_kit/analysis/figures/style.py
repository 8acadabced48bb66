"""What every figure of the kit looks like: its colours, its panels, its bars."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
INK, PALE = "#333333", "#C8C8C8"
ERROR = {"ecolor": INK, "elinewidth": 1.1, "capsize": 2.5}
VALUE: Any = {"va": "center", "fontsize": 9}
MARKERS = "osD^vPX"
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "++")

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


def bars(frame: pd.DataFrame, column: str, order: Sequence[str], *, title: str, xlabel: str) -> Figure:
    """Draw the shares of a column's values as bars, with intervals where there are some, one panel a data set."""
    interval = "high" in frame
    end = "high" if interval else "share"
    highest = float(frame[end].max()) if len(frame) else 0.0
    longest = max((len(name) for name in order), default=0)
    with plt.rc_context(STYLE):
        figure, panels = set_panels(frame, width=3.2, height=0.8 + 0.3 * max(len(order), 3), margin=0.08 * longest)
        for place, (axes, rows) in enumerate(panels):
            rows = rows[rows[column].isin(order)]
            at = [order.index(name) for name in rows[column]]
            share = rows["share"]
            errors = np.array([share - rows["low"], rows["high"] - share]).clip(min=0) if interval else None
            axes.barh(at, share, 0.7, color=COLOURS[place % len(COLOURS)], xerr=errors, error_kw=ERROR)
            for x, y, value in zip(rows[end], at, share, strict=True):
                axes.text(x, y, f"  {value:.1%}", **VALUE)
            stack(axes, range(len(order)), order, highest=highest)
            axes.xaxis.set_major_formatter(percent)
        label_x(figure, xlabel)
        return finish(figure, title)


def set_panels(
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


def stack(axes: Axes, at: Sequence[float], names: Sequence[str], *, highest: float, last: float = 0) -> None:
    """Name horizontal bars from the top down and leave room for the text behind the longest."""
    highest = highest or 1
    axes.set_yticks(at, [textwrap.fill(name, 40) for name in names])
    axes.set_ylim(max(last, len(names) - 1) + 0.6, -0.6)
    axes.set_xlim(0, highest * 1.35)
    # No ticks under the text: a share of 120 % means nothing.
    ticks = np.asarray(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=highest > 2).tick_values(0, highest))
    axes.set_xticks(ticks[ticks <= highest * 1.1])
    axes.grid(axis="x")


def mark(axes: Axes, reference: Mapping[str, float]) -> None:
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


def percent(share: float, _: float = 0) -> str:
    """Write a share as a tick's label."""
    return f"{100 * share:.4g}%"


def label_x(figure: Figure, label: str) -> None:
    """Label the axis that all panels share once."""
    if len(figure.axes) == 1:
        figure.axes[0].set_xlabel(label)
    else:
        figure.supxlabel(label, fontsize=10)


def finish(figure: Figure, title: str) -> Figure:
    """Title a figure and close it for pyplot, so that a notebook shows it once."""
    figure.suptitle(textwrap.fill(title, 80), x=0.01, ha="left")
    # Ticks are made when a figure is first drawn; here the style still holds.
    figure.draw_without_rendering()
    plt.close(figure)
    return figure
