import Foundation

/// How long to wait before trying a failed request again.
public struct RetryPolicy {
    public var maximumAttempts: Int
    public var baseDelay: TimeInterval
    public var maximumDelay: TimeInterval
    public var isRetryable: (Error) -> Bool

    public init(
        maximumAttempts: Int = 4,
        baseDelay: TimeInterval = 0.25,
        maximumDelay: TimeInterval = 8,
        isRetryable: @escaping (Error) -> Bool = { _ in true }
    ) {
        precondition(maximumAttempts > 0, "at least one attempt is needed")
        self.maximumAttempts = maximumAttempts
        self.baseDelay = baseDelay
        self.maximumDelay = maximumDelay
        self.isRetryable = isRetryable
    }

    /// Doubles the delay with every attempt and picks a random point in its upper half, so
    /// that clients which failed together do not all come back together.
    public func delay<Generator: RandomNumberGenerator>(
        afterAttempt attempt: Int,
        using generator: inout Generator
    ) -> TimeInterval {
        let ceiling = min(maximumDelay, baseDelay * pow(2, Double(attempt - 1)))
        return Double.random(in: (ceiling / 2)...ceiling, using: &generator)
    }
}

public struct CircuitOpenError: Error, Equatable {
    public let retryAfter: TimeInterval
}

/// Stops calling a service that keeps failing, and probes it again after a pause.
public actor CircuitBreaker {
    public enum State: Equatable, Sendable {
        case closed(failures: Int)
        case open(until: Date)
        case halfOpen
    }

    public private(set) var state: State = .closed(failures: 0)

    private let failureLimit: Int
    private let coolDown: TimeInterval
    private let now: @Sendable () -> Date

    public init(
        failureLimit: Int = 5,
        coolDown: TimeInterval = 30,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.failureLimit = failureLimit
        self.coolDown = coolDown
        self.now = now
    }

    /// Performs `operation` unless the circuit is open, and records how it went.
    public func call<Value: Sendable>(
        _ operation: @Sendable () async throws -> Value
    ) async throws -> Value {
        let isProbe = try admit()
        do {
            let value = try await operation()
            recordSuccess(isProbe: isProbe)
            return value
        } catch is CancellationError {
            // Giving up on a call says nothing about the health of the service.
            if isProbe {
                state = .open(until: now())
            }
            throw CancellationError()
        } catch {
            recordFailure(isProbe: isProbe)
            throw error
        }
    }

    /// Returns whether the call is the one that probes a half-open circuit.
    private func admit() throws -> Bool {
        switch state {
        case .closed:
            return false
        case .open(let until):
            let remaining = until.timeIntervalSince(now())
            guard remaining <= 0 else { throw CircuitOpenError(retryAfter: remaining) }
            state = .halfOpen
            return true
        case .halfOpen:
            // Somebody is already probing; everyone else waits for the outcome.
            throw CircuitOpenError(retryAfter: coolDown)
        }
    }

    private func recordSuccess(isProbe: Bool) {
        switch state {
        case .halfOpen where isProbe, .closed:
            state = .closed(failures: 0)
        case .halfOpen, .open:
            // A late answer to a call made before the circuit opened changes nothing.
            break
        }
    }

    private func recordFailure(isProbe: Bool) {
        switch state {
        case .closed(let failures) where failures + 1 < failureLimit:
            state = .closed(failures: failures + 1)
        case .halfOpen where isProbe, .closed:
            state = .open(until: now().addingTimeInterval(coolDown))
        case .halfOpen, .open:
            break
        }
    }
}

/// Runs `operation` through the breaker until it succeeds or the policy gives up.
public func retrying<Value: Sendable>(
    _ policy: RetryPolicy,
    through breaker: CircuitBreaker,
    operation: @Sendable () async throws -> Value
) async throws -> Value {
    var generator = SystemRandomNumberGenerator()
    var attempt = 1
    while true {
        do {
            return try await breaker.call(operation)
        } catch let error as CircuitOpenError {
            throw error
        } catch {
            guard attempt < policy.maximumAttempts, policy.isRetryable(error) else { throw error }
            let pause = policy.delay(afterAttempt: attempt, using: &generator)
            try await Task.sleep(nanoseconds: UInt64(pause * 1_000_000_000))
            attempt += 1
        }
    }
}
