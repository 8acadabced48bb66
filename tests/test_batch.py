import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import pytest

from magicoder_kit import batch, runs
from magicoder_kit.errors import ParameterError, RunError

KIT = Path(batch.__file__).parents[1]

FIRST = """
run_name = "demo"  # the run's folder below outputs/
outputs = ""  # the folder that holds runs; "" is the repository's
limit = 3  # rows to write
rate = 0.5
label = "plain"  # what a row is called
loud = False
langs = ["python"]
"""
FIRST_BODY = """
from magicoder_kit import runs
stage = runs.open_stage("01_snippet_sampling", run_name=run_name, outputs=outputs,
                        parameters={"limit": limit, "label": label})
stage.write_table("snippets.jsonl", ({"index": index, "label": label} for index in range(limit)))
"""
SECOND = """
run_name = "demo"
outputs = ""
seconds = 0.0  # how long the slow cell takes
fail = ""
"""
SECOND_BODY = """
from magicoder_kit import runs
import os, sys, time
from pathlib import Path
stage = runs.open_stage("02_prompt_exploration", run_name=run_name, outputs=outputs, parameters={"fail": fail},
                        inputs=["01_snippet_sampling/snippets.jsonl"])
Path(f"{stage.run}/kernel.json").write_text(f'["{sys.executable}", {os.getpid()}]')
print("cwd", os.getcwd(), "key", os.environ.get("TEACHER_API_KEY"))
time.sleep(seconds)
"""
SECOND_END = """
from magicoder_kit.errors import TeacherError
if fail == "kit":
    raise TeacherError("the teacher refused the key; set OPENAI_API_KEY")
if fail == "other":
    raise ValueError("seven is not eight")
if fail == "die":
    os._exit(9)
stage.record(kept=3)
print(stage.finish())
"""


def write_notebook(path: Path, parameters: str, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source.strip()) for source in (parameters, *cells)]
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two short notebooks, and this kit importable in their kernels."""
    write_notebook(tmp_path / "notebooks" / "01_snippet_sampling.ipynb", FIRST, FIRST_BODY, "print(stage.finish())")
    write_notebook(tmp_path / "notebooks" / "02_prompt_exploration.ipynb", SECOND, SECOND_BODY, SECOND_END)
    (tmp_path / "params" / "offline").mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(KIT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_profile(repository: Path, profile: str, notebook: str, text: str) -> None:
    path = repository / "params" / profile / f"{notebook}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))


def start_cli(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "magicoder_kit.cli", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # Whoever runs the tests in the background of a shell hands on that Ctrl-C is ignored.
    listens = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    return subprocess.Popen(command, env=os.environ | environment, start_new_session=True, **pipes, **listens)


def wait_for(path: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_parameters_are_read_with_default_help_and_type_and_nothing_is_run(repository):
    found = batch.notebook_parameters(repository / "notebooks" / "01_snippet_sampling.ipynb")
    assert found["limit"] == (3, "rows to write", int)
    assert found["outputs"] == ("", 'the folder that holds runs; "" is the repository\'s', str)
    assert found["langs"] == (["python"], "", list)


@pytest.mark.parametrize("line", ["x = None", "import os", "x = open('y')", "x = y = 1", "x = (1, 2)"])
def test_a_parameters_cell_holds_plain_assignments_alone(line, tmp_path):
    write_notebook(tmp_path / "01_odd.ipynb", line)
    with pytest.raises(ParameterError, match="parameter"):
        batch.notebook_parameters(tmp_path / "01_odd.ipynb")


def test_a_profile_changes_what_it_names_and_a_setting_goes_before_it(repository):
    write_profile(repository, "ablations/small", "01_snippet_sampling", "limit: 7\nrate: 1\n")
    first, second = batch.check("ablations/small", {"1.limit": 9})
    assert first.parameters["limit"] == 9
    assert first.parameters["rate"] == 1.0
    assert first.parameters["label"] == "plain"
    assert second.parameters["seconds"] == 0.0


@pytest.mark.parametrize(
    ("notebook", "text", "says"),
    [
        (
            "01_snippet_sampling",
            "limitt: 3",
            r"01_snippet_sampling.yaml: .* no parameter 'limitt'; the nearest is 'limit'",
        ),
        ("01_snippet_sampling", "limit: many", "limit of 01_snippet_sampling is a int, given str 'many'"),
        ("01_snippet_sampling", "limit: 3.5", "is a int, given float 3.5"),
        ("01_snippet_sampling", "limit: true", "is a int, given bool True"),
        ("01_snippet_sampling", "rate: 1e-5", r"is a float, given str '1e-5'; write 1.0e-05"),
        ("01_snippet_sampling", "label: 7", "is a str, given int 7; put it in quotes"),
        ("01_snippet_sampling", "label:", "is a str, given nothing"),
        ("01_snippet_sampling", "loud: 1", "is a bool, given int 1"),
        ("01_snippet_sampling", "label: ok\nlimit: [3", r"odd/01_snippet_sampling.yaml, line \d is not YAML"),
        ("01_snippet_sampling", "- limit", "must hold lines 'name: value'"),
        ("01_snipet_sampling", "limit: 3", "is for no notebook; the nearest is 01_snippet_sampling"),
    ],
)
def test_a_wrong_profile_is_refused_in_one_line(repository, notebook, text, says):
    write_profile(repository, "odd", notebook, text)
    with pytest.raises(ParameterError, match=says) as refused:
        batch.check("odd")
    assert "\n" not in str(refused.value)


def test_an_unknown_profile_is_refused_with_the_nearest_first(repository):
    write_profile(repository, "colab-t4", "01_snippet_sampling", "limit: 5")
    with pytest.raises(ParameterError, match="no profile 'colab-t5'; there are colab-t4, offline"):
        batch.check("colab-t5")
    with pytest.raises(ParameterError, match=r"no profile '\.\./params/offline'"):
        batch.check("../params/offline")


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("limit", "write NOTEBOOK.NAME=VALUE"),
        ("9.limit", "no notebook '9'"),
        ("01.run_name", "use --run-name"),
        ("01.lmit", "nearest is 'limit'"),
    ],
)
def test_a_wrong_setting_is_refused(repository, setting, says):
    with pytest.raises(ParameterError, match=says):
        batch.check("offline", {setting: 3})


def test_a_secret_is_no_parameter(repository, monkeypatch):
    monkeypatch.setenv("TEACHER_API_KEY", "0123456789abcdef")
    with pytest.raises(ParameterError, match="label holds a secret") as refused:
        batch.check("offline", {"01.label": "0123456789abcdef"})
    assert "0123456789abcdef" not in str(refused.value)


@pytest.mark.parametrize("name", ["2", "02", "02_prompt", "prompt_exploration", "02_prompt_exploration"])
def test_a_notebook_is_known_by_number_name_or_beginning(name):
    assert batch.match_notebook(name, ["01_snippet_sampling", "02_prompt_exploration"]) == "02_prompt_exploration"


def test_what_stands_is_skipped_and_what_changed_says_why(repository, capsys, monkeypatch):
    # A kernel a person installed under the same name would run another Python, or, as here, none.
    spec = repository / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/bin/false"], "display_name": "elsewhere", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(repository / "jupyter"))
    monkeypatch.setenv("TEACHER_API_KEY", 'quote"and\\slash-secret')

    made = batch.run("offline")
    run = repository / "outputs" / "offline"
    assert made["run"] == str(run)
    assert made["executed"] == ["01_snippet_sampling", "02_prompt_exploration"]
    progress = capsys.readouterr().err.splitlines()
    assert len(progress) == 2
    assert "not run yet" in progress[0]
    assert "snippets 3" in progress[0]
    assert json.loads((run / "kernel.json").read_text())[0] == sys.executable
    copy = (run / "notebooks" / "02_prompt_exploration.ipynb").read_text()
    assert f"cwd {repository} key [TEACHER_API_KEY]" in copy
    assert "slash-secret" not in "".join(path.read_text() for path in run.rglob("*") if path.is_file())
    described = json.loads((run / "run.json").read_text())
    assert described["profile"] == "offline"
    assert described["parameters"]["01_snippet_sampling"]["limit"] == 3

    assert batch.run("offline")["executed"] == []
    assert all(line.endswith("up to date") for line in capsys.readouterr().err.splitlines())
    assert json.loads((run / "run.json").read_text())["created"] == described["created"]

    made = batch.run("offline", settings={"01.limit": 4})
    assert made["executed"] == ["01_snippet_sampling", "02_prompt_exploration"]
    first, second = capsys.readouterr().err.splitlines()
    assert "parameter limit was 3 and is 4" in first
    assert "input 01_snippet_sampling/snippets.jsonl changed" in second

    assert batch.run("offline", only="2", settings={"01.limit": 4})["executed"] == ["02_prompt_exploration"]
    made = batch.run("offline", start="01", settings={"01.limit": 4})
    assert made["executed"] == ["01_snippet_sampling", "02_prompt_exploration"]
    assert not list(run.rglob("*.part"))


@pytest.mark.parametrize(
    ("fail", "says"),
    [
        (
            "kit",
            r"in cell \[4\]: from magicoder_kit.errors import TeacherError\n  the teacher refused the key; set \S+$",
        ),
        ("other", r"in cell \[4\]: from magicoder_kit.errors import TeacherError\n  ValueError: seven is not eight\n"),
        ("die", r"failed: Kernel died; it was killed, or memory ran out\n"),
    ],
)
def test_a_failing_cell_is_told_and_what_came_before_is_kept(repository, fail, says):
    with pytest.raises(batch.StageFailed, match=f"^02_prompt_exploration {says}" if fail == "die" else says):
        batch.run("offline", settings={"02.fail": fail})
    run = repository / "outputs" / "offline"
    assert runs.read_manifest(run / "01_snippet_sampling")["status"] == "done"
    copy = nbformat.read(run / "notebooks" / "02_prompt_exploration.ipynb", as_version=4)
    ended = [
        output.ename for cell in copy.cells if cell.cell_type == "code" for output in cell.outputs if "ename" in output
    ]
    assert ended == {"kit": ["TeacherError"], "other": ["ValueError"], "die": []}[fail]
    assert batch.run("offline")["executed"] == ["02_prompt_exploration"]


def test_a_relative_outputs_folder_lies_in_the_repository_for_command_and_notebook_alike(repository, monkeypatch):
    write_profile(repository, "elsewhere", "01_snippet_sampling", "outputs: else/where")
    with pytest.raises(ParameterError, match="need one 'outputs' folder"):
        batch.check("elsewhere")
    write_profile(repository, "elsewhere", "02_prompt_exploration", "outputs: else/where")
    monkeypatch.chdir(repository / "params")
    made = batch.run("elsewhere", only="1")
    assert made["run"] == str(repository / "else" / "where" / "elsewhere")
    assert (Path(made["run"]) / "01_snippet_sampling" / "snippets.jsonl").exists()


def test_a_run_that_is_in_use_is_refused(repository):
    with runs.lock(repository / "outputs" / "offline"), pytest.raises(RunError, match="in use by process"):
        batch.run("offline")


def test_a_killed_run_takes_its_kernel_along_and_goes_on_when_started_again(repository):
    run = repository / "outputs" / "mine"
    first = start_cli("run", "offline", "--run-name", "mine", "--set", "02.seconds=600")
    wait_for(run / "kernel.json")
    second = start_cli("run", "offline", "--run-name", "mine")
    refused = second.communicate(timeout=60)[1]
    assert second.returncode == 2
    assert refused.count("\n") == 1
    assert f"in use by process {first.pid}" in refused

    kernel = json.loads((run / "kernel.json").read_text())[1]
    assert is_alive(kernel)
    first.kill()
    first.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while is_alive(kernel) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_alive(kernel)
    nbformat.read(run / "notebooks" / "02_prompt_exploration.ipynb", as_version=4)

    third = start_cli("run", "offline", "--run-name", "mine")
    told = third.communicate(timeout=120)[1]
    assert third.returncode == 0, told
    first_line, second_line = told.splitlines()
    assert first_line.endswith("up to date")
    assert "stopped before its end" in second_line


def test_ctrl_c_stops_the_kernel_and_ends_in_one_line(repository):
    cli = start_cli("run", "offline", "--set", "02.seconds=600")
    run = repository / "outputs" / "offline"
    wait_for(run / "kernel.json")
    time.sleep(0.5)
    kernel = json.loads((run / "kernel.json").read_text())[1]
    cli.send_signal(signal.SIGINT)
    told = cli.communicate(timeout=30)[1]
    assert cli.returncode == 130, told
    assert "stopped; the same command goes on from here" in told.splitlines()[-1]
    assert "Traceback" not in told
    assert not is_alive(kernel)
