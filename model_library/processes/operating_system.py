"""What differs between operating systems; nothing else in a site's code calls for POSIX.

The branches for Windows follow its documentation; they have not run in this project's tests, which need
Linux.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_BELOW_NORMAL, _IDLE = 0x4000, 0x40
_LOCKED_BYTE = 1 << 30
"""On Windows a lock is one of bytes, which need not exist."""
_BACKGROUND_NICE = 10


def lower_priority(nice: int) -> None:
    """Yield the processor, and the disk, to others from now on; 0 changes nothing.

    Parameters
    ----------
    nice
        1 to 19 as POSIX counts; from 10 on the disk is used only while nobody else wants it, where the
        system can do that.
    """
    if nice == 0:
        return
    if sys.platform == "win32":
        _set_priority_class(_IDLE if nice >= _BACKGROUND_NICE else _BELOW_NORMAL)
        return
    os.nice(nice)
    if nice >= _BACKGROUND_NICE:
        _idle_disk()


def never_preempt(nice: int) -> None:
    """Let whoever else wants a processor finish first, from now on; what this process starts does so too.

    A process that sleeps most of the time is given the processor at once when it wakes: a daemon that wakes
    because a file is written would interrupt the very program that writes it. As a batch process it waits
    for its turn, and has it at once where a core is free.

    Parameters
    ----------
    nice
        0 to 19 as POSIX counts: how small its share is where no core is free.
    """
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        os.nice(nice)
    elif sys.platform == "win32":
        _set_priority_class(_BELOW_NORMAL)


def limit_memory(limit_bytes: int) -> None:
    """Let this process allocate no more address space than that; Windows has no such limit."""
    if sys.platform != "win32":
        import resource

        _limit(resource.RLIMIT_AS, limit_bytes)


def limit_processor_time(seconds: int) -> None:
    """End this process once it has computed for so many seconds; Windows has no such limit."""
    if sys.platform != "win32":
        import resource

        _limit(resource.RLIMIT_CPU, seconds)


def own_group() -> dict[str, Any]:
    """Arguments of `subprocess.Popen` that start a process as the head of a group of its own.

    Ctrl-C in a terminal then reaches the parent alone, and the group can be ended as a whole.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def passing_on(handles: Sequence[int]) -> dict[str, Any]:
    """Arguments of `subprocess.Popen` that let the process hold open files too.

    Raises
    ------
    OSError
        There are some, on Windows, which cannot do that.
    """
    if not handles:
        return {}
    if sys.platform == "win32":
        raise OSError("expected no files to pass on, found some; Windows passes none on")
    return {"pass_fds": tuple(handles)}


def ask_group(group: int) -> bool:
    """Ask every process of a group to end; False where none of it is left."""
    if sys.platform == "win32":
        return _end_tree(group, force=False)
    return _signal_group(group, signal.SIGTERM)


def kill_group(group: int) -> bool:
    """End every process of a group at once; False where none of it was left."""
    if sys.platform == "win32":
        return _end_tree(group, force=True)
    return _signal_group(group, signal.SIGKILL)


def group_lives(group: int) -> bool:
    """Whether any process of a group is left."""
    if sys.platform == "win32":
        listed = subprocess.run(
            ["tasklist", "/FI", f"PID eq {group}", "/NH"], capture_output=True, text=True, check=False
        )
        return str(group) in listed.stdout
    return _signal_group(group, 0)


def end_signals() -> tuple[signal.Signals, ...]:
    """Signals by which a terminal or the system asks a process to end."""
    if sys.platform == "win32":
        return (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def try_lock(handle: int, *, shared: bool = False) -> bool:
    """Lock an open file until it is closed or the process ends; False where another holds it.

    Parameters
    ----------
    handle
        File descriptor.
    shared
        Others may hold a shared lock too (Windows knows exclusive ones only).
    """
    if sys.platform == "win32":
        import msvcrt

        # What is locked there nobody else can read, and others read the process id at the file's beginning.
        place = os.lseek(handle, 0, os.SEEK_CUR)
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, place, os.SEEK_SET)
        return True
    import fcntl

    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _set_priority_class(priority: int) -> None:
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        # A handle has the width of a pointer; without its type half of it would be passed.
        kernel.SetPriorityClass(ctypes.c_void_p(kernel.GetCurrentProcess()), priority)


def _limit(kind: int, wanted: int) -> None:
    import resource

    # A parent may stand under limits of its own, which none but root may raise.
    hardest = resource.getrlimit(kind)[1]
    bound = wanted if hardest == resource.RLIM_INFINITY else min(wanted, hardest)
    resource.setrlimit(kind, (bound, bound))


def _signal_group(group: int, number: int) -> bool:
    if sys.platform == "win32":
        raise AssertionError("Windows has no process groups that take signals")
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _end_tree(process: int, *, force: bool) -> bool:
    arguments = ["taskkill", "/T", "/PID", str(process), *(["/F"] if force else [])]
    return subprocess.run(arguments, capture_output=True, check=False).returncode == 0


def _idle_disk() -> None:
    # Linux has no wrapper for ioprio_set in its C library; `ionice` is part of every distribution.
    try:
        subprocess.run(
            ["ionice", "-c", "3", "-p", str(os.getpid())], capture_output=True, check=False, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return
