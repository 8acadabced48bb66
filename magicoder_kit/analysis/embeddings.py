"""Texts as unit vectors, each computed once: by INSTRUCTOR or any sentence encoder, kept by content.

A vector is kept in one SQLite file in the user's cache folder, under the hash of encoder, instruction and text. The
same text in another run, data set or notebook then costs a look-up, and who is killed half-way goes on where it
stopped. SQLite's transactions keep the file whole with any number of processes.

Not covered: a model on the hub is known by its name alone; after its author has replaced it, delete the file.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from magicoder_kit import embedded
from magicoder_kit.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

EMBEDDED = "embedded"
"""The encoder's name that stands for all-MiniLM-L6-v2 from the package index."""

FILE = "embeddings.sqlite"
_KEPT_AT_ONCE = 512
_WAIT_S = 60.0

Vectors = np.ndarray[Any, np.dtype[np.float32]]


def embed(
    texts: Sequence[str],
    *,
    encoder: str = EMBEDDED,
    instruction: str = "",
    batch_size: int = 32,
    cache: Path | None = None,
    progress: bool = False,
) -> Vectors:
    """Embed texts, computing only those that were never embedded before.

    Parameters
    ----------
    texts : sequence of str
        Any text; a lone surrogate counts as ``?``, white space around a text is left out.
    encoder : str
        ``"embedded"``, or a model on the hub or in a folder that sentence-transformers loads.
    instruction : str
        Written before every text, without a separator; an encoder named ``instructor`` leaves it out of the mean.
    batch_size : int
        Texts encoded at a time, those of like length together; changes speed and memory alone.
    cache : Path, optional
        Folder that keeps the vectors; the user's cache folder where it is not given.
    progress : bool
        Show a bar while texts are encoded.

    Returns
    -------
    array of float32, shape (len(texts), dimension)
        Vectors of length 1. The shape is (0, 0) without texts.

    Raises
    ------
    ModelError
        The encoder cannot be loaded, or the file of the cache cannot be used.
    """
    # A lone surrogate is valid in JSON and in no tokenizer.
    texts = [text.encode("utf-8", "replace").decode().strip() for text in texts]
    name = f"{_identity(encoder)}\0{instruction}\0"
    keys = [hashlib.sha256((name + text).encode()).digest() for text in texts]
    with _open(cache or embedded.cache_folder()) as kept:
        vectors = _read(kept, keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        if missing:
            for part in _encode(missing, load(encoder), instruction, batch_size, progress):
                vectors |= part
                with kept:
                    rows = ((key, vector.tobytes()) for key, vector in part.items())
                    kept.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
    return np.stack([vectors[key] for key in keys]) if keys else np.empty((0, 0), np.float32)


def takes_instructions(encoder: str) -> bool:
    """Say whether an encoder was trained to read an instruction: one named ``instructor``."""
    return "instructor" in encoder.lower()


def load(encoder: str) -> "SentenceTransformer":
    """Load an encoder onto the device that :func:`devices.detect` finds.

    Raises
    ------
    ModelError
        It is neither in a folder nor in the hub's cache, and the hub does not answer or does not have it.
    """
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    from magicoder_kit import devices, hub

    name = str(embedded.encoder()) if encoder == EMBEDDED else encoder
    reachable = Path(name).is_dir() or hub.answers()
    try:
        model = SentenceTransformer(name, device=devices.detect().kind, local_files_only=not reachable)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if reachable else "the hub does not answer, and its cache lacks the model"
        raise ModelError(f"cannot load the encoder {encoder!r} ({reason}); 'embedded' needs no hub") from error
    if takes_instructions(encoder):
        # INSTRUCTOR reads the instruction but leaves it out of the mean.
        model.set_pooling_include_prompt(False)
    return model


def _identity(encoder: str) -> str:
    """Return what vectors are kept under: a name, and for a folder what its files look like."""
    if encoder == EMBEDDED:
        return embedded.encoder().name
    files = sorted(file for file in Path(encoder).rglob("*") if file.is_file()) if Path(encoder).is_dir() else []
    stats = [(str(file.relative_to(encoder)), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return f"{encoder}{stats or ''}"


def _encode(
    texts: dict[bytes, str], model: "SentenceTransformer", instruction: str, batch_size: int, progress: bool
) -> Iterator[dict[bytes, Vectors]]:
    from tqdm.auto import tqdm

    # Longest first: a batch holds texts of one length, and a lack of memory shows at once rather than at the end.
    order = sorted(texts, key=lambda key: len(texts[key]), reverse=True)
    with tqdm(total=len(order), desc="embedding", unit="text", disable=not progress) as bar:
        for start in range(0, len(order), _KEPT_AT_ONCE):
            keys = order[start : start + _KEPT_AT_ONCE]
            encoded = model.encode(
                [texts[key] for key in keys],
                prompt=instruction or None,
                batch_size=batch_size,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            yield dict(zip(keys, np.asarray(encoded, np.float32), strict=True))
            bar.update(len(keys))


@contextlib.contextmanager
def _open(folder: Path) -> Iterator[sqlite3.Connection]:
    file = folder / FILE
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=_WAIT_S)) as kept:
            kept.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")
            yield kept
    except sqlite3.Error as error:
        raise ModelError(f"cannot use the cache of embeddings {file} ({error}); delete that file and go on") from error


def _read(kept: sqlite3.Connection, keys: Iterable[bytes]) -> dict[bytes, Vectors]:
    found = {}
    for key in set(keys):
        if row := kept.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone():
            found[key] = np.frombuffer(row[0], np.float32)
    return found
