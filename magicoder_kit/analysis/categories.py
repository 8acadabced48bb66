"""What kinds of problems a data set holds: the nearest of the paper's ten categories, by embedding.

A category is the name whose embedding is nearest to the solution's by cosine; nothing was trained on labels.
The paper embeds with INSTRUCTOR and two instructions. Offline the embedded all-MiniLM-L6-v2 stands in: it takes no
instruction, reads the first 256 word pieces of a solution, and was not trained on code, so its shares are not
to be read beside the paper's.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from magicoder_kit import paper
from magicoder_kit.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

SOLUTION_INSTRUCTION = "Represent the code for retrieving"
CATEGORY_INSTRUCTION = "Represent the comment for retrieving the corresponding code"
"""The two instructions INSTRUCTOR is given (section 2.2); the texts follow them without a separator."""


def categorize(
    datasets: Mapping[str, Sequence[Mapping[str, Any]]], *, encoder: str = "embedded", batch_size: int = 32
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
    batch_size : int
        Solutions encoded at a time; changes speed and memory alone.

    Returns
    -------
    DataFrame
        One row an example, columns ``data set, index, category, similarity``: ``index`` is the row's position in
        its data set (0-based), ``category`` one of ``paper.CATEGORIES``, ``similarity`` their cosine.
        ``attrs["encoder"]`` is ``encoder``.

    Raises
    ------
    ModelError
        The encoder cannot be loaded.

    Source: section 2.2 and figure 4.
    """
    model = _load(encoder)
    instructions = (SOLUTION_INSTRUCTION, CATEGORY_INSTRUCTION) if _takes_instructions(encoder) else (None, None)
    solutions = [row["solution"] for rows in datasets.values() for row in rows]
    categories = _embed(model, paper.CATEGORIES, instruction=instructions[1], batch_size=batch_size)
    embeddings = _embed(model, solutions, instruction=instructions[0], batch_size=batch_size)
    cosines = embeddings.reshape(len(solutions), categories.shape[1]) @ categories.T
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
    from scipy.stats import binomtest

    table = []
    for name, rows in frame.groupby("data set", sort=False):
        counts = rows["category"].value_counts()
        for category in paper.CATEGORIES:
            count = int(counts.get(category, 0))
            interval = binomtest(count, len(rows)).proportion_ci(0.95, method="wilson")
            table.append((name, category, count, len(rows), count / len(rows), interval.low, interval.high))
    shares = pd.DataFrame(table, columns=["data set", "category", "rows", "n", "share", "low", "high"])
    shares.attrs = dict(frame.attrs)
    return shares


def _takes_instructions(encoder: str) -> bool:
    return "instructor" in encoder.lower()


def _load(encoder: str) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer

    from magicoder_kit import devices, embedded

    name = str(embedded.encoder()) if encoder == "embedded" else encoder
    try:
        model = SentenceTransformer(name, device=devices.detect().kind)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"cannot load the encoder {encoder!r} ({str(error).splitlines()[0]}); 'embedded' needs no hub"
        ) from error
    if _takes_instructions(encoder):
        # INSTRUCTOR reads the instruction but leaves it out of the mean.
        model.set_pooling_include_prompt(False)
    return model


def _embed(
    model: "SentenceTransformer", texts: Sequence[str], *, instruction: str | None, batch_size: int
) -> "np.ndarray[Any, Any]":
    """Return unit vectors, shape (texts, dimension)."""
    # A lone surrogate is valid in JSON and in no tokenizer.
    texts = [text.encode("utf-8", "replace").decode().strip() for text in texts]
    return np.asarray(
        model.encode(
            texts, prompt=instruction, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False
        )
    )
