"""The draw is the reference's, bit for bit, and never depends on anything but the documents' order."""

import inspect
import json
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from datasets import Dataset, Features, Value, disable_progress_bars
from hypothesis import example, given, settings
from hypothesis import strategies as st

from magicoder_kit import paper, snippets
from magicoder_kit.errors import CorpusError, ParameterError

disable_progress_bars()

REAL = [inspect.getsource(module) for module in (inspect, json, random, subprocess, textwrap)]
DOCUMENT = st.text("ab \n\r\x0b\x1c\x85\u2028", min_size=1, max_size=30) | st.sampled_from(REAL)
FEATURES = Features(content=Value("string"), raw_index=Value("int64"), lang=Value("string"))


def table(contents):
    columns = {"content": contents, "raw_index": range(len(contents)), "lang": ["python"] * len(contents)}
    return Dataset.from_dict({name: list(values) for name, values in columns.items()}, features=FEATURES)


def straight(contents, *, seed=976, chunk_size=1000, low=1, high=15):
    """The draw as paper.md tells it: the global random module, chunk by chunk, then datasets' own shuffle."""
    seeds = []
    for first in range(0, len(contents), chunk_size):
        random.seed(seed + first)
        for content in contents[first : first + chunk_size]:
            lines = content.splitlines(keepends=True)
            start = random.choice(range(len(lines)))
            count = random.randint(low, high)
            seeds.append("".join(lines[start : start + count]))
    shuffled = Dataset.from_dict({"raw_index": list(range(len(contents))), "seed": seeds}).shuffle(seed=seed)
    return list(zip(range(len(contents)), shuffled["raw_index"], shuffled["seed"], strict=True))


def drawn(contents, **options):
    made = snippets.extract(table(contents), **options)
    return list(zip(made["index"], made["raw_index"], made["seed"], strict=True))


@pytest.mark.parametrize("chunk_size", [1, 7, 100, 1000, 2500])
def test_the_draw_is_the_straight_one_bit_for_bit(chunk_size):
    pieces = [part for source in REAL for part in source.split("\n\n") if part]
    contents = [pieces[number % len(pieces)] * (1 + number % 3) for number in range(2500)]
    assert drawn(contents, chunk_size=chunk_size) == straight(contents, chunk_size=chunk_size)


def test_the_defaults_are_the_papers():
    contents = [REAL[number % 5][number:] for number in range(1100)]
    assert drawn(contents) == straight(contents, seed=976, chunk_size=1000, low=1, high=15)


@settings(deadline=None, max_examples=40)
@given(
    contents=st.lists(DOCUMENT, min_size=1, max_size=12),
    seed=st.integers(0, 2**31),
    chunk_size=st.integers(1, 13),
    low=st.integers(1, 4),
    more=st.integers(0, 5),
)
@example(contents=["a\u2028b\x85c\r\nd"], seed=0, chunk_size=1, low=1, more=0)
def test_any_documents_are_drawn_as_the_straight_rule_draws_them(contents, seed, chunk_size, low, more):
    options = {"seed": seed, "chunk_size": chunk_size}
    made = drawn(contents, min_lines=low, max_lines=low + more, **options)
    assert made == straight(contents, low=low, high=low + more, **options)


@settings(deadline=None, max_examples=40)
@given(contents=st.lists(DOCUMENT, min_size=1, max_size=12))
def test_a_snippet_is_consecutive_whole_lines_of_its_document(contents):
    for _, raw_index, seed in drawn(contents):
        lines = contents[raw_index].splitlines(keepends=True)
        count = len(seed.splitlines())
        assert paper.MIN_LINES <= count <= paper.MAX_LINES
        assert any("".join(lines[start : start + count]) == seed for start in range(len(lines)))


@settings(deadline=None, max_examples=40)
@given(contents=st.lists(DOCUMENT, min_size=1, max_size=8), where=st.lists(st.integers(0, 8), max_size=4))
def test_an_empty_document_takes_no_random_number_and_gives_no_row(contents, where):
    # All in one chunk: the documents beside the empty ones draw what they would draw without them.
    mixed = [(position, content) for position, content in enumerate(contents)]
    for position in where:
        mixed.insert(position, (None, ""))
    made = {raw_index: seed for _, raw_index, seed in drawn([content for _, content in mixed])}
    alone = {raw_index: seed for _, raw_index, seed in drawn(contents)}
    assert {mixed[raw_index][0]: seed for raw_index, seed in made.items()} == alone


def test_an_empty_document_leaves_the_generator_as_it_was():
    rng = random.Random(1)
    before = rng.getstate()
    assert snippets.draw("", rng, 1, 15) == ""
    assert rng.getstate() == before
    assert snippets.draw("\n", rng, 1, 15) == "\n"
    assert rng.getstate() != before


def test_the_global_random_state_is_neither_read_nor_written():
    random.seed(5)
    before = random.getstate()
    first = drawn(REAL)
    assert random.getstate() == before
    random.seed(6)
    assert drawn(REAL) == first


def test_columns_of_the_documents_pass_and_content_does_not():
    made = snippets.extract(table(REAL))
    assert set(made.column_names) == {"lang", "raw_index", "seed", "index"}
    assert made["index"][:] == list(range(len(REAL)))
    assert sorted(made["raw_index"]) == list(range(len(REAL)))


@pytest.mark.parametrize("contents", [[""], ["", ""]])
def test_documents_without_a_line_give_a_table_without_a_row(contents):
    assert drawn(contents) == []


def test_no_documents_at_all_is_said_in_one_line():
    with pytest.raises(CorpusError, match="there are no documents"):
        snippets.extract(table([]))


@pytest.mark.parametrize(("low", "high"), [(0, 15), (5, 4), (-1, -1)])
def test_a_range_of_lines_that_cannot_be_is_refused(low, high):
    with pytest.raises(ParameterError, match=f"min_lines={low} and max_lines={high}"):
        snippets.extract(table(REAL), min_lines=low, max_lines=high)


def test_a_document_that_is_not_text_is_refused():
    with pytest.raises(CorpusError, match="NoneType, not text"):
        snippets.extract(table(["a\n", None]))


def test_a_quota_takes_the_first_of_each_language_in_order():
    by_language = {lang: snippets.extract(table(REAL)) for lang in ("python", "cpp", "java")}
    mixed = snippets.mix(by_language, {"java": 2, "python": 99, "cpp": 0})
    assert mixed["index"][:] == [*range(len(REAL)), 0, 1]
    assert mixed["seed"][-2:] == by_language["java"]["seed"][:2]
    with pytest.raises(CorpusError, match="no snippet could be drawn"):
        snippets.mix(by_language, {"python": 0})


def test_another_process_draws_the_same():
    script = """
import datasets, inspect, json, random, subprocess, textwrap
from magicoder_kit import snippets
datasets.disable_progress_bars()
contents = [inspect.getsource(module) for module in (inspect, json, random, subprocess, textwrap)]
made = snippets.extract(datasets.Dataset.from_dict({"content": contents, "raw_index": range(5)}))
print(json.dumps([made["index"][:], made["raw_index"][:], made["seed"][:]]))
"""
    repository = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert list(zip(*json.loads(done.stdout), strict=True)) == drawn(REAL)


def test_the_mix_does_not_depend_on_the_order_quota_is_written_in():
    drawn = {
        lang: snippets.extract(
            Dataset.from_list([{"content": f"{lang} {i}\n", "raw_index": i, "lang": lang} for i in range(5)])
        )
        for lang in ("python", "rust")
    }
    assert list(snippets.mix(drawn, {"rust": 2, "python": 3})) == list(snippets.mix(drawn, {"python": 3, "rust": 2}))
    with pytest.raises(ParameterError, match="java"):
        snippets.mix(drawn, {"java": 1})


@settings(deadline=None, max_examples=40)
@given(
    contents=st.lists(DOCUMENT | st.just(""), min_size=1, max_size=12),
    chunk_size=st.integers(1, 13),
    seed=st.integers(0, 2**31),
    data=st.data(),
)
def test_an_audit_finds_every_seed_of_the_draw_and_lists_the_one_that_was_changed(contents, chunk_size, seed, data):
    options = {"seed": seed, "chunk_size": chunk_size}
    rows = list(snippets.extract(table(contents), **options))
    corpus = {"python": table(contents)}
    audited = snippets.audit(rows, corpus, **options)
    assert (audited.rows, audited.reproduced, audited.different) == (len(rows), len(rows), [])
    if rows:
        place = data.draw(st.integers(0, len(rows) - 1))
        changed = rows[place] | {"seed": rows[place]["seed"] + "?"}
        audited = snippets.audit([*rows[:place], changed, *rows[place + 1 :]], corpus, **options)
        assert audited.reproduced == len(rows) - 1
        assert audited.different == [changed | {"drawn": rows[place]["seed"], "verdict": "not in the document"}]


def test_an_audit_of_a_slice_draws_the_whole_chunks_it_comes_from():
    contents = [REAL[number % 5][number:] for number in range(1100)]
    rows = list(snippets.extract(table(contents)))
    python = [row for row in rows if row["raw_index"] > 1000][::3]
    audited = snippets.audit(python, {"python": table(contents)})
    assert audited.counts == {"python": {"reproduced": len(python)}}
    # Another seed draws other lines of the same documents.
    audited = snippets.audit(python, {"python": table(contents)}, seed=977)
    assert audited.reproduced < len(python) / 10
    assert {row["verdict"] for row in audited.different} == {"another part of the document"}


def test_an_audit_says_why_a_row_cannot_be_reproduced():
    rows = [
        {"lang": "python", "raw_index": 0, "seed": REAL[0].splitlines(keepends=True)[0], "index": 4, "problem": "p"},
        {"lang": "python", "raw_index": 99, "seed": "x"},
        {"lang": "swift", "raw_index": 0, "seed": "x"},
        {"lang": "python", "raw_index": 1, "seed": "no line of it"},
    ]
    audited = snippets.audit(rows, {"python": table(REAL)})
    reasons = ["another part of the document", "no such document", "no such document", "not in the document"]
    assert [row["verdict"] for row in audited.different] == reasons
    assert set(audited.different[0]) == {"lang", "raw_index", "index", "seed", "drawn", "verdict"}
    assert audited.counts["swift"] == {"no such document": 1}
    with pytest.raises(ParameterError, match="row 1 has no column 'raw_index'"):
        snippets.audit([{"lang": "python", "seed": "x", "index": 1}], {"python": table(REAL)})
