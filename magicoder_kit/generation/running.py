"""A generation under way: what it will cost, what it asks, and what the journal keeps of it."""

import itertools
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from magicoder_kit import teacher
from magicoder_kit.errors import ParameterError, Stopped, TeacherError
from magicoder_kit.generation.answers import Answers, claim
from magicoder_kit.generation.requests import Requests
from magicoder_kit.records import Journal, Row
from magicoder_kit.teacher import batch_api

_SAMPLE = 500
"""Prompts counted, evenly over the snippets, for the estimate."""


def generate(
    *asked: Requests,
    journal: Journal,
    one_setting: bool = True,
    mode: str = "live",
    base_urls: Sequence[str] = (),
    api_key_env: str = "OPENAI_API_KEY",
    max_in_flight: int = 8,
    max_attempts: int = 8,
    timeout_s: float = 600.0,
    requests_per_minute: int = 0,
    tokens_per_minute: int = 0,
    price_in: float = 0.0,
    price_out: float = 0.0,
    max_cost: float = 0.0,
    max_tokens_total: int = 0,
    poll_s: float = 60.0,
    progress: bool = True,
) -> Row:
    """Ask the teacher for every request the journal holds no answer to, and journal each finished attempt.

    Parameters
    ----------
    *asked : Requests
        What to ask; several sets are asked together.
    journal : Journal
        Read once; then each finished attempt is appended at once, and brought to the disk every second.
    one_setting : bool
        Refuse a journal made with another prompt, model or parameter. Without it a journal holds answers of any
        setting; they are told apart by what was asked.
    mode : str
        ``"live"`` keeps ``max_in_flight`` requests going; ``"batch"`` goes through the OpenAI Batch API, in files
        beside the journal.
    base_urls : sequence of str
        OpenAI-compatible addresses ending in ``/v1``, of servers of the same model; none is the OpenAI API.
    api_key_env, max_in_flight, max_attempts, timeout_s
        See :func:`teacher.ask`.
    requests_per_minute, tokens_per_minute : int
        The account's limits; 0 is none.
    price_in, price_out : float
        Dollars a million prompt and completion tokens. No price is built in.
    max_cost, max_tokens_total : float, int
        Dollars and tokens, those of earlier calls included, that are never passed; 0 is no limit.
    poll_s : float
        Seconds between two looks at a batch.
    progress : bool
        Show what it will take, and a bar with rows/s, tokens/s and the cost so far.

    Returns
    -------
    dict
        ``requested, answered, resumed, failed, prompt_tokens, completion_tokens, tokens_per_second, cost,
        seconds, stopped_by``; tokens and seconds are those of this call, ``cost`` is of all calls, ``stopped_by``
        is the limit that ended it early, or ``""``.

    Raises
    ------
    TeacherError
        No request can succeed; what was answered before is kept.
    RunError
        The journal was made with another setting.
    Stopped
        A person interrupted; what was answered is kept.
    """
    budget = teacher.Budget(
        max_cost=max_cost, max_tokens_total=max_tokens_total, price_in=price_in, price_out=price_out
    )
    answers = Answers(journal)
    budget.add({"prompt_tokens": answers.prompt_tokens, "completion_tokens": answers.completion_tokens})
    if one_setting:
        for one in asked:
            claim(journal, one, answers)
    requested = sum(map(len, asked))
    if progress:
        print(_forecast(asked, answers, budget))
    with journal, _Progress(requested, budget, journal, shown=progress) as counted:
        todo = _unanswered(asked, answers, counted)
        try:
            if mode == "live":
                stopped_by = teacher.ask(
                    todo,
                    keep=counted.keep,
                    base_urls=base_urls or ("",),
                    api_key_env=api_key_env,
                    max_in_flight=max_in_flight,
                    max_attempts=max_attempts,
                    timeout_s=timeout_s,
                    pace=teacher.Pace(requests_per_minute, tokens_per_minute),
                    budget=budget,
                    watch=counted.watch,
                )
            elif mode == "batch":
                stopped_by = batch_api.ask_in_batches(
                    todo,
                    keep=counted.keep,
                    answered=answers.has,
                    folder=_batch_folder(journal.path),
                    base_url=_only(base_urls),
                    api_key_env=api_key_env,
                    max_attempts=max_attempts,
                    budget=budget,
                    poll_s=poll_s,
                    watch=counted.watch,
                )
            else:
                raise ParameterError(f"unknown mode {mode!r}; use 'live' or 'batch'")
        except KeyboardInterrupt:
            kept = answers.answered + counted.answered
            raise Stopped(f"stopped; {kept:,} of {requested:,} answers are kept, run this again to go on") from None
    # Where a limit ended it early, what is left is looked through for answers of earlier calls.
    deque(todo, maxlen=0)
    if counted.failed and not counted.answered and not counted.resumed:
        raise TeacherError(f"the teacher answered none of {counted.failed} requests: {counted.last_error}")
    return counted.summary(stopped_by)


def _unanswered(asked: Sequence[Requests], answers: Answers, counted: "_Progress") -> Iterator[Row]:
    """Yield the requests that have no answer yet, each once."""
    sent: set[str] = set()
    for request in itertools.chain.from_iterable(asked):
        if answers.has(request["request_id"]):
            counted.resumed += 1
        elif len(asked) == 1 or request["request_id"] not in sent:
            if len(asked) > 1:
                sent.add(request["request_id"])
            yield request


def _batch_folder(journal: Path) -> Path:
    return journal.with_name(journal.name.removesuffix(".journal.jsonl") + "_batches")


def _only(base_urls: Sequence[str]) -> str:
    if len(base_urls) > 1:
        raise ParameterError("the Batch API is one server's; give one address in base_urls, or none for OpenAI's")
    return base_urls[0] if base_urls else ""


def _forecast(asked: Sequence[Requests], answers: Answers, budget: teacher.Budget) -> str:
    """Say how many rows will be asked for, and the tokens and dollars that takes."""
    sampled = [
        one[position] for one in asked for position in range(0, len(one), max(1, len(one) * len(asked) // _SAMPLE))
    ]
    rows = sum(map(len, asked))
    todo = max(0, rows - answers.answered)
    if not sampled or not todo:
        return f"{rows:,} rows, all answered before"
    tokens_in = todo * sum(request["prompt_tokens"] for request in sampled) / len(sampled)
    most = todo * sum(max(0, request["max_tokens"]) for request in sampled) / len(sampled)
    about = f"{todo:,} of {rows:,} rows to ask for: about {tokens_in:,.0f} prompt tokens, "
    if answers.answered:
        expected = todo * answers.completion_tokens / answers.answered
        about += f"about {expected:,.0f} and at most {most:,.0f} completion tokens"
        low = budget.cost(tokens_in, expected)
    else:
        about += f"at most {most:,.0f} completion tokens"
        low = budget.cost(tokens_in, 0)
    if high := budget.cost(tokens_in, most):
        about += f"; ${low:,.2f} to ${high:,.2f}" + (f", ${budget.spent:,.2f} spent before" if budget.spent else "")
    limits = [
        f"${budget.max_cost:,.2f}" if budget.max_cost else "",
        f"{budget.max_tokens_total:,} tokens" if budget.max_tokens_total else "",
    ]
    if any(limits):
        about += f"; stops before {' or '.join(filter(None, limits))}"
    return about


class _Progress:
    """Journals attempts, counts them, and shows the counts."""

    def __init__(self, requested: int, budget: teacher.Budget, journal: Journal, *, shown: bool):
        from tqdm.auto import tqdm

        self.requested, self.budget, self.journal = requested, budget, journal
        self.answered = self.failed = self.resumed = self.retried = 0
        self.last_error = ""
        self.began = self._synced = time.monotonic()
        self._before = budget.tokens_in, budget.tokens_out
        self._bar = tqdm(total=requested, unit="row", desc="asking the teacher", disable=not shown)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.watch()
        self._bar.close()

    def keep(self, request: Row, row: Row) -> None:
        """Journal one finished attempt; called in the client's thread."""
        self.journal.append({name: request[name] for name in ("lang", "raw_index", "index")} | row)
        self.last_error = row["error"] or self.last_error
        if not row["final"]:
            self.retried += 1
        elif row["error"]:
            self.failed += 1
        else:
            self.answered += 1

    def watch(self, news: str = "") -> None:
        """Bring the bar up to date and the journal to the disk; called in the thread that waits."""
        now = time.monotonic()
        if now - self._synced >= 1.0:
            self.journal.sync()
            self._synced = now
        # What was answered before is no speed of this call.
        self._bar.initial = self.resumed
        self._bar.n = self.resumed + self.answered + self.failed
        told = [f"{(self.budget.tokens_out - self._before[1]) / max(now - self.began, 1e-9):.0f} tokens/s"]
        if cost := self.budget.spent:
            told.append(f"${cost:,.2f}")
        for name, count in Counter(failed=self.failed, retried=self.retried).items():
            if count:
                told.append(f"{count} {name}")
        self._bar.set_postfix_str(", ".join([*told, *filter(None, [news])]))

    def summary(self, stopped_by: str) -> Row:
        """Return the counts of this call."""
        seconds = time.monotonic() - self.began
        tokens_in = self.budget.tokens_in - self._before[0]
        tokens_out = self.budget.tokens_out - self._before[1]
        return {
            "requested": self.requested,
            "answered": self.resumed + self.answered,
            "resumed": self.resumed,
            "failed": self.failed,
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "tokens_per_second": round(tokens_out / seconds, 1) if self.answered else 0.0,
            "cost": round(self.budget.spent, 6),
            "seconds": round(seconds, 1),
            "stopped_by": stopped_by,
        }
