"""The OpenAI Batch API: requests go up in files, answers come back in files within a day, at half the price.

Each step is a line in ``steps.journal.jsonl`` beside the files, so that another process, on another day, goes on
where the last one stopped: a file is written, uploaded, made a batch, and fetched when the batch has ended. What a
batch did not answer (it expired, or a request failed in it) goes up again in the next round.

Source: the limits of a file are those of OpenAI's API reference, "Create batch".
"""

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from magicoder_kit.errors import TeacherError
from magicoder_kit.records import Journal, Row, Rows, atomic, encode
from magicoder_kit.teacher import failures, fleet, wire
from magicoder_kit.teacher.limits import Budget
from magicoder_kit.teacher.wire import BrokenAnswer

if TYPE_CHECKING:
    import openai

MOST_REQUESTS = 50_000
MOST_BYTES = 200_000_000
"""Limits of one file; the API reference gives 50,000 requests and 200 MB."""

RETRIES = 8
"""Times the client tries one call again before it gives up; batches under way go on at the server meanwhile."""

_ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
_ENDED = ("completed", "expired", "cancelled", "failed")
_PART = "magicoder_kit_part"


def ask_in_batches(
    requests: Iterable[Row],
    *,
    keep: Callable[[Row, Row], None],
    answered: Callable[[str], bool],
    folder: Path,
    base_url: str = "",
    api_key_env: str = "OPENAI_API_KEY",
    max_attempts: int = 8,
    budget: Budget | None = None,
    poll_s: float = 60.0,
    most_requests: int = MOST_REQUESTS,
    most_bytes: int = MOST_BYTES,
    watch: Callable[[str], None] | None = None,
) -> str:
    """Ask for everything through batches and hand on every finished attempt, until all are answered or given up.

    Parameters
    ----------
    requests : iterable of dict
        What :func:`~magicoder_kit.teacher.request` returns, with ``lang, raw_index, index``. All are read before
        anything goes up, and only where no batch of an earlier call is under way.
    keep : callable
        See :func:`~magicoder_kit.teacher.ask`.
    answered : callable
        Says of a ``request_id`` whether its answer was kept by an earlier call, which may have died while it fetched.
    folder : Path
        Keeps the files and the steps; one folder for one journal.
    base_url, api_key_env
        The address, and the variable that holds the key.
    max_attempts : int
        Rounds a request goes up in.
    budget : Budget, optional
        Requests are reserved at their most; what no longer fits stays behind.
    poll_s : float
        Seconds between two looks at a batch.
    most_requests, most_bytes : int
        Limits of one file.
    watch : callable, optional
        Called after each look, with a line on how far the batches are.

    Returns
    -------
    str
        ``""``, or the limit of the budget that left requests behind.

    Raises
    ------
    TeacherError
        The server refuses the key or a file, or cannot be reached; a batch was cancelled.
    """
    run = _Batches(folder, keep, answered, max_attempts, budget or Budget(), watch or (lambda news: None))
    limits = (most_requests, most_bytes)
    with run.steps, _client(base_url, api_key_env) as client, _said_in_one_line(base_url, api_key_env):
        run.finish_parts(client, poll_s)
        # What batches of an earlier call answered while nobody looked is not asked for again.
        settled = run.seen | {place.request_id for place in run.again}
        run.write_parts((request for request in requests if request["request_id"] not in settled), 1, limits)
        while run.again or run.open_parts():
            if run.again:
                run.write_again(limits)
            run.finish_parts(client, poll_s)
    return run.stopped_by


def _client(base_url: str, api_key_env: str) -> "openai.OpenAI":
    import openai

    key = fleet.read_key(api_key_env, base_url)
    return openai.OpenAI(base_url=base_url or None, api_key=key, max_retries=RETRIES)


@contextlib.contextmanager
def _said_in_one_line(base_url: str, api_key_env: str) -> Iterator[None]:
    import openai

    where = base_url or "the OpenAI API"
    try:
        yield
    except openai.OpenAIError as error:
        failure = failures.judge(error, where=where, api_key_env=api_key_env, model="of the batch")
        raise TeacherError(
            failure.fatal or f"{where}: {failure.reason}; batches under way go on there, run this again to fetch them"
        ) from error


class Place(NamedTuple):
    """What comes back with a result: the request's hash, its row, and its prompt's tokens."""

    request_id: str
    lang: str
    raw_index: int
    index: int  # type: ignore[assignment]  # A column of the rows; a tuple's own method of that name is not used.
    prompt_tokens: int

    @classmethod
    def of(cls, request: Row) -> "Place":
        """Return a request's place."""
        return cls(*(request[name] for name in cls._fields))

    @classmethod
    def read(cls, custom_id: str) -> "Place":
        """Read a place out of a result's ``custom_id``."""
        request_id, lang, *numbers = custom_id.split("/")
        return cls(request_id, lang, *map(int, numbers))

    def __str__(self) -> str:
        return "/".join(map(str, self))


class _Batches:
    """The parts of a run and how far each is."""

    def __init__(
        self,
        folder: Path,
        keep: Callable[[Row, Row], None],
        answered: Callable[[str], bool],
        max_attempts: int,
        budget: Budget,
        watch: Callable[[str], None],
    ):
        self.folder, self.keep, self.answered, self.max_attempts = folder, keep, answered, max_attempts
        self.budget, self.watch = budget, watch
        self.steps = Journal(folder / "steps.journal.jsonl")
        self.parts: dict[str, Row] = {}
        for step in self.steps.rows():
            self.parts.setdefault(step["part"], {}).update(step)
        self.inherited = set(self.parts)
        for part in self.open_parts():
            self.budget.reserve(*part["reserved"])
        self.seen: set[str] = set()
        self.again: dict[Place, Row] = {}
        self.stopped_by = ""

    def open_parts(self) -> list[Row]:
        """Return the parts that are not fetched yet."""
        return [part for part in self.parts.values() if not part.get("fetched")]

    def _step(self, part: str, **what: Any) -> None:
        self.steps.append({"part": part, **what})
        self.parts.setdefault(part, {}).update({"part": part, **what})

    def write_parts(self, requests: Iterable[Row], attempt: int, limits: tuple[int, int]) -> None:
        """Write requests into files, each within the limits; a file counts once its step is journaled."""
        most_requests, most_bytes = limits
        rows = self._affordable(requests)
        row = next(rows, None)
        while row is not None:
            name = f"requests-{len(self.parts) + 1:04}.jsonl"
            count, size, reserved = 0, 0, [0, 0]
            with atomic(self.folder / name) as file:
                while row is not None:
                    line = encode(row)
                    if count and (count == most_requests or size + len(line) > most_bytes):
                        break
                    file.write(line)
                    count, size = count + 1, size + len(line)
                    reserved[0] += Place.read(row["custom_id"]).prompt_tokens
                    reserved[1] += row["body"]["max_tokens"]
                    row = next(rows, None)
            self._step(name, attempt=attempt, requests=count, mark=secrets.token_hex(16), reserved=reserved)

    def write_again(self, limits: tuple[int, int]) -> None:
        """Write what another round may answer, as it was sent."""
        again, self.again = self.again, {}
        rows = (
            row["body"] | Place.read(row["custom_id"])._asdict()
            for name in sorted({part["part"] for part in again.values()})
            for row in Rows(self.folder / name)
            if again.get(Place.read(row["custom_id"]), {}).get("part") == name
        )
        self.write_parts(rows, 1 + max(part["attempt"] for part in again.values()), limits)

    def _affordable(self, requests: Iterable[Row]) -> Iterator[Row]:
        for request in requests:
            if request["max_tokens"] <= 0:
                continue
            if why := self.budget.why_not(request["prompt_tokens"], request["max_tokens"]):
                self.stopped_by = why
                return
            self.budget.reserve(request["prompt_tokens"], request["max_tokens"])
            custom_id = str(Place.of(request))
            yield {"custom_id": custom_id, "method": "POST", "url": _ENDPOINT, "body": wire.body(request)}

    def finish_parts(self, client: "openai.OpenAI", poll_s: float) -> None:
        """Upload, start, watch and fetch until every part is fetched."""
        while open_parts := self.open_parts():
            done = 0
            for part in open_parts:
                if not part.get("file_id"):
                    with (self.folder / part["part"]).open("rb") as file:
                        self._step(part["part"], file_id=client.files.create(file=file, purpose="batch").id)
                if not part.get("batch_id"):
                    self._step(part["part"], batch_id=self._start(client, part))
                batch = client.batches.retrieve(part["batch_id"])
                counts = batch.request_counts
                done += counts.completed + counts.failed if counts else 0
                if batch.status in _ENDED:
                    self._fetch(client, part, batch)
            waiting = [part for part in open_parts if not part.get("fetched")]
            total = sum(part["requests"] for part in open_parts)
            self.watch(f"{done:,} of {total:,} done at the server in {len(open_parts)} batches")
            if waiting and len(waiting) == len(open_parts):
                _wait(poll_s, self.watch)

    def _start(self, client: "openai.OpenAI", part: Row) -> str:
        """Start a batch, or find the one a process started and died before it could note it."""
        for batch in client.batches.list(limit=100) if part["part"] in self.inherited else ():
            if (batch.metadata or {}).get(_PART) == part["mark"] and batch.status != "failed":
                return batch.id
        made = client.batches.create(
            input_file_id=part["file_id"],
            endpoint=_ENDPOINT,
            completion_window="24h",
            metadata={_PART: part["mark"]},
        )
        return made.id

    def _fetch(self, client: "openai.OpenAI", part: Row, batch: Any) -> None:
        """Journal what a batch that ended answered, and note what it did not."""
        if batch.status == "failed":
            self._refused(part, batch)
            return
        settled: set[Place] = set()
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            for line in client.files.content(file_id).iter_lines():
                if line.strip():
                    settled |= self._keep(json.loads(line), part)
        self._step(part["part"], fetched=batch.status)
        tokens_in, tokens_out = part["reserved"]
        self.budget.reserve(tokens_in, tokens_out, sign=-1)
        if batch.status == "cancelled":
            raise TeacherError(
                f"batch {batch.id} was cancelled; what it answered is kept, run this again to ask for the rest"
            )
        if part["attempt"] < self.max_attempts:
            places = (Place.read(row["custom_id"]) for row in Rows(self.folder / part["part"]))
            self.again |= {place: part for place in places if place not in settled}

    def _refused(self, part: Row, batch: Any) -> None:
        """Let a batch that met the account's limit of waiting tokens start again later; others cannot be saved."""
        errors = (batch.errors.data if batch.errors else None) or []
        if any(error.code == "token_limit_exceeded" for error in errors) and len(self.open_parts()) > 1:
            self._step(part["part"], batch_id="")
            return
        self._step(part["part"], fetched="failed")
        told = failures.one_line("; ".join(str(error.message) for error in errors) or "it gave no reason")
        raise TeacherError(f"the server refused batch {batch.id}: {told}")

    def _keep(self, result: Row, part: Row) -> set[Place]:
        """Hand on one result and return its place, where it is settled."""
        place, attempt = Place.read(result["custom_id"]), part["attempt"]
        if self.answered(place.request_id):
            return {place}
        try:
            answer = _read_result(result)
        except BrokenAnswer as error:
            settled = not failures.may_pass(error.status) or attempt >= self.max_attempts
            told = f"{error.status or 'batch'}: {failures.one_line(error)}"
            row = wire.attempt_row(place.request_id, attempt, error=told, final=settled)
        else:
            settled = True
            row = wire.attempt_row(place.request_id, attempt, final=True, **wire.columns(answer, model=""))
            self.budget.add(row["usage"])
        self.keep(place._asdict(), row)
        if settled:
            self.seen.add(place.request_id)
        return {place} if settled else set()


def _read_result(result: Row) -> Row:
    """Return the chat completion of a line of an output or error file."""
    response = result.get("response") or {}
    status = int(response.get("status_code") or 0)
    if result.get("error") or status != 200:
        told = result.get("error") or (response.get("body") or {}).get("error") or response
        raise BrokenAnswer(str(told.get("message") or told), status=status)
    return wire.read_answer(json.dumps(response["body"]).encode())


def _wait(seconds: float, watch: Callable[[str], None]) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
        if left > 1:
            watch(f"next look in {left:.0f} s")
