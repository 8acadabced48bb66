"""A profile's eight notebooks, run headless one after another through papermill.

``run("offline")`` checks every parameter before anything starts, skips the stages whose files still stand,
executes the others in kernels of the running Python, and keeps an executed copy of each in
``outputs/<run>/notebooks``. A copy is written after every cell, whole and without secrets.

The process may die at any moment: a kernel notices that its parent is gone within about a second and ends
itself, and the same call goes on where the stages' own journals and manifests say. Not covered: a kernel that
hangs in native code without releasing the interpreter outlives its parent until that code returns.
"""

import ast
import concurrent.futures
import contextlib
import datetime
import difflib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import magicoder_kit
from magicoder_kit import errors, records, runs, widgets
from magicoder_kit.errors import KitError, ParameterError
from magicoder_kit.records import Row

DEFAULT_PROFILE = "offline"
"""The profile that changes nothing: the notebooks' own defaults."""

_TYPES = (int, float, str, bool, list, dict)


class Parameter(NamedTuple):
    """One line of a notebook's parameters cell."""

    default: Any
    help: str
    type: type


class Plan(NamedTuple):
    """One notebook with every parameter it will run with."""

    name: str
    notebook: Path
    parameters: dict[str, Any]


class StageFailed(Exception):
    """A notebook stopped in one of its cells; everything before it is kept."""


def repository() -> Path:
    """Return the nearest folder, from the working directory upward, that has ``notebooks/`` and ``params/``."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "params").is_dir():
            return folder
    raise ParameterError(f"no folder with notebooks/ and params/ at or above {here}; change into the kit's repository")


def notebooks() -> dict[str, Path]:
    """Return the numbered notebooks by name, in order."""
    folder = repository() / "notebooks"
    found = {path.stem: path for path in sorted(folder.glob("[0-9]*_*.ipynb"))}
    if not found:
        raise ParameterError(f"{folder} holds no numbered notebook; check the repository out again")
    return found


def profiles() -> list[str]:
    """Return the profiles there are: ``offline`` and every folder below ``params`` that holds a YAML file."""
    root = repository() / "params"
    folders = {path.parent.relative_to(root).as_posix() for path in root.rglob("*.y*ml")} - {"."}
    return [DEFAULT_PROFILE, *sorted(folders - {DEFAULT_PROFILE})]


def match_notebook(name: str, known: Iterable[str]) -> str:
    """Return the one notebook a person means by a number (``"3"``, ``"03"``), a name or its beginning."""
    known = list(known)
    if name in known:
        return name
    if name.isdecimal():
        found = [one for one in known if int(one.partition("_")[0]) == int(name)]
    else:
        found = [one for one in known if name and (one.startswith(name) or one.partition("_")[2].startswith(name))]
    if len(found) == 1:
        return found[0]
    if found:
        raise ParameterError(f"{name!r} may be {' or '.join(found)}; write more of the name")
    raise ParameterError(f"no notebook {name!r}; there are {', '.join(_nearest_first(name, known))}")


def notebook_parameters(notebook: Path) -> dict[str, Parameter]:
    """Read a notebook's parameters from its cell tagged ``parameters``, without running it.

    Parameters
    ----------
    notebook : Path
        Its tagged cell holds plain assignments ``name = value  # help`` of literals.

    Returns
    -------
    dict
        Default value, help and type by name, in the cell's order.

    Raises
    ------
    ParameterError
        There is no such cell, or a line in it is anything but the assignment of a literal.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{notebook} is not a notebook; check it out again") from error
    tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if not tagged:
        raise ParameterError(f"{notebook} has no cell tagged 'parameters'; add the tag to the cell with its settings")
    source = "".join(tagged[0]["source"])
    try:
        statements = ast.parse(source).body
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError) as error:
        raise ParameterError(f"{notebook}: the parameters cell is not Python ({error})") from error
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    found: dict[str, Parameter] = {}
    for statement in statements:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=expression):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as expression):
                pass
            case _:
                raise ParameterError(
                    f"{notebook}: line {statement.lineno} of the parameters cell is no assignment 'name = value'"
                )
        try:
            default = ast.literal_eval(expression)
        except ValueError:
            default = None
        if type(default) not in _TYPES:
            raise ParameterError(f"{notebook}: parameter {name} must be a plain int, float, str, bool, list or dict")
        found[name] = Parameter(default, comments.get(statement.end_lineno or 0, ""), type(default))
    return found


def check(profile: str, settings: Mapping[str, Any] | None = None) -> list[Plan]:
    """Resolve every parameter of every notebook, and refuse what no notebook would understand.

    Parameters
    ----------
    profile : str
        A folder below ``params``, or ``offline``.
    settings : mapping
        Values that go before the profile's, by ``"<notebook>.<name>"``, such as ``{"03.limit": 5}``.

    Raises
    ------
    ParameterError
        The profile, a notebook, a name or a type is wrong; one line with the nearest that would be right.
    """
    known = notebooks()
    parameters = {name: notebook_parameters(path) for name, path in known.items()}
    given: dict[str, dict[str, Any]] = {name: {} for name in known}
    for where, name, values in _profile_files(profile, known):
        for key, value in values.items():
            given[name][key] = _accept(where, name, key, value, parameters[name])
    for setting, value in (settings or {}).items():
        notebook, dot, key = setting.partition(".")
        if not dot or not key:
            raise ParameterError(f"--set {setting}: write NOTEBOOK.NAME=VALUE, such as 03.concurrency=4")
        name = match_notebook(notebook, known)
        if key == "run_name":
            raise ParameterError(f"--set {setting}: all notebooks of a run share its name; use --run-name")
        given[name][key] = _accept(f"--set {setting}", name, key, value, parameters[name])
    for name, values in given.items():
        for key in runs._find_secrets(values):
            raise ParameterError(
                f"{name}.{key} holds a secret; set it in the environment instead, runs keep parameters"
            )
    plans = []
    for name, path in known.items():
        resolved = {key: parameter.default for key, parameter in parameters[name].items()} | given[name]
        plans.append(Plan(name, path, resolved))
    if len({plan.parameters.get("outputs", "") for plan in plans}) > 1:
        raise ParameterError("the notebooks of a run need one 'outputs' folder; give all of them the same, or none")
    return plans


def parse_setting(text: str) -> tuple[str, Any]:
    """Split ``NB.name=value`` and read the value as YAML."""
    import yaml

    name, equals, value = text.partition("=")
    if not equals:
        raise ParameterError(f"--set {text}: write NOTEBOOK.NAME=VALUE, such as 03.concurrency=4")
    try:
        return name.strip(), yaml.safe_load(value) if value.strip() else ""
    except yaml.YAMLError:
        raise ParameterError(f"--set {text}: the value is not YAML; quote it, as in {name}='\"text\"'") from None


def run(
    profile: str,
    *,
    run_name: str = "",
    start: str = "",
    only: str = "",
    settings: Mapping[str, Any] | None = None,
) -> Row:
    """Run a profile's notebooks in order; those whose files still stand are skipped.

    Parameters
    ----------
    profile : str
        A folder below ``params``, or ``offline``.
    run_name : str
        The run's folder below ``outputs``; the profile's name where it is ``""``.
    start : str
        Run this notebook and all after it again, and leave those before it as they are.
    only : str
        Run this notebook again and no other.
    settings : mapping
        See :func:`check`.

    Returns
    -------
    dict
        ``run`` (the folder), ``executed`` and ``skipped`` (names) and ``seconds``.

    Raises
    ------
    ParameterError, RunError
        A person's mistake, or another process has the run.
    StageFailed
        A notebook stopped; its executed copy shows where.
    """
    plans = check(profile, settings)
    if start and only:
        raise ParameterError("--from and --only exclude each other; give one of them")
    names = [plan.name for plan in plans]
    start, only = (match_notebook(name, names) if name else "" for name in (start, only))
    root = repository()
    run_name = run_name or profile.replace("/", "-")
    outputs = plans[0].parameters.get("outputs", "")
    # Kernels start in the repository, so "" and a relative folder mean the same place there.
    folder = runs.run_folder(run_name, str(root / Path(outputs or "outputs").expanduser()))
    plans = [
        plan._replace(parameters=plan.parameters | {"run_name": run_name}) if "run_name" in plan.parameters else plan
        for plan in plans
    ]
    chosen = [plan for plan in plans if plan.name >= start and (not only or plan.name == only)]

    began = time.monotonic()
    executed: list[str] = []
    skipped: list[str] = []
    lock, environment = runs.lock_for_children(folder)
    with lock, _environment(environment | {widgets.HEADLESS: "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}):
        _write_run(folder, profile, plans)
        if start or only:
            for plan in chosen:
                (folder / plan.name / runs.MANIFEST).unlink(missing_ok=True)
        width = max(len(plan.name) for plan in plans)
        for plan in chosen:
            title = plan.name.ljust(width)
            why = "asked for" if start or only else runs.why_stale(folder / plan.name, plan.parameters)
            if why:
                _execute(plan, title=title, why=why, root=root, folder=folder)
                executed.append(plan.name)
            else:
                _say(f"{title}  up to date")
                skipped.append(plan.name)
    seconds = round(time.monotonic() - began, 1)
    return {"run": str(folder), "executed": executed, "skipped": skipped, "seconds": seconds}


def print_summary(run: Path) -> None:
    """Print what a run made: rows kept, loss and pass@1 before and after, and where its report is."""
    results = {}
    for stage in sorted(run.glob("[0-9]*_*")):
        manifest = runs.read_manifest(stage)
        if manifest is not None and manifest.get("status") == "done":
            results[stage.name[:2]] = manifest.get("results", {})
    lines = []
    cleaned, tuned = results.get("04", {}), results.get("06", {})
    if "kept" in cleaned:
        lines.append(("rows kept", f"{cleaned['kept']:,}" + _of(cleaned.get("responses"), " of {:,} responses")))
    if isinstance(tuned.get("loss_before"), float) and isinstance(tuned.get("loss_after"), float):
        pairs = _of(tuned.get("pairs"), " ({:,} pairs)")
        lines.append(("loss", f"{tuned['loss_before']:.3f} before, {tuned['loss_after']:.3f} after{pairs}"))
    scores = results.get("07", {}).get("scores", [])
    for form in dict.fromkeys(row["form"] for row in scores):
        shares = {row["model"]: row for row in scores if row["form"] == form}
        parts = [
            f"{100 * shares[model]['estimate']:.1f} % {when} (n = {shares[model]['tasks']})"
            for model, when in (("base", "before"), ("tuned", "after"))
            if model in shares
        ]
        lines.append((f"pass@1 {form}", ", ".join(parts)))
    report = run / "08_reproduction_report" / "report.html"
    if report.exists():
        lines.append(("report", str(report)))
    width = max((len(name) for name, _ in lines), default=0)
    for name, value in lines:
        print(f"{name.ljust(width)}  {value}")


def _of(value: Any, text: str) -> str:
    return text.format(value) if isinstance(value, int) else ""


def _profile_files(profile: str, known: Mapping[str, Path]) -> Iterator[tuple[str, str, Row]]:
    """Yield where from, for which notebook and with which values each file of a profile is."""
    import yaml

    root = repository() / "params"
    if profile not in (there := profiles()):
        raise ParameterError(f"no profile {profile!r}; there are {', '.join(_nearest_first(profile, there))}")
    for path in sorted((root / profile).glob("*.y*ml")):
        where = str(path.relative_to(root.parent))
        if path.suffix != ".yaml":
            raise ParameterError(f"{where} would not be read; rename it to {path.stem}.yaml")
        if path.stem not in known:
            raise ParameterError(f"{where} is for no notebook; the nearest is {_nearest_first(path.stem, known)[0]}")
        try:
            values = yaml.safe_load(path.read_bytes())
        except yaml.YAMLError as error:
            mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
            line = f", line {mark.line + 1}" if mark else ""
            raise ParameterError(f"{where}{line} is not YAML: {problem or 'unreadable'}") from error
        if values is None:
            values = {}
        if not isinstance(values, dict):
            raise ParameterError(f"{where} must hold lines 'name: value', not a {type(values).__name__}")
        yield where, path.stem, values


def _accept(where: str, notebook: str, name: Any, value: Any, parameters: Mapping[str, Parameter]) -> Any:
    """Return a value as the notebook's parameter takes it, or refuse it."""
    if name not in parameters:
        nearest = _nearest_first(str(name), parameters)
        raise ParameterError(
            f"{where}: {notebook} has no parameter {name!r}" + (f"; the nearest is {nearest[0]!r}" if nearest else "")
        )
    expected, given = parameters[name].type, type(value)
    if expected is float and given is int:
        return float(value)
    if given is expected:
        return value
    hint = ""
    if expected in (int, float) and given is str:
        # YAML 1.1 wants a point in a float: it reads 1e-5 as text.
        with contextlib.suppress(ValueError):
            hint = f"; write {float(value):.1e}" if expected is float else f"; write {int(value)} without quotes"
    elif expected is str:
        hint = "; put it in quotes" if value is not None else '; write "" for none'
    shown = "nothing" if value is None else f"{given.__name__} {value!r}"
    raise ParameterError(f"{where}: parameter {name} of {notebook} is a {expected.__name__}, given {shown}{hint}")


def _nearest_first(name: str, known: Iterable[str]) -> list[str]:
    return sorted(known, key=lambda one: -difflib.SequenceMatcher(None, name.lower(), one.lower()).ratio())


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, which kernels inherit, and put back what was there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _write_run(folder: Path, profile: str, plans: list[Plan]) -> None:
    """Keep what was asked for; the first start's time stays."""
    path = folder / "run.json"
    try:
        created = json.loads(path.read_bytes())["created"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    described = {
        "run": folder.name,
        "profile": profile,
        "parameters": {plan.name: plan.parameters for plan in plans},
        "kit_version": magicoder_kit.__version__,
        "created": created,
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
    with records.atomic(path) as file:
        file.write((json.dumps(_scrub(described), ensure_ascii=False, indent=2) + "\n").encode())


def _execute(plan: Plan, *, title: str, why: str, root: Path, folder: Path) -> None:
    """Execute one notebook in a worker thread while this thread shows the time and takes Ctrl-C."""
    began = time.monotonic()
    copy = folder / "notebooks" / f"{plan.name}.ipynb"
    copy.parent.mkdir(parents=True, exist_ok=True)
    progress = SimpleNamespace(cells=0)
    live = sys.stderr.isatty()
    if not live:
        print(f"{title}  {why} ... ", end="", file=sys.stderr, flush=True)
    kernels: list[Any] = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(_papermill, plan, copy=copy, root=root, kernels=kernels, progress=progress)
        try:
            while not concurrent.futures.wait([future], timeout=0.5).done:
                if live:
                    line = f"{title}  {why} ... cell {progress.cells}, {time.monotonic() - began:.0f} s"
                    columns = os.get_terminal_size(sys.stderr.fileno()).columns
                    print(f"\r\x1b[K{line[: columns - 1]}", end="", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            while not concurrent.futures.wait([future], timeout=0.2).done:
                _stop(kernels)
            print("\r\x1b[K" if live else "", end="" if live else "\n", file=sys.stderr)
            raise
    seconds = f"{time.monotonic() - began:.1f} s"
    start = f"\r\x1b[K{title}  {why} ... " if live else ""
    try:
        future.result()
    except Exception as error:
        _say(f"{start}failed after {seconds}")
        if isinstance(error, KitError):
            raise
        raise StageFailed(runs.scrub(_explain(plan.name, error, copy))) from error
    _say(f"{start}{seconds}{_made(folder / plan.name)}")


def _papermill(plan: Plan, *, copy: Path, root: Path, kernels: list[Any], progress: SimpleNamespace) -> None:
    """Execute a notebook; runs in a thread of its own, where nbclient does not take the signal handlers."""
    import papermill
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from papermill.iorw import papermill_io

    class OwnPython(AsyncKernelManager):
        """Starts kernels of the running Python, whatever kernels a person has installed under that name."""

        def __init__(self, **settings: Any):
            # Without folders to search, 'python3' is ipykernel's own spec for sys.executable.
            super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **settings)
            kernels.append(self)

        def start_kernel(self, **settings: Any) -> Any:
            # What cells print comes over the kernel's channel; this is only its start-up chatter.
            return super().start_kernel(**settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def write(text: str, path: str) -> None:
        notebook = _scrub(json.loads(text))
        progress.cells = sum(
            "papermill" in cell["metadata"] and bool(cell["metadata"]["papermill"].get("start_time"))
            for cell in notebook["cells"]
        )
        text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
        # Copies are passed on; where they were made is nobody's concern.
        for place, shown in ((f"{root}/", ""), (f"{Path.home()}/", "~/")):
            text = text.replace(place, shown)
        with records.atomic(Path(path)) as file:
            file.write(text.encode())

    # papermill chooses a handler by how a path begins; this one is for this copy alone.
    papermill_io.register(str(copy), SimpleNamespace(write=write, pretty_path=str))
    papermill.execute_notebook(
        str(plan.notebook),
        str(copy),
        parameters=plan.parameters,
        kernel_name="python3",
        language="python",
        kernel_manager_class=OwnPython,
        progress_bar=False,
        cwd=str(root),
        start_timeout=120,
    )


def _stop(kernels: list[Any]) -> None:
    """End the kernel and what it started; papermill then finds it dead and saves the copy."""
    for kernel in kernels:
        process = getattr(kernel.provisioner, "process", None)
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                # A kernel leads a process group of its own.
                os.killpg(process.pid, signal.SIGTERM)


def _scrub(value: Any) -> Any:
    """Take secrets out of every string; a list of strings is a text cut into lines, so it is searched as one."""
    if isinstance(value, str):
        return runs.scrub(value)
    if isinstance(value, dict):
        return {key: _scrub(one) for key, one in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(one, str) for one in value):
            whole = "".join(value)
            if (clean := runs.scrub(whole)) != whole:
                return clean.splitlines(keepends=True)
            return value
        return [_scrub(one) for one in value]
    return value


def _explain(name: str, error: Exception, copy: Path) -> str:
    """Say where a notebook stopped and why; an error of the kit is its own one line."""
    cell = getattr(error, "exec_count", None)
    if cell is None:
        reason = re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
        hint = "; it was killed, or memory ran out" if "died" in reason.lower() else ""
        return f"{name} failed: {reason}{hint}\n  what it did until then: {copy}"
    source = str(getattr(error, "source", "")).strip()
    first = next(iter(source.splitlines()), "")
    ename, evalue = str(getattr(error, "ename", "")), str(getattr(error, "evalue", ""))
    kind = getattr(errors, ename, None)
    lines = [f"{name} failed in cell [{cell}]: {first}"]
    if isinstance(kind, type) and issubclass(kind, KitError):
        lines.append(f"  {evalue}")
    else:
        lines += [f"  {ename}: {evalue}", f"  the whole traceback: {copy}"]
    return "\n".join(lines)


def _made(stage: Path) -> str:
    counts = (runs.read_manifest(stage) or {}).get("counts", {})
    shown = [f"{Path(name).name.partition('.')[0]} {count:,}" for name, count in counts.items()]
    return "  " + ", ".join(shown[:6]) if shown else ""


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
