"""A set is the same rows whatever it calls its columns, and a mistake is one line that says the way out."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from magicoder_kit import instruction_sets, records
from magicoder_kit.analysis import languages, lengths
from magicoder_kit.errors import CorpusError, ParameterError

REPOSITORY = Path(__file__).parents[1]
PAIRS = [{"instruction": f"do {number}", "response": f"done {number} \ud800"} for number in range(4)]
ROWS = [{"problem": row["instruction"], "solution": row["response"]} for row in PAIRS]
EXAMPLE = {
    "lang": "rust",
    "raw_index": 7,
    "index": 3,
    "seed": "fn a() {}\n",
    "openai_fingerprint": "fp",
    "problem": "p",
    "solution": "s",
}


def write(path, rows):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=2))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_a_file_gives_its_rows_under_our_names(tmp_path, suffix):
    file = write(tmp_path / f"set{suffix}", PAIRS)
    assert instruction_sets.load(file) == ROWS
    assert instruction_sets.load(file, limit=2) == ROWS[:2]


def test_parquet_gives_the_rows_and_only_the_columns_that_are_needed(tmp_path):
    file = write(tmp_path / "set.parquet", [{"prompt": "p", "completion": "s", "lang": "php", "embedding": [0.5]}] * 3)
    assert instruction_sets.load(file, limit=2) == [{"problem": "p", "solution": "s", "lang": "php"}] * 2


def test_json_of_one_object_a_line_or_of_rows_under_a_key_is_read_too(tmp_path):
    lines = tmp_path / "lines.json"
    lines.write_text("".join(json.dumps(row) + "\n\n" for row in PAIRS))
    keyed = tmp_path / "keyed.json"
    keyed.write_text(json.dumps({"version": 1, "data": PAIRS}))
    assert instruction_sets.load(str(lines)) == instruction_sets.load(str(keyed)) == ROWS


def test_a_run_is_its_data_set_with_every_released_column(tmp_path):
    file = tmp_path / "run" / "04_cleaning_decontamination" / "dataset.jsonl"
    records.write_jsonl(file, [EXAMPLE])
    for name in (tmp_path / "run", file):
        assert instruction_sets.load(str(name)) == [EXAMPLE]
    assert instruction_sets.inputs({"ours": str(tmp_path / "run"), "theirs": "code-alpaca"}) == [str(file)]


def test_code_alpacas_input_stands_on_lines_of_its_own_where_there_is_one(tmp_path):
    rows = [
        {"instruction": "Sort", "input": "[2, 1]\n[4, 3]", "output": "x"},
        {"instruction": "Add", "input": "", "output": None},
    ]
    assert instruction_sets.load(write(tmp_path / "alpaca.json", rows)) == [
        {"problem": "Sort\n[2, 1]\n[4, 3]", "solution": "x"},
        {"problem": "Add", "solution": ""},
    ]


def test_a_mapping_names_any_columns(tmp_path):
    file = write(tmp_path / "set.jsonl", [{"q": "question", "hint": "a hint", "a": "answer", "language": "php"}])
    mapping = {"problem": ["q", "hint"], "solution": "a", "lang": "language"}
    assert instruction_sets.load(file, columns=mapping) == [
        {"problem": "question\na hint", "solution": "answer", "lang": "php"}
    ]


def test_a_misspelt_column_is_one_line_with_the_columns_found(tmp_path):
    file = write(tmp_path / "set.jsonl", PAIRS)
    with pytest.raises(CorpusError, match=r"no column 'respnse' \(did you mean 'response'\?\).*are instruction, resp"):
        instruction_sets.load(file, columns={"problem": "instruction", "solution": "respnse"})
    with pytest.raises(CorpusError, match="its columns are foo, bar; name two") as caught:
        instruction_sets.load(write(tmp_path / "other.jsonl", [{"foo": "a", "bar": "b"}]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"problem": "instruction"}, "maps problem; it needs problem and solution"),
        ({"problem": "a", "solution": "b", "answer": "c"}, "maps problem, solution, answer"),
        ({}, "maps nothing"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(tmp_path, columns, words):
    with pytest.raises(ParameterError, match=words):
        instruction_sets.load(write(tmp_path / "set.jsonl", PAIRS), columns=columns)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("set.jsonl", b'{"problem": "p", "solution": "s"}\n{"prob', "line 2 is not a JSON object"),
        ("set.json", b"[1, 2]", "line 1 is not a JSON object"),
        ("set.parquet", b"PAR1 and nothing more", "cannot be read"),
        ("set.jsonl", b"", "has no pair of columns|has no rows"),
        ("set.jsonl", b'{"problem": "p", "solution": ["s"]}', "row 1: column 'solution' holds list, not text"),
        ("set.csv", b"a,b", r"no instruction set.*\.jsonl, \.json, \.parquet"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises((CorpusError, ParameterError), match=words) as caught:
        instruction_sets.load(str(tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_a_missing_file_is_one_line(tmp_path, suffix):
    with pytest.raises(CorpusError, match=f"set{suffix} is missing"):
        instruction_sets.load(str(tmp_path / f"set{suffix}"))


def test_a_misspelt_name_is_told_the_nearest():
    with pytest.raises(ParameterError, match=r"'oss-instrct'.*did you mean 'oss-instruct'"):
        instruction_sets.load("oss-instrct")


def test_several_sets_are_loaded_as_parameters_name_them(tmp_path):
    file = write(tmp_path / "set.jsonl", PAIRS)
    loaded = instruction_sets.load_all({"all": file, "two": {"set": file, "limit": 2}})
    assert loaded == {"all": ROWS, "two": ROWS[:2]}
    with pytest.raises(ParameterError, match="set 'two' is told by file, limit; it takes set"):
        instruction_sets.load_all({"two": {"file": file, "limit": 2}})


def test_a_folder_of_parquet_is_loaded_as_the_hub_would_be(tmp_path):
    write(tmp_path / "train-00000-of-00001.parquet", [{"instruction": "i", "response": f"r{n}"} for n in range(5)])
    for limit in (0, 2):
        rows = instruction_sets.load(str(tmp_path), limit=limit)
        assert [row["solution"] for row in rows] == [f"r{n}" for n in range(limit or 5)]
    with pytest.raises(CorpusError, match="test"):
        instruction_sets.load(str(tmp_path), split="test")


HUB = """
import sys
from magicoder_kit import instruction_sets
from magicoder_kit.errors import CorpusError
try:
    print(len(instruction_sets.load(*sys.argv[1:], limit=2)))
except CorpusError as error:
    print(error)
"""


def from_hub(name, port, cache):
    """Load a set in a process whose hub is a port of this machine."""
    settings = {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", HUB, name], cwd=REPOSITORY, env=os.environ | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("listening", [True, False])
def test_a_hub_that_does_not_answer_costs_seconds_and_says_that_a_file_will_do(tmp_path, listening):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listening:  # accepts, and never answers
            silent.listen()
        began = time.monotonic()
        said = from_hub("evol-instruct", silent.getsockname()[1], tmp_path)
        assert time.monotonic() - began < 18  # of which up to 4 for the hub; the rest is a new process
    assert said.startswith("could not load ise-uiuc/Magicoder-Evol-Instruct-110K: http://127.0.0.1")
    assert "does not answer" in said
    assert "or give a file of it (.jsonl, .json, .parquet)" in said


def test_a_set_in_the_hubs_cache_is_loaded_while_the_hub_is_away(tmp_path):
    from datasets.packaged_modules.parquet.parquet import Parquet

    file = write(tmp_path / "set.parquet", [{"instruction": "i", "response": "r"}] * 3)
    cache = tmp_path / "datasets"
    fetched = {"dataset_name": "Magicoder-Evol-Instruct-110K", "config_id": "default", "hash": "0123abcd"}
    builder = Parquet(cache_dir=str(cache), data_files=[file], **fetched)
    builder.download_and_prepare()
    # What is fetched from the hub lies below the owner's name too.
    (cache / builder.dataset_name).rename(cache / f"ise-uiuc___{builder.dataset_name}")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert from_hub("evol-instruct", closed.getsockname()[1], tmp_path) == "2"


@pytest.fixture
def real_data():
    folder = os.environ.get("MAGICODER_KIT_REAL_DATA", "")
    if not folder:
        pytest.skip("MAGICODER_KIT_REAL_DATA does not name the folder with the real files")
    return Path(folder)


@pytest.mark.real_data
def test_code_alpaca_as_it_is_published_loads_and_is_described(real_data):
    file = real_data / "code_alpaca_2k.json"
    raw = json.loads(file.read_bytes())
    sets = instruction_sets.load_all({"Code Alpaca": str(file)})
    rows = sets["Code Alpaca"]
    assert len(rows) == len(raw) > 2_000
    for row, published in zip(rows, raw, strict=True):
        assert row["solution"] == published["output"]
        assert row["problem"].split("\n")[0] == published["instruction"].split("\n")[0]
        assert row["problem"].endswith(published["input"])
    # Its solutions are code without a fence: the paper's rule finds no Python there, and the table says why.
    assert languages.split(sets)[["language", "share"]].to_dict("records") == [{"language": "no block", "share": 1.0}]
    table = lengths.summary(lengths.token_counts(sets, tokenizer="embedded")).set_index("part")
    assert 20 < table.loc["problem", "mean"] < 35
    assert 50 < table.loc["solution", "mean"] < 80


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "problem", "solution"),
    [("mbpp.jsonl", "text", "code"), ("gsm8k_test.jsonl", "question", "answer")],
)
def test_benchmarks_load_as_sets_without_a_mapping(real_data, name, problem, solution):
    raw = records.read_jsonl(real_data / name)
    loaded = instruction_sets.load(str(real_data / name))
    assert loaded == [{"problem": row[problem], "solution": row[solution]} for row in raw]
