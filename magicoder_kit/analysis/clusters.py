"""What kinds of problems a data set holds, without naming kinds first: k-means on the solutions' embeddings.

The reference offers this beside the ten categories. The clusters are those of all data sets together, so that shares
can be compared; a picture in two dimensions is for looking only, since the distances k-means saw lie in hundreds.

Not covered: the number of clusters is a choice, not a finding.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from magicoder_kit.analysis import categories, embeddings
from magicoder_kit.errors import ParameterError

PROJECTIONS = ("pca", "tsne")
_PERPLEXITY = 100


def clusters(
    datasets: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    n_clusters: int = 8,
    projection: str = "pca",
    encoder: str = embeddings.EMBEDDED,
    seed: int = 42,
    cache: Path | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Group the rows of all data sets by what their solutions are about, and place them in a plane.

    Parameters
    ----------
    datasets : mapping of str to rows
        Rows with a column ``solution``.
    n_clusters : int
        Groups to make; at most one a row.
    projection : str
        ``"pca"``, in a second for any set, or ``"tsne"``, which keeps neighbours together and takes minutes from
        10,000 rows on.
    encoder, cache, progress
        As :func:`categories.categorize` takes them; the embeddings are the same ones.
    seed : int
        Of k-means and of the projection.

    Returns
    -------
    DataFrame
        One row an example, columns ``data set, index, cluster, distance, x, y``: ``cluster`` counts from 1, the
        largest first, ``distance`` is that to the cluster's centre, and ``x, y`` are the place in the plane, without
        a unit. ``attrs`` hold ``encoder`` and ``projection``.

    Raises
    ------
    ParameterError
        The projection is unknown, or ``n_clusters`` is not between 1 and the number of rows.
    ModelError
        As :func:`categories.categorize`.

    Source: the reference's clusters (k-means and t-SNE with perplexity 100, both of seed 42).
    """
    from sklearn.cluster import KMeans

    solutions = [row["solution"] for rows in datasets.values() for row in rows]
    if projection not in PROJECTIONS:
        raise ParameterError(f"unknown projection {projection!r}; use pca or tsne")
    if not 1 <= n_clusters <= len(solutions):
        raise ParameterError(f"n_clusters = {n_clusters} must lie between 1 and the {len(solutions)} rows there are")
    instruction = categories.SOLUTION_INSTRUCTION if embeddings.takes_instructions(encoder) else ""
    vectors = embeddings.embed(solutions, encoder=encoder, instruction=instruction, cache=cache, progress=progress)
    fitted = KMeans(n_clusters, n_init=10, random_state=seed).fit(vectors)
    by_size = np.argsort(-np.bincount(fitted.labels_, minlength=n_clusters), kind="stable")
    place = _project(vectors, projection, seed)
    frame = pd.DataFrame(
        {
            "data set": [name for name, rows in datasets.items() for _ in rows],
            "index": [index for rows in datasets.values() for index in range(len(rows))],
            "cluster": np.argsort(by_size)[fitted.labels_] + 1,
            "distance": np.linalg.norm(vectors - fitted.cluster_centers_[fitted.labels_], axis=1),
            "x": place[:, 0],
            "y": place[:, 1],
        }
    )
    frame.attrs |= {"encoder": encoder, "projection": projection}
    return frame


def typical(
    frame: pd.DataFrame, datasets: Mapping[str, Sequence[Mapping[str, Any]]], *, n: int = 1, width: int = 90
) -> pd.DataFrame:
    """Return the problems nearest to each cluster's centre: what the cluster is about.

    Parameters
    ----------
    frame : DataFrame
        As :func:`clusters` returned it for ``datasets``, whose rows have a column ``problem``.
    n : int
        Problems a cluster.
    width : int
        Characters of a problem's opening, cut at a word.

    Returns
    -------
    DataFrame
        Columns ``cluster, rows, share, data set, index, distance, opening``, the most typical problem of a cluster
        first; ``rows`` and ``share`` are those of the cluster in all data sets together.
    """
    table = []
    for cluster, members in frame.sort_values("distance", kind="stable").groupby("cluster"):
        for member in members.head(n).to_dict("records"):
            opening = _opening(datasets[member["data set"]][member["index"]]["problem"], width)
            size = (len(members), len(members) / len(frame))
            table.append((cluster, *size, member["data set"], member["index"], member["distance"], opening))
    return pd.DataFrame(table, columns=["cluster", "rows", "share", "data set", "index", "distance", "opening"])


def _opening(problem: str, width: int) -> str:
    # Marks of headings, bold type and code go; the # of C# stays.
    words = " ".join(re.sub(r"(?m)^#+ |\*\*|`+", " ", problem).split())
    if len(words) <= width:
        return words or "(no text)"
    return words[: width - 1].rsplit(" ", 1)[0] + "\N{HORIZONTAL ELLIPSIS}"


def _project(vectors: embeddings.Vectors, projection: str, seed: int) -> embeddings.Vectors:
    """Return places in the plane, shape (rows, 2)."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if len(vectors) == 1:
        return np.zeros((1, 2), np.float32)
    # t-SNE wants fewer neighbours than there are rows.
    if projection == "pca" or len(vectors) < 4:
        return np.asarray(PCA(2, random_state=seed).fit_transform(vectors))
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    return np.asarray(TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(vectors))
