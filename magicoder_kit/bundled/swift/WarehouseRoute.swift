/// A shelf position on the warehouse floor, counted from the top left corner.
public struct Cell: Hashable {
    public let row: Int
    public let column: Int

    public init(row: Int, column: Int) {
        self.row = row
        self.column = column
    }

    func steps(to other: Cell) -> Int {
        abs(row - other.row) + abs(column - other.column)
    }
}

public enum FloorPlanError: Error, Equatable {
    case empty
    case unevenRow(Int)
    case unknownSymbol(Character, Cell)
}

/// A floor plan on which crossing a free aisle costs 1 and a congested one more.
public struct FloorPlan {
    private let costs: [[Int?]]

    /// Reads a drawing in which `#` is a rack, `.` an aisle and a digit a congested aisle.
    public init(drawing: String) throws {
        var costs: [[Int?]] = []
        for (row, line) in drawing.split(separator: "\n").enumerated() {
            let rowCosts = try line.enumerated().map { column, symbol -> Int? in
                switch symbol {
                case "#":
                    return nil
                case ".":
                    return 1
                case "1"..."9":
                    return symbol.wholeNumberValue
                default:
                    throw FloorPlanError.unknownSymbol(symbol, Cell(row: row, column: column))
                }
            }
            costs.append(rowCosts)
        }
        guard let width = costs.first?.count else { throw FloorPlanError.empty }
        if let uneven = costs.firstIndex(where: { $0.count != width }) {
            throw FloorPlanError.unevenRow(uneven)
        }
        self.costs = costs
    }

    /// The cost of stepping onto `cell`, or nil for racks and anything outside the building.
    public func cost(of cell: Cell) -> Int? {
        guard costs.indices.contains(cell.row), costs[cell.row].indices.contains(cell.column) else {
            return nil
        }
        return costs[cell.row][cell.column]
    }

    func neighbours(of cell: Cell) -> [(cell: Cell, cost: Int)] {
        let directions = [(-1, 0), (0, 1), (1, 0), (0, -1)]
        return directions.compactMap { rowStep, columnStep -> (cell: Cell, cost: Int)? in
            let next = Cell(row: cell.row + rowStep, column: cell.column + columnStep)
            guard let stepCost = cost(of: next) else { return nil }
            return (cell: next, cost: stepCost)
        }
    }

    /// Finds a cheapest walk between two cells with the A* algorithm.
    public func cheapestRoute(from start: Cell, to goal: Cell) -> (cells: [Cell], cost: Int)? {
        guard cost(of: start) != nil, cost(of: goal) != nil else { return nil }

        var spent = [start: 0]
        var cameFrom: [Cell: Cell] = [:]
        var open = PriorityQueue<Cell>()
        open.push(start, priority: start.steps(to: goal))

        var settled: Set<Cell> = []
        while let current = open.pop() {
            if current == goal {
                return (cells: walkBack(from: goal, through: cameFrom), cost: spent[goal, default: 0])
            }
            // Cells are pushed again whenever a cheaper way is found; skip the old copies.
            guard settled.insert(current).inserted else { continue }

            for (next, stepCost) in neighbours(of: current) {
                let candidate = spent[current, default: 0] + stepCost
                guard candidate < spent[next, default: .max] else { continue }
                spent[next] = candidate
                cameFrom[next] = current
                open.push(next, priority: candidate + next.steps(to: goal))
            }
        }
        return nil
    }

    private func walkBack(from goal: Cell, through cameFrom: [Cell: Cell]) -> [Cell] {
        let backwards = sequence(first: goal) { cameFrom[$0] }
        return backwards.reversed()
    }
}

/// A binary min-heap that hands out the element with the lowest priority number first.
struct PriorityQueue<Element> {
    private var heap: [(element: Element, priority: Int)] = []

    mutating func push(_ element: Element, priority: Int) {
        heap.append((element: element, priority: priority))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].priority < heap[parent].priority else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func pop() -> Element? {
        guard let first = heap.first else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()

        var parent = 0
        while 2 * parent + 1 < heap.count {
            let left = 2 * parent + 1
            let right = left + 1
            let prefersRight = right < heap.count && heap[right].priority < heap[left].priority
            let child = prefersRight ? right : left
            guard heap[child].priority < heap[parent].priority else { break }
            heap.swapAt(child, parent)
            parent = child
        }
        return first.element
    }
}
