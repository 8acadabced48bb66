using System;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;

namespace Throttling
{
    public interface IClock
    {
        TimeSpan Elapsed { get; }
    }

    public sealed class MonotonicClock : IClock
    {
        private readonly Stopwatch _watch = Stopwatch.StartNew();

        public TimeSpan Elapsed => _watch.Elapsed;
    }

    public readonly struct Permit
    {
        private Permit(bool granted, TimeSpan retryAfter)
        {
            Granted = granted;
            RetryAfter = retryAfter;
        }

        public bool Granted { get; }
        public TimeSpan RetryAfter { get; }

        public static Permit Allow() => new Permit(true, TimeSpan.Zero);

        public static Permit Deny(TimeSpan retryAfter) => new Permit(false, retryAfter);

        public override string ToString() =>
            Granted ? "granted" : $"denied, retry after {RetryAfter.TotalMilliseconds:F0} ms";
    }

    /// <summary>
    /// A bucket holds up to <c>capacity</c> tokens and refills continuously, so
    /// short bursts pass while the long-term rate stays bounded.
    /// </summary>
    public sealed class TokenBucket
    {
        private readonly object _gate = new object();
        private readonly IClock _clock;
        private readonly double _tokensPerSecond;
        private double _available;
        private TimeSpan _refilledAt;

        public TokenBucket(int capacity, double tokensPerSecond, IClock clock)
        {
            if (capacity < 1) throw new ArgumentOutOfRangeException(nameof(capacity));
            if (tokensPerSecond <= 0) throw new ArgumentOutOfRangeException(nameof(tokensPerSecond));
            _clock = clock ?? throw new ArgumentNullException(nameof(clock));
            _tokensPerSecond = tokensPerSecond;
            Capacity = capacity;
            _available = capacity;
            _refilledAt = clock.Elapsed;
        }

        public int Capacity { get; }

        public bool IsFull
        {
            get
            {
                lock (_gate)
                {
                    Refill();
                    return _available >= Capacity;
                }
            }
        }

        public Permit TryTake(int tokens = 1)
        {
            if (tokens < 1 || tokens > Capacity) throw new ArgumentOutOfRangeException(nameof(tokens));
            lock (_gate)
            {
                Refill();
                if (_available >= tokens)
                {
                    _available -= tokens;
                    return Permit.Allow();
                }
                double missing = tokens - _available;
                return Permit.Deny(TimeSpan.FromSeconds(missing / _tokensPerSecond));
            }
        }

        private void Refill()
        {
            TimeSpan now = _clock.Elapsed;
            double gained = (now - _refilledAt).TotalSeconds * _tokensPerSecond;
            _available = Math.Min(Capacity, _available + gained);
            _refilledAt = now;
        }
    }

    /// <summary>Keeps one bucket per client and forgets clients that went quiet.</summary>
    public sealed class ClientLimiter
    {
        private readonly ConcurrentDictionary<string, TokenBucket> _buckets =
            new ConcurrentDictionary<string, TokenBucket>(StringComparer.Ordinal);

        private readonly Func<TokenBucket> _createBucket;

        public ClientLimiter(int burst, double requestsPerSecond, IClock clock = null)
        {
            var shared = clock ?? new MonotonicClock();
            _createBucket = () => new TokenBucket(burst, requestsPerSecond, shared);
        }

        public int TrackedClients => _buckets.Count;

        public Permit TryAcquire(string client, int cost = 1)
        {
            return _buckets.GetOrAdd(client, _ => _createBucket()).TryTake(cost);
        }

        public async Task AcquireAsync(string client, CancellationToken cancellation, int cost = 1)
        {
            Permit permit = TryAcquire(client, cost);
            while (!permit.Granted)
            {
                // Task.Delay rounds down to milliseconds; the extra one avoids spinning.
                await Task.Delay(permit.RetryAfter + TimeSpan.FromMilliseconds(1), cancellation)
                    .ConfigureAwait(false);
                permit = TryAcquire(client, cost);
            }
        }

        /// <summary>A full bucket behaves exactly like a new one, so dropping it is safe.</summary>
        public int ForgetIdleClients()
        {
            int removed = 0;
            foreach (var pair in _buckets)
            {
                if (pair.Value.IsFull && _buckets.TryRemove(pair.Key, out _)) removed++;
            }
            return removed;
        }
    }
}
