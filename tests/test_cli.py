import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

import magicoder_kit

KIT = Path(magicoder_kit.__file__).parents[1]

BODY = """
from magicoder_kit import runs
stage = runs.open_stage("04_cleaning_decontamination", run_name=run_name, outputs=outputs, parameters={"label": label})
stage.record(kept=limit, responses=9)
stage.finish()
"""


def kit(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "magicoder_kit.cli", *arguments]
    environment = os.environ | {"PYTHONPATH": str(KIT)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    notebook = nbformat.v4.new_notebook()
    parameters = 'run_name = "demo"\noutputs = ""\nlimit = 5\nlabel = "a"\nlangs = ["python"]'
    notebook.cells = [nbformat.v4.new_code_cell(parameters), nbformat.v4.new_code_cell(BODY.strip())]
    notebook.cells[0].metadata["tags"] = ["parameters"]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "params").mkdir()
    nbformat.write(notebook, tmp_path / "notebooks" / "04_cleaning_decontamination.ipynb")
    return tmp_path


def test_help_answers_without_loading_anything_heavy(tmp_path):
    began = time.monotonic()
    told = kit("--help", cwd=tmp_path)
    assert time.monotonic() - began < 1.0
    assert all(command in told.stdout for command in ("run", "check", "doctor", "report"))
    loaded = "import sys, magicoder_kit.cli; print([m for m in ('torch', 'papermill', 'pandas') if m in sys.modules])"
    command = [sys.executable, "-c", loaded]
    assert subprocess.run(command, cwd=KIT, capture_output=True, text=True).stdout.strip() == "[]"


def test_version_is_the_kits(tmp_path):
    assert magicoder_kit.__version__ in kit("--version", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "ofline"], "no profile 'ofline'; there are offline"),
        (["run", "offline", "--set", "04.limt=3"], "the nearest is 'limit'"),
        (["run", "offline", "--set", "04.limit=three"], "is a int, given str 'three'"),
        (["run", "offline", "--set", "04.limit"], "write NOTEBOOK.NAME=VALUE"),
        (["run", "offline", "--set", "04.langs=[a"], "the value is not YAML"),
        (["run", "offline", "--from", "9"], "no notebook '9'"),
        (["run", "offline", "--from", "4", "--only", "4"], "exclude each other"),
        (["run", "offline", "--run-name", "../x"], "run name '../x'"),
        (["run"], "Missing argument 'PROFILE'"),
        (["check", "ofline"], "no profile 'ofline'"),
        (["report", "nothing"], "no run 'nothing'"),
        (["frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_a_persons_mistake_is_one_line_and_status_2(repository, arguments, says):
    told = kit(*arguments, cwd=repository)
    assert told.returncode == 2
    assert says in told.stderr
    assert told.stderr.count("\n") == 1
    assert not (repository / "outputs" / "offline").exists()


def test_outside_a_repository_the_line_says_where_to_go(tmp_path):
    told = kit("check", "offline", cwd=tmp_path)
    assert told.returncode == 2
    assert "change into the kit's repository" in told.stderr


def test_settings_are_yaml_and_reach_the_notebook(repository):
    told = kit("run", "offline", "--set", "04.limit=7", "--set", '04.label="8"', cwd=repository)
    assert told.returncode == 0, told.stderr
    assert "rows kept  7 of 9 responses" in told.stdout
    described = json.loads((repository / "outputs" / "offline" / "run.json").read_text())
    assert described["parameters"]["04_cleaning_decontamination"]["label"] == "8"
    assert "--set 04.limit=7" in described["command"]

    told = kit("report", "offline", cwd=repository)
    assert told.returncode == 0, told.stderr
    assert Path(told.stdout.strip()).read_text().startswith("<!doctype html>")


def test_check_says_what_a_profile_changes_and_runs_nothing(repository):
    told = kit("check", "offline", "--set", "cleaning.limit=2", cwd=repository)
    assert told.returncode == 0
    assert "04_cleaning_decontamination: limit=2" in told.stdout
    assert not (repository / "outputs").exists()


def test_a_stage_that_fails_is_status_1_with_its_cell(repository):
    told = kit("run", "offline", "--set", "04.langs=[]", "--set", "04.label=''", "--run-name", "x", cwd=repository)
    assert told.returncode == 0
    path = repository / "notebooks" / "04_cleaning_decontamination.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("missing_name + 1"))
    nbformat.write(notebook, path)
    told = kit("run", "offline", cwd=repository)
    assert told.returncode == 1
    assert "04_cleaning_decontamination failed in cell [4]: missing_name + 1" in told.stderr
    assert "NameError: name 'missing_name' is not defined" in told.stderr
    assert "Traceback (most recent" not in told.stderr


def test_doctor_tells_what_there_is_and_never_a_key(repository, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-indeed")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    told = kit("doctor", cwd=repository)
    assert told.returncode == 0, told.stderr
    assert "[ok] Python" in told.stdout
    assert "OPENAI_API_KEY: present" in told.stdout
    assert "[--] HF_TOKEN: absent" in told.stdout
    assert "sk-very" not in told.stdout + told.stderr
    for looked_at in ("device", "bitsandbytes", "sandbox", "g++", "swiftc", "disk", "memory", "text encoder"):
        assert looked_at in told.stdout
