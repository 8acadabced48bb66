"""01: seed snippets, drawn from documents exactly as the reference implementation draws them."""

import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from magicoder_kit import engine, paper
from magicoder_kit.errors import CorpusError, ParameterError

if TYPE_CHECKING:
    from datasets import Dataset

REPRODUCED = "reproduced"


def extract(
    documents: "Dataset",
    *,
    seed: int = paper.SEED,
    min_lines: int = paper.MIN_LINES,
    max_lines: int = paper.MAX_LINES,
    chunk_size: int = paper.CHUNK_SIZE,
) -> "Dataset":
    """Draw one seed snippet from every document of one language, as the reference does.

    Parameters
    ----------
    documents : Dataset
        Columns ``content`` and ``raw_index``; row order is corpus order, and chunks follow it.
    seed : int
        Each chunk's random numbers start from ``seed`` plus the position of its first document.
    min_lines, max_lines : int
        A snippet has this many consecutive lines, fewer where the document ends first.
    chunk_size : int
        Documents a chunk.

    Returns
    -------
    Dataset
        One row a document that has at least one line, shuffled: the documents' columns without ``content``,
        and ``seed``; ``index`` is the row's position after the shuffle.

    Raises
    ------
    ParameterError
        ``min_lines`` is below 1 or above ``max_lines``.
    CorpusError
        There are no documents, or one is not text.

    Source: section 2.1; the draw follows the reference implementation bit for bit. An empty document, on
    which the reference stops with an error, yields nothing and takes no random number.
    """
    if not 1 <= min_lines <= max_lines:
        raise ParameterError(f"min_lines={min_lines} and max_lines={max_lines}: need 1 <= min_lines <= max_lines")
    if len(documents) == 0:
        raise CorpusError("there are no documents to draw snippets from; choose another corpus or language")

    def draw_batch(chunk: dict[str, list[str]], positions: list[int]) -> dict[str, list[str]]:
        return {"seed": draw_chunk(chunk["content"], seed + positions[0], min_lines, max_lines)}

    drawn = engine.map_batches(
        documents, draw_batch, batch_size=chunk_size, drop=["content"], description="drawing snippets"
    )
    drawn = drawn.select([row for row, snippet in enumerate(drawn["seed"]) if snippet])
    return drawn.shuffle(seed=seed).add_column("index", range(len(drawn)))


def draw_chunk(contents: Iterable[str], seed: int, min_lines: int, max_lines: int) -> list[str]:
    """Draw one snippet from each document of a chunk, with random numbers that start from ``seed``."""
    rng = random.Random(seed)
    return [draw(content, rng, min_lines, max_lines) for content in contents]


def draw(document: str, rng: random.Random, min_lines: int, max_lines: int) -> str:
    """Draw one snippet: a start line, then a count, then those lines joined.

    Returns ``""`` for a document without a line, and then takes nothing from ``rng``.
    """
    if not isinstance(document, str):
        raise CorpusError(f"a document is {type(document).__name__}, not text; check the corpus's content column")
    lines = document.splitlines(keepends=True)
    if not lines:
        return ""
    start = rng.choice(range(len(lines)))
    count = rng.randint(min_lines, max_lines)
    return "".join(lines[start : start + count])


def mix(drawn: Mapping[str, "Dataset"], quota: Mapping[str, int]) -> "Dataset":
    """Take each language's quota, in the order of ``index``, and put the languages one after another.

    Parameters
    ----------
    drawn : mapping of str to Dataset
        What :func:`extract` made, by language.
    quota : mapping of str to int
        Snippets a language; a language with fewer gives what it has. The paper's is ``paper.QUOTA``.

    Returns
    -------
    Dataset
        Columns of the snippets, languages in the order of ``paper.LANGUAGES``; ``index`` counts within a
        language, as it does in the released data.

    Raises
    ------
    ParameterError
        The quota names a language that was not drawn from.
    CorpusError
        There is no snippet at all.
    """
    from datasets import concatenate_datasets

    wanted = {lang: count for lang, count in quota.items() if count > 0}
    if missing := sorted(wanted.keys() - drawn.keys()):
        raise ParameterError(f"quota asks for {', '.join(missing)}, which sources does not name; add it there")
    # Not the quota's own order: parameters that are equal must give equal files.
    taken = [
        drawn[lang].select(range(min(wanted[lang], len(drawn[lang])))) for lang in paper.LANGUAGES if lang in wanted
    ]
    if not any(len(part) for part in taken):
        raise CorpusError("no snippet could be drawn; the documents are empty, or quota asks for none")
    return concatenate_datasets(taken)


class Audit(NamedTuple):
    """What an audit of seeds found.

    ``counts`` has, by language, the rows by verdict: ``reproduced``; ``another part of the document`` (the seed
    stands in it, the draw takes other lines); ``not in the document`` (the corpus is another version, or in another
    order); ``no such document`` (none of that ``raw_index``, or one without a line). ``different`` lists every row
    that is not reproduced: ``lang, raw_index, index, seed``, with ``drawn``, what the faithful draw takes there, and
    ``verdict``.
    """

    counts: dict[str, Counter[str]]
    different: list[dict[str, Any]]

    @property
    def rows(self) -> int:
        """Rows audited."""
        return sum(verdicts.total() for verdicts in self.counts.values())

    @property
    def reproduced(self) -> int:
        """Rows whose seed the faithful draw takes at their ``raw_index``."""
        return self.rows - len(self.different)


def audit(
    rows: Iterable[Mapping[str, Any]],
    documents: Mapping[str, "Dataset"],
    *,
    seed: int = paper.SEED,
    min_lines: int = paper.MIN_LINES,
    max_lines: int = paper.MAX_LINES,
    chunk_size: int = paper.CHUNK_SIZE,
) -> Audit:
    """Say of which rows of a released set the faithful draw reproduces the seed, and list the others.

    Parameters
    ----------
    rows : iterable of rows
        Columns ``lang``, ``raw_index`` and ``seed``; others are ignored.
    documents : mapping of str to Dataset
        The corpus of each language as :func:`extract` takes it. Only chunks that rows come from are drawn again.
    seed, min_lines, max_lines, chunk_size
        As in :func:`extract`.

    Returns
    -------
    Audit

    Raises
    ------
    ParameterError
        A row lacks one of the three columns.
    CorpusError
        A document is not text.

    Source: section 2.1, and the columns of the released data set.
    """
    rows = list(rows)
    wanted: dict[str, dict[int, list[int]]] = {}
    for position, row in enumerate(rows):
        if missing := [column for column in ("lang", "raw_index", "seed") if column not in row]:
            raise ParameterError(
                f"row {position + 1} has no column {missing[0]!r}, which the audit needs; it has {', '.join(row)}"
            )
        wanted.setdefault(row["lang"], {}).setdefault(row["raw_index"], []).append(position)
    verdicts = ["no such document"] * len(rows)
    drawn: dict[int, str] = {}
    for lang in wanted.keys() & documents.keys():
        for raw_index, content, snippet in _draw_again(
            documents[lang], wanted[lang].keys(), seed, min_lines, max_lines, chunk_size
        ):
            for position in wanted[lang][raw_index]:
                claimed, drawn[position] = rows[position]["seed"], snippet
                elsewhere = "another part of the document" if claimed in content else "not in the document"
                verdicts[position] = REPRODUCED if claimed == snippet else elsewhere
    counts: dict[str, Counter[str]] = {lang: Counter() for lang in wanted}
    different = []
    for position, (row, verdict) in enumerate(zip(rows, verdicts, strict=True)):
        counts[row["lang"]][verdict] += 1
        if verdict != REPRODUCED:
            claim = {column: row[column] for column in ("lang", "raw_index", "index", "seed") if column in row}
            different.append(claim | {"drawn": drawn.get(position), "verdict": verdict})
    return Audit(counts, different)


def _draw_again(
    documents: "Dataset", wanted: Collection[int], seed: int, min_lines: int, max_lines: int, chunk_size: int
) -> Iterator[tuple[int, str, str]]:
    """Yield ``raw_index``, content and snippet of the wanted documents, those without a line left out."""
    indices = list(documents["raw_index"])
    for first in range(0, len(indices), chunk_size):
        chunk = indices[first : first + chunk_size]
        if not any(raw_index in wanted for raw_index in chunk):
            continue
        contents = documents[first : first + chunk_size]["content"]
        snippets = draw_chunk(contents, seed + first, min_lines, max_lines)
        for raw_index, content, snippet in zip(chunk, contents, snippets, strict=True):
            if snippet and raw_index in wanted:
                yield raw_index, content, snippet
