"""What kinds of problems a data set holds: the nearest of the paper's ten categories, by embedding.

A category is the name whose embedding is nearest to the solution's by cosine; nothing was trained on labels.
The paper embeds with INSTRUCTOR and two instructions. Offline the embedded all-MiniLM-L6-v2 stands in: it takes no
instruction, reads the first 256 word pieces of a solution, and was not trained on code, so its shares are not
to be read beside the paper's. How far either can be trusted, :func:`agreement` measures on 60 labelled rows.

Not covered: a solution of two categories gets one, and "Domain Specific" is what a name alone describes least.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from magicoder_kit import paper, records
from magicoder_kit.analysis import embeddings
from magicoder_kit.errors import ParameterError

SOLUTION_INSTRUCTION = "Represent the code for retrieving"
CATEGORY_INSTRUCTION = "Represent the comment for retrieving the corresponding code"
"""The two instructions INSTRUCTOR is given (section 2.2); the texts follow them without a separator."""


def categorize(
    datasets: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    encoder: str = embeddings.EMBEDDED,
    batch_size: int = 32,
    cache: Path | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Give every row the category nearest to its solution.

    Parameters
    ----------
    datasets : mapping of str to rows
        Rows with a column ``solution``.
    encoder : str
        ``"embedded"`` for all-MiniLM-L6-v2 from the package index, or a model on the hub or in a folder that
        sentence-transformers loads. Names that contain ``instructor`` get the paper's instructions; the
        reference uses ``hkunlp/instructor-base``.
    batch_size, cache, progress
        As :func:`embeddings.embed` takes them; a solution embedded before is not embedded again.

    Returns
    -------
    DataFrame
        One row an example, columns ``data set, index, category, similarity``: ``index`` is the row's position in
        its data set (0-based), ``category`` one of ``paper.CATEGORIES``, ``similarity`` their cosine.
        ``attrs["encoder"]`` is ``encoder``.

    Raises
    ------
    ModelError
        The encoder cannot be loaded, or the file of the cache cannot be used.

    Source: section 2.2 and figure 4.
    """
    instructions = (SOLUTION_INSTRUCTION, CATEGORY_INSTRUCTION) if embeddings.takes_instructions(encoder) else ("", "")
    solutions = [row["solution"] for rows in datasets.values() for row in rows]
    ways: Any = {"encoder": encoder, "batch_size": batch_size, "cache": cache, "progress": progress}
    of_solutions = embeddings.embed(solutions, instruction=instructions[0], **ways)
    of_categories = embeddings.embed(paper.CATEGORIES, instruction=instructions[1], **ways)
    cosines = of_solutions.reshape(len(solutions), of_categories.shape[1]) @ of_categories.T
    nearest = cosines.argmax(axis=1)
    frame = pd.DataFrame(
        {
            "data set": [name for name, rows in datasets.items() for _ in rows],
            "index": [index for rows in datasets.values() for index in range(len(rows))],
            "category": [paper.CATEGORIES[position] for position in nearest],
            "similarity": cosines[np.arange(len(solutions)), nearest].astype(float),
        }
    )
    frame.attrs["encoder"] = encoder
    return frame


def shares(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the share of every category in every data set, with its 95 % Wilson interval.

    Parameters
    ----------
    frame : DataFrame
        As :func:`categorize` returns it.

    Returns
    -------
    DataFrame
        Columns ``data set, category, rows, n, share, low, high``, ten rows a data set in the paper's order, those
        nobody has included. The interval is for rows drawn at random from a larger set; it knows nothing of
        wrong labels. ``attrs`` as in ``frame``.
    """
    table = []
    for name, rows in frame.groupby("data set", sort=False):
        counts = rows["category"].value_counts()
        for category in paper.CATEGORIES:
            count = int(counts.get(category, 0))
            table.append((name, category, count, len(rows), count / len(rows), *_wilson(count, len(rows))))
    shares = pd.DataFrame(table, columns=["data set", "category", "rows", "n", "share", "low", "high"])
    shares.attrs = dict(frame.attrs)
    return shares


def labelled_rows() -> list[dict[str, Any]]:
    """Return 60 short problems with solutions, written and labelled by hand for this kit, six a category.

    Columns ``problem, solution, category``. One person read and labelled them once, without looking at any encoder.
    """
    return records.read_jsonl(Path(__file__).parent / "labelled_rows.jsonl")


def agreement(
    rows: Sequence[Mapping[str, Any]], *, encoder: str = embeddings.EMBEDDED, cache: Path | None = None
) -> dict[str, Any]:
    """Measure how often the nearest category is the one a reader gave.

    Parameters
    ----------
    rows : sequence of mapping
        Columns ``solution`` and ``category``, one of ``paper.CATEGORIES``; see :func:`labelled_rows`.
    encoder, cache
        As :func:`categorize` takes them.

    Returns
    -------
    dict
        ``encoder, n, agreed, share, low, high``: the last two bound ``share`` by its 95 % Wilson interval.

    Raises
    ------
    ParameterError
        There are no rows, or a row's category is not one of the ten.
    ModelError
        As :func:`categorize`.
    """
    labels = [row["category"] for row in rows]
    if unknown := sorted({label for label in labels if label not in paper.CATEGORIES}):
        raise ParameterError(f"unknown category {unknown[0]!r}; the ten are {', '.join(paper.CATEGORIES)}")
    if not labels:
        raise ParameterError("agreement needs at least one labelled row; categories.labelled_rows() gives 60")
    placed = categorize({"labelled": rows}, encoder=encoder, cache=cache)["category"]
    agreed = sum(label == category for label, category in zip(labels, placed, strict=True))
    low, high = _wilson(agreed, len(labels))
    share = agreed / len(labels)
    return {"encoder": encoder, "n": len(labels), "agreed": agreed, "share": share, "low": low, "high": high}


def _wilson(count: int, n: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    interval = binomtest(count, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
