import socket
import threading
import time

import pytest

from magicoder_kit import embedded
from magicoder_kit.analysis import figures, lengths
from magicoder_kit.errors import ParameterError

ROWS = [
    {
        "problem": "Write a function that adds two numbers.",
        "solution": "```python\ndef add(a, b):\n    return a + b\n```",
    },
    {"problem": "Größe 数 🙂", "solution": ""},
    {"problem": "a lone surrogate \ud800 and <|endoftext|>", "solution": "x" * 3_000},
]


@pytest.fixture
def nothing_loaded(monkeypatch, tmp_path):
    """Let tiktoken start as on a fresh machine: nothing in its cache, nothing decided in this process."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    lengths._load_encoding.cache_clear()
    yield lambda port: [monkeypatch.setenv(name, f"http://127.0.0.1:{port}") for name in ("HTTPS_PROXY", "https_proxy")]
    lengths._load_encoding.cache_clear()


def independent_counts(name, texts):
    if name == "cl100k_base":
        import tiktoken

        return [len(tiktoken.get_encoding(name).encode(text, disallowed_special=())) for text in texts]
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(embedded.student())
    return [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]


@pytest.mark.parametrize("tokenizer", ["cl100k_base", "embedded"])
def test_counts_are_those_of_the_tokenizer_the_frame_names(tokenizer):
    counts = lengths.token_counts({"ours": ROWS[:2], "theirs": ROWS[:1]}, tokenizer=tokenizer)
    texts = [row[part] for row in (*ROWS[:2], ROWS[0]) for part in ("problem", "solution")]
    assert counts["tokens"].tolist() == independent_counts(counts.attrs["tokenizer"], texts)
    assert counts["part"].tolist() == ["problem", "solution"] * 3
    assert counts["data set"].tolist() == ["ours"] * 4 + ["theirs"] * 2


@pytest.mark.parametrize("tokenizer", ["cl100k_base", "embedded"])
def test_any_text_a_row_can_hold_is_counted(tokenizer):
    counts = lengths.token_counts({"ours": ROWS, "empty": []}, tokenizer=tokenizer)
    assert len(counts) == 6
    assert (counts["tokens"] > 0).tolist() == [True, True, True, False, True, True]


def test_a_network_that_hangs_costs_seconds_and_the_frame_names_the_stand_in(nothing_loaded, monkeypatch):
    embedded.student()
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and never answers
        nothing_loaded(server.getsockname()[1])
        end = threading.Timer(10.0, server.close)  # without a time limit this test fails, and does not hang
        end.start()
        began = time.monotonic()
        assert lengths._load_encoding("cl100k_base") is None
        assert time.monotonic() - began < 8.0  # of which ANSWER_S, 3, for the server
        end.cancel()
        attrs = lengths.token_counts({"ours": ROWS}).attrs
    assert attrs == {"tokenizer": embedded.student().name, "stands_in_for": "cl100k_base"}
    assert lengths.token_counts({"ours": ROWS}, tokenizer="embedded").attrs["stands_in_for"] == ""


def test_offline_the_stand_in_counts_at_once(nothing_loaded):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: refused
        nothing_loaded(closed.getsockname()[1])
        counts = lengths.token_counts({"ours": ROWS[:1]})
    assert counts.attrs["tokenizer"] == embedded.student().name
    assert (
        counts["tokens"].tolist() == lengths.token_counts({"ours": ROWS[:1]}, tokenizer="embedded")["tokens"].tolist()
    )


def test_the_figure_says_what_counted_and_what_it_stands_in_for(nothing_loaded):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nothing_loaded(closed.getsockname()[1])
        figure = figures.lengths(lengths.token_counts({"ours": ROWS}))
    assert "smollm2-135m-instruct, as cl100k_base could not be had" in figure.axes[0].get_xlabel()
    figure = figures.lengths(lengths.token_counts({"ours": ROWS}, tokenizer="embedded"))
    assert "tokens (smollm2-135m-instruct), bins of 20" in figure.axes[0].get_xlabel()


def test_an_unknown_tokenizer_is_refused_with_those_there_are():
    with pytest.raises(ParameterError, match=r"'cl100k'.*embedded.*cl100k_base"):
        lengths.token_counts({"ours": ROWS}, tokenizer="cl100k")


def test_the_summary_is_per_set_and_part_and_keeps_the_tokenizers_name():
    counts = lengths.token_counts({"b": ROWS, "a": ROWS[:1]}, tokenizer="embedded")
    table = lengths.summary(counts)
    assert table["data set"].tolist() == ["b", "b", "a", "a"]
    problems = counts.loc[(counts["data set"] == "b") & (counts["part"] == "problem"), "tokens"]
    first = table.iloc[0]
    assert (first["n"], first["mean"], first["median"]) == (3, problems.mean(), problems.median())
    assert problems.median() <= first["p95"] <= problems.max()
    assert table.attrs == counts.attrs
