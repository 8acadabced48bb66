"""Executes programs that a language model wrote, and tells how each ended.

Such code is hostile until shown otherwise. Every program gets a fresh interpreter without site-packages, in a
session, an empty folder and an environment of its own, with an empty standard input and limits on memory,
processor time, processes and file sizes; when it ends or its time is up, all it started is ended too. How much
more holds depends on what this machine lets a process give up, and is tried, not assumed: see :func:`level` and
:func:`describe_level`.

What is *not* covered at any level: the memory of several processes of one program together (each is limited,
their number is too), holes of the kernel itself, and a program written against :mod:`harness` that takes the
signing key out of its own interpreter. Below "isolated" and not as root, a program can stop the process that
keeps it and so leave a process of its own behind; it can also fill the disk with many files. Landlock and
seccomp, where namespaces are refused, are not used yet.
"""

import concurrent.futures
import contextlib
import functools
import marshal
import math
import os
import secrets
import select
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TypedDict

from tqdm.auto import tqdm

from magicoder_kit.errors import ParameterError, RunError
from magicoder_kit.evaluation import confinement, harness

STATUSES = ("passed", "failed", "timeout", "memory", "compile_error", "forbidden", "toolchain_missing")
LEVELS = ("isolated", "no-network", "limits")

_START_S = 60.0
_END_S = 2.0
_OUTPUT_BYTES = 16 * confinement.MB
_REPORT_BYTES = 64 * 1024
_PROCESSES = 64
_BOOT = """
import marshal, sys
for name, code in marshal.loads(sys.stdin.buffer.read(int(sys.argv[1]))):
    sys.modules[name] = module = type(sys)(name)
    exec(code, module.__dict__)
module.main()
"""


class Outcome(TypedDict):
    """How one program ended: a status of :data:`STATUSES`, one line of detail, and its wall-clock seconds."""

    status: str
    detail: str
    seconds: float


def run_programs(
    programs: Sequence[str],
    *,
    timeout_s: float = 5.0,
    memory_mb: int = 1024,
    workers: int = 2,
    language: str = "python",
    progress: bool = True,
    _level: str = "",
) -> list[Outcome]:
    """Execute every program by itself; a program passes only where it is executed to its very end.

    Parameters
    ----------
    programs : sequence of str
        Whole programs, checks included (:func:`magicoder_kit.evaluation.benchmarks.program`).
    timeout_s : float
        Wall-clock seconds a program may take; its interpreter's start does not count.
    memory_mb : int
        Address space of each of a program's processes, in MB; 64 or more, an interpreter needs about 30.
    workers : int
        Programs at a time.
    language : str
        ``"python"``; any other gives outcomes ``toolchain_missing``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of Outcome
        In the order of ``programs``.

    Raises
    ------
    ParameterError
        A limit cannot be used.
    RunError
        The sandbox itself could not start. It is no fault of a program, so no outcome is made up.
    """
    if timeout_s <= 0 or memory_mb < 64 or workers < 1:
        raise ParameterError(
            f"timeout_s {timeout_s}, memory_mb {memory_mb}, workers {workers}: use a time above 0, "
            "at least 64 MB and at least 1 worker"
        )
    if language != "python":
        detail = f"programs in {language} are not run yet; only python is"
        return [Outcome(status="toolchain_missing", detail=detail, seconds=0.0) for _ in programs]
    stopped = threading.Event()
    run = functools.partial(_run, _level or level(), timeout_s, memory_mb, stopped)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        try:
            outcomes = tqdm(pool.map(run, programs), "programs", len(programs), disable=not progress, unit="program")
            return list(outcomes)
        except BaseException:  # an interrupt must not wait for what is still running or queued
            stopped.set()
            pool.shutdown(cancel_futures=True)
            raise


@functools.cache
def level() -> str:
    """Return the strongest isolation that works here, found by running a program under each (once a process).

    ``"isolated"``, ``"no-network"`` or ``"limits"``; :func:`describe_level` says what they contain.
    """
    with tempfile.NamedTemporaryFile() as outside:
        for name in LEVELS[:-1]:
            with contextlib.suppress(RunError):
                if _run(name, 10.0, 1024, threading.Event(), _probe(name, outside.name))["status"] == "passed":
                    return name
    return LEVELS[-1]


def describe_level(level: str) -> str:
    """Say in one sentence what a level contains and what it does not."""
    sentences = {
        "isolated": "Programs run without network, see no processes but their own and no files but the system's and "
        "Python's, read-only; what is left open is holes of the kernel itself.",
        "no-network": "Programs run without network, but they see other processes and may read the files you may "
        "and, where you are not root, write them.",
        "limits": "Programs are limited in time, memory, processes and file sizes alone: they reach the network, see "
        "other processes and may read the files you may and, where you are not root, write them.",
    }
    return sentences[level]


def _probe(name: str, outside: str) -> str:
    """Return a program that ends well only where the level holds what it promises."""
    network = "import socket\ntry:\n    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))\n"
    network += "except OSError:\n    pass\nelse:\n    raise AssertionError('there is a network')\n"
    files = f"import os, decimal\nassert not os.path.exists({outside!r})\nassert os.getpid() == 2\n"
    return network + files if name == "isolated" else network


def _run(level: str, timeout_s: float, memory_mb: int, stopped: threading.Event, source: str) -> Outcome:
    """Run one program in a process tree of its own and read what its harness has to say."""
    key = secrets.token_bytes(harness.KEY_BYTES)
    process_limit = _PROCESSES if level == "isolated" else _PROCESSES + _own_processes()
    report, report_end = os.pipe()
    with tempfile.TemporaryDirectory(prefix="program-", ignore_cleanup_errors=True) as folder:
        limits = [math.ceil(timeout_s) + 1, memory_mb, process_limit]
        arguments = [len(_harness()), report_end, level, os.getpid(), *limits, _home()]
        libraries = {name: os.environ[name] for name in ["LD_LIBRARY_PATH"] if name in os.environ}
        try:
            keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-c", _BOOT, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={"LANG": "C.UTF-8", **libraries},  # the interpreter may need those; the harness removes them
                cwd=folder,
                pass_fds=(report_end,),
                start_new_session=True,
            )
        finally:
            os.close(report_end)
        with os.fdopen(report, "rb", buffering=0) as channel, keeper:
            try:
                assert keeper.stdin is not None
                assert keeper.stdout is not None
                with contextlib.suppress(BrokenPipeError), keeper.stdin:
                    keeper.stdin.write(_harness() + key + source.encode("utf-8", "surrogatepass"))
                return _follow(channel, keeper.stdout, key, timeout_s, stopped)
            finally:
                _end(keeper)


@functools.cache
def _harness() -> bytes:
    """Return the modules of the harness compiled, because compiling them at every start would take 5 ms of 20."""
    packages = [(name, compile("", name, "exec")) for name in ("magicoder_kit", "magicoder_kit.evaluation")]
    paths = [(module.__name__, Path(str(module.__file__))) for module in (confinement, harness)]
    return marshal.dumps([*packages, *((name, compile(path.read_bytes(), path, "exec")) for name, path in paths)])


def _follow(channel: IO[bytes], output: IO[bytes], key: bytes, timeout_s: float, stopped: threading.Event) -> Outcome:
    """Read the signed report and drain the output until the program has ended or may no longer run.

    The output is read and let go: a program that prints neither blocks nor fills memory or disk.
    """
    reported, printed, started, tail = b"", 0, 0.0, b""
    deadline = time.monotonic() + _START_S
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(output, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0 and not stopped.is_set():
            for ready, _ in selector.select(min(left, 0.5)):
                chunk = os.read(ready.fd, 65536)
                if ready.fileobj is output:
                    printed, tail = printed + len(chunk), chunk[-300:] or tail
                    if not chunk:
                        selector.unregister(output)
                    continue
                reported += chunk
                if len(reported) > _REPORT_BYTES:
                    detail = "wrote into the channel that the sandbox reports through"
                    return Outcome(status="failed", detail=detail, seconds=time.monotonic() - started)
                messages = _messages(reported, key)
                if "ready" in messages and not started:
                    started = time.monotonic()
                    deadline = started + timeout_s
                if not chunk or "exit" in messages:
                    return _outcome(messages, time.monotonic() - started, tail)
            if printed > _OUTPUT_BYTES:
                detail = f"printed more than {_OUTPUT_BYTES // confinement.MB} MB"
                return Outcome(status="failed", detail=detail, seconds=time.monotonic() - started)
    if not started:
        raise RunError(f"the sandbox did not start within {_START_S:.0f} s; run fewer workers")
    return Outcome(status="timeout", detail=f"still running after {timeout_s:g} s", seconds=time.monotonic() - started)


def _messages(reported: bytes, key: bytes) -> dict[str, str]:
    """Return the signed messages by their first word; the first of each counts, anything unsigned is skipped."""
    messages: dict[str, str] = {}
    for line in reported.split(b"\n"):
        text = line.partition(b" ")[2].decode("utf-8", "replace")
        if text and secrets.compare_digest(harness.sign(key, text), line + b"\n"):
            word, _, rest = text.partition(" ")
            messages.setdefault(word, rest)
    return messages


def _outcome(messages: dict[str, str], seconds: float, tail: bytes) -> Outcome:
    if "ready" not in messages:
        why = messages.get("refused") or tail.decode(errors="replace").strip().rpartition("\n")[2] or "it ended at once"
        raise RunError(f"the sandbox could not start: {why}")
    if "end" in messages:
        status, _, detail = messages["end"].partition(" ")
    elif "exit" not in messages or int(messages["exit"]) == -signal.SIGKILL:
        status, detail = "memory", "killed from outside, most likely for want of memory"
    elif int(messages["exit"]) == -signal.SIGXCPU:
        status, detail = "timeout", "used up its processor time"
    elif (code := int(messages["exit"])) < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        status, detail = "failed", f"ended by signal {name}"
    else:
        status, detail = "failed", f"ended with exit status {code} before the end of its checks"
    return Outcome(status=status, detail=detail, seconds=seconds)


def _end(keeper: subprocess.Popen[bytes]) -> None:
    """Let the keeper end everything below it, and end the keeper where a program has stopped it."""
    keeper.terminate()
    if keeper.poll() is not None:
        return
    if hasattr(os, "pidfd_open"):  # Popen.wait with a time-out sleeps and looks, which every start would feel
        handle = os.pidfd_open(keeper.pid)
        try:
            ended = bool(select.select([handle], [], [], _END_S)[0])
        finally:
            os.close(handle)
    else:
        with contextlib.suppress(subprocess.TimeoutExpired):
            keeper.wait(_END_S)
        ended = keeper.returncode is not None
    if not ended:
        keeper.kill()


def _home() -> str:
    return os.path.realpath(os.path.expanduser("~"))


def _own_processes() -> int:
    """Return the number of this user's threads, because that is what the limit on processes counts."""
    count = 0
    for folder in Path("/proc").glob("[0-9]*/task"):
        with contextlib.suppress(OSError):
            count += folder.stat().st_uid == os.getuid() and folder.stat().st_nlink - 2
    return count
