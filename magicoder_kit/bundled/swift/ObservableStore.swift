/// Keeps an observation alive; letting go of the token ends it.
public final class ObservationToken {
    private var onCancel: (() -> Void)?

    fileprivate init(onCancel: @escaping () -> Void) {
        self.onCancel = onCancel
    }

    public func cancel() {
        onCancel?()
        onCancel = nil
    }

    deinit {
        cancel()
    }
}

/// Holds the state of a screen and changes it only in response to actions.
///
/// Actions sent by an observer are queued until the current one has been delivered to
/// everybody, so all observers see the same states in the same order. A store is not
/// synchronised and belongs to the thread that created it.
public final class ObservableStore<State, Action> {
    public typealias Reducer = (inout State, Action) -> Void
    public typealias Middleware = (_ action: Action, _ state: State) -> Action?

    public private(set) var state: State

    private let reducer: Reducer
    private let middleware: [Middleware]
    private var observers: [Int: (State) -> Void] = [:]
    private var nextObserverID = 0
    private var queue: [Action] = []
    private var isDraining = false

    public init(initialState: State, middleware: [Middleware] = [], reducer: @escaping Reducer) {
        self.state = initialState
        self.middleware = middleware
        self.reducer = reducer
    }

    public func send(_ action: Action) {
        queue.append(action)
        guard !isDraining else { return }

        isDraining = true
        defer { isDraining = false }
        while !queue.isEmpty {
            apply(queue.removeFirst())
        }
    }

    /// Calls `handler` with the current state and again after every action.
    public func observe(_ handler: @escaping (State) -> Void) -> ObservationToken {
        let id = nextObserverID
        nextObserverID += 1
        observers[id] = handler
        handler(state)
        return ObservationToken { [weak self] in
            self?.observers[id] = nil
        }
    }

    /// Calls `handler` only when the selected part of the state has a new value.
    public func observe<Value: Equatable>(
        _ keyPath: KeyPath<State, Value>,
        handler: @escaping (Value) -> Void
    ) -> ObservationToken {
        var latest: Value?
        return observe { state in
            let value = state[keyPath: keyPath]
            guard value != latest else { return }
            latest = value
            handler(value)
        }
    }

    private func apply(_ action: Action) {
        // Each middleware may replace the action or swallow it by returning nil.
        var current = action
        for step in middleware {
            guard let replaced = step(current, state) else { return }
            current = replaced
        }

        reducer(&state, current)
        let snapshot = state
        for id in observers.keys.sorted() {
            // Looked up again because an earlier observer may have cancelled this one.
            observers[id]?(snapshot)
        }
    }
}

// MARK: - Reading list

public struct ReadingList: Equatable {
    public struct Entry: Equatable {
        public let title: String
        public var isFinished = false
    }

    public var entries: [Entry] = []
    public var hidesFinished = false

    public var visibleEntries: [Entry] {
        hidesFinished ? entries.filter { !$0.isFinished } : entries
    }
}

public enum ReadingListAction: Equatable {
    case add(title: String)
    case finish(title: String)
    case removeFinished
    case toggleFilter
}

public func makeReadingListStore() -> ObservableStore<ReadingList, ReadingListAction> {
    let ignoreDuplicates: ObservableStore<ReadingList, ReadingListAction>.Middleware = { action, list in
        if case .add(let title) = action, list.entries.contains(where: { $0.title == title }) {
            return nil
        }
        return action
    }
    return ObservableStore(initialState: ReadingList(), middleware: [ignoreDuplicates]) { list, action in
        switch action {
        case .add(let title):
            list.entries.append(ReadingList.Entry(title: title))
        case .finish(let title):
            guard let index = list.entries.firstIndex(where: { $0.title == title }) else { return }
            list.entries[index].isFinished = true
        case .removeFinished:
            list.entries.removeAll(where: \.isFinished)
        case .toggleFilter:
            list.hidesFinished.toggle()
        }
    }
}
