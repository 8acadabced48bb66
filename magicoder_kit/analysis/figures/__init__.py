"""The kit's figures: one style, one panel a data set, the same axes for the same question.

Every function takes a frame or plain rows and returns a matplotlib ``Figure`` that is closed for pyplot, so that a
notebook shows it once, where it is a cell's last value. Colours are Okabe and Ito's, which colour-blind readers
tell apart; where colour alone would carry meaning a hatch or a label repeats it for print.
"""

from magicoder_kit.analysis.figures.sets import (
    categories,
    clusters,
    languages,
    lengths,
    openings,
    similarity,
    vocabulary,
)
from magicoder_kit.analysis.figures.stages import loss_curve, outcomes, pass_rates, waterfall
from magicoder_kit.analysis.figures.style import COLOURS, STYLE

__all__ = [
    "COLOURS",
    "STYLE",
    "categories",
    "clusters",
    "languages",
    "lengths",
    "loss_curve",
    "openings",
    "outcomes",
    "pass_rates",
    "similarity",
    "vocabulary",
    "waterfall",
]
