"""02: asking the teacher. One asynchronous client for every OpenAI-compatible server.

:func:`ask` keeps a number of requests going, tries again what may pass, gives up on what cannot, and stops
the run at once where every request must fail. It yields one row a finished attempt, in the order they
finish, for a journal to keep.
"""

import asyncio
import datetime
import email.utils
import hashlib
import json
import os
import queue
import random
import re
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from magicoder_kit import embedded, paper, runs
from magicoder_kit.errors import TeacherError
from magicoder_kit.prompts import Message
from magicoder_kit.records import Row

if TYPE_CHECKING:
    import openai

MAX_WAIT_S = 60.0
"""Longest pause before another attempt, where the server names none."""

_FATAL_AFTER = 8
"""Requests that failed for good, with none answered, before the whole run is given up."""


def request(
    messages: list[Message],
    *,
    model: str,
    temperature: float = paper.TEMPERATURE,
    max_tokens: int = paper.MAX_NEW_TOKENS,
    seed: int = paper.SEED,
) -> Row:
    """Return one request; ``request_id`` is the hash of everything the answer may depend on."""
    asked = {
        "model": model,
        "messages": messages,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "seed": seed,
    }
    return {"request_id": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32], **asked}


def ask(
    requests: Iterable[Row],
    *,
    base_url: str = "",
    api_key_env: str = "OPENAI_API_KEY",
    max_in_flight: int = 8,
    max_attempts: int = 6,
    timeout_s: float = 600.0,
) -> Generator[Row]:
    """Send requests and yield a row for every finished attempt.

    Parameters
    ----------
    requests : iterable of dict
        What :func:`request` returns; taken one by one, as others finish.
    base_url : str
        An OpenAI-compatible address that ends in ``/v1``; ``""`` is the OpenAI API.
    api_key_env : str
        Name of the environment variable that holds the key. The key itself is never a parameter.
    max_in_flight : int
        Requests under way at once.
    max_attempts : int
        Attempts a request, the first included.
    timeout_s : float
        Seconds an attempt may take.

    Yields
    ------
    dict
        ``request_id, attempt, finish_reason, text, usage, model, system_fingerprint, error, at, final``.
        ``error`` is ``""`` for an answer; ``final`` is False where another attempt follows.

    Raises
    ------
    TeacherError
        No request can succeed: the key is refused, the model unknown, nobody answers at the address, or what
        answers is not an OpenAI-compatible server.

    Notes
    -----
    Closing the iterator, or an interrupt while it waits, cancels what is under way and leaves nothing behind.
    """
    finished: queue.Queue[Row | BaseException | None] = queue.Queue()
    asking = _Asking(base_url, api_key_env, max_attempts, timeout_s, finished)
    loop = asyncio.new_event_loop()
    task = loop.create_task(asking.all(iter(requests), max_in_flight))
    thread = threading.Thread(target=_drive, args=(loop, task, finished), daemon=True)
    thread.start()
    try:
        while (row := finished.get()) is not None:
            if isinstance(row, BaseException):
                raise row
            yield row
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)
        thread.join(timeout=10)


def _drive(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]", finished: "queue.Queue[Any]") -> None:
    try:
        loop.run_until_complete(task)
        finished.put(None)
    except asyncio.CancelledError:
        finished.put(None)
    except BaseException as error:  # Whatever ends the loop is raised where its rows are read.
        finished.put(error)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class _Asking:
    """The state that requests under way share."""

    def __init__(
        self, base_url: str, api_key_env: str, max_attempts: int, timeout_s: float, finished: "queue.Queue[Any]"
    ):
        self.where = base_url or "the OpenAI API"
        self.base_url, self.api_key_env, self.timeout_s = base_url, api_key_env, timeout_s
        self.max_attempts, self.finished = max_attempts, finished
        self.answered = self.failed = 0

    async def all(self, requests: Iterator[Row], max_in_flight: int) -> None:
        import openai

        key = os.environ.get(self.api_key_env, "")
        if not key and not self.base_url:
            raise TeacherError(f"the OpenAI API needs a key; set the environment variable {self.api_key_env}")
        async with openai.AsyncOpenAI(
            base_url=self.base_url or None, api_key=key or "none", timeout=self.timeout_s, max_retries=0
        ) as client:
            workers = [asyncio.create_task(self._work(client, requests)) for _ in range(max_in_flight)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, client: "openai.AsyncOpenAI", requests: Iterator[Row]) -> None:
        for asked in requests:
            for attempt in range(1, self.max_attempts + 1):
                wait_s = await self._attempt(client, asked, attempt)
                if wait_s is None:
                    break
                await asyncio.sleep(wait_s)
            # The consumer writes a journal; a slow disk must not make rows pile up in memory.
            while self.finished.qsize() > 1_000:
                await asyncio.sleep(0.05)

    async def _attempt(self, client: "openai.AsyncOpenAI", asked: Row, attempt: int) -> float | None:
        """Make one attempt; return seconds to wait before the next, or None where there is none."""
        import openai

        try:
            answer = await client.chat.completions.create(
                **{name: asked[name] for name in ("model", "messages", "temperature", "max_tokens", "seed")}
            )
        except openai.OpenAIError as error:
            reason = _one_line(error)
            wait_s = self._wait_s(error, attempt)
            if fatal := await self._why_fatal(client, error, asked["model"], reason, wait_s):
                raise TeacherError(fatal) from error
            self._finish(asked, attempt, error=reason, final=wait_s is None)
            return wait_s
        if isinstance(answer, str) or not hasattr(answer, "choices"):
            raise TeacherError(
                f"{self.where} answered with something that is no chat completion ({_one_line(answer)}); "
                "base_url must name an OpenAI-compatible server and usually ends in /v1"
            )
        if not answer.choices:
            self._finish(asked, attempt, error=f"no choices in the answer: {_one_line(answer)}", final=True)
            return None
        self.answered += 1
        choice = answer.choices[0]
        self._finish(
            asked,
            attempt,
            finish_reason=choice.finish_reason or "",
            text=choice.message.content or "",
            usage=answer.usage.model_dump(include={"prompt_tokens", "completion_tokens"}) if answer.usage else {},
            model=answer.model,
            system_fingerprint=answer.system_fingerprint or "",
            final=True,
        )
        return None

    def _finish(self, asked: Row, attempt: int, *, final: bool, error: str = "", **answer: Any) -> None:
        row = {
            "request_id": asked["request_id"],
            "attempt": attempt,
            "finish_reason": "",
            "text": "",
            "usage": {},
            "model": asked["model"],
            "system_fingerprint": "",
            "error": error,
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            "final": final,
        }
        self.finished.put(row | answer)

    def _wait_s(self, error: "openai.OpenAIError", attempt: int) -> float | None:
        import openai

        may_pass = isinstance(error, openai.APIConnectionError) or (
            isinstance(error, openai.APIStatusError)
            and (error.status_code in (408, 409, 429) or error.status_code >= 500)
        )
        # A server nobody has heard from yet is given three attempts, not six: most likely it is not there.
        limit = self.max_attempts if self.answered or not isinstance(error, openai.APIConnectionError) else 3
        if not may_pass or attempt >= min(limit, self.max_attempts):
            return None
        told = _retry_after_s(error)
        return told if told is not None else min(MAX_WAIT_S, 0.5 * 2 ** (attempt - 1)) * random.uniform(0.75, 1.25)

    async def _why_fatal(
        self, client: "openai.AsyncOpenAI", error: "openai.OpenAIError", model: str, reason: str, wait_s: float | None
    ) -> str:
        import openai

        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return f"{self.where} refuses the key in {self.api_key_env}: {reason}"
        if "insufficient_quota" in str(error):
            return f"{self.where} says the account's quota is used up: {reason}"
        if isinstance(error, openai.APIConnectionError) and wait_s is None and not self.answered:
            return f"no teacher answers at {self.where}: {reason}; start it, or correct base_url"
        if isinstance(error, openai.NotFoundError):
            return f"{self.where} has no model {model!r}{await _served(client)}: {reason}"
        if wait_s is None:
            self.failed += 1
            if not self.answered and self.failed >= _FATAL_AFTER:
                return (
                    f"{self.where} answered none of the first {self.failed} requests{await _served(client)}: {reason}"
                )
        return ""


async def _served(client: "openai.AsyncOpenAI") -> str:
    import openai

    try:
        served = [model.id async for model in client.models.list()]
    except (openai.OpenAIError, AttributeError, TypeError):  # Not every server has the list; it is only a hint.
        return ""
    return f" (it serves {', '.join(served[:5])})" if served else ""


def _retry_after_s(error: "openai.OpenAIError") -> float | None:
    response = getattr(error, "response", None)
    told = response.headers.get("retry-after") if response is not None else None
    if told is None:
        return None
    try:
        return max(0.0, float(told))
    except ValueError:
        when = email.utils.parsedate_to_datetime(told)
        return max(0.0, (when - datetime.datetime.now(datetime.UTC)).total_seconds())


def _one_line(error: object) -> str:
    text = str(error)
    if re.search(r"<html|<!doctype", text, re.IGNORECASE):
        text = "an HTML page instead of JSON" + (
            f" (status {error.status_code})" if hasattr(error, "status_code") else ""
        )
    return runs.scrub(" ".join(text.split()))[:300]


@cache
def token_counter(model: str) -> Callable[[str], int]:
    """Return a function that counts a text's tokens as a model does.

    The embedded model's own tokenizer, and tiktoken's for the OpenAI models it knows. For any other, three bytes
    a token: an overestimate for English and code, so that a request stays inside the model's context.
    """
    if model == embedded.STUDENT_NAME:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(embedded.student())
        return lambda text: len(tokenizer(text, add_special_tokens=False).input_ids)
    import tiktoken

    try:
        encoding = tiktoken.encoding_for_model(model)
        return lambda text: len(encoding.encode(text, disallowed_special=()))
    except (KeyError, OSError):  # Not an OpenAI model, or its vocabulary cannot be downloaded.
        return lambda text: -(-len(text.encode()) // 3)
