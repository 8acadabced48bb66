"""What goes over the wire, and the row an attempt becomes."""

import datetime
import json
import re
from typing import Any

from magicoder_kit.records import Row

SENT = ("model", "messages", "temperature", "max_tokens", "seed")
"""What of a request goes over the wire; the rest is the kit's own."""


class BrokenAnswer(Exception):
    """A status of 200 with something else than a chat completion."""

    def __init__(self, message: str, *, status: int = 0, no_api: bool = False, hung: bool = False):
        super().__init__(message)
        self.status, self.no_api, self.hung = status, no_api, hung


def body(request: Row) -> Row:
    """Return what is sent of a request."""
    return {name: request[name] for name in SENT}


def read_answer(body: bytes) -> Row:
    """Read a chat completion out of an answer's body.

    Raises
    ------
    BrokenAnswer
        It is cut off, no JSON, an error object, or has no choice in it.
    """
    try:
        answer = json.loads(body)
    except ValueError as error:
        text = body[:2000].decode(errors="replace")
        html = re.search(r"<html|<!doctype", text, re.IGNORECASE)
        shown = "an HTML page" if html else f"{len(body)} bytes that are no JSON"
        raise BrokenAnswer(f"answered with {shown}", no_api=bool(html)) from error
    if isinstance(answer, dict) and answer.get("error"):
        told = answer["error"]
        code = told.get("code") if isinstance(told, dict) else None
        message = told.get("message", told) if isinstance(told, dict) else told
        raise BrokenAnswer(f"an error object: {message}", status=code if isinstance(code, int) else 0)
    if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list):
        raise BrokenAnswer("answered with JSON that is no chat completion", no_api=True)
    if not answer["choices"]:
        raise BrokenAnswer("no choices in the answer")
    return answer


def columns(answer: Row, *, model: str) -> Row:
    """Return the columns of a chat completion: its first choice, its tokens and what answered."""
    choice = answer["choices"][0]
    usage = answer.get("usage") or {}
    return {
        "finish_reason": choice.get("finish_reason") or "",
        "text": (choice.get("message") or {}).get("content") or "",
        "usage": {name: usage.get(name) or 0 for name in ("prompt_tokens", "completion_tokens")} if usage else {},
        "model": answer.get("model") or model,
        "system_fingerprint": answer.get("system_fingerprint") or "",
    }


def attempt_row(request_id: str, attempt: int, *, model: str = "", final: bool, error: str = "", **answer: Any) -> Row:
    """Return the row of a finished attempt; ``answer`` is what :func:`columns` gives."""
    row = {
        "request_id": request_id,
        "attempt": attempt,
        "finish_reason": "",
        "text": "",
        "usage": {},
        "model": model,
        "system_fingerprint": "",
        "error": error,
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        "final": final,
    }
    return row | answer
