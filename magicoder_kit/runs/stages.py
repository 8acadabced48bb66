"""A stage of a run: the folder a notebook writes into, and the manifest that seals it."""

import contextlib
import datetime
import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import magicoder_kit
from magicoder_kit import records
from magicoder_kit.errors import ParameterError, RunError
from magicoder_kit.records import Journal, Row
from magicoder_kit.runs.fingerprints import MANIFEST, describe, difference, digest, files, fingerprint, read_manifest
from magicoder_kit.runs.folders import run_folder
from magicoder_kit.runs.locks import lock
from magicoder_kit.runs.provenance import peak_memory_mb, versions
from magicoder_kit.runs.secrecy import find_secrets, scrub

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_OPEN: dict[Path, "Stage"] = {}
"""The stage this process opened last, by run."""


def pick(variables: Mapping[str, Any], names: str) -> dict[str, Any]:
    """Return the parameters of a stage out of a notebook's variables.

    Parameters
    ----------
    variables : mapping
        The notebook's ``globals()``.
    names : str
        Names of the parameters cell, with spaces between them.

    Raises
    ------
    ParameterError
        A name is not there: the parameters cell was not run.
    """
    missing = [name for name in names.split() if name not in variables]
    if missing:
        raise ParameterError(f"{', '.join(missing)} not set; run the notebook's parameters cell first")
    return {name: variables[name] for name in names.split()}


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
        for secret in find_secrets(parameters):
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
        reason = difference(before, parameters, digests)
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

    def write_tables(self, names: Sequence[str], rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Write several tables in one pass over rows that each name their table, all whole or none.

        Parameters
        ----------
        names : sequence of str
            The tables; one that no row names is empty.
        rows : iterable of (str, mapping)
            A table's name and a row of it.
        """
        self._open()
        counts = dict.fromkeys(names, 0)
        with contextlib.ExitStack() as stack:
            files = {name: stack.enter_context(records.atomic(self.path / name)) for name in names}
            for name, row in rows:
                files[name].write(records.encode(row))
                counts[name] += 1
        self._counts |= counts

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
            "files": {str(path.relative_to(self.path)): describe(path) for path in files(self.path)},
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


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        # The manifest is replaced, not removed: who is killed in here still knows that the rest is to go.
        elif path.name != MANIFEST and not path.name.endswith(".journal.jsonl"):
            path.unlink()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
