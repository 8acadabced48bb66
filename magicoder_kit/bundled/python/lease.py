"""An in-process cache whose entries are leased for a limited time.

Entries leave the cache when their lease runs out, or earlier when the cache
is full and they are the least recently used ones.
"""

import functools
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Callable, Hashable, NamedTuple, Optional

_ABSENT = object()


@dataclass
class _Entry:
    value: Any
    deadline: float


@dataclass
class Tally:
    hits: int = 0
    misses: int = 0
    expired: int = 0
    evicted: int = 0

    @property
    def hit_ratio(self) -> float:
        total = self.hits + self.misses
        return self.hits / total if total else 0.0


class LeaseCache:
    def __init__(
        self,
        capacity: int,
        lease: float,
        clock: Callable[[], float] = time.monotonic,
        on_release: Optional[Callable[[Hashable, Any], None]] = None,
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        if lease <= 0:
            raise ValueError("lease must be positive")
        self.capacity = capacity
        self.lease = lease
        self.tally = Tally()
        self._clock = clock
        self._on_release = on_release
        self._entries: "OrderedDict[Hashable, _Entry]" = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        with self._lock:
            self._drop_expired()
            return len(self._entries)

    def get(self, key: Hashable, default: Any = None) -> Any:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and entry.deadline <= self._clock():
                self._release(key)
                self.tally.expired += 1
                entry = None
            if entry is None:
                self.tally.misses += 1
                return default
            self._entries.move_to_end(key)
            self.tally.hits += 1
            return entry.value

    def put(self, key: Hashable, value: Any, lease: Optional[float] = None) -> None:
        deadline = self._clock() + (self.lease if lease is None else lease)
        with self._lock:
            if key in self._entries:
                self._release(key)
            elif len(self._entries) >= self.capacity:
                # Prefer throwing out something stale over something merely idle.
                self._drop_expired()
                while len(self._entries) >= self.capacity:
                    oldest = next(iter(self._entries))
                    self._release(oldest)
                    self.tally.evicted += 1
            self._entries[key] = _Entry(value, deadline)

    def renew(self, key: Hashable) -> bool:
        """Restart the lease of ``key``; False if it is already gone."""
        with self._lock:
            entry = self._entries.get(key)
            now = self._clock()
            if entry is None or entry.deadline <= now:
                return False
            entry.deadline = now + self.lease
            self._entries.move_to_end(key)
            return True

    def discard(self, predicate: Callable[[Hashable], bool]) -> int:
        with self._lock:
            doomed = [key for key in self._entries if predicate(key)]
            for key in doomed:
                self._release(key)
            return len(doomed)

    def _drop_expired(self) -> None:
        now = self._clock()
        for key in [k for k, e in self._entries.items() if e.deadline <= now]:
            self._release(key)
            self.tally.expired += 1

    def _release(self, key: Hashable) -> None:
        entry = self._entries.pop(key)
        if self._on_release is not None:
            self._on_release(key, entry.value)


class _Call(NamedTuple):
    func: Callable
    args: tuple
    kwargs: tuple


def leased(cache: LeaseCache) -> Callable:
    """Decorate a function so that its results are kept in ``cache``."""

    def decorate(func: Callable) -> Callable:
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            key = _Call(func, args, tuple(sorted(kwargs.items())))
            value = cache.get(key, _ABSENT)
            if value is _ABSENT:
                value = func(*args, **kwargs)
                cache.put(key, value)
            return value

        def forget():
            return cache.discard(lambda key: isinstance(key, _Call) and key.func is func)

        wrapper.forget = forget
        return wrapper

    return decorate
