"""What went wrong with an attempt: whether it may pass, whether any request can succeed, and how long to wait."""

import datetime
import email.utils
import re
from collections.abc import Mapping
from typing import NamedTuple

from magicoder_kit import runs
from magicoder_kit.teacher.wire import BrokenAnswer

_MAY_PASS = (408, 409, 429)

_OF_THE_SERVER = (502, 503, 504)


class Failure(NamedTuple):
    """One failed attempt.

    Attributes
    ----------
    kind : str
        A word to count by: a status (``"429"``), ``timeout``, ``connection`` or ``broken answer``.
    reason : str
        One line, without secrets.
    may_pass : bool
        Another attempt may succeed.
    told_s : float or None
        Seconds the server asked everyone to wait.
    fatal : str
        Why no request of this run can succeed, or ``""``.
    server_gone : bool
        The server, not the request, is the trouble: another one may answer.
    """

    kind: str
    reason: str
    may_pass: bool
    told_s: float | None = None
    fatal: str = ""
    server_gone: bool = False


def may_pass(status: int) -> bool:
    """Say whether another attempt may not meet a status again; 0 stands for an answer broken on its way."""
    return status not in range(400, 500) or status in _MAY_PASS


def judge(error: Exception, *, where: str, api_key_env: str, model: str) -> Failure:
    """Decide what a failed attempt means.

    Parameters
    ----------
    error : Exception
        An ``openai.OpenAIError`` or a :class:`BrokenAnswer`.
    where, api_key_env, model : str
        The address, the name of the key's variable and the model, for the line a person reads.
    """
    import openai

    reason = one_line(error)
    if isinstance(error, BrokenAnswer):
        kind = "timeout" if error.hung else "broken answer"
        return Failure(kind, reason, may_pass(error.status), server_gone=error.hung)
    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        fatal = ""
        if "insufficient_quota" in str(error):
            fatal = f"{where} says the account's quota is used up: {reason}"
        elif status in (401, 403):
            fatal = f"{where} refuses the key in {api_key_env}: {reason}"
        elif status == 404:
            fatal = f"{where} has no model {model!r}: {reason}"
        again = not fatal and may_pass(status)
        told_s = retry_after_s(error.response.headers) if again else None
        return Failure(str(status), reason, again, told_s, fatal, server_gone=status in _OF_THE_SERVER)
    # The client's aiohttp transport calls every lost connection a time-out of connecting.
    connecting = "Connect" in type(error.__cause__).__name__
    kind = "timeout" if isinstance(error, openai.APITimeoutError) and not connecting else "connection"
    return Failure(kind, reason, isinstance(error, openai.APIConnectionError), server_gone=True)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a server asks to wait (``retry-after-ms`` or ``retry-after``), or None."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        told = headers.get(name)
        if told is None:
            continue
        try:
            return max(0.0, float(told) * unit)
        except ValueError:
            pass
        try:
            when = email.utils.parsedate_to_datetime(told)
        except ValueError:  # Neither a number nor a date: as good as not told.
            continue
        return max(0.0, (when - datetime.datetime.now(datetime.UTC)).total_seconds())
    return None


def duration_s(text: str) -> float | None:
    """Read a duration as rate-limit headers write it (``6m0s``, ``1.5s``, ``20ms``), or None."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return sum(float(number) * {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}[unit] for number, unit in parts)


def one_line(error: object) -> str:
    """Return what an error says as one line without secrets; a page of HTML is only named."""
    text = str(error)
    if re.search(r"<html|<!doctype", text, re.IGNORECASE):
        status = getattr(error, "status_code", None) or getattr(error, "status", None)
        text = "an HTML page instead of JSON" + (f" (status {status})" if status else "")
    cause = getattr(error, "__cause__", None)
    if isinstance(cause, Exception) and type(cause).__module__.partition(".")[0].startswith("httpx"):
        text = str(cause)  # What the transport met says more than that it met something.
    return runs.scrub(" ".join(text.split()))[:300]
