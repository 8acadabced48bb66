"""How long problems and solutions are, in tokens.

The paper counts with tiktoken's ``cl100k_base``, whose file tiktoken downloads at first use. Where it cannot be
had, the embedded student's tokenizer counts instead and the frame says so: the two give different numbers,
and neither may pass for the other.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from magicoder_kit import embedded
from magicoder_kit.errors import ParameterError

if TYPE_CHECKING:
    import tiktoken

PARTS = ("problem", "solution")
ANSWER_S, FETCH_S = 3.0, 20.0
"""How long the server of tiktoken's file may be silent, and how long the file may take in all."""

_FETCH = """
import functools, sys, requests, tiktoken
requests.get = functools.partial(requests.get, timeout=float(sys.argv[2]))
tiktoken.get_encoding(sys.argv[1])
"""
_BATCH = 1_000


def token_counts(
    datasets: Mapping[str, Sequence[Mapping[str, Any]]], *, tokenizer: str = "cl100k_base"
) -> pd.DataFrame:
    """Count the tokens of every problem and every solution.

    Parameters
    ----------
    datasets : mapping of str to rows
        Rows with columns ``problem`` and ``solution``.
    tokenizer : str
        A tiktoken encoding, or ``"embedded"`` for the embedded student's tokenizer, which also stands in for
        an encoding whose file cannot be had: its server silent for :data:`ANSWER_S` seconds, or the file not
        here within :data:`FETCH_S`.

    Returns
    -------
    DataFrame
        Columns ``data set, part, tokens``, two rows an example, in the order of the rows; ``part`` is
        ``problem`` or ``solution``. ``attrs["tokenizer"]`` names the tokenizer that counted, and
        ``attrs["stands_in_for"]`` the encoding asked for where that is another, else ``""``.

    Raises
    ------
    ParameterError
        tiktoken knows no such encoding.
    ModelError
        Neither the encoding nor the embedded tokenizer can be had.

    Source: section 2.2 (the length figure, ``cl100k_base``).
    """
    used, count = _counter(tokenizer)
    columns: dict[str, list[Any]] = {"data set": [], "part": [], "tokens": []}
    for name, rows in datasets.items():
        texts = [row[part] for row in rows for part in PARTS]
        columns["data set"] += [name] * len(texts)
        columns["part"] += PARTS * len(rows)
        for start in range(0, len(texts), _BATCH):
            # A lone surrogate is valid in JSON and in no tokenizer.
            batch = [text.encode("utf-8", "replace").decode() for text in texts[start : start + _BATCH]]
            columns["tokens"] += count(batch)
    counts = pd.DataFrame(columns).astype({"tokens": "int64"})
    counts.attrs |= {"tokenizer": used, "stands_in_for": "" if tokenizer in (used, "embedded") else tokenizer}
    return counts


def summary(counts: pd.DataFrame) -> pd.DataFrame:
    """Summarize token counts by data set and part.

    Parameters
    ----------
    counts : DataFrame
        As :func:`token_counts` returns it.

    Returns
    -------
    DataFrame
        Columns ``data set, part, n, mean, median, p95``; all but ``n`` in tokens. ``attrs`` as in ``counts``.
    """
    grouped = counts.groupby(["data set", "part"], sort=False)["tokens"]
    table = grouped.agg(n="size", mean="mean", median="median", p95=lambda tokens: tokens.quantile(0.95)).reset_index()
    table.attrs = dict(counts.attrs)
    return table


def _counter(tokenizer: str) -> tuple[str, Callable[[list[str]], list[int]]]:
    import tiktoken

    known = tiktoken.list_encoding_names()
    if tokenizer not in (*known, "embedded"):
        raise ParameterError(
            f"tokenizer {tokenizer!r} is unknown; choose 'embedded' or one of {', '.join(sorted(known))}"
        )
    if tokenizer != "embedded" and (encoding := _load_encoding(tokenizer)):
        return encoding.name, lambda texts: [
            len(tokens) for tokens in encoding.encode_ordinary_batch(texts, num_threads=os.cpu_count() or 1)
        ]

    from tokenizers import Tokenizer

    # The tokenizer's own library: what transformers wraps around it takes longer than the counting.
    folder = embedded.student()
    student = Tokenizer.from_file(str(folder / "tokenizer.json"))
    student.no_truncation()
    student.no_padding()
    return folder.name, lambda texts: list(map(len, student.encode_batch_fast(texts, add_special_tokens=False)))


@functools.cache
def _load_encoding(name: str) -> "tiktoken.Encoding | None":
    """Load a tiktoken encoding, or return None where its file cannot be had; decided once a process."""
    import tiktoken

    # tiktoken downloads without a time limit. The child process has one, and can be killed even while it waits for a
    # name server; when it ends well the file lies in tiktoken's cache and loading it here needs no network.
    probe = [sys.executable, "-c", _FETCH, name, str(ANSWER_S)]
    patience = {"RES_OPTIONS": f"timeout:{max(1, int(ANSWER_S / 2))} attempts:1"}
    try:
        if subprocess.run(probe, capture_output=True, timeout=FETCH_S, env=os.environ | patience).returncode != 0:
            return None
    except subprocess.TimeoutExpired:
        return None
    return tiktoken.get_encoding(name)
