"""Fixtures that several test files share: a teacher in a process of its own."""

import contextlib
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

# A slow, shared machine is no failure of a property.
hypothesis.settings.register_profile("kit", deadline=None)
hypothesis.settings.load_profile("kit")


class TeacherProcess:
    """A running test teacher: its address, and how many requests it answered."""

    def __init__(self, process, log: Path):
        self.base_url = f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        self.log = log

    def answered(self) -> list[str]:
        """Return the hash of every request answered so far."""
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def teacher_server(tmp_path):
    """Return a function that starts a teacher in a given mode; all are killed at the end."""
    with contextlib.ExitStack() as stack:

        def start(mode: str) -> TeacherProcess:
            log = tmp_path / f"{mode}.log"
            command = [sys.executable, str(Path(__file__).parent / "teacher_server.py"), mode, str(log)]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            return TeacherProcess(process, log)

        yield start
