"""One writer a run: locks of the operating system, which die with their holder.

Not covered: two machines that share a network folder without working ``flock``.
"""

import fcntl
import os
import secrets
import time
from pathlib import Path
from typing import BinaryIO

from magicoder_kit.errors import RunError

_TOKEN = "MAGICODER_KIT_RUN_TOKEN"


def lock(run: Path, *, wait_s: float = 0.0, name: str = "run.lock") -> BinaryIO:
    """Lock a run for this process until the returned file is closed or the process dies.

    A process started by ``magicoder-kit run`` is let in by the token its parent put into the environment
    and takes the inner lock ``stage.lock`` instead, waiting ``wait_s`` seconds for one left by a kernel that
    is just dying.

    Raises
    ------
    RunError
        Another process holds the lock.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = (run / f".{name}").open("a+b")
    except OSError as error:
        raise RunError(f"cannot write to {run}: {error.strerror}; name another folder with 'outputs'") from error
    deadline = time.monotonic() + (wait_s if name == "stage.lock" else 0.0)
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            file.seek(0)
            holder, _, token = file.read().decode().partition(" ")
            if name == "run.lock" and token and secrets.compare_digest(token, os.environ.get(_TOKEN, "")):
                file.close()
                return lock(run, wait_s=wait_s, name="stage.lock")
            if time.monotonic() >= deadline:
                file.close()
                raise RunError(
                    f"{run} is in use by process {holder}; let it finish, shut that notebook's kernel down, "
                    "or choose another run_name"
                ) from None
            time.sleep(0.2)
    token = secrets.token_hex(16)
    file.truncate(0)
    file.write(f"{os.getpid()} {token}".encode())
    file.flush()
    return file


def lock_for_children(run: Path) -> tuple[BinaryIO, dict[str, str]]:
    """Lock a run and return the environment that lets this process's own notebooks into it."""
    file = lock(run)
    file.seek(0)
    return file, {_TOKEN: file.read().decode().partition(" ")[2]}
