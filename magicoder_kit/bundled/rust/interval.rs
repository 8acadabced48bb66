use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};

/// A closed range of reals that is known to contain some exact result.
///
/// Operations that round widen their bounds by one unit in the last place, which can make
/// an interval larger than necessary but never lets the true value escape it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    lo: f64,
    hi: f64,
}

impl Interval {
    /// Returns `None` when the bounds are out of order or not finite.
    pub fn new(lo: f64, hi: f64) -> Option<Self> {
        (lo.is_finite() && hi.is_finite() && lo <= hi).then_some(Interval { lo, hi })
    }

    pub fn exactly(value: f64) -> Self {
        assert!(value.is_finite(), "interval bounds must be finite, got {value}");
        Interval { lo: value, hi: value }
    }

    /// A measurement with a symmetric tolerance, such as 4.7 ± 0.05.
    pub fn around(centre: f64, tolerance: f64) -> Self {
        let spread = Self::exactly(tolerance.abs());
        Self::exactly(centre) + spread.hull(-spread)
    }

    fn outward(lo: f64, hi: f64) -> Self {
        Interval { lo: lo.next_down(), hi: hi.next_up() }
    }

    pub fn lo(self) -> f64 {
        self.lo
    }

    pub fn hi(self) -> f64 {
        self.hi
    }

    pub fn width(self) -> f64 {
        self.hi - self.lo
    }

    pub fn midpoint(self) -> f64 {
        self.lo / 2.0 + self.hi / 2.0
    }

    pub fn contains(self, value: f64) -> bool {
        (self.lo..=self.hi).contains(&value)
    }

    pub fn hull(self, other: Self) -> Self {
        Interval { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    /// Tighter than `x * x`, which forgets that both factors are the same number.
    pub fn square(self) -> Self {
        let (a, b) = (self.lo.abs(), self.hi.abs());
        let smallest = if self.contains(0.0) { 0.0 } else { a.min(b) };
        let widened = Self::outward(smallest * smallest, a.max(b).powi(2));
        Interval { lo: widened.lo.max(0.0), hi: widened.hi }
    }

    /// Division, undefined when the divisor may be zero.
    pub fn checked_div(self, divisor: Self) -> Option<Self> {
        if divisor.contains(0.0) {
            return None;
        }
        let reciprocal = Self::outward(1.0 / divisor.hi, 1.0 / divisor.lo);
        Some(self * reciprocal)
    }

    fn halves(self) -> (Self, Self) {
        let middle = self.midpoint();
        (Interval { lo: self.lo, hi: middle }, Interval { lo: middle, hi: self.hi })
    }
}

impl Add for Interval {
    type Output = Self;

    fn add(self, rhs: Self) -> Self {
        Self::outward(self.lo + rhs.lo, self.hi + rhs.hi)
    }
}

impl Neg for Interval {
    type Output = Self;

    fn neg(self) -> Self {
        Interval { lo: -self.hi, hi: -self.lo }
    }
}

impl Sub for Interval {
    type Output = Self;

    fn sub(self, rhs: Self) -> Self {
        self + -rhs
    }
}

impl Mul for Interval {
    type Output = Self;

    fn mul(self, rhs: Self) -> Self {
        let corners = [self.lo * rhs.lo, self.lo * rhs.hi, self.hi * rhs.lo, self.hi * rhs.hi];
        let lo = corners.into_iter().fold(f64::INFINITY, f64::min);
        let hi = corners.into_iter().fold(f64::NEG_INFINITY, f64::max);
        Self::outward(lo, hi)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(6);
        write!(f, "[{:.digits$}, {:.digits$}]", self.lo, self.hi)
    }
}

/// Splits `domain` until every surviving piece is at most `resolution` wide, and returns
/// the pieces in which `function` may have a root. Regions it skips certainly have none.
pub fn isolate_roots<F>(function: F, domain: Interval, resolution: f64) -> Vec<Interval>
where
    F: Fn(Interval) -> Interval,
{
    let mut found: Vec<Interval> = Vec::new();
    let mut stack = vec![domain];
    while let Some(piece) = stack.pop() {
        if !function(piece).contains(0.0) {
            continue;
        }
        let (left, right) = piece.halves();
        let splittable = piece.lo < left.hi && left.hi < piece.hi;
        if piece.width() > resolution && splittable {
            stack.push(right);
            stack.push(left);
            continue;
        }
        // Pieces arrive from left to right, so only the last one can touch this one.
        match found.last_mut() {
            Some(last) if last.hi >= piece.lo => *last = last.hull(piece),
            _ => found.push(piece),
        }
    }
    found
}
