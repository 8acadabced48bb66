"""A run explains itself, survives a kill, is not made twice, and keeps no secret."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from magicoder_kit import records, runs
from magicoder_kit.errors import KitError, ParameterError, RunError

REPOSITORY = Path(__file__).parents[1]
SECRET = 'sesame"\\é-opens-123'
"""A secret whose every odd character JSON writes in another way."""

HOLD = """
import sys, time
from magicoder_kit import runs
stage = runs.open_stage("01_a", run_name="r", outputs=sys.argv[1], parameters={"seed": 1})
stage.write_table("rows.jsonl", [{"a": 1}])
stage.journal("asked.journal.jsonl").append({"asked": 1})
print("open", flush=True)
time.sleep(600)
"""

TRY = """
import sys
from magicoder_kit import runs
from magicoder_kit.errors import KitError
try:
    stage = runs.open_stage("01_a", run_name="r", outputs=sys.argv[1], parameters={"seed": 1})
    print(stage.news)
    print(stage.finish())
except KitError as error:
    print(error)
    sys.exit(2)
"""


@pytest.fixture
def outputs(tmp_path):
    return str(tmp_path)


def open_stage(outputs, name="01_a", *, inputs=(), **parameters):
    return runs.open_stage(name, run_name="r", outputs=outputs, parameters=parameters, inputs=inputs)


def make(outputs, name="01_a", *, inputs=(), rows=({"a": 1},), **parameters):
    stage = open_stage(outputs, name, inputs=inputs, **parameters)
    stage.write_table("rows.jsonl", rows)
    stage.finish()
    return stage


def python(script, *arguments, environment=None):
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {})},
    )


def said(process):
    out, err = process.communicate(timeout=30)
    assert process.returncode in (0, 2), err
    return process.returncode, out.strip().splitlines()


@pytest.fixture
def holder(outputs):
    process = python(HOLD, outputs)
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


# What is made, and when it is made again.


def test_a_finished_stage_is_not_stale_and_its_manifest_says_what_it_is(outputs):
    stage = open_stage(outputs, seed=1, langs=["python"])
    assert stage.news == "new stage"
    stage.write_table("rows.jsonl", [{"a": 1}, {"a": 2}])
    stage.write_json("facts.json", {"é": 1})
    stage.save_figure("lines", Figure())
    stage.record(rate=2.5)
    stage.reject({"empty": 3})
    line = stage.finish()
    assert "2 rows in rows.jsonl" in line
    assert "\n" not in line

    manifest = runs.read_manifest(stage.path)
    assert manifest["status"] == "done"
    assert manifest["parameters"] == {"seed": 1, "langs": ["python"]}
    assert manifest["counts"] == {"rows.jsonl": 2}
    assert manifest["rejected"] == {"empty": 3}
    assert manifest["results"] == {"rate": 2.5}
    assert manifest["peak_memory_mb"] > 10
    assert manifest["versions"]["python"] == sys.version.split()[0]
    assert manifest["hardware"]["cores"] >= 1
    assert runs.why_stale(stage.path, {"seed": 1, "langs": ["python"], "only_speed": 9}) == ""


def test_the_manifest_holds_the_sha256_of_every_file_written(outputs):
    stage = open_stage(outputs, seed=1)
    stage.write_table("rows.jsonl", [{"a": 1}])
    stage.write_text("note.txt", "seen")
    stage.save_figure("lines", Figure())
    stage.journal("asked.journal.jsonl").append({"asked": 1})
    stage.finish()
    described = runs.read_manifest(stage.path)["files"]
    written = {str(f.relative_to(stage.path)): f for f in stage.path.rglob("*") if f.is_file()}
    del written["manifest.json"]
    assert set(described) == set(written)
    assert len(written) == 5
    for name, file in written.items():
        assert described[name]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert described[name]["bytes"] == file.stat().st_size


def test_a_figure_drawn_again_is_the_same_bytes(outputs):
    stage = open_stage(outputs, seed=1)
    drawn = []
    for _ in range(2):
        figure = Figure()
        figure.subplots().plot([1, 2], label="a")
        stage.save_figure("lines", figure)
        drawn.append([stage.file(f"figures/lines.{suffix}").read_bytes() for suffix in ("png", "svg")])
    stage.finish()
    assert drawn[0] == drawn[1]


def test_the_fingerprint_follows_parameters_inputs_name_and_nothing_else():
    first = runs.fingerprint("01_a", {"x": 1, "y": 2}, {"in": "digest"})
    assert first == runs.fingerprint("01_a", {"y": 2, "x": 1}, {"in": "digest"})
    others = [
        runs.fingerprint("01_a", {"x": 1, "y": 3}, {"in": "digest"}),
        runs.fingerprint("01_a", {"x": 1, "y": 2}, {"in": "other"}),
        runs.fingerprint("01_a", {"x": 1, "y": 2}, {}),
        runs.fingerprint("02_b", {"x": 1, "y": 2}, {"in": "digest"}),
    ]
    assert len({first, *others}) == 5


def test_a_stage_says_why_it_must_be_run_again(outputs, tmp_path):
    first = make(outputs, seed=1)
    path = make(outputs, "02_b", inputs=["01_a/rows.jsonl"], chunk=5).path
    assert runs.why_stale(path, {"chunk": 5}) == ""
    assert runs.why_stale(path.parent / "03_c", {}) == "not run yet"
    assert runs.why_stale(path, {"chunk": 6}) == "parameter chunk was 5 and is 6"

    # Touched and rewritten with the same bytes is not changed.
    table = path / "rows.jsonl"
    table.write_bytes(table.read_bytes())
    os.utime(table, (1, 1))
    assert runs.why_stale(path, {"chunk": 5}) == ""
    kept = table.read_bytes()
    table.write_bytes(kept + b"\n")
    assert runs.why_stale(path, {"chunk": 5}) == "rows.jsonl was changed"
    table.unlink()
    assert runs.why_stale(path, {"chunk": 5}) == "rows.jsonl was removed"
    table.write_bytes(kept)

    records.write_jsonl(first.path / "rows.jsonl", [{"a": 2}])
    assert runs.why_stale(path, {"chunk": 5}) == "input 01_a/rows.jsonl changed"
    make(outputs, seed=1)
    assert runs.why_stale(path, {"chunk": 5}) == ""
    open_stage(outputs, "02_b", inputs=["01_a/rows.jsonl"], chunk=5)
    assert runs.why_stale(path, {"chunk": 5}) == "stopped before its end"


def test_a_stage_of_another_kit_version_is_made_again(outputs, monkeypatch):
    path = make(outputs, seed=1).path
    monkeypatch.setattr("magicoder_kit.__version__", "99.0")
    assert "and is 99.0" in runs.why_stale(path, {"seed": 1})


def test_a_folder_as_input_changes_with_the_files_in_it(outputs, tmp_path):
    corpus = tmp_path / "corpus"
    (corpus / "deep").mkdir(parents=True)
    (corpus / "deep" / "a.py").write_text("a = 1\n")
    path = make(outputs, inputs=[str(corpus), runs.ENVIRONMENT], seed=1).path
    assert runs.why_stale(path, {"seed": 1}) == ""
    (corpus / "deep" / "b.py").write_text("b = 1\n")
    assert runs.why_stale(path, {"seed": 1}) == f"input {corpus} changed"


def test_a_changed_parameter_empties_the_folder_but_keeps_its_journals(outputs):
    stage = open_stage(outputs, seed=1)
    stage.write_table("rows.jsonl", [{"a": 1}])
    stage.save_figure("lines", Figure())
    stage.journal("asked.journal.jsonl").append({"asked": 1})
    stage.finish()
    again = open_stage(outputs, seed=2)
    assert again.news == "made again: parameter seed was 1 and is 2"
    assert sorted(file.name for file in again.path.iterdir()) == ["asked.journal.jsonl", "manifest.json"]
    assert list(again.journal("asked.journal.jsonl").rows()) == [{"asked": 1}]
    again.finish()


def test_parameters_are_picked_from_the_notebook_and_a_cell_not_run_is_named():
    assert runs.pick({"seed": 1, "outputs": "", "limit": 2.5}, "limit seed") == {"limit": 2.5, "seed": 1}
    with pytest.raises(ParameterError, match=r"^limit, form not set; run the notebook's parameters cell first$"):
        runs.pick({"seed": 1}, "limit seed form")


def test_an_unchanged_stage_keeps_its_files(outputs):
    make(outputs, seed=1)
    again = open_stage(outputs, seed=1)
    assert again.news.startswith("done before with the same parameters")
    assert records.read_jsonl(again.file("rows.jsonl")) == [{"a": 1}]
    again.finish()


def test_whoever_dies_while_a_stage_is_emptied_leaves_what_says_that_it_must_be(outputs):
    path = make(outputs, seed=1).path
    runs.stages._empty(path)
    assert runs.why_stale(path, {"seed": 2}) == "parameter seed was 1 and is 2"
    assert [file.name for file in path.iterdir()] == ["manifest.json"]


def test_several_tables_are_written_in_one_pass_whole_or_not_at_all(outputs):
    stage = open_stage(outputs)
    rows = [("even.jsonl" if n % 2 == 0 else "odd.jsonl", {"n": n}) for n in range(5)]
    stage.write_tables(["even.jsonl", "odd.jsonl", "none.jsonl"], iter(rows))
    stage.finish()
    assert runs.read_manifest(stage.path)["counts"] == {"even.jsonl": 3, "odd.jsonl": 2, "none.jsonl": 0}
    assert records.read_jsonl(stage.file("odd.jsonl")) == [{"n": 1}, {"n": 3}]

    def torn():
        yield "odd.jsonl", {"n": 7}
        raise RuntimeError("killed here")

    again = open_stage(outputs)
    with pytest.raises(RuntimeError):
        again.write_tables(["even.jsonl", "odd.jsonl"], torn())
    assert records.read_jsonl(again.file("odd.jsonl")) == [{"n": 1}, {"n": 3}]
    again.finish()


def test_a_missing_input_names_the_notebook_that_makes_it(outputs):
    with pytest.raises(RunError, match=r"01_a/rows\.jsonl is missing; run notebook 01_a on this run first$"):
        open_stage(outputs, "02_b", inputs=["01_a/rows.jsonl"])
    with pytest.raises(RunError, match=r"^/no/such\.jsonl is missing; name one that exists$"):
        open_stage(outputs, "02_b", inputs=["/no/such.jsonl"])
    make(outputs)  # The lock was given back.


def test_a_finished_stage_takes_no_more_writes(outputs):
    stage = make(outputs)
    for write in (lambda: stage.write_table("a.jsonl", []), lambda: stage.journal("a.journal.jsonl"), stage.finish):
        with pytest.raises(RunError, match="finished and unlocked; run the notebook's opening cell"):
            write()


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a b"])
def test_a_run_name_that_is_no_folder_name_is_refused(outputs, name):
    with pytest.raises(ParameterError, match="use letters, digits"):
        runs.run_folder(name, outputs)


def test_a_notebook_and_its_repository_agree_on_where_runs_lie(tmp_path, monkeypatch):
    for folder in ("notebooks", "params"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert runs.outputs_folder() == tmp_path / "outputs"
    monkeypatch.chdir(tmp_path)
    assert runs.outputs_folder() == tmp_path / "outputs"
    assert runs.outputs_folder("elsewhere") == tmp_path / "elsewhere"


# Two processes, and processes that die.


def test_a_second_process_is_refused_in_one_line(outputs, holder):
    status, lines = said(python(TRY, outputs))
    assert status == 2
    assert len(lines) == 1
    assert f"is in use by process {holder.pid}" in lines[0]
    assert "choose another run_name" in lines[0]


def test_the_lock_dies_with_its_killed_holder_and_the_stage_goes_on(outputs, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    status, lines = said(python(TRY, outputs))
    assert status == 0
    assert lines[0] == "goes on where it was stopped"
    assert list(records.Journal(Path(outputs) / "r/01_a/asked.journal.jsonl").rows()) == [{"asked": 1}]


def test_a_killed_stage_ends_in_the_files_of_an_undisturbed_one(outputs, holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    stage_folder = Path(outputs) / "r/01_a"
    (stage_folder / ".rows.jsonl.abc.part").write_bytes(b'{"a"')  # What a kill within a write leaves.
    stage = make(outputs, seed=1)
    assert sorted(file.name for file in stage.path.iterdir()) == ["asked.journal.jsonl", "manifest.json", "rows.jsonl"]
    assert records.read_jsonl(stage.file("rows.jsonl")) == [{"a": 1}]


def test_a_child_is_let_in_by_its_token_and_a_stranger_is_not(outputs):
    run = runs.run_folder("r", outputs)
    file, token = runs.lock_for_children(run)
    with file:
        assert said(python(TRY, outputs, environment=token))[0] == 0
        status, lines = said(python(TRY, outputs))
        assert status == 2
        assert str(os.getpid()) in lines[0]
        wrong = dict.fromkeys(token, "0" * 32)
        assert said(python(TRY, outputs, environment=wrong))[0] == 2
    assert said(python(TRY, outputs))[0] == 0


def test_an_opening_cell_run_again_takes_the_run_over_from_itself(outputs):
    first = open_stage(outputs, seed=1)
    second = open_stage(outputs, seed=1)
    assert second.news == "goes on where it was stopped"
    with pytest.raises(RunError):
        first.write_table("rows.jsonl", [])
    assert said(python(TRY, outputs))[0] == 2
    second.finish()
    assert said(python(TRY, outputs))[0] == 0


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot write to .*; name another folder with 'outputs'"):
        open_stage(str(tmp_path / "file"))


# Secrets.


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "HF_TOKEN", "my_secret", "DB_PASSWORD"])
def test_a_secret_among_the_parameters_is_refused_and_not_repeated(outputs, monkeypatch, name):
    monkeypatch.setenv(name, SECRET)
    for value in (SECRET, {"headers": [f"Bearer {SECRET}"]}):
        with pytest.raises(ParameterError, match="parameter extra holds a secret") as caught:
            open_stage(outputs, extra=value)
        assert SECRET not in str(caught.value)
    assert not (Path(outputs) / "r/01_a/manifest.json").exists()


@pytest.mark.parametrize("value", ["sk-abcdefghij0123456789", "http://me:pass@host/v1"])
def test_what_looks_like_a_secret_is_refused_even_where_the_environment_has_none(outputs, value):
    with pytest.raises(KitError, match="holds a secret"):
        open_stage(outputs, api_base=value)


def test_secrets_are_scrubbed_from_everything_a_stage_says_of_itself(outputs, monkeypatch):
    monkeypatch.setenv("TEACHER_API_KEY", SECRET)
    stage = open_stage(outputs, seed=1)
    stage.record(error=f"401 for {SECRET}")
    stage.reject({f"refused {SECRET}": 1})
    stage.write_json("facts.json", {"said": SECRET})
    stage.write_text("note.txt", SECRET)
    stage.finish()
    for file in stage.path.iterdir():
        text = file.read_text()
        assert "[TEACHER_API_KEY]" in text
        for written in (SECRET, json.dumps(SECRET)[1:-1], json.dumps(SECRET, ensure_ascii=False)[1:-1]):
            assert written not in text
    assert runs.read_manifest(stage.path)["results"]["error"] == "401 for [TEACHER_API_KEY]"


def test_the_environment_is_the_same_wherever_a_process_starts(tmp_path):
    code = "import pathlib; from magicoder_kit import runs; print(runs.digest(runs.ENVIRONMENT, pathlib.Path()))"
    root = Path(runs.__file__).parents[1]
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=place, env=os.environ | {"PYTHONPATH": path}, **CAPTURED
        ).stdout
        for place, path in ((root, str(root)), (tmp_path, str(root)), (root, f"{root}:{root}"))
    }
    assert len(seen) == 1
    assert len(seen.pop().strip()) == 64


CAPTURED = {"capture_output": True, "text": True, "check": True}
