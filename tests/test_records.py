"""A file is whole or not there, and a journal loses at most what was being written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magicoder_kit import records
from magicoder_kit.errors import RunError

REPOSITORY = Path(__file__).parents[1]

TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)
"""Any text JSON can carry: line separators of every kind, control characters, halves of surrogate pairs."""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ROWS = st.lists(st.dictionaries(TEXT, VALUES, max_size=4), max_size=6)


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python of its own that can import the kit."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY, env=os.environ
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a process that must end well, and return what it printed."""
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    return out


@settings(deadline=None)
@given(rows=ROWS)
def test_rows_come_back_as_they_were_written(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "rows.jsonl"
    assert records.write_jsonl(path, rows) == len(rows)
    assert records.read_jsonl(path) == rows
    assert len(path.read_bytes().split(b"\n")) == len(rows) + 1


def test_rows_come_back_from_parquet(tmp_path):
    rows = [{"lang": "python", "index": 1, "seed": "é\n"}, {"lang": "cpp", "index": 2, "seed": ""}]
    assert records.write_parquet(tmp_path / "rows.parquet", rows) == 2
    assert records.read_parquet(tmp_path / "rows.parquet") == rows


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "rows.jsonl"
    records.write_jsonl(path, [{"a": 1}])

    def rows():
        yield {"a": 2}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        records.write_jsonl(path, rows())
    assert records.read_jsonl(path) == [{"a": 1}]
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_reader_never_sees_a_file_that_is_half_written(tmp_path):
    path = tmp_path / "rows.jsonl"
    writer = python(
        """
import sys
from pathlib import Path
from magicoder_kit import records
for turn in range(100000):
    records.write_jsonl(Path(sys.argv[1]), [{"turn": turn, "fill": "x" * 5000}] * 50)
""",
        path,
    )
    try:
        deadline = time.monotonic() + 30
        seen = set()
        while len(seen) < 10 and time.monotonic() < deadline:
            if path.exists():
                rows = records.read_jsonl(path)
                assert len(rows) == 50
                assert len({row["turn"] for row in rows}) == 1
                seen.add(rows[0]["turn"])
        assert len(seen) == 10
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()


def test_a_written_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "plain").touch()
    records.write_json(tmp_path / "ours", {})
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"could not write .*rows\.jsonl: .*choose another folder") as caught:
        records.write_jsonl(tmp_path / "file" / "rows.jsonl", [])
    assert "\n" not in str(caught.value)


def test_a_missing_table_names_the_stage_that_makes_it(tmp_path):
    with pytest.raises(RunError, match=r"03_generation/examples\.jsonl is missing; .*\(03_generation\)"):
        records.read_jsonl(tmp_path / "03_generation" / "examples.jsonl")


@pytest.mark.parametrize("line", ["[1]", "{", "", "\xff"])
def test_a_damaged_table_names_its_line(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line.encode("latin-1") + b'\n{"a": 2}\n')
    with pytest.raises(RunError, match=r"rows\.jsonl, line 2 is not a JSON object"):
        records.read_jsonl(path)


# Journals.


@settings(deadline=None)
@given(rows=st.lists(st.dictionaries(TEXT, VALUES, max_size=4), min_size=1, max_size=5), data=st.data())
def test_a_journal_cut_at_any_byte_keeps_every_whole_line_and_goes_on(tmp_path_factory, rows, data):
    path = tmp_path_factory.getbasetemp() / "cut.journal.jsonl"
    path.unlink(missing_ok=True)
    with records.Journal(path) as journal:
        for row in rows:
            journal.append(row)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)), label="cut")
    path.write_bytes(whole[:cut])
    survivors = rows[: whole[:cut].count(b"\n")]

    journal = records.Journal(path)
    assert list(journal.rows()) == survivors
    assert journal.dropped_bytes == cut - (whole[:cut].rfind(b"\n") + 1)
    journal.append({"after": "the cut"})
    journal.close()
    assert list(records.Journal(path).rows()) == [*survivors, {"after": "the cut"}]


@pytest.mark.parametrize("tail", [1, 65_535, 65_536, 65_537, 131_072, 1_000_000])
@pytest.mark.parametrize("before", [b"", b'{"a": 1}\n', b'{"a": "' + b"x" * 65_526 + b'"}\n'])
def test_a_torn_line_of_any_length_is_dropped(tmp_path, tail, before):
    path = tmp_path / "big.journal.jsonl"
    path.write_bytes(before + b"y" * tail)
    journal = records.Journal(path)
    journal.append({"b": 2})
    journal.close()
    assert path.read_bytes() == before + b'{"b": 2}\n'
    assert journal.dropped_bytes == tail


def test_a_damaged_line_before_the_last_is_an_error_and_nothing_is_thrown_away(tmp_path):
    path = tmp_path / "a.journal.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a"\n{"a": 2}\n')
    with pytest.raises(RunError, match="line 2 is damaged"):
        list(records.Journal(path).rows())
    assert path.read_bytes() == b'{"a": 1}\n{"a"\n{"a": 2}\n'


def test_a_journal_that_was_never_written_has_no_rows_and_no_file(tmp_path):
    journal = records.Journal(tmp_path / "none.journal.jsonl")
    assert list(journal.rows()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_loses_no_row_it_had_appended(tmp_path):
    path = tmp_path / "killed.journal.jsonl"
    writer = python(
        """
import sys
from pathlib import Path
from magicoder_kit import records
journal = records.Journal(Path(sys.argv[1]))
for number in range(10**9):
    journal.append({"number": number, "fill": "é" * 3000})
    print(number, flush=True)
""",
        path,
    )
    for _ in range(50):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    said = [int(line) for line in writer.communicate()[0].split()]
    rows = list(records.Journal(path).rows())
    assert [row["number"] for row in rows] == list(range(len(rows)))
    assert len(rows) > max(said, default=49)


LIMIT = """
import json, resource, sys
from pathlib import Path
from magicoder_kit import records
from magicoder_kit.errors import RunError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
path = Path(sys.argv[1])
"""
"""A process whose files cannot grow beyond 20 KB, as on a disk that is full there."""


def test_a_full_disk_leaves_the_old_table_and_is_one_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    records.write_jsonl(path, [{"a": 1}])
    script = """
try:
    records.write_jsonl(path, ({"fill": "x" * 900} for _ in range(100)))
except RunError as error:
    print(error)
"""
    said = finish(python(LIMIT + script, path)).splitlines()
    assert len(said) == 1
    assert "could not write" in said[0]
    assert "free some space" in said[0]
    assert records.read_jsonl(path) == [{"a": 1}]
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_journal_on_a_full_disk_keeps_whole_rows_and_goes_on_when_there_is_space(tmp_path):
    path = tmp_path / "full.journal.jsonl"
    script = """
journal = records.Journal(path)
kept = []
for number in range(100):
    row = {"number": number, "fill": "x" * 900}
    try:
        journal.append(row)
        kept.append(number)
    except RunError as error:
        failure = str(error)
        if number > 30:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(json.dumps({"kept": kept, "failure": failure}))
"""
    said = json.loads(finish(python(LIMIT + script, path)))
    assert "could not append" in said["failure"]
    assert "\n" not in said["failure"]
    assert 0 < len(said["kept"]) < 100
    assert [row["number"] for row in records.Journal(path).rows()] == said["kept"]


def test_a_file_of_rows_is_a_sequence_that_reads_what_is_asked_for(tmp_path):
    rows = [{"n": n, "text": "é\n" * n} for n in range(7)]
    records.write_jsonl(tmp_path / "rows.jsonl", rows)
    read = records.Rows(tmp_path / "rows.jsonl")
    assert (len(read), read[0], read[-1], read[2:5]) == (7, rows[0], rows[6], rows[2:5])
    assert list(read) == rows
    assert list(reversed(read)) == rows[::-1]
    with pytest.raises(IndexError):
        read[7]
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\nno row\n')
    with pytest.raises(RunError, match=r"rows\.jsonl, line 2 is not a JSON object"):
        list(records.Rows(tmp_path / "rows.jsonl"))
    with pytest.raises(RunError, match="is missing; run the notebook that makes it first"):
        records.Rows(tmp_path / "none.jsonl")


def test_a_journals_row_is_found_again_where_it_began(tmp_path):
    journal = records.Journal(tmp_path / "a.journal.jsonl")
    rows = [{"n": n, "text": "ü" * n} for n in range(5)]
    journal.append(*rows)
    journal.sync()
    places = [begin for begin, _ in journal.entries()]
    assert [journal.read_at(begin) for begin in reversed(places)] == rows[::-1]
