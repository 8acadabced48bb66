// Planar polygon numerics for the floor-plan renderer.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace outline {

struct Vec2 {
    double x = 0.0;
    double y = 0.0;
};

inline Vec2 operator+(Vec2 a, Vec2 b) { return {a.x + b.x, a.y + b.y}; }
inline Vec2 operator-(Vec2 a, Vec2 b) { return {a.x - b.x, a.y - b.y}; }
inline Vec2 operator*(double s, Vec2 v) { return {s * v.x, s * v.y}; }
inline double dot(Vec2 a, Vec2 b) { return a.x * b.x + a.y * b.y; }
inline double cross(Vec2 a, Vec2 b) { return a.x * b.y - a.y * b.x; }
inline double length(Vec2 v) { return std::hypot(v.x, v.y); }

using Ring = std::vector<Vec2>;

// Row-major 2x3 affine map: the implied last row is (0, 0, 1).
class Affine {
public:
    Affine() : m_{1, 0, 0, 0, 1, 0} {}
    Affine(double a, double b, double tx, double c, double d, double ty) : m_{a, b, tx, c, d, ty} {}

    static Affine translation(Vec2 by) { return {1, 0, by.x, 0, 1, by.y}; }
    static Affine scaling(double sx, double sy) { return {sx, 0, 0, 0, sy, 0}; }
    static Affine rotation(double radians) {
        const double c = std::cos(radians), s = std::sin(radians);
        return {c, -s, 0, s, c, 0};
    }

    Vec2 operator()(Vec2 p) const {
        return {m_[0] * p.x + m_[1] * p.y + m_[2], m_[3] * p.x + m_[4] * p.y + m_[5]};
    }

    // (a * b)(p) == a(b(p))
    friend Affine operator*(const Affine& a, const Affine& b) {
        const Vec2 shift = a({b.m_[2], b.m_[5]});
        return {a.m_[0] * b.m_[0] + a.m_[1] * b.m_[3], a.m_[0] * b.m_[1] + a.m_[1] * b.m_[4], shift.x,
                a.m_[3] * b.m_[0] + a.m_[4] * b.m_[3], a.m_[3] * b.m_[1] + a.m_[4] * b.m_[4], shift.y};
    }

    double determinant() const { return m_[0] * m_[4] - m_[1] * m_[3]; }

    Affine inverse() const {
        const double det = determinant();
        if (std::abs(det) < 1e-12) throw std::domain_error("affine map is singular");
        const double a = m_[4] / det, b = -m_[1] / det;
        const double c = -m_[3] / det, d = m_[0] / det;
        return {a, b, -(a * m_[2] + b * m_[5]), c, d, -(c * m_[2] + d * m_[5])};
    }

private:
    std::array<double, 6> m_;
};

// Positive for counter-clockwise rings.
double signed_area(const Ring& ring) {
    double twice = 0.0;
    for (std::size_t i = 0, j = ring.size() - 1; i < ring.size(); j = i++)
        twice += cross(ring[j], ring[i]);
    return 0.5 * twice;
}

Vec2 centroid(const Ring& ring) {
    if (ring.empty()) throw std::invalid_argument("centroid of an empty ring");
    // Measuring from the first vertex keeps precision far from the origin.
    const Vec2 origin = ring.front();
    Vec2 sum;
    double twice = 0.0;
    for (std::size_t i = 1; i + 1 < ring.size(); ++i) {
        const Vec2 a = ring[i] - origin, b = ring[i + 1] - origin;
        const double weight = cross(a, b);
        sum = sum + weight * (a + b);
        twice += weight;
    }
    if (twice == 0.0) throw std::domain_error("ring encloses no area");
    return origin + (1.0 / (3.0 * twice)) * sum;
}

// Clips a ring to the half plane on the left of the directed line a -> b.
Ring clip_left_of(const Ring& ring, Vec2 a, Vec2 b) {
    Ring kept;
    const Vec2 direction = b - a;
    for (std::size_t i = 0; i < ring.size(); ++i) {
        const Vec2 p = ring[i], q = ring[(i + 1) % ring.size()];
        const double dp = cross(direction, p - a), dq = cross(direction, q - a);
        if (dp >= 0.0) kept.push_back(p);
        if ((dp > 0.0 && dq < 0.0) || (dp < 0.0 && dq > 0.0))
            kept.push_back(p + (dp / (dp - dq)) * (q - p));
    }
    return kept;
}

// The window must be convex and counter-clockwise.
Ring clip(Ring subject, const Ring& window) {
    for (std::size_t i = 0; i < window.size() && !subject.empty(); ++i)
        subject = clip_left_of(subject, window[i], window[(i + 1) % window.size()]);
    return subject;
}

static double distance_to_segment(Vec2 p, Vec2 a, Vec2 b) {
    const Vec2 ab = b - a;
    const double span = dot(ab, ab);
    const double t = span > 0.0 ? std::clamp(dot(p - a, ab) / span, 0.0, 1.0) : 0.0;
    return length(p - (a + t * ab));
}

// Drops the points of an open polyline that deviate less than the tolerance.
std::vector<Vec2> simplify(const std::vector<Vec2>& line, double tolerance) {
    if (line.size() < 3) return line;
    std::vector<bool> keep(line.size(), false);
    keep.front() = keep.back() = true;
    std::vector<std::pair<std::size_t, std::size_t>> pending{{0, line.size() - 1}};
    while (!pending.empty()) {
        const auto [first, last] = pending.back();
        pending.pop_back();
        double worst = tolerance;
        std::optional<std::size_t> split;
        for (std::size_t i = first + 1; i < last; ++i) {
            const double d = distance_to_segment(line[i], line[first], line[last]);
            if (d > worst) {
                worst = d;
                split = i;
            }
        }
        if (!split) continue;
        keep[*split] = true;
        pending.emplace_back(first, *split);
        pending.emplace_back(*split, last);
    }
    std::vector<Vec2> result;
    for (std::size_t i = 0; i < line.size(); ++i)
        if (keep[i]) result.push_back(line[i]);
    return result;
}

}  // namespace outline
