"""Fixtures that several test files share: a teacher in a process of its own."""

import contextlib
import itertools
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import hypothesis
import pytest

# A slow, shared machine is no failure of a property.
hypothesis.settings.register_profile("kit", deadline=None)
hypothesis.settings.load_profile("kit")


class TeacherProcess:
    """A running test teacher: its address, and which requests it answered."""

    def __init__(self, process, log: Path):
        self.process, self.log = process, log
        self.port = process.stdout.readline().strip()
        self.base_url = f"http://127.0.0.1:{self.port}/v1"

    def answered(self) -> list[str]:
        """Return the hash of every request answered so far."""
        return self.log.read_text().split() if self.log.exists() else []

    def statistics(self) -> dict[str, int]:
        """Return how many requests were under way at once, and how many were refused as too fast."""
        with urllib.request.urlopen(f"{self.base_url}/statistics") as told:
            return json.loads(told.read())


@pytest.fixture
def teacher_server(tmp_path):
    """Return a function that starts a teacher (see teacher_server.py); all are killed at the end."""
    numbers = itertools.count()
    with contextlib.ExitStack() as stack:

        def start(mode: str = "ok", *options: str, **faults: float) -> TeacherProcess:
            log = tmp_path / f"teacher-{next(numbers)}.log"
            rates = [f"--rate={name.removeprefix('f_')}={share}" for name, share in faults.items()]
            command = [sys.executable, str(Path(__file__).parent / "teacher_server.py"), str(log), mode]
            process = stack.enter_context(
                subprocess.Popen([*command, *options, *rates], stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            return TeacherProcess(process, log)

        yield start
