"""The Batch API against a real server: files within limits, nothing lost or paid for twice, whoever dies when."""

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from magicoder_kit import generation
from magicoder_kit.errors import TeacherError
from magicoder_kit.records import Journal, Rows, write_jsonl
from magicoder_kit.teacher import batch_api

SNIPPETS = [{"lang": "python", "raw_index": i, "index": i, "seed": f"x = {i}\n"} for i in range(30)]


def asked(snippets=SNIPPETS):
    return generation.Requests(snippets, variant="paper", model="test-teacher", count_tokens=lambda text: 100)


def generate(server, journal, **settings):
    settings = {"mode": "batch", "poll_s": 0.02, "progress": False, **settings}
    return generation.generate(asked(), journal=journal, base_urls=[server.base_url], **settings)


def outcomes(journal):
    return list(generation.outcomes(asked(), journal=journal))


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "a.journal.jsonl")


@pytest.fixture
def live(teacher_server, tmp_path):
    """Return what the same requests give when they are asked one by one."""
    made = Journal(tmp_path / "live.journal.jsonl")
    generation.generate(asked(), journal=made, base_urls=[teacher_server().base_url], progress=False)
    return outcomes(made)


def batches(server):
    return server.log.with_suffix(".batches").read_text().splitlines()


def test_batches_give_what_live_requests_give(teacher_server, journal, live):
    server = teacher_server()
    summary = generate(server, journal)
    assert (summary["answered"], summary["completion_tokens"]) == (30, 30 * 50)
    assert outcomes(journal) == live
    assert batches(server) == ["batch-1 30"]
    (part,) = (journal.path.parent / "a_batches").glob("requests-*.jsonl")
    line = Rows(part)[0]
    assert line.keys() == {"custom_id", "method", "url", "body"}
    assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
    assert generate(server, Journal(journal.path))["resumed"] == 30
    assert len(batches(server)) == 1


def test_files_are_split_at_the_limits(teacher_server, tmp_path):
    server, kept = teacher_server(), []
    size = len(json.dumps(asked()[0]["messages"]))
    limits = {"most_requests": 8, "most_bytes": 6 * (size + 600)}
    batch_api.ask_in_batches(
        asked(),
        keep=lambda request, row: kept.append(row),
        answered=lambda request_id: False,
        folder=tmp_path,
        base_url=server.base_url,
        poll_s=0.02,
        **limits,
    )
    assert len(kept) == 30
    files = sorted(tmp_path.glob("requests-*.jsonl"))
    assert len(files) > 3
    assert all(file.stat().st_size <= limits["most_bytes"] and len(Rows(file)) <= 8 for file in files)


def test_the_documented_limits_are_the_defaults():
    assert (batch_api.MOST_REQUESTS, batch_api.MOST_BYTES) == (50_000, 200_000_000)


def test_what_failed_or_expired_goes_up_again(teacher_server, journal, live):
    server = teacher_server(**{"500": 0.2, "batch_expired": 0.2})
    summary = generate(server, journal)
    assert summary["answered"] == 30
    assert outcomes(journal) == live
    assert len(batches(server)) > 1
    assert len(server.answered()) == len(set(server.answered())) == 30
    kinds = {row["error"].partition(":")[0] for row in journal.rows() if row.get("error")}
    assert kinds == {"500", "batch"}


def test_rounds_end_at_the_limit_of_attempts(teacher_server, journal):
    server = teacher_server(**{"500": 1.0})
    with pytest.raises(TeacherError, match="answered none of 30 requests: 500: broken"):
        generate(server, journal, max_attempts=3)
    assert len(batches(server)) == 3
    reasons = {row["reason"] for _, row in outcomes(journal)}
    assert reasons == {"error:500"}


def test_a_refused_batch_is_one_line_and_the_next_call_begins_anew(teacher_server, journal):
    server = teacher_server(batch_refused=1.0)
    with pytest.raises(TeacherError, match="the server refused batch batch-1: line 1 is not JSON"):
        generate(server, journal)
    with pytest.raises(TeacherError, match="the server refused batch batch-2"):
        generate(server, Journal(journal.path))


def test_the_budget_leaves_requests_behind(teacher_server, journal):
    server = teacher_server()
    summary = generate(server, journal, max_tokens_total=10_900)
    # A request may take 2,700 tokens: four fit. They took 150 each.
    assert (summary["answered"], summary["stopped_by"]) == (4, "max_tokens_total of 10,900 tokens")
    again = generate(server, Journal(journal.path), max_tokens_total=10_900)
    assert again["answered"] == 4 + 3


def test_a_refused_key_is_one_line(teacher_server, journal):
    with pytest.raises(TeacherError, match="refuses the key in OPENAI_API_KEY"):
        generate(teacher_server("refuses"), journal)


@pytest.mark.slow
def test_killed_between_any_two_steps_it_pays_for_nothing_twice(teacher_server, tmp_path, live):
    server = teacher_server(**{"500": 0.2})
    write_jsonl(tmp_path / "snippets.jsonl", SNIPPETS)
    program = textwrap.dedent(f"""
        import os, signal, sys
        from pathlib import Path
        from magicoder_kit import generation, records
        from magicoder_kit.teacher import batch_api

        # The process dies right before or right after its n-th step is written down.
        n, before, steps = int(sys.argv[1]), sys.argv[2] == "before", 0
        noted = batch_api._Batches._step
        def dies(self, part, **what):
            global steps
            steps += 1
            if not before:
                noted(self, part, **what)
            if steps == n:
                os.kill(os.getpid(), signal.SIGKILL)
            if before:
                noted(self, part, **what)
        batch_api._Batches._step = dies
        folder = Path({str(tmp_path)!r})
        requests = generation.Requests(records.Rows(folder / "snippets.jsonl"), variant="paper", model="test-teacher",
                                       count_tokens=lambda text: 100)
        generation.generate(requests, journal=records.Journal(folder / "a.journal.jsonl"), mode="batch", poll_s=0.02,
                            base_urls=[{server.base_url!r}], progress=False)
    """)
    deaths = 0
    for number, when in itertools.cycle([(1, "before"), (1, "after"), (2, "before"), (2, "after")]):
        died = subprocess.run([sys.executable, "-c", program, str(number), when], capture_output=True, text=True)
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL, died.stderr
        deaths += 1
        assert deaths < 40
    assert deaths >= 6
    assert outcomes(Journal(tmp_path / "a.journal.jsonl")) == live
    assert len(server.answered()) == len(set(server.answered())) == 30


def test_an_interrupt_while_it_waits_says_how_to_go_on(teacher_server, tmp_path):
    server = teacher_server()
    write_jsonl(tmp_path / "snippets.jsonl", SNIPPETS)
    program = textwrap.dedent(f"""
        from pathlib import Path
        from magicoder_kit import generation, records
        folder = Path({str(tmp_path)!r})
        requests = generation.Requests(records.Rows(folder / "snippets.jsonl"), variant="paper", model="test-teacher",
                                       count_tokens=lambda text: 100)
        generation.generate(requests, journal=records.Journal(folder / "a.journal.jsonl"), mode="batch", poll_s=60.0,
                            base_urls=[{server.base_url!r}], progress=False)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env=os.environ,
    )
    while not server.log.with_suffix(".batches").exists():
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert "stopped; 0 of 30 answers are kept, run this again to go on" in process.communicate(timeout=30)[1]
    assert generate(server, Journal(tmp_path / "a.journal.jsonl"))["answered"] == 30
    assert len(batches(server)) == 1
