export interface CacheOptions<K, V> {
  capacity: number;
  /** Lifetime in milliseconds; entries never expire when omitted. */
  ttl?: number;
  now?: () => number;
  onEvict?: (key: K, value: V, reason: EvictReason) => void;
}

export type EvictReason = "capacity" | "expired" | "deleted";

export interface CacheStats {
  hits: number;
  misses: number;
  evictions: number;
}

interface Entry<V> {
  value: V;
  expiresAt: number;
}

/**
 * Least-recently-used cache. A Map iterates in insertion order, so moving an
 * entry to the end on every read keeps the oldest entry first.
 */
export class ExpiringCache<K, V> {
  private readonly entries = new Map<K, Entry<V>>();
  private readonly pending = new Map<K, Promise<V>>();
  private readonly counters: CacheStats = { hits: 0, misses: 0, evictions: 0 };
  private readonly now: () => number;

  constructor(private readonly options: CacheOptions<K, V>) {
    if (!Number.isInteger(options.capacity) || options.capacity < 1) {
      throw new RangeError("capacity must be a positive integer");
    }
    this.now = options.now ?? Date.now;
  }

  get size(): number {
    return this.entries.size;
  }

  get stats(): Readonly<CacheStats> {
    return { ...this.counters };
  }

  get(key: K): V | undefined {
    const entry = this.lookup(key);
    if (entry === undefined) {
      this.counters.misses += 1;
      return undefined;
    }
    this.counters.hits += 1;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  /** Reads without touching the recency order or the hit counters. */
  peek(key: K): V | undefined {
    return this.lookup(key)?.value;
  }

  has(key: K): boolean {
    return this.lookup(key) !== undefined;
  }

  set(key: K, value: V, ttl: number | undefined = this.options.ttl): this {
    this.entries.delete(key);
    const expiresAt = ttl === undefined ? Infinity : this.now() + ttl;
    this.entries.set(key, { value, expiresAt });
    if (this.entries.size > this.options.capacity) this.makeRoom();
    return this;
  }

  delete(key: K): boolean {
    return this.remove(key, "deleted");
  }

  /** Returns the cached value or loads it once, even for concurrent callers. */
  async getOrLoad(key: K, load: (key: K) => Promise<V>): Promise<V> {
    if (this.has(key)) return this.get(key) as V;
    const running = this.pending.get(key);
    if (running !== undefined) return running;

    this.counters.misses += 1;
    const promise = load(key)
      .then((value) => {
        this.set(key, value);
        return value;
      })
      .finally(() => this.pending.delete(key));
    this.pending.set(key, promise);
    return promise;
  }

  prune(): number {
    const deadline = this.now();
    let removed = 0;
    for (const [key, entry] of Array.from(this.entries)) {
      if (entry.expiresAt <= deadline && this.remove(key, "expired")) removed += 1;
    }
    return removed;
  }

  private lookup(key: K): Entry<V> | undefined {
    const entry = this.entries.get(key);
    if (entry !== undefined && entry.expiresAt <= this.now()) {
      this.remove(key, "expired");
      return undefined;
    }
    return entry;
  }

  private makeRoom(): void {
    // Prefer dropping stale entries over ones that are still useful.
    if (this.prune() > 0) return;
    for (const oldest of this.entries.keys()) {
      this.remove(oldest, "capacity");
      return;
    }
  }

  private remove(key: K, reason: EvictReason): boolean {
    const entry = this.entries.get(key);
    if (entry === undefined) return false;
    this.entries.delete(key);
    if (reason !== "deleted") this.counters.evictions += 1;
    this.options.onEvict?.(key, entry.value, reason);
    return true;
  }
}
