"""The problems are the published ones, and a program passes exactly when its answer is right."""

import pytest

from magicoder_kit.errors import ParameterError
from magicoder_kit.evaluation import benchmarks, sandbox


def statuses(programs: list[str]) -> list[str]:
    return [outcome["status"] for outcome in sandbox.run_programs(programs, timeout_s=20.0, progress=False)]


def task(task_id: str) -> dict:
    return next(task for task in benchmarks.humaneval() if task["task_id"] == task_id)


def test_humaneval_is_the_164_published_problems_in_their_order():
    tasks = benchmarks.humaneval()
    assert [task["task_id"] for task in tasks] == [f"HumanEval/{number}" for number in range(164)]
    assert all(tuple(task) == benchmarks.COLUMNS for task in tasks)
    assert all(isinstance(text, str) and text for task in tasks for text in task.values())


def test_a_limit_keeps_the_first_problems_and_zero_keeps_all():
    assert benchmarks.load("humaneval", limit=3) == benchmarks.humaneval()[:3]
    assert len(benchmarks.load("humaneval", limit=0)) == 164


def test_an_unknown_benchmark_is_refused_with_the_nearest_name():
    with pytest.raises(ParameterError, match=r"'HumanEvl' is not known; did you mean 'humaneval'\?"):
        benchmarks.load("HumanEvl")


def test_a_negative_limit_is_refused():
    with pytest.raises(ParameterError, match="limit is -1"):
        benchmarks.load("humaneval", limit=-1)


@pytest.mark.slow
def test_every_canonical_solution_passes_as_a_body_and_as_a_whole_solution():
    tasks = benchmarks.humaneval()
    bodies = [benchmarks.program(task, task["canonical_solution"]) for task in tasks]
    wholes = [benchmarks.program(task, task["prompt"] + task["canonical_solution"]) for task in tasks]
    assert statuses(bodies + wholes) == ["passed"] * 328


@pytest.mark.slow
def test_every_problem_answered_with_pass_fails():
    tasks = benchmarks.humaneval()
    assert statuses([benchmarks.program(task, "    pass\n") for task in tasks]) == ["failed"] * 164


def test_an_answer_may_leave_out_the_imports_and_helpers_the_prompt_showed_it():
    encoded = task("HumanEval/38")  # encode_cyclic is the prompt's, decode_cyclic is asked for
    answer = "def decode_cyclic(s: str):\n    return encode_cyclic(encode_cyclic(s))\n"
    close = task("HumanEval/0")  # the prompt imports List
    typed = (
        "def has_close_elements(numbers: List[float], threshold: float) -> bool:\n"
        "    return any(abs(a - b) < threshold for i, a in enumerate(numbers) for b in numbers[:i])\n"
    )
    assert statuses([benchmarks.program(encoded, answer), benchmarks.program(close, typed)]) == ["passed"] * 2


def test_an_answer_may_import_from_the_future_though_the_preamble_comes_first():
    close = task("HumanEval/0")
    answer = "from __future__ import annotations\n" + close["prompt"] + close["canonical_solution"]
    assert statuses([benchmarks.program(close, answer)]) == ["passed"]


def test_an_answer_may_define_the_entry_point_by_assignment():
    assert statuses([benchmarks.program(task("HumanEval/53"), "add = lambda x, y: x + y\n")]) == ["passed"]


def test_text_around_the_code_and_a_torn_answer_do_not_pass():
    add = task("HumanEval/53")
    answers = [
        "Sure! Here it is.\ndef add(x, y):\n    return x + y\n",
        "def add(x, y):\n    return (x +",
        "def add(x, y):\n",
    ]
    assert statuses([benchmarks.program(add, answer) for answer in answers]) == ["compile_error"] * 3


def test_a_main_block_in_an_answer_is_not_run():
    add = task("HumanEval/53")
    answer = "def add(x, y):\n    return x + y\n\nif __name__ == '__main__':\n    print(add(int(input()), 1))\n"
    assert statuses([benchmarks.program(add, answer)]) == ["passed"]
