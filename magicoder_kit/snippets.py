"""01: seed snippets, drawn from documents exactly as the reference implementation draws them."""

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING

from magicoder_kit import engine, paper
from magicoder_kit.errors import CorpusError, ParameterError

if TYPE_CHECKING:
    from datasets import Dataset


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

    def draw_chunk(chunk: dict[str, list[str]], positions: list[int]) -> dict[str, list[str]]:
        rng = random.Random(seed + positions[0])
        return {"seed": [draw(content, rng, min_lines, max_lines) for content in chunk["content"]]}

    drawn = engine.map_batches(
        documents, draw_chunk, batch_size=chunk_size, drop=["content"], description="drawing snippets"
    )
    drawn = drawn.select([row for row, snippet in enumerate(drawn["seed"]) if snippet])
    return drawn.shuffle(seed=seed).add_column("index", range(len(drawn)))


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
