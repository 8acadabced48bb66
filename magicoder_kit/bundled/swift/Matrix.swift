/// A dense matrix of doubles, stored row by row.
public struct Matrix: Equatable {
    public let rows: Int
    public let columns: Int
    private var storage: [Double]

    public init(rows: Int, columns: Int, repeating value: Double = 0) {
        precondition(rows > 0 && columns > 0, "a matrix needs at least one row and one column")
        self.rows = rows
        self.columns = columns
        storage = Array(repeating: value, count: rows * columns)
    }

    public static func identity(_ size: Int) -> Matrix {
        var result = Matrix(rows: size, columns: size)
        for index in 0..<size {
            result[index, index] = 1
        }
        return result
    }

    public subscript(row: Int, column: Int) -> Double {
        get {
            precondition(contains(row, column), "index (\(row), \(column)) is out of range")
            return storage[row * columns + column]
        }
        set {
            precondition(contains(row, column), "index (\(row), \(column)) is out of range")
            storage[row * columns + column] = newValue
        }
    }

    private func contains(_ row: Int, _ column: Int) -> Bool {
        (0..<rows).contains(row) && (0..<columns).contains(column)
    }

    public var isSquare: Bool { rows == columns }

    public var transposed: Matrix {
        var result = Matrix(rows: columns, columns: rows)
        for row in 0..<rows {
            for column in 0..<columns {
                result[column, row] = self[row, column]
            }
        }
        return result
    }

    public mutating func swapRows(_ first: Int, _ second: Int) {
        guard first != second else { return }
        for column in 0..<columns {
            let kept = self[first, column]
            self[first, column] = self[second, column]
            self[second, column] = kept
        }
    }
}

extension Matrix: ExpressibleByArrayLiteral {
    public init(arrayLiteral elements: [Double]...) {
        self.init(rows: elements.count, columns: elements.first?.count ?? 0)
        for (row, values) in elements.enumerated() {
            precondition(values.count == columns, "row \(row) has \(values.count) values, not \(columns)")
            storage.replaceSubrange(row * columns..<(row + 1) * columns, with: values)
        }
    }
}

extension Matrix {
    public static func + (lhs: Matrix, rhs: Matrix) -> Matrix {
        precondition(lhs.rows == rhs.rows && lhs.columns == rhs.columns, "shapes differ")
        var result = lhs
        result.storage = zip(lhs.storage, rhs.storage).map(+)
        return result
    }

    public static func * (scale: Double, matrix: Matrix) -> Matrix {
        var result = matrix
        result.storage = matrix.storage.map { scale * $0 }
        return result
    }

    public static func * (lhs: Matrix, rhs: Matrix) -> Matrix {
        precondition(lhs.columns == rhs.rows, "inner dimensions differ")
        var result = Matrix(rows: lhs.rows, columns: rhs.columns)
        // With the shared index in the middle, both inner accesses walk along a row.
        for row in 0..<lhs.rows {
            for shared in 0..<lhs.columns {
                let factor = lhs[row, shared]
                for column in 0..<rhs.columns {
                    result[row, column] += factor * rhs[shared, column]
                }
            }
        }
        return result
    }
}

extension Matrix {
    /// Solves `self * x = right` by Gaussian elimination with partial pivoting.
    ///
    /// Returns nil when the matrix is singular to working precision.
    public func solve(_ right: Matrix) -> Matrix? {
        precondition(isSquare && right.rows == rows, "the system must be square")
        var left = self
        var result = right
        let largest = storage.reduce(0) { max($0, abs($1)) }
        let tolerance = largest * Double(rows) * Double.ulpOfOne

        for pivot in 0..<rows {
            let candidates = pivot..<rows
            guard let best = candidates.max(by: { abs(left[$0, pivot]) < abs(left[$1, pivot]) }),
                  abs(left[best, pivot]) > tolerance
            else { return nil }
            left.swapRows(pivot, best)
            result.swapRows(pivot, best)

            for row in (pivot + 1)..<rows {
                let factor = left[row, pivot] / left[pivot, pivot]
                left.addRow(pivot, times: -factor, to: row)
                result.addRow(pivot, times: -factor, to: row)
            }
        }

        for pivot in stride(from: rows - 1, through: 0, by: -1) {
            for column in 0..<result.columns {
                var value = result[pivot, column]
                for known in (pivot + 1)..<rows {
                    value -= left[pivot, known] * result[known, column]
                }
                result[pivot, column] = value / left[pivot, pivot]
            }
        }
        return result
    }

    public var inverse: Matrix? {
        solve(.identity(rows))
    }

    private mutating func addRow(_ source: Int, times factor: Double, to target: Int) {
        for column in 0..<columns {
            self[target, column] += factor * self[source, column]
        }
    }
}
