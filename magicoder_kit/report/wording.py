"""Numbers as the report writes them."""

import math
from typing import Any

NONE = "–"
"""Stands where there is no value."""


def is_number(value: Any) -> bool:
    """Say whether a value is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def grouped(value: Any) -> str:
    """Write an integer with commas, and anything else as it is."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def n_rows(value: Any) -> str:
    """Write the n of a figure that is taken over rows."""
    return f"{grouped(value)} rows" if value is not None else "n not recorded"


def percent(share: float) -> str:
    """Write a share between 0 and 1 in percent, with one decimal."""
    return f"{100 * share:.1f} %"


def slashed(value: Any) -> str:
    """Write the values of a pair with a slash between them, as the paper's tables do."""
    return " / ".join(map(str, value)) if isinstance(value, tuple) else str(value)
