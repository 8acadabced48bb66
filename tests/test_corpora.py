"""Documents come whole, in a stable order, with their origin, and what is left out is counted."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import datasets
import pytest

from magicoder_kit import corpora, paper, records, snippets
from magicoder_kit.errors import CorpusError, ParameterError

datasets.disable_progress_bars()

COLUMNS = {"lang", "raw_index", "content", "source", "path"}
BUNDLED = Path(corpora.__file__).parent / "bundled"


def write(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder)


def check(corpus, lang):
    """What every source promises of its documents."""
    documents = corpus.documents
    assert set(documents.column_names) == COLUMNS
    assert documents["raw_index"][:] == list(range(len(documents)))
    assert set(documents["lang"]) == {lang}
    return documents


# Any folder.


def test_a_folder_gives_its_files_by_path_whole_and_numbered(tmp_path):
    tree = {"b_dot_py": "b = 1\r\n", "a__z_dot_py": "\ufeffé = 2\n", "a__notes_dot_txt": "no", "c_dot_PY": "no"}
    corpus = corpora.load("folder", "python", folder=write(tmp_path / "mine", **tree))
    documents = check(corpus, "python")
    assert documents["path"][:] == ["a/z.py", "b.py"]
    assert documents["content"][:] == ["\ufeffé = 2\n", "b = 1\r\n"]
    assert set(documents["source"]) == {"mine"}
    assert corpus.left_out == Counter()


def test_what_teaches_nothing_is_left_out_and_counted(tmp_path):
    tree = {
        "a_dot_py": "a = 1\n",
        "empty1_dot_py": "",
        "empty2_dot_py": " \n\t\n",
        "nul_dot_py": b"a\0b\n",
        "latin_dot_py": "é".encode("latin-1"),
        "wide_dot_py": "x" * (corpora.MAX_LINE + 1),
        "edge_dot_py": "x" * corpora.MAX_LINE + "\n",
        "large_dot_py": "x = 1\n" * corpora.MAX_BYTES,
    }
    folder = write(tmp_path / "mine", **tree)
    corpus = corpora.load("folder", "python", folder=folder)
    assert check(corpus, "python")["path"][:] == ["a.py", "edge.py"]
    assert corpus.left_out == {"empty": 2, "binary": 2, "minified": 1, "over-large": 1}
    assert len(corpus.documents) + corpus.left_out.total() == len(tree)


def test_a_file_that_cannot_be_read_is_counted(tmp_path):
    # Root reads whatever is there, so the file is removed between the listing and the reading.
    folder = Path(write(tmp_path / "mine", a_dot_py="a = 1\n", b_dot_py="b = 1\n"))
    files = corpora.folder_files(folder, "python")
    (folder / "b.py").unlink()
    corpus = corpora._read(files, "python", 0, "here")
    assert corpus.documents["path"][:] == ["a.py"]
    assert corpus.left_out == {"unreadable": 1}


def test_installed_trees_inside_a_folder_are_passed_over(tmp_path):
    tree = {f"{name}__x_dot_py": "x = 1\n" for name in ("node_modules", "src")}
    folder = Path(write(tmp_path / "mine", **tree))
    for hidden in (".git", ".venv", "__pycache__", "deep/.venv/lib"):
        write(folder / hidden, x_dot_py="x = 1\n")
    assert corpora.load("folder", "python", folder=str(folder)).documents["path"][:] == ["src/x.py"]
    # The folder's own name does not count.
    assert len(corpora.load("folder", "python", folder=str(folder / "node_modules")).documents) == 1


def test_a_file_name_that_is_no_text_does_not_stop_the_corpus(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.py")).write_text("x = 1\n")
    assert corpora.load("folder", "python", folder=str(tmp_path)).documents["path"][:] == ["\ufffd.py"]


@pytest.mark.parametrize("lang", paper.LANGUAGES)
def test_every_language_is_known_by_its_endings(tmp_path, lang):
    for suffix in corpora.SUFFIXES[lang]:
        (tmp_path / f"file{suffix}").write_text("text\n")
    assert len(check(corpora.load("folder", lang, folder=str(tmp_path)), lang)) == len(corpora.SUFFIXES[lang])


def test_max_documents_takes_the_first(tmp_path):
    folder = write(tmp_path, **{f"f{number}_dot_py": f"x = {number}\n" for number in range(9)})
    whole = corpora.load("folder", "python", folder=folder).documents
    first = check(corpora.load("folder", "python", folder=folder, max_documents=4), "python")
    assert first[:] == whole[:4]


def test_errors_of_a_folder_are_one_line_that_says_what_would_be_right(tmp_path):
    write(tmp_path / "mine", a_dot_py="", b_dot_py="")
    missing = str(tmp_path / "none")
    for folder, kind, message in (
        ("", ParameterError, "needs the parameter 'folder'"),
        (missing, CorpusError, f"corpus folder {missing} does not exist; give the parameter 'folder' an existing one"),
        (str(tmp_path / "mine"), CorpusError, r"holds no usable python file \(\.py\); left out: \{'empty': 2\}"),
        (str(tmp_path / "mine" / "a.py"), CorpusError, "does not exist"),
    ):
        with pytest.raises(kind, match=message) as caught:
            corpora.load("folder", "python", folder=folder)
        assert "\n" not in str(caught.value)


def test_unknown_sources_and_languages_are_refused_with_those_there_are():
    with pytest.raises(ParameterError, match="unknown corpus 'disk'; use installed, bundled, folder or hub"):
        corpora.load("disk", "python")
    with pytest.raises(ParameterError, match=r"unknown language 'c-sharp'; the nine are python, .*csharp"):
        corpora.load("bundled", "c-sharp")


# What is installed.


@pytest.fixture(scope="module")
def installed():
    return corpora.installed_files("python")


def test_installed_files_are_thousands_and_mixed_from_many_distributions(installed):
    assert len(installed) > 5_000
    assert len({file.source for file in installed[:500]}) >= 10
    assert len({(file.source, file.path) for file in installed}) == len(installed)


def test_an_installed_document_names_distribution_version_and_license(installed):
    sources = {file.source for file in installed}
    assert f"Python {sys.version.split()[0]} standard library (PSF-2.0)" in sources
    assert any(source.startswith("hypothesis ") and source.endswith("(MPL-2.0)") for source in sources)
    assert all(source.endswith(")") and "(" in source and "\n" not in source for source in sources)
    stated = sum("license not stated" not in source for source in sources)
    assert stated > len(sources) / 2


def test_installed_documents_are_the_first_readable_ones_in_a_stable_order(installed):
    corpus = corpora.load("installed", "python", max_documents=60)
    documents = check(corpus, "python")
    assert len(documents) == 60
    assert sum(corpus.left_out.values()) < 60
    remaining = iter((file.source, file.path, file.file) for file in installed)
    for row in documents:
        file = next(file for source, path, file in remaining if (source, path) == (row["source"], row["path"]))
        assert file.read_bytes() == row["content"].encode()


# The hub, as a tree of Parquet files in the layout of the data sets.


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    for lang, folder in paper.STARCODERDATA_FOLDERS.items():
        for shard in range(2):
            rows = [{"max_stars_repo_path": "p", "content": f"{lang} {shard} {row}\n", "id": row} for row in range(5)]
            records.write_parquet(root / "starcoderdata" / folder / f"train-0000{shard}-of-00002.parquet", rows)
    rows = [{"content": content, "licenses": ["MIT"]} for content in ("swift 0\n", "", "x" * 5000)]
    records.write_parquet(root / "the-stack" / "data" / "swift" / "train-00000-of-00001.parquet", rows)
    return {"hub": str(root / "starcoderdata"), "hub_swift": str(root / "the-stack")}


@pytest.mark.parametrize("lang", list(paper.STARCODERDATA_FOLDERS))
def test_the_hub_gives_each_language_in_corpus_order(hub, lang):
    expected = [f"{lang} {shard} {row}\n" for shard in range(2) for row in range(5)]
    corpus = corpora.load("hub", lang, max_documents=7, **hub)
    documents = check(corpus, lang)
    assert documents["content"][:] == expected[:7]
    assert set(documents["source"]) == {hub["hub"]}
    assert documents["path"][6] == f"{paper.STARCODERDATA_FOLDERS[lang]}#6"
    assert corpus.left_out == Counter()


def test_streaming_and_downloading_give_the_same_documents(hub):
    streamed = check(corpora.load("hub", "csharp", max_documents=100, **hub), "csharp")
    downloaded = check(corpora.load("hub", "csharp", **hub), "csharp")
    assert len(streamed) == 10
    assert {name: streamed[name][:] for name in COLUMNS} == {name: downloaded[name][:] for name in COLUMNS}


@pytest.mark.parametrize("max_documents", [0, 3])
def test_swift_comes_from_the_stack_and_nothing_is_left_out_of_a_hub_corpus(hub, max_documents):
    documents = check(corpora.load("hub", "swift", max_documents=max_documents, **hub), "swift")
    assert documents["content"][:] == ["swift 0\n", "", "x" * 5000]
    assert documents["path"][0] == "data/swift#0"


@pytest.mark.parametrize("max_documents", [0, 3])
def test_a_hub_that_cannot_be_reached_is_one_line_that_names_the_other_sources(tmp_path, max_documents):
    with pytest.raises(CorpusError, match=r"could not load .*HF_TOKEN.*'installed', 'bundled' or 'folder'") as caught:
        corpora.load("hub", "python", max_documents=max_documents, hub=str(tmp_path / "none"))
    assert "\n" not in str(caught.value)


def test_a_hub_table_without_content_is_one_line(tmp_path):
    records.write_parquet(tmp_path / "python" / "train-00000-of-00001.parquet", [{"text": "a"}])
    with pytest.raises(CorpusError, match="could not load"):
        corpora.load("hub", "python", hub=str(tmp_path))


# What is bundled.


@pytest.mark.parametrize("lang", paper.LANGUAGES)
def test_at_least_five_documents_of_every_language_are_bundled(lang):
    corpus = corpora.load("bundled", lang)
    documents = check(corpus, lang)
    assert len(documents) >= 5
    assert corpus.left_out == Counter()
    assert set(documents["source"]) == {"magicoder-kit (MIT)"}
    assert documents["path"][:] == sorted(documents["path"])
    for content in documents["content"]:
        assert 60 <= len(content.splitlines()) <= 200
        assert content.endswith("\n")
        assert "\r" not in content
    assert len(set(documents["content"])) == len(documents)
    # Documents feed the draw.
    assert len(snippets.extract(documents)) == len(documents)


def test_nothing_but_documents_of_the_nine_languages_lies_in_the_bundle():
    found = {file.relative_to(BUNDLED) for file in BUNDLED.rglob("*") if file.is_file() and file.suffix != ".pyc"}
    listed = {file.file.relative_to(BUNDLED) for lang in paper.LANGUAGES for file in corpora.bundled_files(lang)}
    assert found == listed


@pytest.mark.parametrize("path", sorted((BUNDLED / "python").glob("*.py")), ids=lambda path: path.name)
def test_every_bundled_python_document_compiles(path):
    assert compile(path.read_text(), str(path), "exec").co_names


COMPILERS = {
    "python": [sys.executable, "-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())"],
    "cpp": ["g++", "-std=c++20", "-fsyntax-only"],
    "java": ["javac", "-proc:none", "-d", "."],
    "shell": ["bash", "-n"],
    "php": ["php", "-l"],
    "rust": ["rustc", "--edition=2021", "--crate-type=lib", "--emit=metadata", "--cap-lints=allow"],
}


def is_there(compiler: str) -> bool:
    """Say whether a compiler runs: rustup, for one, leaves a rustc that only says that none is installed."""
    return (
        shutil.which(compiler) is not None
        and not subprocess.run([compiler, "--version"], capture_output=True).returncode
    )


FOUND = {lang: command for lang, command in COMPILERS.items() if is_there(command[0])}
"""Those this machine has; Python itself is always there."""


@pytest.mark.parametrize("lang", FOUND)
def test_every_bundled_document_passes_its_compiler(tmp_path, lang):
    files = [str(file.file) for file in corpora.bundled_files(lang)]
    # These two take all files at once, which is much faster.
    batches = [files] if lang in ("cpp", "java") else [[file] for file in files]
    for batch in batches:
        done = subprocess.run([*FOUND[lang], *batch], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
