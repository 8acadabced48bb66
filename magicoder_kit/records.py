"""Rows on disk: JSON Lines and Parquet, written whole or not at all, and journals that survive a crash.

The row types name the columns that pass between stages. They are plain dictionaries at run time, so any
other tool can read or replace a file between two notebooks.
"""

import array
import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypedDict, overload

from magicoder_kit.errors import RunError

Row = dict[str, Any]


class Document(TypedDict):
    """One source file of a corpus; ``raw_index`` is its position in the corpus of its language."""

    lang: str
    raw_index: int
    content: str
    source: str
    path: str


class Snippet(TypedDict):
    """One seed of 1-15 consecutive lines; ``index`` is its position after the shuffle."""

    lang: str
    raw_index: int
    index: int
    seed: str
    source: str
    path: str


class Example(TypedDict):
    """One problem with its solution, in exactly the columns of the released OSS-Instruct data set."""

    lang: str
    raw_index: int
    index: int
    seed: str
    openai_fingerprint: str
    problem: str
    solution: str


EXAMPLE_COLUMNS = tuple(Example.__annotations__)


class Pair(TypedDict):
    """One instruction with the response the student is trained on."""

    instruction: str
    response: str


class Completion(TypedDict):
    """One answer of a model to one benchmark task; ``sample`` counts from 0 within a task."""

    task_id: str
    sample: int
    prompt: str
    completion: str


class Verdict(TypedDict):
    """What happened when a completion was executed; ``status`` as listed in evaluation.sandbox."""

    task_id: str
    sample: int
    status: str
    detail: str
    seconds: float


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside ``path`` and move it into place when the block ends well.

    A reader sees the old file or the whole new one. On any error, a full disk included, the half-written
    file is removed and ``path`` is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise RunError(f"could not write {path}: {error.strerror}; free some space or choose another folder") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except OSError as error:
        raise RunError(f"could not write {path}: {error.strerror}; free some space or choose another folder") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def encode(row: Mapping[str, Any]) -> bytes:
    """Return a row as one line of UTF-8 JSON, newline included."""
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows to a JSON Lines file, whole or not at all, and return their number."""
    count = 0
    with atomic(path) as file:
        for row in rows:
            file.write(encode(row))
            count += 1
    return count


def read_jsonl(path: Path) -> list[Row]:
    """Read every row of a JSON Lines file.

    Raises
    ------
    RunError
        The file is missing, or a line is not a JSON object; the message names file and line.
    """
    return list(Rows(path))


class Rows(Sequence[Row]):
    """A JSON Lines file as a sequence whose rows are read when they are asked for: 8 bytes of memory a row.

    Raises
    ------
    RunError
        The file is missing; a line that is read is not a JSON object.
    """

    def __init__(self, path: Path):
        self.path = path
        self._offsets = array.array("Q", [0])
        try:
            with path.open("rb") as file:
                for line in file:
                    self._offsets.append(self._offsets[-1] + len(line))
        except FileNotFoundError as error:
            raise RunError(f"{path} is missing; run the notebook that makes it first ({path.parent.name})") from error

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        with self.path.open("rb") as file:
            file.seek(self._offsets[position])
            return self._read(file.readline(), position)

    def __iter__(self) -> Iterator[Row]:
        with self.path.open("rb") as file:
            for position, line in enumerate(file):
                yield self._read(line, position)

    def _read(self, line: bytes, position: int) -> Row:
        row = _decode(line)
        if row is None:
            raise RunError(
                f"{self.path}, line {position + 1} is not a JSON object; delete the file and run its stage again"
            )
        return row


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value, indented for people, whole or not at all."""
    with atomic(path) as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n")


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows to a Parquet file, whole or not at all, and return their number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([dict(row) for row in rows])
    with atomic(path) as file:
        pq.write_table(table, file)
    return int(table.num_rows)


def read_parquet(path: Path) -> list[Row]:
    """Read every row of a Parquet file."""
    import pyarrow.parquet as pq

    return list(pq.read_table(path).to_pylist())


def _decode(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


class Journal:
    """An append-only JSON Lines file whose every whole line survives the death of its writer.

    Opening it drops a torn last line (the writer died within it). Each :meth:`append` is one ``write`` of
    whole lines to a file opened for appending, so a SIGKILL loses at most the rows not yet appended. One
    writer at a time; the run's lock sees to that.

    Parameters
    ----------
    path : Path
        The file; it is made when the first row comes.
    """

    def __init__(self, path: Path):
        self.path = path
        self.dropped_bytes = 0
        self._file: BinaryIO | None = None

    def rows(self) -> Iterator[Row]:
        """Yield the rows written so far, in the order they were written."""
        return (row for _, row in self.entries())

    def entries(self) -> Iterator[tuple[int, Row]]:
        """Yield each row with the byte it begins at, which :meth:`read_at` takes.

        Raises
        ------
        RunError
            A line before the last is damaged: that is no torn tail, so nothing is thrown away.
        """
        self._mend()
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            begin = 0
            for number, line in enumerate(file, 1):
                row = _decode(line)
                if row is None:
                    raise RunError(f"{self.path}, line {number} is damaged; repair or delete that line and start again")
                yield begin, row
                begin += len(line)

    def read_at(self, begin: int) -> Row:
        """Return the row that begins at a byte :meth:`entries` gave."""
        with self.path.open("rb") as file:
            file.seek(begin)
            row: Row = json.loads(file.readline())
            return row

    def append(self, *rows: Mapping[str, Any]) -> None:
        """Append rows in one write, so that a reader finds all of them or none."""
        if self._file is None:
            self._mend()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab", buffering=0)
        data = b"".join(encode(row) for row in rows)
        whole = os.fstat(self._file.fileno()).st_size
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(28, "No space left on device")
        except OSError as error:
            # What came through is cut off again, so that a later append does not continue half a line.
            self._file.truncate(whole)
            raise RunError(
                f"could not append to {self.path}: {error.strerror}; what was answered so far is kept, "
                "free some space and start again"
            ) from error

    def sync(self) -> None:
        """Have the operating system put what was appended on the disk, so that a power cut takes none of it."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; a later append opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _mend(self) -> None:
        """Cut the file after its last newline where its writer died within a line."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        if size == 0:
            return
        with self.path.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) == b"\n":
                return
            keep, position = 0, size
            while position > 0 and keep == 0:
                start = max(0, position - 65536)
                file.seek(start)
                keep = start + file.read(position - start).rfind(b"\n") + 1
                keep = 0 if keep == start else keep
                position = start
            file.truncate(keep)
            self.dropped_bytes += size - keep
