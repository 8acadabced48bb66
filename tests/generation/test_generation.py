"""Promises of generation: every snippet one answer, nothing paid for twice, whatever fails or is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from magicoder_kit import generation
from magicoder_kit.errors import ParameterError, RunError, TeacherError
from magicoder_kit.records import EXAMPLE_COLUMNS, Journal, Rows, write_jsonl

SNIPPETS = [
    {"lang": "python", "raw_index": i, "index": i, "seed": f"x = {i}\n", "source": "test", "path": f"{i}.py"}
    for i in range(40)
]


def asked(count=40, **settings):
    settings = {"variant": "paper", "model": "test-teacher", "count_tokens": lambda text: 100, **settings}
    return generation.Requests(SNIPPETS[:count], **settings)


def generate(server, journal, requests=None, **settings):
    settings = {"progress": False, "base_urls": [server.base_url], **settings}
    return generation.generate(requests or asked(), journal=journal, **settings)


def tables(journal, requests=None):
    made = {"examples.jsonl": [], "rejected.jsonl": []}
    for table, row in generation.outcomes(requests or asked(), journal=journal):
        made[table].append(row)
    return made


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "a.journal.jsonl")


def test_every_snippet_gets_one_answer_and_the_journal_keeps_it(teacher_server, journal):
    summary = generate(teacher_server(), journal)
    assert (summary["requested"], summary["answered"], summary["failed"]) == (40, 40, 0)
    assert (summary["prompt_tokens"], summary["completion_tokens"]) == (40 * 100, 40 * 50)
    made = tables(journal)
    assert len(made["examples.jsonl"]) + len(made["rejected.jsonl"]) == 40
    assert {tuple(row) for row in made["examples.jsonl"]} == {EXAMPLE_COLUMNS}
    assert {row["reason"] for row in made["rejected.jsonl"]} == {"no_headers"}
    assert {row["openai_fingerprint"] for row in made["examples.jsonl"]} == {"fp_test"}
    indices = [row["index"] for row in made["examples.jsonl"]]
    assert indices == sorted(indices)


def test_what_was_answered_is_not_asked_again(teacher_server, journal):
    server = teacher_server()
    generate(server, journal, asked(15))
    summary = generate(server, journal)
    assert summary["resumed"] == 15
    assert len(server.answered()) == len(set(server.answered())) == 40


def test_a_torn_journal_loses_only_its_last_line(teacher_server, journal):
    server = teacher_server()
    generate(server, journal, asked(10))
    journal.path.write_bytes(journal.path.read_bytes()[:-25])
    assert generate(server, Journal(journal.path), asked(10))["resumed"] == 9
    assert sum("request_id" in row for row in Rows(journal.path)) == 10


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"temperature": 0.7}, r"temperature \(0\.0, now 0\.7\)"),
        ({"model": "other"}, r"model \('test-teacher', now 'other'\)"),
        ({"variant": "one_shot"}, r"variant \('paper', now 'one_shot'\), another prompt text"),
        ({"max_new_tokens": 9, "seed": 1}, r"max_new_tokens \(2500, now 9\), seed \(976, now 1\)"),
    ],
)
def test_a_journal_made_with_another_setting_is_refused_and_kept(teacher_server, journal, changed, said):
    server = teacher_server()
    generate(server, journal, asked(5))
    before = journal.path.read_bytes()
    with pytest.raises(RunError, match=said) as caught:
        generate(server, Journal(journal.path), asked(5, **changed))
    assert "\n" not in str(caught.value)
    assert journal.path.read_bytes() == before
    assert generate(server, Journal(journal.path), asked(5))["resumed"] == 5


def test_notebook_02_may_keep_many_settings_in_one_journal(teacher_server, journal):
    server = teacher_server()
    both = [asked(5), asked(5, variant="one_shot")]
    settings = {"journal": journal, "base_urls": [server.base_url], "one_setting": False, "progress": False}
    assert generation.generate(*both, **settings)["answered"] == 10
    # Two variants with the same words are the same requests, and are paid for once.
    assert generation.generate(asked(5), asked(5), **settings)["resumed"] == 10
    assert len(server.answered()) == 10


def test_a_setting_is_refused_even_where_a_journal_has_answers_and_no_setting(teacher_server, journal):
    server = teacher_server()
    generation.generate(asked(3), journal=journal, base_urls=[server.base_url], one_setting=False, progress=False)
    with pytest.raises(RunError, match="holds answers asked for with another setting"):
        generate(server, Journal(journal.path), asked(3))


@pytest.mark.parametrize(
    ("mode", "said"),
    [("refuses", "refuses the key in TEST_TEACHER_KEY"), ("html", "HTML page"), ("no_model", "it serves test-teacher")],
)
def test_a_teacher_that_cannot_answer_stops_the_run_in_one_line(teacher_server, journal, monkeypatch, mode, said):
    monkeypatch.setenv("TEST_TEACHER_KEY", "sk-very-secret-key-1234567890")
    with pytest.raises(TeacherError, match=said) as caught:
        generate(teacher_server(mode), journal, api_key_env="TEST_TEACHER_KEY")
    assert "\n" not in str(caught.value)
    assert "very-secret" not in str(caught.value)
    assert not any("very-secret" in str(row) for row in journal.rows())


def test_a_teacher_that_is_not_there_is_said_within_seconds(journal):
    began = time.monotonic()
    with pytest.raises(TeacherError, match=r"no teacher answers at http://127\.0\.0\.1:9/v1"):
        generation.generate(asked(), journal=journal, base_urls=["http://127.0.0.1:9/v1"], progress=False)
    assert time.monotonic() - began < 30


def test_the_openai_api_without_a_key_is_one_line(monkeypatch, journal):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for mode in ("live", "batch"):
        with pytest.raises(TeacherError, match="set the environment variable OPENAI_API_KEY"):
            generation.generate(asked(1), journal=journal, mode=mode, progress=False)


def test_a_prompt_that_fills_the_context_is_not_sent(teacher_server, journal):
    server, requests = teacher_server(), asked(3, context_length=60)
    generate(server, journal, requests)
    assert server.answered() == []
    made = tables(journal, requests)
    assert [row["reason"] for row in made["rejected.jsonl"]] == ["error:no room"] * 3


def test_every_kind_of_outcome_has_its_reason(teacher_server, journal):
    server = teacher_server(content_filter=0.3)
    generate(server, journal)
    reasons = {row["reason"] for row in tables(journal)["rejected.jsonl"]}
    assert reasons == {"content_filter", "no_headers"}


def test_of_two_answers_the_first_counts_and_an_answer_counts_more_than_an_error(journal):
    request = asked(1)[0]
    row = {"request_id": request["request_id"], "lang": "python", "raw_index": 0, "index": 0}
    rest = {"usage": {}, "finish_reason": "stop", "system_fingerprint": "", "final": True}
    texts = {"first": "[Problem Description]\na\n[Solution]\nb", "second": "[Problem Description]\nc\n[Solution]\nd"}
    journal.append(row | rest | {"error": "timeout: gone", "text": ""})
    journal.append(
        row | rest | {"error": "", "text": texts["first"]}, row | rest | {"error": "", "text": texts["second"]}
    )
    journal.append(row | rest | {"error": "500: late", "text": ""})
    ((table, made),) = generation.outcomes(asked(1), journal=journal)
    assert (table, made["problem"], made["solution"]) == ("examples.jsonl", "a", "b")


def test_the_budget_is_never_passed_and_a_second_call_goes_on_from_it(teacher_server, journal):
    server = teacher_server()
    settings = {"price_in": 10.0, "price_out": 20.0, "max_in_flight": 4}
    # A row costs 0.002 dollars; before it is answered it may cost 0.002 + 0.05.
    summary = generate(server, journal, max_cost=0.08, **settings)
    assert summary["stopped_by"] == "max_cost of $0.08"
    assert summary["cost"] == pytest.approx(0.002 * summary["answered"])
    assert 0.08 - 0.052 < summary["cost"] <= 0.08
    again = generate(server, Journal(journal.path), max_cost=0.08, **settings)
    assert again["answered"] == summary["answered"]
    assert generate(server, Journal(journal.path), max_cost=5.0, **settings)["stopped_by"] == ""
    assert len(server.answered()) == 40


def test_tokens_are_limited_without_any_price(teacher_server, journal):
    summary = generate(teacher_server(), journal, max_tokens_total=6_000)
    assert summary["stopped_by"] == "max_tokens_total of 6,000 tokens"
    assert 6_000 - 2_700 < summary["prompt_tokens"] + summary["completion_tokens"] <= 6_000


def test_an_answer_that_was_lost_may_be_on_the_bill(teacher_server, journal):
    server = teacher_server(reset=1.0)
    summary = generate(server, journal, asked(4), max_tokens_total=6_000, max_attempts=2)
    assert (summary["answered"], summary["stopped_by"]) == (0, "max_tokens_total of 6,000 tokens")
    # Two lost answers may have taken 2,700 tokens each; a third would not fit.
    assert sum("request_id" in row for row in journal.rows()) <= 2


def test_a_cost_limit_without_a_price_is_a_mistake(journal):
    with pytest.raises(ParameterError, match="max_cost needs a price"):
        generation.generate(asked(1), journal=journal, max_cost=1.0, progress=False)


def test_what_it_will_take_is_said_before_anything_is_sent(teacher_server, journal, capsys):
    server = teacher_server()
    generate(server, journal, asked(10), price_in=1.0, price_out=2.0, max_cost=9.0, progress=True)
    said = capsys.readouterr().out
    assert said.startswith(
        "10 of 10 rows to ask for: about 2,000 prompt tokens, at most 25,000 completion tokens; $0.00 to $0.05"
    )
    assert "stops before $9.00" in said
    generate(server, Journal(journal.path), asked(40), price_in=100.0, price_out=200.0, progress=True)
    assert (
        "30 of 40 rows to ask for: about 6,000 prompt tokens, about 1,500 and at most 75,000" in capsys.readouterr().out
    )


def test_an_interrupt_keeps_every_answer_and_says_how_to_go_on(teacher_server, tmp_path):
    server = teacher_server("ok", "--latency=0.2")
    write_jsonl(tmp_path / "snippets.jsonl", SNIPPETS)
    process = subprocess.Popen(
        [sys.executable, "-c", script(tmp_path, server, max_in_flight=4)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while len(server.answered()) < 12:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    journaled = sum("request_id" in row for row in Rows(tmp_path / "a.journal.jsonl"))
    assert f"stopped; {journaled} of 40 answers are kept, run this again to go on" in said
    assert journaled >= 12


def script(folder, server, **settings):
    """Return a program that generates from ``folder``'s snippets into its journal."""
    return textwrap.dedent(f"""
        from pathlib import Path
        from magicoder_kit import generation, records
        folder = Path({str(folder)!r})
        requests = generation.Requests(records.Rows(folder / "snippets.jsonl"), variant="paper", model="test-teacher",
                                       count_tokens=lambda text: 100)
        generation.generate(requests, journal=records.Journal(folder / "a.journal.jsonl"), progress=False,
                            base_urls=[{server.base_url!r}], **{settings!r})
    """)


FAULTS = {"429_told": 0.05, "429": 0.05, "500": 0.03, "502_html": 0.02, "hang": 0.02, "reset": 0.01}


@pytest.mark.slow
def test_five_kills_among_failures_end_in_the_examples_of_a_faultless_run(teacher_server, tmp_path):
    snippets = [dict(SNIPPETS[0], raw_index=i, index=i, seed=f"y = {i}\n") for i in range(400)]
    write_jsonl(tmp_path / "snippets.jsonl", snippets)
    server = teacher_server("ok", "--latency=0.05", "--tail=0.05", **FAULTS)
    most, kills, rng = 16, 0, random.Random(976)
    program = script(tmp_path, server, max_in_flight=most, timeout_s=2.0, max_attempts=12)
    while True:
        process = subprocess.Popen([sys.executable, "-c", program])
        before, wanted = len(server.answered()), rng.randint(10, 90)
        while process.poll() is None and (kills == 5 or len(server.answered()) < before + wanted):
            time.sleep(0.01)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert (process.returncode, kills) == (0, 5)
    requests = generation.Requests(
        Rows(tmp_path / "snippets.jsonl"), variant="paper", model="test-teacher", count_tokens=lambda text: 100
    )
    faultless = Journal(tmp_path / "b.journal.jsonl")
    generate(teacher_server(), faultless, requests)
    killed = Journal(tmp_path / "a.journal.jsonl")
    bytes_of = [json.dumps(tables(journal, requests)).encode() for journal in (killed, faultless)]
    assert bytes_of[0] == bytes_of[1]
    repeated = len(server.answered()) - len(set(server.answered()))
    assert repeated <= kills * most, "more than what was in flight was answered twice"
    failed = [row["error"].partition(":")[0] for row in killed.rows() if row.get("error")]
    assert {"429", "500", "502", "timeout", "connection"} <= set(failed)
    assert server.statistics()["most_under_way"] <= most * 2, "a killed client's requests may still be under way"
