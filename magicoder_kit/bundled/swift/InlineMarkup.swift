/// A piece of a chat message after its inline markup has been recognised.
public enum InlineNode: Equatable {
    case text(String)
    case code(String)
    case emphasis([InlineNode])
    case strong([InlineNode])
    case link(label: [InlineNode], target: String)
}

/// Understands `*emphasis*`, `**strong**`, `` `code` ``, `[label](target)` and backslash escapes.
///
/// The parser never fails: markers without a partner are kept as ordinary text.
public struct InlineMarkupParser {
    private let characters: [Character]
    private var position = 0

    /// Markers known to have no partner. Trying them again from every enclosing construct
    /// would make a row of open brackets take exponential time.
    private var deadEnds: Set<Int> = []

    private init(_ source: String) {
        characters = Array(source)
    }

    public static func parse(_ source: String) -> [InlineNode] {
        var parser = InlineMarkupParser(source)
        return parser.parseNodes(until: nil) ?? []
    }

    /// Reads nodes up to and including `terminator`, or to the end when there is none.
    /// Returns nil if a terminator was asked for but the text ran out first.
    private mutating func parseNodes(until terminator: String?) -> [InlineNode]? {
        var nodes: [InlineNode] = []
        var pending = ""

        func flush() {
            if !pending.isEmpty {
                nodes.append(.text(pending))
                pending = ""
            }
        }

        while position < characters.count {
            // Two stars inside an emphasis open a nested strong part if they can.
            if terminator == "*", isNext("**"), let strong = parseMarkup() {
                flush()
                nodes.append(strong)
                continue
            }
            if let terminator, consume(terminator) {
                flush()
                return nodes
            }
            if characters[position] == "\\", position + 1 < characters.count {
                pending.append(characters[position + 1])
                position += 2
            } else if let node = parseMarkup() {
                flush()
                nodes.append(node)
            } else {
                pending.append(characters[position])
                position += 1
            }
        }
        guard terminator == nil else { return nil }
        flush()
        return nodes
    }

    /// Tries each construct at the current position and rewinds when none of them fits.
    private mutating func parseMarkup() -> InlineNode? {
        guard !deadEnds.contains(position) else { return nil }
        let start = position
        let node: InlineNode?
        switch characters[position] {
        case "`":
            node = parseCode()
        case "*":
            node = parseStarred()
        case "[":
            node = parseLink()
        default:
            return nil
        }
        if node == nil {
            deadEnds.insert(start)
            position = start
        }
        return node
    }

    private mutating func parseCode() -> InlineNode? {
        position += 1
        guard let content = readRaw(until: "`"), !content.isEmpty else { return nil }
        return .code(content)
    }

    private mutating func parseStarred() -> InlineNode? {
        let isStrong = consume("**")
        if !isStrong {
            position += 1
        }
        // "2 * 3" is arithmetic, not the start of an emphasis.
        guard position < characters.count, !characters[position].isWhitespace else { return nil }
        let marker = isStrong ? "**" : "*"
        guard let content = parseNodes(until: marker), !content.isEmpty else { return nil }
        return isStrong ? .strong(content) : .emphasis(content)
    }

    private mutating func parseLink() -> InlineNode? {
        position += 1
        guard let label = parseNodes(until: "]"), !label.isEmpty, consume("(") else { return nil }
        guard let target = readRaw(until: ")"), !target.isEmpty else { return nil }
        return .link(label: label, target: target)
    }

    private mutating func readRaw(until end: Character) -> String? {
        guard let stop = characters[position...].firstIndex(of: end) else { return nil }
        defer { position = stop + 1 }
        return String(characters[position..<stop])
    }

    private func isNext(_ marker: String) -> Bool {
        characters[position...].starts(with: marker)
    }

    private mutating func consume(_ marker: String) -> Bool {
        guard isNext(marker) else { return false }
        position += marker.count
        return true
    }
}

extension Array where Element == InlineNode {
    /// The message as it should appear in a notification, where no styling is possible.
    public var plainText: String {
        map { node -> String in
            switch node {
            case .text(let text), .code(let text):
                return text
            case .emphasis(let children), .strong(let children):
                return children.plainText
            case .link(let label, _):
                return label.plainText
            }
        }
        .joined()
    }
}
