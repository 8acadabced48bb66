"""The client: keeps requests going, tries again what may pass, and stops where no request can succeed."""

import asyncio
import collections
import contextlib
import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from magicoder_kit.errors import TeacherError
from magicoder_kit.records import Row
from magicoder_kit.teacher import failures, fleet, wire
from magicoder_kit.teacher.failures import Failure
from magicoder_kit.teacher.limits import Budget, Pace
from magicoder_kit.teacher.wire import BrokenAnswer

MAX_WAIT_S = 60.0
"""Longest pause before another attempt, where the server names none."""

FATAL_AFTER = 8
"""Requests that failed for good, with none answered, before the whole run is given up."""

UNHEARD = 6
"""Failed connections to every server, with none answered, before the run is given up: most likely none is there."""

_REMEMBERED = 4096
"""Answers compared with a new one, to notice one that was delivered twice."""


def ask(
    requests: Iterable[Row],
    *,
    keep: Callable[[Row, Row], None],
    base_urls: Sequence[str] = ("",),
    api_key_env: str = "OPENAI_API_KEY",
    max_in_flight: int = 8,
    max_attempts: int = 8,
    timeout_s: float = 600.0,
    pace: Pace | None = None,
    budget: Budget | None = None,
    watch: Callable[[], None] | None = None,
) -> str:
    """Send requests and hand on every finished attempt, until all are answered or given up.

    Parameters
    ----------
    requests : iterable of dict
        What :func:`~magicoder_kit.teacher.request` returns, with ``prompt_tokens`` where tokens are limited; taken
        one by one, as others finish. One whose ``max_tokens`` is 0 or less is passed over.
    keep : callable
        Called with a request and the row of its attempt as soon as that is finished, before anything else is
        sent: ``request_id, attempt, finish_reason, text, usage, model, system_fingerprint, error, at, final``.
        ``error`` is ``""`` for an answer; ``final`` is False where another attempt follows. It runs in the
        client's thread.
    base_urls : sequence of str
        OpenAI-compatible addresses that end in ``/v1``, of the same model; ``""`` is the OpenAI API.
    api_key_env : str
        Name of the environment variable that holds the key. The key itself is never a parameter.
    max_in_flight : int
        Requests under way at once, over all addresses.
    max_attempts : int
        Attempts a request, the first included.
    timeout_s : float
        Seconds an attempt may take.
    pace : Pace, optional
        The account's limits.
    budget : Budget, optional
        What may be spent; each answer's tokens are added to it.
    watch : callable, optional
        Called about five times a second in the calling thread, to show progress.

    Returns
    -------
    str
        ``""``, or the limit of the budget that ended the run early.

    Raises
    ------
    TeacherError
        No request can succeed: the key is refused, the model unknown, nobody answers at the address, or what
        answers is not an OpenAI-compatible server.

    Notes
    -----
    An interrupt, or an exception out of ``keep`` or ``watch``, cancels what is under way and leaves nothing behind.
    """
    asking = _Asking(requests, keep, max_attempts, pace or Pace(), budget or Budget())
    loop = asyncio.new_event_loop()
    task = loop.create_task(asking.all(list(base_urls), api_key_env, timeout_s, max_in_flight))
    raised: list[BaseException] = []
    thread = threading.Thread(target=_drive, args=(loop, task, raised), daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(timeout=0.2)
            if watch:
                watch()
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(task.cancel)
            thread.join(timeout=10)
    if raised:
        raise raised[0]
    return asking.stopped_by


def _drive(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]", raised: list[BaseException]) -> None:
    try:
        loop.run_until_complete(task)
    except asyncio.CancelledError:
        pass  # Only an interrupt cancels it, and that is on its way to the caller.
    except BaseException as error:  # Whatever ends the loop is raised in the calling thread.
        raised.append(error)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class _Waiting:
    """Requests still to be sent: new ones in their order, and those to try again once their time has come."""

    def __init__(self, requests: Iterator[Row]):
        self._new: Iterator[Row] | None = requests
        self._later: list[tuple[float, int, Row, int]] = []
        self._number = itertools.count()
        self.under_way = 0
        self.changed = asyncio.Event()

    async def take(self) -> tuple[Row, int] | None:
        """Return the next request and the number of its attempt, or None where there will be no more."""
        passed_over = 0
        while True:
            if self._later and self._later[0][0] <= time.monotonic():
                _, _, request, attempt = heapq.heappop(self._later)
                return request, attempt
            if self._new is not None:
                request_or_none = next(self._new, None)
                if request_or_none is None:
                    self._new = None
                elif request_or_none["max_tokens"] > 0:
                    return request_or_none, 1
                elif (passed_over := passed_over + 1) % 100 == 0:
                    await asyncio.sleep(0)
                continue
            if not self._later and not self.under_way:
                self.changed.set()
                return None
            wait_s = self._later[0][0] - time.monotonic() if self._later else 60.0
            self.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), max(0.0, wait_s))

    def put_back(self, request: Row, attempt: int, wait_s: float) -> None:
        """Let a request be tried again after a while."""
        heapq.heappush(self._later, (time.monotonic() + wait_s, next(self._number), request, attempt))

    def give_up(self) -> None:
        """Take no new request."""
        self._new = None
        self._later.clear()


class _Asking:
    """The state that requests under way share."""

    def __init__(
        self, requests: Iterable[Row], keep: Callable[[Row, Row], None], max_attempts: int, pace: Pace, budget: Budget
    ):
        self.requests, self.keep, self.max_attempts = requests, keep, max_attempts
        self.pace, self.budget = pace, budget
        self.failed, self.committed, self.stopped_by = 0, 0, ""
        self.recent: collections.OrderedDict[int, str] = collections.OrderedDict()

    async def all(self, base_urls: list[str], api_key_env: str, timeout_s: float, max_in_flight: int) -> None:
        self.waiting = _Waiting(iter(self.requests))
        self.api_key_env, self.timeout_s = api_key_env, timeout_s
        async with fleet.connect(base_urls, api_key_env=api_key_env, timeout_s=timeout_s) as self.fleet:
            workers = [asyncio.create_task(self._work()) for _ in range(max_in_flight)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        while (taken := await self.waiting.take()) is not None:
            request, attempt = taken
            self.waiting.under_way += 1
            try:
                if not await self._may_be_paid_for(request):
                    continue
                await self.pace.turn(request.get("prompt_tokens", 0) + request["max_tokens"])
                await self._attempt(request, attempt)
            finally:
                self.waiting.under_way -= 1
                self.waiting.changed.set()

    async def _may_be_paid_for(self, request: Row) -> bool:
        """Reserve a request's most; where that could pass the budget, wait for answers, and then stop the run."""
        while why := self.budget.why_not(request.get("prompt_tokens", 0), request["max_tokens"]):
            if not self.committed:
                self.stopped_by = self.stopped_by or why
                self.waiting.give_up()
                return False
            await asyncio.sleep(0.05)
        self.budget.reserve(request.get("prompt_tokens", 0), request["max_tokens"])
        self.committed += 1
        return True

    async def _attempt(self, request: Row, attempt: int) -> None:
        """Make one attempt, and put the request back where another may succeed."""
        import openai

        server = await self.fleet.pick()
        server.in_flight += 1
        try:
            answer = await self._send(server, request)
        except (openai.OpenAIError, BrokenAnswer) as error:
            failure = failures.judge(error, where=server.where, api_key_env=self.api_key_env, model=request["model"])
            # An answer that was lost or broken on its way may be on the bill: it stays reserved.
            self._settle(request, billed=not isinstance(error, openai.APIStatusError))
            await self._fail(server, request, attempt, failure, error)
        else:
            self._settle(request, billed=False)
            self.budget.add(answer["usage"])
            server.well()
            self._finish(request, attempt, final=True, **answer)
        finally:
            server.in_flight -= 1

    async def _send(self, server: fleet.Server, request: Row) -> Row:
        """Send a request and return the columns of its answer."""
        try:
            async with asyncio.timeout(self.timeout_s):
                sent = await server.client.chat.completions.with_raw_response.create(**wire.body(request))
        except TimeoutError as error:
            raise BrokenAnswer(f"no whole answer within {self.timeout_s:g} s", hung=True) from error
        answer = wire.read_answer(sent.content)
        self.pace.heed(sent.headers, request.get("prompt_tokens", 0) + request["max_tokens"])
        row = wire.columns(answer, model=request["model"])
        delivered = hash((answer.get("id"), row["text"]))
        if answer.get("id") and self.recent.setdefault(delivered, request["request_id"]) != request["request_id"]:
            raise BrokenAnswer("another request's answer was delivered a second time")
        if len(self.recent) > _REMEMBERED:
            self.recent.popitem(last=False)
        return row

    def _settle(self, request: Row, *, billed: bool) -> None:
        self.committed -= 1
        if not billed:
            self.budget.reserve(request.get("prompt_tokens", 0), request["max_tokens"], sign=-1)

    async def _fail(self, server: fleet.Server, request: Row, attempt: int, failure: Failure, error: Exception) -> None:
        again = failure.may_pass and attempt < self.max_attempts and not failure.fatal
        if failure.server_gone:
            server.troubled()
        self._finish(request, attempt, error=f"{failure.kind}: {failure.reason}", final=not again)
        if fatal := await self._why_fatal(server, failure, error, again=again):
            raise TeacherError(fatal) from error
        if not again:
            return
        if getattr(error, "status_code", None) == 429:
            self.pace.refused(failure.told_s)
        elsewhere = failure.server_gone and len(self.fleet.servers) > 1
        backoff_s = 0.0 if elsewhere else min(MAX_WAIT_S, 0.5 * 2 ** (attempt - 1))
        wait_s = backoff_s if failure.told_s is None else failure.told_s
        self.waiting.put_back(request, attempt + 1, wait_s * random.uniform(1.0, 1.25))

    async def _why_fatal(self, server: fleet.Server, failure: Failure, error: Exception, *, again: bool) -> str:
        """Say why no request can succeed, or return ``""``."""
        import openai

        if failure.fatal:
            return failure.fatal + (await fleet.served_models(server) if "no model" in failure.fatal else "")
        if self.fleet.answered:
            return ""
        if isinstance(error, BrokenAnswer) and error.no_api:
            return (
                f"{server.where} {failure.reason}; base_urls must name an OpenAI-compatible server "
                "and usually ends in /v1"
            )
        if isinstance(error, openai.APIConnectionError) and all(s.failures >= UNHEARD for s in self.fleet.servers):
            return f"no teacher answers at {server.where}: {failure.reason}; start it, or correct base_urls"
        if again:
            return ""
        self.failed += 1
        if self.failed == FATAL_AFTER:
            served = await fleet.served_models(server)
            return f"{server.where} answered none of the first {FATAL_AFTER} requests{served}: {failure.reason}"
        return ""

    def _finish(self, request: Row, attempt: int, **columns: Any) -> None:
        self.keep(request, wire.attempt_row(request["request_id"], attempt, **{"model": request["model"], **columns}))
