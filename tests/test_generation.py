"""Promises of teacher.py and generation.py, against a real server in another process."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from magicoder_kit import generation, teacher
from magicoder_kit.errors import TeacherError
from magicoder_kit.records import EXAMPLE_COLUMNS, Journal, read_jsonl, write_jsonl

SNIPPETS = [
    {"lang": "python", "raw_index": i, "index": i, "seed": f"x = {i}\n", "source": "test", "path": f"{i}.py"}
    for i in range(40)
]


def asked(count=40, **settings):
    return list(generation.requests(SNIPPETS[:count], variant="paper", model="test-teacher", **settings))


def test_every_snippet_gets_one_answer_and_the_journal_keeps_it(teacher_server, tmp_path):
    server, journal = teacher_server("ok"), Journal(tmp_path / "a.journal.jsonl")
    summary = generation.generate(asked(), journal=journal, base_url=server.base_url, progress=False)
    assert (summary["requested"], summary["answered"], summary["failed"]) == (40, 40, 0)
    assert summary["completion_tokens"] == 40 * 50
    kept, rejected = generation.examples(SNIPPETS, generation.responses(asked(), journal=journal))
    assert len(kept) + len(rejected) == 40
    assert {tuple(row) for row in kept} == {EXAMPLE_COLUMNS}
    assert {row["reason"] for row in rejected} == {"no_headers"}
    assert {row["openai_fingerprint"] for row in kept} == {"fp_test"}
    assert [row["index"] for row in kept] == sorted(row["index"] for row in kept)


def test_what_was_answered_is_not_asked_again(teacher_server, tmp_path):
    server, path = teacher_server("ok"), tmp_path / "a.journal.jsonl"
    generation.generate(asked(15), journal=Journal(path), base_url=server.base_url, progress=False)
    summary = generation.generate(asked(), journal=Journal(path), base_url=server.base_url, progress=False)
    assert summary["resumed"] == 15
    assert len(server.answered()) == len(set(server.answered())) == 40


def test_a_torn_journal_loses_only_its_last_line(teacher_server, tmp_path):
    server, path = teacher_server("ok"), tmp_path / "a.journal.jsonl"
    generation.generate(asked(10), journal=Journal(path), base_url=server.base_url, progress=False)
    path.write_bytes(path.read_bytes()[:-25])
    summary = generation.generate(asked(10), journal=Journal(path), base_url=server.base_url, progress=False)
    assert summary["resumed"] == 9
    assert len(read_jsonl(path)) == 10


def test_what_may_pass_is_tried_again(teacher_server, tmp_path):
    server, journal = teacher_server("flaky"), Journal(tmp_path / "a.journal.jsonl")
    summary = generation.generate(asked(), journal=journal, base_url=server.base_url, progress=False)
    failures = [row for row in journal.rows() if row["error"]]
    assert summary["answered"] == 40
    assert failures, "the server failed no first attempt"
    assert not any(row["final"] for row in failures)


@pytest.mark.parametrize(
    ("mode", "said"),
    [("refuses", "refuses the key in TEST_TEACHER_KEY"), ("html", "HTML page"), ("no_model", "it serves test-teacher")],
)
def test_a_teacher_that_cannot_answer_stops_the_run_in_one_line(teacher_server, tmp_path, monkeypatch, mode, said):
    monkeypatch.setenv("TEST_TEACHER_KEY", "sk-very-secret-key-1234567890")
    journal = Journal(tmp_path / "a.journal.jsonl")
    with pytest.raises(TeacherError, match=said) as caught:
        generation.generate(
            asked(),
            journal=journal,
            base_url=teacher_server(mode).base_url,
            api_key_env="TEST_TEACHER_KEY",
            progress=False,
        )
    assert "\n" not in str(caught.value)
    assert "very-secret" not in str(caught.value)
    assert not any("very-secret" in str(row) for row in journal.rows())


def test_a_teacher_that_is_not_there_is_said_within_seconds(tmp_path):
    began = time.monotonic()
    with pytest.raises(TeacherError, match=r"no teacher answers at http://127\.0\.0\.1:9/v1"):
        generation.generate(
            asked(), journal=Journal(tmp_path / "a.journal.jsonl"), base_url="http://127.0.0.1:9/v1", progress=False
        )
    assert time.monotonic() - began < 30


def test_the_openai_api_without_a_key_is_one_line(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(TeacherError, match="set the environment variable OPENAI_API_KEY"):
        list(teacher.ask(asked(1)))


def test_a_prompt_that_fills_the_context_is_not_sent(teacher_server, tmp_path):
    server, journal = teacher_server("ok"), Journal(tmp_path / "a.journal.jsonl")
    requests = asked(3, context_length=60)
    generation.generate(requests, journal=journal, base_url=server.base_url, progress=False)
    assert server.answered() == []
    assert [row["error"] for row in generation.responses(requests, journal=journal)] == ["no room"] * 3


def test_token_limit_is_the_papers_rule():
    (request,) = asked(1, count_tokens=lambda text: 6_000)
    assert request["max_tokens"] == min(2_500, 8_192 - 6_000 - 10)
    assert request["seed"] == 976 + SNIPPETS[0]["index"]


def test_killed_generation_ends_as_an_undisturbed_one(teacher_server, tmp_path):
    server = teacher_server("slow")
    write_jsonl(tmp_path / "snippets.jsonl", SNIPPETS)
    code = f"""
        from pathlib import Path
        from magicoder_kit import generation, records
        snippets = records.read_jsonl(Path({str(tmp_path / "snippets.jsonl")!r}))
        asked = list(generation.requests(snippets, variant="paper", model="test-teacher"))
        journal = records.Journal(Path({str(tmp_path / "a.journal.jsonl")!r}))
        generation.generate(asked, journal=journal, base_url={server.base_url!r}, max_in_flight=4, progress=False)
    """
    kills = 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
        before = len(server.answered())
        while process.poll() is None and (kills == 3 or len(server.answered()) < before + 6):
            time.sleep(0.05)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert process.returncode == 0
    assert kills == 3
    after = generation.examples(SNIPPETS, generation.responses(asked(), journal=Journal(tmp_path / "a.journal.jsonl")))
    undisturbed = Journal(tmp_path / "b.journal.jsonl")
    generation.generate(asked(), journal=undisturbed, base_url=server.base_url, max_in_flight=40, progress=False)
    assert after == generation.examples(SNIPPETS, generation.responses(asked(), journal=undisturbed))
    repeated = len(server.answered()) - 2 * len(SNIPPETS)
    assert repeated <= kills * 4, "more than what was in flight was asked for twice"
