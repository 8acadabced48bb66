"""The plans carried out: papermill in a kernel of the running Python, a copy kept after every cell.

A kernel notices that its parent is gone within about a second and ends itself. Not covered: one that hangs in
native code without releasing the interpreter outlives its parent until that code returns.
"""

import concurrent.futures
import contextlib
import datetime
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import magicoder_kit
from magicoder_kit import errors, records, runs, widgets
from magicoder_kit.batch.plans import Plan, check, match_notebook, repository
from magicoder_kit.errors import KitError, ParameterError
from magicoder_kit.records import Row


class StageFailed(Exception):
    """A notebook stopped in one of its cells; everything before it is kept."""


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
