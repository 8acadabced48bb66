"""Checks what no unit test sees: clean notebooks, true badges, one set of dependencies. Part of `make lint`."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
MOST_LINES = 15
"""A longer cell hides logic; imports are not counted."""


def check_notebooks(repository: str) -> Iterator[str]:
    """Yield what is wrong with the committed notebooks."""
    found = sorted((ROOT / "notebooks").glob("*.ipynb"))
    if len(found) != 8:
        yield f"notebooks/ holds {len(found)} notebooks, not 8"
    for path in found:
        cells = json.loads(path.read_text())["cells"]
        if any(cell.get("outputs") or cell.get("execution_count") for cell in cells):
            yield f"{path.name} is committed with outputs; clear them"
        tagged = [number for number, cell in enumerate(cells) if "parameters" in cell["metadata"].get("tags", [])]
        if tagged != [3]:
            yield f"{path.name}: the fourth cell, and no other, is tagged parameters (found {tagged})"
        for number, cell in enumerate(cells):
            lines = "".join(cell["source"]).splitlines() if cell["cell_type"] == "code" else []
            logic = [line for line in lines if line and not line.startswith(("import ", "from "))]
            if number not in tagged and len(logic) > MOST_LINES:
                yield f"{path.name}: cell {number} has {len(logic)} lines; what it does belongs in the package"
        badge = (
            f"{repository.replace('https://', 'https://colab.research.google.com/').replace('github.com', 'github')}"
        )
        if f"({badge}/blob/main/notebooks/{path.name})" not in "".join(cells[1]["source"]):
            yield f"{path.name}: the badge does not open {badge}/blob/main/notebooks/{path.name}"
        if repository not in "".join(cells[2]["source"]):
            yield f"{path.name}: the bootstrap cell does not install from {repository}"


def check_dependencies(project: dict) -> Iterator[str]:
    """Yield where environment.yml, pyproject.toml and constraints.txt disagree."""
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    pinned = {_normal(name): version for name, version in pinned.items()}
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *(d for extra in extras.values() for d in extra if "magicoder-kit[" not in d)]
    for dependency in named:
        name, least = re.match(r"([\w.-]+)(?:\[\w+\])?>=([\d.]+)", dependency).groups()
        version = pinned.pop(_normal(name), None)
        if version is None:
            yield f"constraints.txt does not pin {name}"
        elif _numbers(version) < _numbers(least):
            yield f"constraints.txt pins {name} {version}, below pyproject's {least}"
    for name in pinned:
        yield f"constraints.txt pins {name}, which pyproject does not name"
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in environment if isinstance(entry, dict))
    if pip != ["-c constraints.txt", "-e .[all]"]:
        yield f"environment.yml installs {pip}, not '-e .[all]' under constraints.txt"
    python = next(entry for entry in environment if str(entry).startswith("python="))
    if _numbers(python.partition("=")[2]) < _numbers(project["requires-python"].strip(">=")):
        yield f"environment.yml's {python} is below requires-python"


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def main() -> None:
    """Print every complaint; exit with 1 where there is one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wrong = [*check_notebooks(project["urls"]["Repository"]), *check_dependencies(project)]
    print("\n".join(wrong) or "notebooks and dependencies are in order")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
