"""The estimator is the share of subsets that pass, and the interval covers what it says."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magicoder_kit.errors import ParameterError
from magicoder_kit.evaluation.scoring import pass_at_k, score


def verdicts(tasks: list[list[str]]) -> list[dict]:
    return [
        {"task_id": f"task/{number}", "sample": sample, "status": status, "detail": "", "seconds": 0.1}
        for number, statuses in enumerate(tasks)
        for sample, status in enumerate(statuses)
    ]


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_subsets_with_a_passing_answer(drawn: tuple[int, int, int]):
    n, c, k = drawn
    subsets = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-12)


def test_pass_at_k_does_not_overflow_with_the_papers_200_samples():
    assert pass_at_k(200, 1, 100) == pytest.approx(0.5)
    assert pass_at_k(100_000, 1, 1) == pytest.approx(1e-5)


@pytest.mark.parametrize(("n", "c", "k"), [(1, 0, 2), (3, 4, 1), (3, -1, 1), (3, 1, 0), (0, 0, 1)])
def test_pass_at_k_refuses_what_it_cannot_estimate(n: int, c: int, k: int):
    with pytest.raises(ParameterError, match="pass@"):
        pass_at_k(n, c, k)


def test_a_score_counts_problems_samples_and_passes_and_repeats_itself():
    rows = verdicts([["passed", "failed"], ["timeout", "memory"], ["passed", "passed"], ["forbidden", "compile_error"]])
    first = score(rows)
    assert {name: first[name] for name in ("k", "tasks", "samples", "passed", "left_out")} == {
        "k": 1, "tasks": 4, "samples": 8, "passed": 3, "left_out": 0,
    }  # fmt: skip
    assert first["estimate"] == pytest.approx(0.375)
    assert 0.0 <= first["low"] < first["estimate"] < first["high"] <= 1.0
    assert score(rows) == first
    assert score(rows, k=2)["estimate"] == pytest.approx(0.5)


def test_the_order_of_the_samples_does_not_matter():
    rows = verdicts([["passed", "failed"], ["failed", "passed"], ["failed", "failed"]])
    by_sample = sorted(rows, key=lambda row: row["sample"])
    assert score(rows) == score(by_sample)


def test_a_missing_toolchain_is_left_out_and_counts_against_nobody():
    rows = verdicts([["passed"], ["failed"], ["toolchain_missing"], ["toolchain_missing"]])
    scored = score(rows)
    assert (scored["tasks"], scored["samples"], scored["left_out"]) == (2, 2, 2)
    assert scored["estimate"] == 0.5


def test_nothing_to_count_gives_no_estimate():
    scored = score(verdicts([["toolchain_missing"]]))
    assert (scored["tasks"], scored["estimate"], scored["low"], scored["high"]) == (0, None, None, None)


def test_too_few_samples_for_k_are_refused_by_name():
    with pytest.raises(ParameterError, match=r"pass@2 needs 2 samples a problem, task/1 has 1"):
        score(verdicts([["passed", "failed"], ["passed"]]), k=2)


def test_all_or_none_passing_keeps_an_interval():
    none, every = score(verdicts([["failed"]] * 24)), score(verdicts([["passed"]] * 24))
    # the exact bound in closed form: 1 - (0.05 / 2) ** (1 / 24)
    assert (none["low"], none["high"]) == (0.0, pytest.approx(1 - 0.025 ** (1 / 24)))
    assert (every["low"], every["high"]) == (pytest.approx(0.025 ** (1 / 24)), 1.0)


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=5), min_size=1, max_size=30),
    st.sampled_from([0.5, 0.9, 0.99]),
)
@settings(max_examples=50, deadline=None)
def test_an_interval_lies_in_0_to_1_and_holds_its_estimate(passes: list[list[bool]], confidence: float):
    rows = verdicts([["passed" if passed else "failed" for passed in samples] for samples in passes])
    scored = score(rows, confidence=confidence, resamples=2000)
    assert 0.0 <= scored["low"] <= scored["high"] <= 1.0
    if confidence > 0.5:
        assert scored["low"] - 1e-12 <= scored["estimate"] <= scored["high"] + 1e-12


def test_about_95_of_100_intervals_hold_the_truth():
    # 164 problems of a model that solves 30 %; 200 draws put the share of covering intervals within 0.95 +- 0.05
    random = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        rows = verdicts([["passed" if passed else "failed"] for passed in random.random(164) < 0.3])
        scored = score(rows, resamples=1000)
        held += scored["low"] <= 0.3 <= scored["high"]
    assert 180 <= held <= 200
