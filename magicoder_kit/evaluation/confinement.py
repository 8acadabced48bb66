"""What a process of the sandbox gives up: namespaces, files, rights and resources, as Linux has it.

Each function acts on the process that calls it, in the order :mod:`harness` calls them, and there is no way back.
On another system only the limits of :func:`confine` are set. The names Python lacks are taken from the C library
the interpreter runs on.
"""

import ctypes
import errno
import os
import resource
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # signal itself loads enum, which every start would feel

MB = 1024 * 1024
FILE_MB, DISK_MB, OPEN_FILES = 32, 64, 256

# Linux names that Python 3.11 does not have; mount(2), sched.h, prctl.h, mount_setattr(2).
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_MNT_DETACH, _AT_FDCWD, _AT_RECURSIVE, _SYS_MOUNT_SETATTR = 2, -100, 0x8000, 442
_ATTR_RDONLY, _ATTR_NOSUID = 1, 2
_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_PR_SET_KEEPCAPS = 8
_CAPABILITY_VERSION_3 = 0x20080522
_READ_WRITE_ANY, _READ_ANY, _CHANGE_USER = 1 << 1, 1 << 2, 1 << 0 | 1 << 6 | 1 << 7  # chown, setgid and setuid

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def unprivileged_user(level: str) -> tuple[int | None, int]:
    """Return the user id for a program that root starts, and the one capability it keeps (a mask, mostly 0).

    Root is above the limit on processes and may write everywhere, so its programs become a user of their own
    wherever the machine allows it. Where others may not reach Python's library or the program's folder (it lies in
    root's home, say, and the level makes no new tree of files), that user keeps the right to read, and no other
    if it can be had alone.
    """
    rights = _rights() if os.geteuid() == 0 else 0
    user = 61184 + os.getpid() % 4000  # systemd's range for users that come and go
    if rights & _CHANGE_USER != _CHANGE_USER or not _exists_here(user):
        return None, 0
    readable = os.stat(os.__file__).st_mode & 0o004
    for folder in (os.path.dirname(os.__file__), os.path.dirname(os.getcwd())):
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


def unshare(level: str, *, can_change_user: bool) -> bool:
    """Leave the caller's namespaces as the level asks; return whether a user namespace was needed for it."""
    if level == "limits":
        return False
    flags = _NEWNET if level == "no-network" else _NEWNET | _NEWPID | _NEWIPC | _NEWUTS
    uid, gid = os.geteuid(), os.getegid()
    # Root of a container of one user can become no other; a user namespace at least makes it nobody.
    if uid == 0 and can_change_user and _libc().unshare(flags) == 0:
        return False
    _call("unshare", _NEWUSER | flags)
    for name, line in (("setgroups", "deny"), ("uid_map", f"65534 {uid} 1"), ("gid_map", f"65534 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)
    return True


def hide_files(home: str) -> None:
    """Make a new root of the system's and Python's read-only files and an empty /tmp; the old one is gone."""
    root = os.fsencode(os.getcwd())
    python = (sys.base_prefix, os.path.realpath(sys.base_prefix), os.path.dirname(os.path.realpath(os.__file__)))
    shown = [path for path in (*_SYSTEM, *python, *_DEVICES) if os.path.lexists(path)]
    for path in shown:
        if os.path.commonpath([path, home]) == path:
            raise PermissionError(errno.EPERM, f"the home {home} lies in {path}, which Python needs to see")
    _call("unshare", _NEWNS)  # here and not with the rest: the keeper still needs the caller's files
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
    # Read-only as a whole, then /tmp opened again; Python itself may lie in /tmp, so that comes before the rest.
    for mount, flags, add, clear in (
        (root, _AT_RECURSIVE, _ATTR_RDONLY | _ATTR_NOSUID, 0),
        (root + b"/tmp", 0, 0, _ATTR_RDONLY),
    ):
        attributes = (ctypes.c_uint64 * 4)(add, clear, 0, 0)
        _call("syscall", _SYS_MOUNT_SETATTR, _AT_FDCWD, mount, flags, attributes, ctypes.sizeof(attributes))
    os.chdir(root)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _MNT_DETACH)
    os.chdir("/")


def _mount_tmpfs(path: bytes, size_mb: int) -> None:
    options = f"size={size_mb}m,nr_inodes=8192,mode=755".encode()
    _call("mount", b"tmpfs", path, b"tmpfs", _MS_NOSUID | _MS_NODEV, options)


def confine(folder: str, user: int | None, rights: int, cpu_s: int, memory_mb: int, processes: int) -> None:
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
        prctl(_PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    if sys.platform == "linux":
        _call("capset", (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)(rights, rights))
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
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


def prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _call("prctl", option, value, 0, 0, 0)
