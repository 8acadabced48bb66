"""What holds requests back: the account's limits, the server's word, and the budget."""

import asyncio
import random
import time
from collections.abc import Mapping

from magicoder_kit.errors import ParameterError
from magicoder_kit.records import Row
from magicoder_kit.teacher import failures

REFUSALS = 3
"""Refusals (429) in a row, without a word for how long, that make everyone wait."""


class Pace:
    """Spaces requests so that no limit is passed, and holds all of them back for as long as a server says.

    Parameters
    ----------
    requests_per_minute, tokens_per_minute : int
        Limits of the account; 0 is none. Tokens are counted as providers do: the prompt's and ``max_tokens``.

    Notes
    -----
    Requests are spread evenly over the minute (the generic cell rate algorithm without a burst), so that a limit
    holds over every window, whichever the provider counts by.
    """

    def __init__(self, requests_per_minute: int = 0, tokens_per_minute: int = 0):
        self._seconds_a_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._seconds_a_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._next = {"request": 0.0, "token": 0.0}
        self._closed_until = 0.0
        self._refusals = 0

    async def turn(self, tokens: int) -> None:
        """Wait until a request of so many tokens may be sent."""
        while True:
            start = max(time.monotonic(), *self._next.values())
            self._next["request"] = start + self._seconds_a_request
            self._next["token"] = start + tokens * self._seconds_a_token
            await asyncio.sleep(start - time.monotonic())
            wait_s = self._closed_until - time.monotonic()
            if wait_s <= 0:
                return
            # Who waited together does not come back in the same instant, and takes a place in the row again.
            await asyncio.sleep(wait_s + random.uniform(0.0, min(1.0, wait_s / 4)))

    def refused(self, told_s: float | None) -> None:
        """Hold everyone back after a 429 for as long as the server says.

        Where it does not say, a single refusal is the request's own affair; from the third in a row on everyone
        waits, twice as long each time, up to a minute.
        """
        self._refusals += 1
        if told_s is None:
            many = self._refusals - REFUSALS
            told_s = 0.0 if many < 0 or self.seconds_left() else min(60.0, 0.5 * 2 ** min(many, 7))
        self._closed_until = max(self._closed_until, time.monotonic() + told_s)

    def seconds_left(self) -> float:
        """Return for how long nothing will be sent; 0 where the way is free."""
        return max(0.0, self._closed_until - time.monotonic())

    def heed(self, headers: Mapping[str, str], tokens: int) -> None:
        """Read an answer's rate-limit headers, and wait where the next request would be refused.

        ``x-ratelimit-reset-…`` tells when the whole limit is free again; what one more request needs is free
        sooner, in proportion.
        """
        self._refusals = 0
        for kind, needed in (("requests", 1), ("tokens", tokens)):
            told = [headers.get(f"x-ratelimit-{what}-{kind}", "") for what in ("limit", "remaining", "reset")]
            reset_s = failures.duration_s(told[2])
            if not (told[0].isdecimal() and told[1].isdecimal() and reset_s):
                continue
            limit, remaining = int(told[0]), int(told[1])
            needed = min(needed, limit)
            if remaining < needed:
                wait_s = reset_s * (needed - remaining) / (limit - remaining)
                self._closed_until = max(self._closed_until, time.monotonic() + wait_s)


class Budget:
    """Tokens and dollars spent so far, and whether another request may be sent.

    Parameters
    ----------
    max_cost : float
        Most dollars; 0 is no limit.
    max_tokens_total : int
        Most tokens, prompts and completions together; 0 is no limit.
    price_in, price_out : float
        Dollars a million prompt and completion tokens. No price is built in.

    Notes
    -----
    A request is reserved at its most before it is sent (the prompt's tokens and ``max_tokens``), and settled with
    what the server reports. One that may have been answered and was not reported (a time-out, a lost connection)
    stays reserved: what is spent never passes the limit.
    """

    def __init__(
        self, *, max_cost: float = 0.0, max_tokens_total: int = 0, price_in: float = 0.0, price_out: float = 0.0
    ):
        if max_cost and not (price_in or price_out):
            raise ParameterError("max_cost needs a price: set price_in and price_out, dollars a million tokens")
        self.max_cost, self.max_tokens_total = max_cost, max_tokens_total
        self.price_in, self.price_out = price_in, price_out
        self.tokens_in = self.tokens_out = 0
        self._reserved_in = self._reserved_out = 0

    def cost(self, tokens_in: float, tokens_out: float) -> float:
        """Return dollars."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6

    @property
    def spent(self) -> float:
        """Dollars of the answers so far."""
        return self.cost(self.tokens_in, self.tokens_out)

    def add(self, usage: Row) -> None:
        """Count tokens a server reported."""
        self.tokens_in += int(usage.get("prompt_tokens") or 0)
        self.tokens_out += int(usage.get("completion_tokens") or 0)

    def why_not(self, prompt_tokens: int, max_tokens: int) -> str:
        """Say which limit one more request could pass, or ``""``."""
        tokens_in = self.tokens_in + self._reserved_in + prompt_tokens
        tokens_out = self.tokens_out + self._reserved_out + max_tokens
        if self.max_tokens_total and tokens_in + tokens_out > self.max_tokens_total:
            return f"max_tokens_total of {self.max_tokens_total:,} tokens"
        if self.max_cost and self.cost(tokens_in, tokens_out) > self.max_cost:
            return f"max_cost of ${self.max_cost:,.2f}"
        return ""

    def reserve(self, prompt_tokens: int, max_tokens: int, sign: int = 1) -> None:
        """Reserve a request's most, or with ``sign`` -1 take the reservation back."""
        self._reserved_in += sign * prompt_tokens
        self._reserved_out += sign * max_tokens
