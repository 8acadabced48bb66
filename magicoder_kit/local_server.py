"""02: the embedded teacher, served to this notebook alone behind the interface every teacher has.

It is ``transformers serve`` with continuous batching, in a process of its own on a free loopback port. That
process watches a pipe whose other end only the starting kernel holds: however the kernel ends (return,
exception, SIGKILL), the pipe closes and the server is gone.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from magicoder_kit import devices, embedded
from magicoder_kit.errors import TeacherError

START_TIMEOUT_S = 180
# 1,024 blocks of 32 tokens hold 16 chats of 2,000 tokens (750 MB in bf16). Without the limits the server
# sizes its cache by the machine's memory and the first request takes minutes.
_CACHE = ["--cb-block-size", "32", "--cb-num-blocks", "1024", "--cb-max-batch-tokens", "512"]


class Endpoint:
    """Where a teacher answers: ``base_url`` and ``model`` for :mod:`teacher`, and :meth:`close`.

    ``close`` ends a server that was started for this endpoint and does nothing to one that was not.
    """

    def __init__(self, base_url: str, model: str, process: "subprocess.Popen[bytes] | None" = None):
        self.base_url, self.model, self._process = base_url, model, process

    def close(self) -> None:
        """End the server, if it is ours."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        started = f", process {self._process.pid}" if self._process else ""
        return f"{self.model} at {self.base_url or 'the OpenAI API'}{started}"


def reach(teacher: str, *, base_url: str = "", log: Path) -> Endpoint:
    """Return where a teacher answers, starting the embedded one where it is asked for.

    Parameters
    ----------
    teacher : str
        A model's name at ``base_url``, or ``"embedded"``.
    base_url : str
        An OpenAI-compatible address that ends in ``/v1``; ``""`` is the OpenAI API. Not used by the embedded
        teacher.
    log : Path
        File that keeps what the embedded teacher's server prints.

    Raises
    ------
    TeacherError
        The server ended or was not ready within three minutes; the message quotes its log.
    """
    if teacher != embedded.STUDENT:
        return Endpoint(base_url, teacher)
    folder = embedded.student()
    port = _free_port()
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "magicoder_kit.local_server", folder.name, str(port), devices.detect().dtype_name]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder.parent,  # The model's name is its folder's; a path would end up in journals.
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", folder.name, process)
    try:
        _await_ready(process, port, log)
    except BaseException:
        endpoint.close()
        raise
    return endpoint


def _await_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    began = time.monotonic()
    print("starting the embedded teacher ", end="", flush=True)
    while time.monotonic() - began < START_TIMEOUT_S:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            print(f" ready after {time.monotonic() - began:.0f} s", flush=True)
            return
        print(".", end="", flush=True)
        time.sleep(1)
    last = (log.read_text(errors="replace").strip().splitlines() or ["it printed nothing"])[-1]
    raise TeacherError(f"the embedded teacher did not start: {last} (its log: {log})")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    """Block until the parent's end of standard input closes, then end this process at once."""
    while os.read(0, 4096):
        pass
    os._exit(0)


def main() -> None:
    """Serve one model until the parent is gone: ``python -m magicoder_kit.local_server FOLDER PORT DTYPE``."""
    model, port, dtype = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from transformers.cli.transformers import main as transformers_main

    where = ["--host", "127.0.0.1", "--port", port, "--device", "cpu", "--dtype", dtype]
    sys.argv = ["transformers", "serve", model, *where, "--continuous-batching", *_CACHE]
    transformers_main()


if __name__ == "__main__":
    main()
