"""Adaptive integration of ordinary differential equations with events.

The stepper is the third-order Bogacki-Shampine pair. Its last stage equals
the first stage of the following step, so an accepted step costs only three
evaluations of the right-hand side.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Optional

SAFETY = 0.9
MIN_SHRINK = 0.2
MAX_GROWTH = 5.0


class StepSizeUnderflow(ArithmeticError):
    """The requested tolerance cannot be met with a representable step."""


@dataclass
class Trajectory:
    """Accepted mesh points; evaluation between them is cubic Hermite."""

    times: list = field(default_factory=list)
    states: list = field(default_factory=list)
    slopes: list = field(default_factory=list)
    event_time: Optional[float] = None

    def append(self, t, y, dy):
        self.times.append(t)
        self.states.append(y)
        self.slopes.append(dy)

    def __call__(self, t):
        if not self.times[0] <= t <= self.times[-1]:
            raise ValueError(f"t={t} lies outside the integrated interval")
        index = min(bisect_right(self.times, t), len(self.times) - 1)
        left = max(index - 1, 0)
        right = index
        return hermite(
            t,
            (self.times[left], self.states[left], self.slopes[left]),
            (self.times[right], self.states[right], self.slopes[right]),
        )


def hermite(t, start, stop):
    t0, y0, d0 = start
    t1, y1, d1 = stop
    h = t1 - t0
    if h == 0.0:
        return list(y0)
    s = (t - t0) / h
    a = (1 + 2 * s) * (1 - s) ** 2
    b = s * (1 - s) ** 2 * h
    c = s * s * (3 - 2 * s)
    d = s * s * (s - 1) * h
    return [a * p + b * dp + c * q + d * dq for p, dp, q, dq in zip(y0, d0, y1, d1)]


def _axpy(y, *terms):
    result = list(y)
    for scale, vector in terms:
        for i, component in enumerate(vector):
            result[i] += scale * component
    return result


def _error_norm(error, y_old, y_new, rtol, atol):
    total = 0.0
    for e, p, q in zip(error, y_old, y_new):
        total += (e / (atol + rtol * max(abs(p), abs(q)))) ** 2
    return math.sqrt(total / len(error))


def _step(f, t, y, k1, h):
    k2 = f(t + h / 2, _axpy(y, (h / 2, k1)))
    k3 = f(t + 3 * h / 4, _axpy(y, (3 * h / 4, k2)))
    y_new = _axpy(y, (2 * h / 9, k1), (h / 3, k2), (4 * h / 9, k3))
    k4 = f(t + h, y_new)
    error = [
        h * (-5 * a / 72 + b / 12 + c / 9 - d / 8) for a, b, c, d in zip(k1, k2, k3, k4)
    ]
    return y_new, k4, error


def find_crossing(g, lower, upper, tolerance=1e-10):
    """Locate a sign change of ``g`` with the Illinois variant of regula falsi."""
    g_lower, g_upper = g(lower), g(upper)
    if g_lower == 0.0:
        return lower
    if g_upper == 0.0:
        return upper
    if (g_lower > 0) == (g_upper > 0):
        raise ValueError("no sign change in the bracket")
    side = 0
    for _ in range(100):
        middle = (lower * g_upper - upper * g_lower) / (g_upper - g_lower)
        value = g(middle)
        if abs(value) < tolerance or abs(upper - lower) < tolerance:
            return middle
        if (value > 0) == (g_upper > 0):
            upper, g_upper = middle, value
            if side == -1:
                g_lower /= 2
            side = -1
        else:
            lower, g_lower = middle, value
            if side == 1:
                g_upper /= 2
            side = 1
    return middle


def integrate(f, t0, y0, t_end, rtol=1e-6, atol=1e-9, first_step=None, event=None):
    """Integrate ``y' = f(t, y)`` forward until ``t_end`` or until ``event`` changes sign."""
    if t_end <= t0:
        raise ValueError("t_end must lie after t0")
    t, y = float(t0), list(y0)
    slope = f(t, y)
    h = first_step or (t_end - t0) / 100
    path = Trajectory()
    path.append(t, y, slope)
    while t < t_end:
        # Land exactly on the end point rather than leave a sliver behind.
        last = t + h >= t_end
        if last:
            h = t_end - t
        if t + h == t:
            raise StepSizeUnderflow(f"step size vanished at t={t}")
        y_new, slope_new, error = _step(f, t, y, slope, h)
        norm = _error_norm(error, y, y_new, rtol, atol)
        factor = MAX_GROWTH if norm == 0 else SAFETY * norm ** (-1 / 3)
        if not norm <= 1:  # also rejects NaN
            h *= max(MIN_SHRINK, factor)
            continue
        t_new = t_end if last else t + h
        start, stop = (t, y, slope), (t_new, y_new, slope_new)
        before, after = (event(t, y), event(t_new, y_new)) if event else (0.0, 0.0)
        if before != 0 and before * after <= 0:
            t_hit = find_crossing(lambda s: event(s, hermite(s, start, stop)), t, t_new)
            y_hit = hermite(t_hit, start, stop)
            path.append(t_hit, y_hit, f(t_hit, y_hit))
            path.event_time = t_hit
            return path
        t, y, slope = t_new, y_new, slope_new
        path.append(t, y, slope)
        h *= min(MAX_GROWTH, factor)
    return path
