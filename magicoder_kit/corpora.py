"""01: documents to draw snippets from.

Four sources, each giving rows ``lang, raw_index, content, source, path`` of one language and the number of
files left out by reason: what is *installed* in this Python, what is *bundled* with the kit, any *folder*, and
the *hub* (StarCoderData, and The Stack for Swift). Sources on disk leave out files that teach nothing (empty,
binary, minified, very large); the hub leaves out nothing, so that ``raw_index`` is the position in the corpus.
"""

import hashlib
import importlib.metadata
import itertools
import os
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from magicoder_kit import paper, runs
from magicoder_kit.errors import CorpusError, ParameterError

if TYPE_CHECKING:
    from datasets import Dataset

SUFFIXES = {
    "python": (".py",),
    "cpp": (".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx"),
    "java": (".java",),
    "typescript": (".ts", ".tsx"),
    "shell": (".sh", ".bash"),
    "csharp": (".cs",),
    "rust": (".rs",),
    "php": (".php",),
    "swift": (".swift",),
}
MAX_BYTES = 200_000
MAX_LINE = 1_000
SKIPPED_FOLDERS = {".git", ".venv", "node_modules", "__pycache__"}


class Corpus(NamedTuple):
    """Documents of one language, and how many files were left out, by reason."""

    documents: "Dataset"
    left_out: Counter[str]


def load(
    source: str,
    lang: str,
    *,
    max_documents: int = 0,
    folder: str = "",
    hub: str = "bigcode/starcoderdata",
    hub_swift: str = "bigcode/the-stack",
) -> Corpus:
    """Load the documents of one language from one source.

    Parameters
    ----------
    source : str
        ``"installed"``, ``"bundled"``, ``"folder"`` or ``"hub"``.
    lang : str
        One of ``paper.LANGUAGES``.
    max_documents : int
        The first this many documents of the corpus; 0 is all of them. The paper takes 150,000.
    folder : str
        The tree of source ``"folder"``.
    hub, hub_swift : str
        Data sets in the layout of StarCoderData (``<language>/*.parquet``) and of The Stack
        (``data/swift/*.parquet``), by hub name or by local path.

    Returns
    -------
    Corpus

    Raises
    ------
    ParameterError
        The source or the language is unknown.
    CorpusError
        The source holds no document of the language or cannot be reached.
    """
    if lang not in paper.LANGUAGES:
        raise ParameterError(f"unknown language {lang!r}; the nine are {', '.join(paper.LANGUAGES)}")
    if source == "installed":
        return _read(installed_files(lang), lang, max_documents, "this Python installation")
    if source == "bundled":
        return _read(bundled_files(lang), lang, max_documents, "the bundled documents")
    if source == "folder":
        if not folder:
            raise ParameterError("corpus 'folder' needs the parameter 'folder', a tree of source files")
        return _read(folder_files(Path(folder).expanduser(), lang), lang, max_documents, f"folder {folder}")
    if source == "hub":
        return _load_hub(lang, max_documents, hub, hub_swift)
    raise ParameterError(f"unknown corpus {source!r}; use installed, bundled, folder or hub")


def inputs(sources: Mapping[str, str], folder: str = "") -> list[str]:
    """Return what a stage that loads these sources depends on, as :func:`runs.open_stage` takes it.

    Parameters
    ----------
    sources : mapping of str to str
        Source of each language.
    folder : str
        The tree of source ``"folder"``.
    """
    found = [runs.ENVIRONMENT] if "installed" in sources.values() else []
    if "folder" in sources.values():
        if not folder or not Path(folder).expanduser().is_dir():
            raise CorpusError(f"corpus folder {folder!r} does not exist; give the parameter 'folder' an existing one")
        found.append(str(Path(folder).expanduser().absolute()))
    return found


class SourceFile(NamedTuple):
    """One file on disk, where it comes from, and its path within that."""

    file: Path
    source: str
    path: str


def installed_files(lang: str) -> list[SourceFile]:
    """List the files of installed distributions and of the standard library, in a stable mixed order.

    The order is that of a hash of distribution and path: the first thousand files are then a sample of all
    distributions, and a file keeps its place relative to others on any machine. ``source`` carries the
    distribution's version and license.
    """
    found: list[SourceFile] = []
    for distribution in {d.metadata["Name"]: d for d in importlib.metadata.distributions()}.values():
        source = f"{distribution.metadata['Name']} {distribution.version} ({_license(distribution)})"
        for listed in distribution.files or ():
            if listed.suffix in SUFFIXES[lang] and ".." not in listed.parts:
                found.append(SourceFile(Path(str(distribution.locate_file(listed))), source, str(listed)))
    library = Path(sysconfig.get_paths()["stdlib"])
    source = f"Python {sys.version.split()[0]} standard library (PSF-2.0)"
    for file in _walk(library, SUFFIXES[lang]):
        path = file.relative_to(library)
        if path.parts[0] not in ("site-packages", "dist-packages"):
            found.append(SourceFile(file, source, str(path)))
    return sorted(found, key=lambda f: hashlib.sha256(f"{f.source.split()[0]}/{f.path}".encode()).digest())


def bundled_files(lang: str) -> list[SourceFile]:
    """List the documents written for this kit (MIT), by name."""
    folder = Path(__file__).parent / "bundled" / lang
    return [SourceFile(file, "magicoder-kit (MIT)", file.name) for file in _walk(folder, SUFFIXES[lang])]


def folder_files(folder: Path, lang: str) -> list[SourceFile]:
    """List the files of a language in a tree, by path."""
    if not folder.is_dir():
        raise CorpusError(f"corpus folder {folder} does not exist; give the parameter 'folder' an existing one")
    return [SourceFile(file, folder.name, str(file.relative_to(folder))) for file in _walk(folder, SUFFIXES[lang])]


def why_left_out(raw: bytes) -> str:
    """Say why a file teaches nothing (``empty``, ``binary``, ``minified``, ``over-large``), or ``""``."""
    if not raw.strip():
        return "empty"
    if len(raw) > MAX_BYTES:
        return "over-large"
    if b"\0" in raw:
        return "binary"
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return "binary"
    return "minified" if any(len(line) > MAX_LINE for line in text.splitlines()) else ""


def _read(files: list[SourceFile], lang: str, max_documents: int, where: str) -> Corpus:
    left_out: Counter[str] = Counter()

    def documents() -> Iterator[dict[str, object]]:
        for file, source, path in files:
            try:
                raw = file.read_bytes()
            except OSError:
                left_out["unreadable"] += 1
                continue
            if reason := why_left_out(raw):
                left_out[reason] += 1
            else:
                # A name on disk may be no text, which a table cannot hold.
                yield {
                    "lang": lang,
                    "content": raw.decode(),
                    "source": source,
                    "path": os.fsencode(path).decode(errors="replace"),
                }

    kept = itertools.islice(documents(), max_documents or None)
    rows = [row | {"raw_index": position} for position, row in enumerate(kept)]
    if not rows:
        endings = ", ".join(SUFFIXES[lang])
        raise CorpusError(
            f"{where} holds no usable {lang} file ({endings}); left out: {dict(left_out) or 'none found'}"
        )
    return Corpus(_dataset(rows), left_out)


def _load_hub(lang: str, max_documents: int, hub: str, hub_swift: str) -> Corpus:
    import datasets

    name, data_dir = (hub_swift, "data/swift") if lang == "swift" else (hub, paper.STARCODERDATA_FOLDERS[lang])
    try:
        # Streaming fetches the shards that hold the first documents and no others.
        loaded = datasets.load_dataset(name, data_dir=data_dir, split="train", streaming=max_documents > 0)
        if max_documents > 0:
            loaded = loaded.select_columns(["content"]).take(max_documents)
            contents = datasets.Dataset.from_list(
                list(loaded), features=datasets.Features(content=datasets.Value("string"))
            )
        else:
            contents = loaded.select_columns(["content"])
    except Exception as error:  # The hub's client raises a dozen kinds: no network, gated, misspelt, no such column.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CorpusError(
            f"could not load {name} ({data_dir}): {reason}; accept its terms on the hub and set HF_TOKEN, "
            "or use corpus 'installed', 'bundled' or 'folder'"
        ) from error
    count = len(contents)
    columns = {"lang": [lang] * count, "raw_index": range(count), "source": [name] * count}
    for column, values in columns.items():
        contents = contents.add_column(column, list(values))
    paths = [f"{data_dir}#{position}" for position in range(count)]
    return Corpus(contents.add_column("path", paths), Counter())


def _dataset(rows: list[dict[str, object]]) -> "Dataset":
    from datasets import Dataset

    return Dataset.from_list(rows).select_columns(["lang", "raw_index", "content", "source", "path"])


def _walk(folder: Path, suffixes: Iterable[str]) -> Iterator[Path]:
    wanted = set(suffixes)
    for file in sorted(folder.rglob("*")):
        if file.suffix in wanted and not SKIPPED_FOLDERS & set(file.relative_to(folder).parts[:-1]) and file.is_file():
            yield file


def _license(distribution: importlib.metadata.Distribution) -> str:
    metadata = distribution.metadata
    stated = (metadata[field] for field in ("License-Expression", "License") if field in metadata)
    named = next((text for text in stated if text), "")
    if not named or len(named) > 60 or "\n" in named:
        classifiers = metadata.get_all("Classifier") or []
        named = next((c.rsplit(" :: ", 1)[1] for c in classifiers if c.startswith("License :: ")), "license not stated")
    return named
