"""02: what is asked of the teacher, and how its answer is read.

A variant is a list of chat messages in which ``{code}`` stands for the snippet. ``paper`` is the paper's own;
``one_shot`` puts one worked example before it as an earlier turn of the chat, for teachers too small to follow
the prompt without one. A notebook adds its own with :func:`register`.
"""

from magicoder_kit import paper
from magicoder_kit.errors import ParameterError

Message = dict[str, str]

_EXAMPLE_SNIPPET = """\
for line in ledger:
    account, amount = line.split(",")
    totals[account] = totals.get(account, 0) + int(amount)
"""

_EXAMPLE_RESPONSE = """\
[Problem Description]
A small shop keeps its ledger as a list of strings of the form "account,amount", where amount is a whole number \
that may be negative. Write a Python function `balances(ledger)` that returns a dictionary from each account to \
the sum of its amounts, leaving out every account whose sum is zero.

For example, `balances(["rent,-40", "sales,90", "rent,40"])` returns `{"sales": 90}`.

[Solution]
```python
def balances(ledger):
    totals = {}
    for line in ledger:
        account, amount = line.split(",")
        totals[account] = totals.get(account, 0) + int(amount)
    return {account: total for account, total in totals.items() if total != 0}
```

Each line is split at its comma and its amount is added to the account's total. Accounts that come out at zero \
are left out at the end."""

_SYSTEM: Message = {"role": "system", "content": paper.SYSTEM_PROMPT}
_USER: Message = {"role": "user", "content": paper.USER_PROMPT}

VARIANTS: dict[str, list[Message]] = {}
"""Variants by name; add to it with :func:`register`."""


def register(name: str, messages: list[Message]) -> None:
    """Add a variant, or put another in its place.

    Parameters
    ----------
    name : str
        What notebooks 02 and 03 call it.
    messages : list of dict
        Chat messages with ``role`` and ``content``; the last one holds ``{code}``.

    Raises
    ------
    ParameterError
        The last message has no place for the snippet.
    """
    if not messages or "{code}" not in messages[-1]["content"]:
        raise ParameterError(f"prompt variant {name!r}: the last message must hold {{code}}, where the snippet goes")
    VARIANTS[name] = [dict(message) for message in messages]


def build(variant: str, snippet: str) -> list[Message]:
    """Return the chat messages that ask for a problem inspired by a snippet.

    The snippet is put in by plain replacement, so braces, back-ticks and back-slashes pass unharmed.

    Raises
    ------
    ParameterError
        No variant has that name.
    """
    if variant not in VARIANTS:
        raise ParameterError(f"unknown prompt variant {variant!r}; there are {', '.join(VARIANTS)}")
    *earlier, last = VARIANTS[variant]
    return [*map(dict, earlier), {**last, "content": last["content"].replace("{code}", snippet)}]


def parse_response(text: str) -> tuple[str, str] | None:
    """Split a response into problem and solution, by exactly the reference's rule.

    The first line holding ``[problem description]`` (any case) must come before the first holding
    ``[solution]``; problem and solution are the lines between and after, stripped, and neither may be empty.

    Returns
    -------
    tuple of (str, str), or None
        Problem and solution, or None where the rule is not met; :func:`why_unparsed` says which part.
    """
    lines = text.splitlines(keepends=True)
    problem_line, solution_line = _first_line(lines, "[problem description]"), _first_line(lines, "[solution]")
    if problem_line is None or solution_line is None or problem_line >= solution_line:
        return None
    problem = "".join(lines[problem_line + 1 : solution_line]).strip()
    solution = "".join(lines[solution_line + 1 :]).strip()
    return (problem, solution) if problem and solution else None


def why_unparsed(text: str) -> str:
    """Name the part of :func:`parse_response`'s rule that a response breaks.

    Returns
    -------
    str
        ``no_headers`` (at least one is missing), ``headers_out_of_order``, ``empty_problem``,
        ``empty_solution``, or ``""`` where the response parses.
    """
    lines = text.splitlines(keepends=True)
    problem_line, solution_line = _first_line(lines, "[problem description]"), _first_line(lines, "[solution]")
    if problem_line is None or solution_line is None:
        return "no_headers"
    if problem_line >= solution_line:
        return "headers_out_of_order"
    if not "".join(lines[problem_line + 1 : solution_line]).strip():
        return "empty_problem"
    return "" if "".join(lines[solution_line + 1 :]).strip() else "empty_solution"


def _first_line(lines: list[str], header: str) -> int | None:
    return next((number for number, line in enumerate(lines) if header in line.lower()), None)


register("paper", [_SYSTEM, _USER])
register(
    "one_shot",
    [
        *build("paper", _EXAMPLE_SNIPPET),
        {"role": "assistant", "content": _EXAMPLE_RESPONSE},
        _USER,
    ],
)
