"""Filters beyond the reference drop what they say they drop, and nothing else."""

import random

import pytest

from magicoder_kit import filters
from magicoder_kit.errors import ParameterError


def example(problem="", solution="", **more):
    return {"problem": problem, "solution": solution, **more}


def fenced(lang, code):
    return f"Here it is:\n\n```{lang}\n{code}\n```\n"


def test_a_block_is_what_stands_between_two_fences_and_an_open_one_is_none():
    text = "a\n```Python title=x\nx = 1\n```\nb\n  ```\n  y\n  ```\n```js\nnever closed"
    assert filters.blocks(text) == [("python", "x = 1\n"), ("", "  y\n")]
    assert filters.blocks("no fence") == []


WORDS = [f"w{number}" for number in range(2000)]


def test_a_row_nearly_the_same_falls_and_the_first_of_them_stays():
    draw = random.Random(1)
    text = [draw.choice(WORDS) for _ in range(200)]
    changed = [*text[:100], "other", *text[101:]]
    rows = [example(" ".join(draw.choices(WORDS, k=200))), example(" ".join(text)), example(" ".join(changed))]
    kept, rejected = filters.near_duplicates(rows)
    assert kept == rows[:2]
    assert rejected[0]["reason"] == "near_duplicates"
    # 196 five-grams each, of which five have changed: 191 of 201.
    assert float(rejected[0]["detail"].split()[0]) == pytest.approx(191 / 201, abs=0.05)
    assert rejected[0]["detail"].endswith("row 1")
    assert filters.near_duplicates(rows) == (kept, rejected)
    unrelated = [example(" ".join(draw.choices(WORDS, k=200))) for _ in range(50)]
    assert filters.near_duplicates(unrelated, threshold=0.1) == (unrelated, [])


def test_rows_without_words_are_no_duplicates_and_a_wrong_threshold_is_refused():
    assert filters.near_duplicates([example("?"), example("!")])[1] == []
    with pytest.raises(ParameterError, match=r"threshold is 1; use a similarity from"):
        filters.near_duplicates([], threshold=1)


def test_a_solution_with_a_block_of_the_problem_falls():
    code = fenced("python", "def f(x):\n    return x")
    rows = [
        example(code, fenced("", "def f(x):\n  return   x")),
        example(code, fenced("python", "def f(x):\n    return x + 1")),
        example(fenced("", ""), fenced("", "")),
    ]
    kept, rejected = filters.copies_block(rows)
    assert kept == rows[1:]
    assert rejected[0]["detail"] == "copies a block of the problem: def f(x):"


@pytest.mark.parametrize(
    ("solution", "dropped"),
    [
        (fenced("python", "def f():\n    pass"), "pass: pass"),
        (fenced("python", "def f(): pass  # later"), "pass: pass  # later"),
        (fenced("python", "raise NotImplementedError('f')"), "NotImplementedError: NotImplementedError('f')"),
        (fenced("csharp", "throw new NotImplementedException();"), "NotImplementedException"),
        (fenced("python", "password = passed"), ""),
        (fenced("python", "# pass\nx = 1"), ""),
        (fenced("cpp", "int pass = 1;"), ""),
        ("You may pass.\n" + fenced("python", "x = 1"), ""),
        ("    pass", "pass"),
    ],
)
def test_code_that_leaves_something_out_falls(solution, dropped):
    kept, rejected = filters.partial_implementations([example("", solution)])
    assert len(kept) == (0 if dropped else 1)
    assert [row["detail"].startswith(dropped) for row in rejected] == ([True] if dropped else [])


@pytest.mark.parametrize(
    ("lang", "good", "bad"),
    [
        ("python", "def f(x):\n    return x", "def f(x:\n    return x"),
        ("C++", "int main() { return 0; }", "int main( { return 0;"),
        ("java", "class A { int f() { return 1; } }", "class A { int f( { return 1; }"),
        ("ts", "const x: number = 1;", "const x: = ;"),
        ("sh", 'if [ -f "$1" ]; then echo yes; fi', "if [ -f ; then"),
        ("c#", "class A { int F() => 1; }", "class A { int F( => 1 }"),
        ("rust", "fn main() { let x = 1; }", "fn main() { let = ; }"),
        ("php", "function f($x) { return $x; }", "function f($x { return }"),
        ("swift", "func f(x: Int) -> Int { return x }", "func f(x: Int -> { return"),
    ],
)
def test_a_block_must_parse_in_the_language_it_claims(lang, good, bad):
    rows = [example("", fenced(lang, good)), example("", fenced(lang, bad)), example("", fenced("", bad))]
    kept, rejected = filters.unparsable(rows)
    assert kept == [rows[0], rows[2]]
    assert rejected[0]["detail"].startswith(f"{lang.lower()}, line 1 of the block: ")


def test_a_block_indented_as_a_whole_parses_and_an_error_names_its_line():
    assert filters.first_error("    x = 1\n    y = 2\n", "python") == 0
    assert filters.first_error("x = 1\ny = = 2\n", "python") == 2
    assert filters.first_error("", "python") == 0


def test_shared_n_grams_are_counted_as_a_share_of_the_row_s_own():
    shared = " ".join(f"b{number}" for number in range(12))
    benchmarks = {"short": ["b0 b1 b2"], "long": [shared.upper() + "!"]}
    # 12 shared words then 9 others: 12 ten-grams, of which 3 lie in the shared part.
    row = example(shared.replace(" ", ", "), " ".join(f"o{number}" for number in range(9)))
    other = example("nothing of the kind", "at all")
    assert filters.ngram_shares([row, other], benchmarks, n=10) == [3 / 12, 0.0]
    kept, rejected = filters.ngram_overlap([row, other], benchmarks, n=10)
    assert kept == [other]
    assert rejected[0]["reason"] == "ngram_overlap_10"
    assert rejected[0]["detail"] == "25.0% of 10-grams; long: b0 b1 b2 b3 b4 b5 b6 b7 b8 b9"
    assert filters.ngram_overlap([row, other], benchmarks, n=10, above=0.25) == ([row, other], [])
    assert filters.ngram_overlap([row, other], benchmarks, n=13) == ([row, other], [])


def test_chosen_filters_run_in_order_and_each_is_counted():
    partial = example("a b", fenced("python", "def f(:\n    pass"))
    broken = example("c d", fenced("python", "def f(:\n    return"))
    good = example("e f", fenced("python", "x = 1"))
    rows = [partial, broken, good]
    kept, rejected, counts = filters.apply(rows, ["partial_implementations", "unparsable", "copies_block"])
    assert kept == [good]
    assert [row["reason"] for row in rejected] == ["partial_implementations", "unparsable"]
    assert counts == {"partial_implementations": 1, "unparsable": 1, "copies_block": 0}
    assert filters.apply(rows, ["unparsable"])[2] == {"unparsable": 2}
    assert filters.apply(rows, []) == (rows, [], {})
    assert set(filters.apply(rows, list(filters.FILTERS), benchmarks={"b": ["x"]})[2]) == set(filters.FILTERS)


def test_an_unknown_filter_and_n_grams_without_a_benchmark_are_refused():
    with pytest.raises(ParameterError, match="did you mean 'unparsable'"):
        filters.apply([], ["unparseable"])
    with pytest.raises(ParameterError, match="compares with benchmarks"):
        filters.apply([], ["ngram_overlap_13"])
