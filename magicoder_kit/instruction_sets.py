"""04, 05: instruction sets by name, whatever they call their columns.

A run of ours, the two released sets, Code Alpaca, and any JSON Lines, JSON or Parquet file or set on the hub become
rows with ``problem`` and ``solution``, so that what is computed for one set is computed for all.

Not covered: sets of conversations (``messages``), whose turns no pair of columns holds.
"""

import difflib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicoder_kit import hub, records
from magicoder_kit.errors import CorpusError, ParameterError
from magicoder_kit.records import Row

if TYPE_CHECKING:
    import pyarrow as pa

Columns = Mapping[str, str | Sequence[str]]

NAMES = {
    "oss-instruct": "ise-uiuc/Magicoder-OSS-Instruct-75K",
    "evol-instruct": "ise-uiuc/Magicoder-Evol-Instruct-110K",
    "code-alpaca": "sahil2801/CodeAlpaca-20k",
}
"""Sets with a name of their own, and where the hub has them."""

KNOWN_COLUMNS: tuple[Columns, ...] = (
    {"problem": "problem", "solution": "solution"},
    {"problem": ("instruction", "input"), "solution": "output"},
    {"problem": "instruction", "solution": "output"},
    {"problem": "instruction", "solution": "response"},
    {"problem": "prompt", "solution": "completion"},
    {"problem": "prompt", "solution": "response"},
    {"problem": "question", "solution": "answer"},
    {"problem": "query", "solution": "answer"},
    {"problem": "text", "solution": "code"},
)
"""Columns that are recognized without a mapping; the first that a set has count."""

SUFFIXES = (".jsonl", ".json", ".parquet")
_IN_A_RUN = "04_cleaning_decontamination/dataset.jsonl"


def load(name_or_path: str, *, columns: Columns | None = None, limit: int = 0, split: str = "train") -> list[Row]:
    """Load an instruction set as rows with ``problem`` and ``solution``.

    Parameters
    ----------
    name_or_path : str
        A name of :data:`NAMES`; a ``.jsonl``, ``.json`` or ``.parquet`` file; a run's folder (its data set of
        notebook 04); or any other folder or ``owner/name`` on the hub that ``datasets.load_dataset`` reads.
    columns : mapping of str to str
        The set's names of the columns ``problem`` and ``solution``, and of any other of
        ``records.EXAMPLE_COLUMNS``. Several names in a list are joined by a line feed, empty texts left out.
        Without a mapping the first of :data:`KNOWN_COLUMNS` that the set has: Code Alpaca's problem is its
        ``instruction`` and, where there is one, its ``input`` on lines of its own.
    limit : int
        The first this many rows; 0 is all of them.
    split : str
        Split of a set on the hub or in a folder.

    Returns
    -------
    list of dict
        ``problem`` and ``solution``, text (``""`` for a null), and what else the set has of
        ``records.EXAMPLE_COLUMNS``, unchanged.

    Raises
    ------
    ParameterError
        The name is no set, file or hub name, or ``columns`` maps a column that rows do not have.
    CorpusError
        A file is missing or damaged; the hub does not answer; a column is missing or does not hold text; or
        there are no rows.
    """
    if columns is not None and not {"problem", "solution"} <= columns.keys() <= set(records.EXAMPLE_COLUMNS):
        raise ParameterError(
            f"columns maps {', '.join(columns) or 'nothing'}; it needs problem and solution, and takes "
            f"{', '.join(name for name in records.EXAMPLE_COLUMNS if name not in ('problem', 'solution'))} besides"
        )
    table = _open(name_or_path, split, limit)
    found = list(
        dict.fromkeys(column for row in table for column in row) if isinstance(table, list) else table.schema.names
    )
    chosen = _choose(columns, found, name_or_path)
    if not isinstance(table, list):
        table = table.select(sorted({column for names in chosen.values() for column in names})).to_pylist()
    if not table:
        raise CorpusError(f"{name_or_path} has no rows")
    return [_row(row, chosen, f"{name_or_path}, row {number}") for number, row in enumerate(table, 1)]


def load_all(sets: Mapping[str, str | Mapping[str, Any]]) -> dict[str, list[Row]]:
    """Load several sets, as a notebook's parameter names them.

    Parameters
    ----------
    sets : mapping of str to str or mapping
        What figures call a set, and what :func:`load` takes: a name or path, or a mapping with ``set`` and any
        of ``columns``, ``limit`` and ``split``.

    Returns
    -------
    dict of str to rows

    Raises
    ------
    ParameterError, CorpusError
        As :func:`load`; or a mapping has other keys.
    """
    loaded = {}
    for name, told in sets.items():
        arguments = {"set": told} if isinstance(told, str) else dict(told)
        if not {"set"} <= arguments.keys() <= {"set", "columns", "limit", "split"}:
            raise ParameterError(
                f"set {name!r} is told by {', '.join(arguments) or 'nothing'}; it takes set (a name or path) and "
                "columns, limit and split where they are wanted"
            )
        loaded[name] = load(arguments.pop("set"), **arguments)
    return loaded


def inputs(sets: Mapping[str, str | Mapping[str, Any]]) -> list[str]:
    """Return the files and folders that sets are read from, as :func:`runs.open_stage` takes a stage's inputs.

    A set on the hub is none: what a stage made of it stands until its parameters change.
    """
    told = (told if isinstance(told, str) else str(told.get("set", "")) for told in sets.values())
    paths = [Path(path).expanduser().absolute() for path in told if path and path not in NAMES]
    paths = [path / _IN_A_RUN if (path / _IN_A_RUN).is_file() else path for path in paths]
    return [str(path) for path in paths if path.exists()]


def _open(name: str, split: str, limit: int) -> "list[Row] | pa.Table":
    path = Path(name).expanduser()
    if name in NAMES:
        return _from_hub(NAMES[name], split, limit)
    if (path / _IN_A_RUN).is_file():
        return _read(path / _IN_A_RUN, limit)
    if path.is_dir():
        return _from_hub(str(path), split, limit)
    if path.suffix in SUFFIXES:
        return _read(path, limit)
    if name.count("/") == 1 and name[0] not in "/.~" and not path.exists():
        return _from_hub(name, split, limit)
    raise ParameterError(
        f"{name!r} is no instruction set{_nearest(name, NAMES)}; use one of {', '.join(NAMES)}, a run's folder, "
        f"a file ({', '.join(SUFFIXES)}), or owner/name on the hub"
    )


def _from_hub(name: str, split: str, limit: int) -> "pa.Table":
    try:
        return hub.load_dataset(name, split=split, limit=limit).with_format("arrow")[:]
    except CorpusError as error:
        raise CorpusError(f"{error}; or give a file of it ({', '.join(SUFFIXES)}) instead") from error


def _read(path: Path, limit: int) -> "list[Row] | pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            return table.slice(0, limit or len(table))
        with path.open("rb") as file:
            rows = _whole_json(file.read()) if path.suffix == ".json" else None
            file.seek(0)
            return list(itertools.islice(_lines(path, file) if rows is None else rows, limit or None))
    except FileNotFoundError:
        raise CorpusError(f"{path} is missing; give a file that exists") from None
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _whole_json(content: bytes) -> list[Row] | None:
    """Return the rows of one JSON value: a list of objects, or an object that holds one such list."""
    try:
        value = json.loads(content)
    except ValueError:
        return None
    parts = value.values() if isinstance(value, dict) else [value]
    lists = [part for part in parts if isinstance(part, list) and all(isinstance(row, dict) for row in part)]
    return lists[0] if len(lists) == 1 else None


def _lines(path: Path, file: Iterable[bytes]) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise CorpusError(
                    f"{path}, line {number} is not a JSON object; give one object a line, or in .json a list of them"
                )
            yield row


def _choose(columns: Columns | None, found: Sequence[str], where: str) -> dict[str, tuple[str, ...]]:
    """Return which of a set's columns make each column of ours."""
    for mapping in KNOWN_COLUMNS if columns is None else (columns,):
        chosen = {ours: (theirs,) if isinstance(theirs, str) else tuple(theirs) for ours, theirs in mapping.items()}
        missing = [column for names in chosen.values() for column in names if column not in found]
        if not missing:
            return {name: (name,) for name in records.EXAMPLE_COLUMNS if name in found} | chosen
    listed = f"its columns are {', '.join(found) or 'none'}"
    if columns is None:
        raise CorpusError(
            f"{where} has no pair of columns known here, such as problem and solution or instruction and response; "
            f"{listed}; name two as columns={{'problem': ..., 'solution': ...}}"
        )
    raise CorpusError(f"{where} has no column {missing[0]!r}{_nearest(missing[0], found)}; {listed}")


def _row(row: Mapping[str, Any], chosen: Mapping[str, tuple[str, ...]], where: str) -> Row:
    made: Row = {}
    for ours, names in chosen.items():
        values = [row.get(name) for name in names]
        if ours not in ("problem", "solution") and len(values) == 1:
            made[ours] = values[0]
            continue
        for name, value in zip(names, values, strict=True):
            if not isinstance(value, str | None):
                raise CorpusError(f"{where}: column {name!r} holds {type(value).__name__}, not text")
        made[ours] = "\n".join(value for value in values if value) if len(values) > 1 else values[0] or ""
    return made


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
