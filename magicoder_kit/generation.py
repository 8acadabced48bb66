"""03: snippets in, the teacher's responses in a journal, examples out.

The journal is the truth: one line a finished attempt, keyed by the hash of the request. Starting again asks
only for what has no answer yet, and :func:`examples` derives the data set from the journal alone.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from magicoder_kit import paper, prompts, teacher
from magicoder_kit.errors import TeacherError
from magicoder_kit.records import EXAMPLE_COLUMNS, Journal, Row


def requests(
    snippets: Iterable[Row],
    *,
    variant: str,
    model: str,
    temperature: float = paper.TEMPERATURE,
    max_new_tokens: int = paper.MAX_NEW_TOKENS,
    context_length: int = paper.CONTEXT_LENGTH,
    seed: int = paper.SEED,
    count_tokens: Callable[[str], int] | None = None,
) -> Iterator[Row]:
    """Turn snippets into requests, one each, by the paper's settings.

    Parameters
    ----------
    snippets : iterable of dict
        Columns ``lang, raw_index, index, seed``.
    variant : str
        A prompt variant of :mod:`prompts`.
    model : str
        The teacher's name at its endpoint.
    temperature : float
        The paper samples greedily.
    max_new_tokens, context_length : int
        A response may have ``min(max_new_tokens, context_length - tokens of the user messages - 10)`` tokens.
    seed : int
        The API's seed is this plus the snippet's ``index``.
    count_tokens : callable, optional
        Counts a text's tokens; by default as the model does.

    Yields
    ------
    dict
        A request with the snippet's ``lang, raw_index, index``. A snippet whose prompt leaves no room gets
        ``max_tokens`` 0 or less; :func:`generate` does not send it.

    Source: appendix A; the token rule is the reference implementation's.
    """
    count = count_tokens or teacher.token_counter(model)
    for snippet in snippets:
        messages = prompts.build(variant, snippet["seed"])
        # The reference counts its one user message; earlier turns of a chat take room as well.
        used = sum(count(message["content"]) for message in messages if message["role"] != "system")
        room = context_length - used - paper.CONTEXT_MARGIN
        asked = teacher.request(
            messages,
            model=model,
            temperature=temperature,
            max_tokens=min(max_new_tokens, room),
            seed=seed + snippet["index"],
        )
        yield asked | {name: snippet[name] for name in ("lang", "raw_index", "index")}


def generate(
    asked: Iterable[Row],
    *,
    journal: Journal,
    base_url: str = "",
    api_key_env: str = "OPENAI_API_KEY",
    max_in_flight: int = 8,
    max_attempts: int = 6,
    price_in: float = 0.0,
    price_out: float = 0.0,
    progress: bool = True,
) -> Row:
    """Ask the teacher for every request the journal holds no answer to, and journal each finished attempt.

    Parameters
    ----------
    asked : iterable of dict
        What :func:`requests` yields.
    journal : Journal
        Read once; then appended to as attempts finish.
    base_url, api_key_env, max_in_flight, max_attempts
        See :func:`teacher.ask`.
    price_in, price_out : float
        Dollars a million prompt and completion tokens, for the cost shown. No price is built in.
    progress : bool
        Show a bar with rows/s, tokens/s and the cost so far.

    Returns
    -------
    dict
        ``requested, answered, resumed, failed, prompt_tokens, completion_tokens, tokens_per_second, cost,
        seconds``; tokens and cost are those of this call.

    Raises
    ------
    TeacherError
        No request can succeed; what was answered before is kept. An interrupt keeps it as well.
    """
    from tqdm.auto import tqdm

    answered = {row["request_id"] for row in journal.rows() if not row["error"]}
    todo: dict[str, Row] = {}
    requested = resumed = no_room = 0
    for request in asked:
        requested += 1
        if request["request_id"] in answered:
            resumed += 1
        elif request["max_tokens"] <= 0:
            no_room += 1
        else:
            todo.setdefault(request["request_id"], request)
    tokens_in = tokens_out = done = failed = 0
    began, last_error = time.monotonic(), ""
    bar = tqdm(total=requested, initial=resumed + no_room, unit="row", desc="asking the teacher", disable=not progress)
    answers = teacher.ask(
        todo.values(),
        base_url=base_url,
        api_key_env=api_key_env,
        max_in_flight=max_in_flight,
        max_attempts=max_attempts,
    )
    with journal, bar:
        try:
            for answer in answers:
                request = todo[answer["request_id"]]
                journal.append({name: request[name] for name in ("lang", "raw_index", "index")} | answer)
                tokens_in += answer["usage"].get("prompt_tokens", 0)
                tokens_out += answer["usage"].get("completion_tokens", 0)
                if answer["final"]:
                    done, failed = done + (not answer["error"]), failed + bool(answer["error"])
                    last_error = answer["error"] or last_error
                    bar.update()
                seconds = max(time.monotonic() - began, 1e-9)
                cost = (tokens_in * price_in + tokens_out * price_out) / 1e6
                bar.set_postfix_str(f"{tokens_out / seconds:.0f} tokens/s" + (f", ${cost:.2f}" if cost else ""))
        finally:
            answers.close()
    if failed and not done and not resumed:
        raise TeacherError(f"the teacher answered none of {failed} requests: {last_error}")
    seconds = time.monotonic() - began
    return {
        "requested": requested,
        "answered": resumed + done,
        "resumed": resumed,
        "failed": failed,
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "tokens_per_second": round(tokens_out / seconds, 1) if done else 0.0,
        "cost": round((tokens_in * price_in + tokens_out * price_out) / 1e6, 6),
        "seconds": round(seconds, 1),
    }


def responses(asked: Iterable[Row], *, journal: Journal) -> list[Row]:
    """Return the journal's last word on every request: its answer, or else its last error.

    Parameters
    ----------
    asked : iterable of dict
        What :func:`requests` yields; rows come in this order.
    journal : Journal

    Returns
    -------
    list of dict
        Columns of the journal. A request that was never sent has ``error`` ``"not asked"``, or
        ``"no room"`` where its prompt fills the context.
    """
    said: dict[str, Row] = {}
    for row in journal.rows():
        if not row["error"] or row["request_id"] not in said:
            said[row["request_id"]] = row
    found = []
    for request in asked:
        place = {name: request[name] for name in ("lang", "raw_index", "index")}
        nothing = {
            "request_id": request["request_id"],
            "attempt": 0,
            "finish_reason": "",
            "text": "",
            "usage": {},
            "model": request["model"],
            "system_fingerprint": "",
            "error": "no room" if request["max_tokens"] <= 0 else "not asked",
            "at": "",
            "final": True,
        }
        found.append(said.get(request["request_id"], nothing) | place)
    return found


def examples(snippets: Iterable[Row], answers: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """Read problems and solutions out of the responses, as the reference does.

    Parameters
    ----------
    snippets : iterable of dict
        The snippets, in the order of ``answers``.
    answers : iterable of dict
        What :func:`responses` returns.

    Returns
    -------
    examples : list of dict
        In exactly the released columns, ``records.EXAMPLE_COLUMNS``. Only responses that finished
        (``finish_reason`` is ``stop``) and parse.
    rejected : list of dict
        The same columns with ``reason`` (``length``, ``no_headers``, ``headers_out_of_order``,
        ``empty_problem``, ``empty_solution``, ``error``, …) and ``detail``: the response, or the error.
    """
    kept, rejected = [], []
    for snippet, answer in zip(snippets, answers, strict=True):
        parsed = prompts.parse_response(answer["text"])
        row = {name: snippet.get(name, "") for name in EXAMPLE_COLUMNS}
        row["openai_fingerprint"] = answer["system_fingerprint"]
        if answer["error"]:
            rejected.append(row | {"reason": "error", "detail": answer["error"]})
        elif answer["finish_reason"] != "stop":
            rejected.append(row | {"reason": answer["finish_reason"] or "no finish_reason", "detail": answer["text"]})
        elif parsed is None:
            rejected.append(row | {"reason": prompts.why_unparsed(answer["text"]), "detail": answer["text"]})
        else:
            row["problem"], row["solution"] = parsed
            kept.append(row)
    return kept, rejected
