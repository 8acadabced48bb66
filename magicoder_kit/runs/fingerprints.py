"""What a stage was made of, and whether its files still stand."""

import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import magicoder_kit
from magicoder_kit.records import Row

MANIFEST = "manifest.json"


ENVIRONMENT = "python-environment"
"""An input that stands for everything installed in the running Python."""


def fingerprint(name: str, parameters: Mapping[str, Any], digests: Mapping[str, str | None]) -> str:
    """Return the sha256 of a stage's name, parameters, input digests and kit version."""
    value = [name, dict(parameters), dict(digests), magicoder_kit.__version__]
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


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
        for file in files(path):
            status = file.stat()
            listing.update(f"{file.relative_to(path)} {status.st_size} {status.st_mtime_ns}\n".encode())
        return listing.hexdigest()
    return None


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
    if reason := difference(manifest, manifest["parameters"] | current, digests):
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


def difference(before: Row | None, parameters: Mapping[str, Any], digests: Mapping[str, str | None]) -> str:
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


def files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST and not path.name.endswith(".part"):
            yield path


def describe(path: Path) -> Row:
    status = path.stat()
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
