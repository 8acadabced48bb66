"""The client against a real server: what may pass is tried again, limits hold, and a fleet shares the work."""

import time

import pytest

from magicoder_kit import teacher
from magicoder_kit.errors import TeacherError

MESSAGES = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]


def requests(count, max_tokens=50):
    for number in range(count):
        yield teacher.request(MESSAGES, model="test-teacher", seed=number, max_tokens=max_tokens) | {
            "prompt_tokens": 10
        }


def ask(servers, count=60, **settings):
    rows = []
    servers = servers if isinstance(servers, list) else [servers]
    settings = {"max_in_flight": 16, "base_urls": [server.base_url for server in servers], **settings}
    began = time.monotonic()
    teacher.ask(requests(count), keep=lambda request, row: rows.append(row), **settings)
    return rows, time.monotonic() - began


def answers(rows):
    return {row["request_id"]: row["text"] for row in rows if not row["error"]}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("429", "429"),
        ("429_told", "429"),
        ("500", "500"),
        ("502_html", "502"),
        ("reset", "connection"),
        ("hang", "timeout"),
        ("truncated", "broken answer"),
        ("no_choices", "broken answer"),
        ("error_200", "broken answer"),
    ],
)
def test_what_may_pass_is_tried_again(teacher_server, fault, kind):
    faultless, _ = ask(teacher_server())
    rows, _ = ask(teacher_server(**{fault: 0.15}), timeout_s=1.0, max_attempts=12)
    failed = [row for row in rows if row["error"]]
    assert {row["error"].partition(":")[0] for row in failed} == {kind}
    assert not any(row["final"] for row in failed)
    assert answers(rows) == answers(faultless)


def test_an_answer_delivered_twice_is_never_taken_for_the_next_ones(teacher_server):
    faultless, _ = ask(teacher_server(), count=200, max_in_flight=4)
    rows, _ = ask(teacher_server(duplicate=0.5), count=200, max_in_flight=4)
    assert answers(rows) == answers(faultless)


def test_what_cannot_pass_is_asked_once_and_stops_nothing_that_can(teacher_server):
    with pytest.raises(TeacherError, match="answered none of the first 8 requests"):
        ask(teacher_server("too_long"))
    rows = []
    server = teacher_server("too_long")
    with pytest.raises(TeacherError):
        teacher.ask(requests(60), keep=lambda request, row: rows.append(row), base_urls=[server.base_url])
    assert all(row["final"] and row["attempt"] == 1 for row in rows)
    assert {row["error"].partition(":")[0] for row in rows} == {"400"}


def test_a_limit_of_attempts_ends_a_request_and_not_the_run(teacher_server):
    rows, _ = ask(teacher_server(**{"500": 0.5}), count=100, max_attempts=2)
    assert max(row["attempt"] for row in rows) == 2
    lost = [row for row in rows if row["error"] and row["final"]]
    assert 5 < len(lost) < 50
    assert len(lost) + len(answers(rows)) == 100


def test_a_refusal_slows_everyone_for_as_long_as_told(teacher_server):
    server = teacher_server(**{"429_all": 0.05})
    rows, seconds = ask(server, count=200, max_in_flight=20, max_attempts=12)
    assert len(answers(rows)) == 200
    refusals = sum(bool(row["error"]) for row in rows)
    pauses = sum(row["error"] != "" and row["attempt"] == 1 for row in rows)
    assert seconds > 1.0, "nobody waited"
    # Who asked before the second was over was refused again: that must be those under way alone.
    assert server.statistics()["refused"] <= 20 * pauses
    assert refusals < 100


def test_requests_a_minute_are_kept(teacher_server):
    server = teacher_server("ok", "--rpm=1200")
    rows, seconds = ask(server, count=100, pace=teacher.Pace(requests_per_minute=1200))
    assert len(answers(rows)) == 100
    assert 4.5 < seconds < 12
    assert server.statistics()["refused"] == 0


def test_tokens_a_minute_are_kept(teacher_server):
    # 60 tokens a request, 20 requests a second.
    rows, seconds = ask(teacher_server(), count=60, pace=teacher.Pace(tokens_per_minute=72_000))
    assert len(answers(rows)) == 60
    assert 2.5 < seconds < 8


def test_no_more_than_max_in_flight_are_under_way(teacher_server):
    server = teacher_server("ok", "--latency=0.1")
    ask(server, count=100, max_in_flight=7)
    assert server.statistics()["most_under_way"] == 7


def test_a_faster_server_gets_more_of_the_work(teacher_server):
    fast, slow = teacher_server("ok", "--latency=0.05"), teacher_server("ok", "--latency=0.2")
    rows, _ = ask([fast, slow], count=300)
    assert len(answers(rows)) == 300
    assert 2.5 < len(fast.answered()) / len(slow.answered()) < 6


def test_a_server_that_dies_is_left_out_and_one_that_comes_back_is_used_again(teacher_server):
    stays, dies = teacher_server("ok", "--latency=0.1"), teacher_server("ok", "--latency=0.1")
    rows, killed_at, back = [], [], []

    def keep(request, row):
        rows.append(row)
        if len(rows) == 40:
            dies.process.kill()
            dies.process.wait()
            killed_at.append(len(dies.answered()))
        if len(rows) == 160:
            back.append(teacher_server("ok", "--latency=0.1", f"--port={dies.port}"))

    urls = [stays.base_url, dies.base_url]
    teacher.ask(requests(600), keep=keep, base_urls=urls, max_in_flight=16, max_attempts=12)
    assert len(answers(rows)) == 600
    assert back[0].answered(), "it was not tried again"
    lost = [row for row in rows if row["error"]]
    assert {row["error"].partition(":")[0] for row in lost} == {"connection"}
    assert len(lost) < 40, "requests kept going to a dead server"


def test_an_error_in_what_keeps_the_rows_ends_the_run_at_once(teacher_server):
    def keep(request, row):
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        teacher.ask(requests(50), keep=keep, base_urls=[teacher_server().base_url])
