"""The words of servers about their limits, and what is made of them."""

import asyncio
import datetime
import email.utils
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magicoder_kit.teacher import Budget, Pace, failures


@pytest.mark.parametrize(
    ("text", "seconds"), [("6m0s", 360), ("1.5s", 1.5), ("20ms", 0.02), ("1h2m3s", 3723), ("soon", None), ("", None)]
)
def test_durations_are_read_as_servers_write_them(text, seconds):
    assert failures.duration_s(text) == seconds


def test_retry_after_is_a_number_a_date_or_nothing():
    assert failures.retry_after_s({"retry-after": "1.5"}) == 1.5
    assert failures.retry_after_s({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30)
    assert 25 < failures.retry_after_s({"retry-after": email.utils.format_datetime(soon)}) <= 30
    assert failures.retry_after_s({"retry-after": "whenever"}) is None
    assert failures.retry_after_s({}) is None


def headers(kind, limit, remaining, reset):
    return {f"x-ratelimit-{name}-{kind}": str(value) for name, value in vars().items() if name != "kind"}


def test_a_used_up_limit_is_waited_for_in_proportion_to_what_the_next_request_needs():
    pace = Pace()
    pace.heed(headers("tokens", 1000, 900, "1s"), 500)
    assert pace.seconds_left() == 0
    # 900 tokens come back in 9 seconds; the 400 that are missing in 4.
    pace.heed(headers("tokens", 1000, 100, "9s"), 500)
    assert 3.9 < pace.seconds_left() <= 4.0
    pace.heed(headers("requests", 60, 0, "6m0s"), 500)
    assert 5.9 < pace.seconds_left() <= 6.0


def test_refusals_without_a_word_make_everyone_wait_only_when_they_come_in_a_row():
    pace = Pace()
    waited = []
    for _ in range(5):
        pace.refused(None)
        waited.append(pace.seconds_left() > 0)
    assert waited == [False, False, True, True, True]
    fresh = Pace()
    for _ in range(10):
        fresh.refused(None)
        fresh.heed({}, 1)
    assert fresh.seconds_left() == 0
    fresh.refused(3.0)
    assert 2.9 < fresh.seconds_left() <= 3.0


def test_turns_are_spaced_evenly():
    async def turns():
        pace, times = Pace(requests_per_minute=1200), []

        async def one():
            await pace.turn(1)
            times.append(time.monotonic())

        await asyncio.gather(*(one() for _ in range(10)))
        return times

    times = asyncio.run(turns())
    assert 0.44 < times[-1] - times[0] < 1.5
    assert min(b - a for a, b in itertools.pairwise(times)) > 0.02


@given(
    limit=st.integers(1, 10_000),
    asked=st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500), st.floats(0, 1), st.booleans()), max_size=60),
)
def test_what_is_spent_never_passes_the_limit(limit, asked):
    budget = Budget(max_tokens_total=limit)
    billed = 0
    for prompt, most, share, lost in asked:
        if budget.why_not(prompt, most):
            continue
        budget.reserve(prompt, most)
        billed += prompt + int(most * share)
        if not lost:
            budget.reserve(prompt, most, sign=-1)
            budget.add({"prompt_tokens": prompt, "completion_tokens": int(most * share)})
        assert billed <= limit


def test_prices_are_dollars_a_million():
    budget = Budget(price_in=0.5, price_out=1.5)
    budget.add({"prompt_tokens": 1_000_000, "completion_tokens": 2_000_000})
    assert budget.spent == 3.5


def test_an_error_is_one_line_and_html_only_named(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "very-secret-value")
    assert failures.one_line("a\n  b very-secret-value") == "a b [SOME_KEY]"
    assert failures.one_line("<html><body>x</body></html>") == "an HTML page instead of JSON"
