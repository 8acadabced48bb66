"""What a run will do: the notebooks, the profiles, and every parameter resolved before anything starts."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from magicoder_kit import runs
from magicoder_kit.batch.parameters import accept, nearest_first, notebook_parameters
from magicoder_kit.errors import ParameterError
from magicoder_kit.records import Row

DEFAULT_PROFILE = "offline"
"""The profile that changes nothing: the notebooks' own defaults."""


class Plan(NamedTuple):
    """One notebook with every parameter it will run with."""

    name: str
    notebook: Path
    parameters: dict[str, Any]


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
    raise ParameterError(f"no notebook {name!r}; there are {', '.join(nearest_first(name, known))}")


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
            given[name][key] = accept(where, name, key, value, parameters[name])
    for setting, value in (settings or {}).items():
        notebook, dot, key = setting.partition(".")
        if not dot or not key:
            raise ParameterError(f"--set {setting}: write NOTEBOOK.NAME=VALUE, such as 03.concurrency=4")
        name = match_notebook(notebook, known)
        if key == "run_name":
            raise ParameterError(f"--set {setting}: all notebooks of a run share its name; use --run-name")
        given[name][key] = accept(f"--set {setting}", name, key, value, parameters[name])
    for name, values in given.items():
        for key in runs.find_secrets(values):
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


def _profile_files(profile: str, known: Mapping[str, Path]) -> Iterator[tuple[str, str, Row]]:
    """Yield where from, for which notebook and with which values each file of a profile is."""
    import yaml

    root = repository() / "params"
    if profile not in (there := profiles()):
        raise ParameterError(f"no profile {profile!r}; there are {', '.join(nearest_first(profile, there))}")
    for path in sorted((root / profile).glob("*.y*ml")):
        where = str(path.relative_to(root.parent))
        if path.suffix != ".yaml":
            raise ParameterError(f"{where} would not be read; rename it to {path.stem}.yaml")
        if path.stem not in known:
            raise ParameterError(f"{where} is for no notebook; the nearest is {nearest_first(path.stem, known)[0]}")
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
