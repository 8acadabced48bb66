"""What a journal holds, and the tables derived from it: responses, examples, and what gave none."""

import array
from collections.abc import Iterable, Iterator

import numpy as np

from magicoder_kit import prompts
from magicoder_kit.errors import RunError
from magicoder_kit.generation.requests import Requests
from magicoder_kit.records import EXAMPLE_COLUMNS, Journal, Row

_SETTING = "setting"


class Answers:
    """A journal's last word on every request: its first answer, or else its latest error.

    The journal is read once; of each row its place stays in memory, 16 bytes.

    Attributes
    ----------
    settings : list of dict
        What the journal was made with.
    answered : int
        Requests with an answer.
    prompt_tokens, completion_tokens : int
        Tokens of all attempts, as the server reported them.
    """

    def __init__(self, journal: Journal):
        self.journal = journal
        self.settings: list[Row] = []
        self.prompt_tokens = self.completion_tokens = 0
        keys, begins, answered = array.array("Q"), array.array("Q"), array.array("b")
        for begin, row in journal.entries():
            if _SETTING in row:
                self.settings.append(row[_SETTING])
                continue
            keys.append(_key(row["request_id"]))
            begins.append(begin)
            answered.append(not row["error"])
            self.prompt_tokens += row["usage"].get("prompt_tokens") or 0
            self.completion_tokens += row["usage"].get("completion_tokens") or 0
        place = np.frombuffer(begins, dtype=np.uint64).astype(np.int64)
        good = np.frombuffer(answered, dtype=np.int8).astype(bool)
        key = np.frombuffer(keys, dtype=np.uint64)
        # Answers come before errors; of the answers the first, of the errors the last.
        order = np.lexsort((np.where(good, place, -place), ~good, key))
        self._keys, first = np.unique(key[order], return_index=True)
        self._begins, self._good = place[order][first], good[order][first]
        self.answered = int(self._good.sum())

    def has(self, request_id: str) -> bool:
        """Say whether a request was answered."""
        position = self._find(request_id)
        return position is not None and bool(self._good[position])

    def get(self, request: Row) -> Row:
        """Return the journal's last word on a request.

        Where there is none, a row of the same columns whose ``error`` is ``"not asked"``, or ``"no room"`` where
        the prompt fills the context.
        """
        place = {name: request[name] for name in ("lang", "raw_index", "index")}
        position = self._find(request["request_id"])
        if position is not None:
            return place | self.journal.read_at(int(self._begins[position]))
        return place | {
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

    def _find(self, request_id: str) -> int | None:
        key = np.uint64(_key(request_id))
        position = int(np.searchsorted(self._keys, key))
        found = position < len(self._keys) and self._keys[position] == key
        return position if found else None


def _key(request_id: str) -> int:
    """Return 64 bits of a request's hash: at 10 million requests, a repeat has a chance of 3 in a million."""
    return int(request_id[:16], 16)


def claim(journal: Journal, asked: Requests, answers: Answers) -> None:
    """Let a journal be for one setting only: write it at the head of a new one, refuse one made with another.

    Raises
    ------
    RunError
        The journal was made with another prompt, model or parameter; the line says which differ.
    """
    if asked.setting in answers.settings:
        return
    if answers.settings or answers.answered:
        before = answers.settings[-1] if answers.settings else {}
        names = ("another prompt text" if name == "prompt" else name for name in asked.setting)
        differ = [
            f"{shown} ({before.get(name)!r}, now {asked.setting[name]!r})"
            for name, shown in zip(asked.setting, names, strict=True)
            if before.get(name) != asked.setting[name]
        ]
        raise RunError(
            f"{journal.path} holds answers asked for with another setting: {', '.join(differ)}; set it back, choose "
            "another run_name, or delete the file to ask everything again"
        )
    journal.append({_SETTING: asked.setting})


def responses(asked: Iterable[Row], *, journal: Journal) -> Iterator[Row]:
    """Yield the journal's last word on every request, in the order of the requests; see :meth:`Answers.get`."""
    answers = Answers(journal)
    return (answers.get(request) for request in asked)


def outcomes(asked: Requests, *, journal: Journal) -> Iterator[tuple[str, Row]]:
    """Read problems and solutions out of the journal, as the reference does.

    Parameters
    ----------
    asked : Requests
        Rows come in their order.
    journal : Journal

    Yields
    ------
    table : str
        ``"examples.jsonl"`` or ``"rejected.jsonl"``.
    row : dict
        An example has exactly the released columns, ``records.EXAMPLE_COLUMNS``; its response finished
        (``finish_reason`` is ``stop``) and parsed. A rejected row has ``reason`` (``length``, ``content_filter``,
        ``no_headers``, ``headers_out_of_order``, ``empty_problem``, ``empty_solution``, ``error:…``) and
        ``detail`` as well: the response, or the error.
    """
    for snippet, answer in zip(asked.snippets, responses(asked, journal=journal), strict=True):
        row = {name: snippet.get(name, "") for name in EXAMPLE_COLUMNS}
        row["openai_fingerprint"] = answer["system_fingerprint"]
        parsed = prompts.parse_response(answer["text"])
        if answer["error"]:
            kind = answer["error"].partition(":")[0]
            yield "rejected.jsonl", row | {"reason": f"error:{kind}", "detail": answer["error"]}
        elif answer["finish_reason"] != "stop":
            reason = answer["finish_reason"] or "no finish_reason"
            yield "rejected.jsonl", row | {"reason": reason, "detail": answer["text"]}
        elif parsed is None:
            reason = prompts.why_unparsed(answer["text"])
            yield "rejected.jsonl", row | {"reason": reason, "detail": answer["text"]}
        else:
            yield "examples.jsonl", row | dict(zip(("problem", "solution"), parsed, strict=True))
