"""What only POSIX has is called in one module: a site also runs beside microscopes with Windows."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOOR = REPOSITORY / "model_library" / "processes" / "operating_system.py"
ON_A_SITE = ("model_library", "site_client", "benchmark")
"""The coordinator is a Linux server; simulations kill and freeze processes, and say so."""

MODULES = {
    "fcntl",
    "resource",
    "pwd",
    "grp",
    "pty",
    "tty",
    "termios",
    "syslog",
    "posix",
    "readline",
    "curses",
}
OF_OS = """fork forkpty nice kill killpg getpgid getpgrp setpgid setsid getsid getuid geteuid getgid getegid
    setuid setgid getgroups chown lchown fchown fchmod mkfifo mknod openpty wait wait3 wait4 waitid WNOHANG
    sched_setscheduler sched_getaffinity sched_setaffinity getloadavg statvfs fstatvfs uname pread pwrite
    posix_fadvise posix_fallocate sendfile sync fdatasync lockf getpriority setpriority chroot ctermid
    O_CLOEXEC O_NONBLOCK O_DIRECTORY O_NOFOLLOW O_SYNC O_DIRECT"""
OF_SIGNAL = """SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGSTOP SIGCONT SIGALRM SIGCHLD SIGPIPE SIGQUIT SIGTSTP alarm
    setitimer pause pthread_kill pthread_sigmask sigwait"""
NAMES = {
    "os": set(OF_OS.split()),
    "signal": set(OF_SIGNAL.split()),
    "socket": {"AF_UNIX", "SCM_RIGHTS", "socketpair", "send_fds", "recv_fds"},
    "select": {"select", "poll", "epoll", "kqueue"},
    "time": {"clock_gettime", "tzset", "CLOCK_MONOTONIC_RAW"},
    "mmap": {"PROT_READ", "PROT_WRITE", "MAP_SHARED", "MAP_PRIVATE"},
}
ARGUMENTS = {"preexec_fn", "start_new_session", "pass_fds", "process_group", "umask"}
"""Of `subprocess.Popen`."""


def posix_only(tree: ast.AST) -> Iterator[str]:
    """Everything of the lists above that a module mentions."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names if each.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module), names=names):
                if module.split(".")[0] in MODULES:
                    yield module
                yield from (
                    f"{module}.{each.name}" for each in names if each.name in NAMES.get(module, set())
                )
            case ast.Attribute(value=ast.Name(id=module), attr=name) if name in NAMES.get(module, set()):
                yield f"{module}.{name}"
            case ast.keyword(arg=str(name)) if name in ARGUMENTS:
                yield f"{name}="


def test_what_only_posix_has_is_called_in_one_module() -> None:
    calling = {
        str(path.relative_to(REPOSITORY)): found
        for package in ON_A_SITE
        for path in sorted((REPOSITORY / package).rglob("*.py"))
        if path != DOOR and (found := sorted(set(posix_only(ast.parse(path.read_text())))))
    }
    assert calling == {}


def test_that_module_does_call_it() -> None:
    assert {"os.nice", "os.killpg", "fcntl", "resource"} <= set(posix_only(ast.parse(DOOR.read_text())))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import fcntl", ["fcntl"]),
        ("from os import fork, getpid", ["os.fork"]),
        ("import signal\nprocess.send_signal(signal.SIGUSR1)", ["signal.SIGUSR1"]),
        ("socket.socket(socket.AF_UNIX)", ["socket.AF_UNIX"]),
        ("os.kill(pid, 0)", ["os.kill"]),
        ("Popen(command, pass_fds=(3,))", ["pass_fds="]),
        ("os.getpid(); signal.SIGTERM; socket.AF_INET", []),
    ],
)
def test_each_way_of_calling_is_seen(source: str, found: list[str]) -> None:
    assert list(posix_only(ast.parse(source))) == found
