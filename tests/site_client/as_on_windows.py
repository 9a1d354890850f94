"""Runs `synoptic ARGUMENTS` as far as that goes as on Windows: `python as_on_windows.py ARGUMENTS`.

What belongs to others is imported first, as on Linux; then Synoptic anew, on a system that calls itself
Windows and has no module, function or signal that only POSIX has.
"""

import ctypes
import importlib
import importlib.abc
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
from types import ModuleType, SimpleNamespace

OURS = ("model_library", "site_client", "benchmark")
MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
FUNCTIONS = "chown fork getloadavg getuid geteuid getgid killpg mkfifo nice sched_getaffinity"
FUNCTIONS += " sched_param sched_setscheduler setsid statvfs sync sysconf uname wait4"
SIGNALS = "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 alarm pthread_sigmask"


class Absent(importlib.abc.MetaPathFinder):
    """Finds no module of POSIX."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def import_site() -> None:
    """Import every module of a site."""
    import site_client

    for module in pkgutil.walk_packages(site_client.__path__, "site_client."):
        importlib.import_module(module.name)


def become_windows() -> None:
    """Take away what Windows has not, and add the little that Synoptic asks of it."""
    free, kill = shutil.disk_usage("/"), int(signal.SIGKILL)
    shutil.disk_usage = lambda _: free
    subprocess.Popen.kill = lambda process: process.send_signal(kill)
    for name in [name for name in sys.modules if name.split(".")[0] in OURS or name in MODULES]:
        del sys.modules[name]
    sys.meta_path.insert(0, Absent())
    for module, names in ((os, FUNCTIONS), (signal, SIGNALS)):
        for name in names.split():
            delattr(module, name)
    sys.platform = "win32"
    signal.SIGBREAK = signal.SIGTERM
    subprocess.CREATE_NEW_PROCESS_GROUP = 0
    ctypes.windll = SimpleNamespace(
        kernel32=SimpleNamespace(GetCurrentProcess=lambda: -1, SetPriorityClass=lambda *_: 1)
    )
    sys.modules["msvcrt"] = ModuleType("msvcrt")
    sys.modules["msvcrt"].LK_NBLCK = 2
    sys.modules["msvcrt"].locking = locking


def locking(handle: int, mode: int, count: int) -> None:
    """Refuse to lock what others read, as Windows would let nobody read it then."""
    assert (mode, count) == (2, 1)
    assert os.lseek(handle, 0, os.SEEK_CUR) > os.fstat(handle).st_size


if __name__ == "__main__":
    import_site()
    become_windows()
    import_site()
    from model_library.cli import main

    main()
