import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from model_library.errors import ProcessFailed
from model_library.processes.supervisor import Supervisor
from model_library.processes.watchdog import listed

from ...waiting import until

FOREVER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(600)",
]
PARENT = [sys.executable, "-c", f"import subprocess; subprocess.run({FOREVER!r})"]


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def group_gone(group: int) -> bool:
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                members.append(entry.name)
    return not members


def test_every_process_and_its_children_end_with_the_context(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        started = [supervisor.start(name, command) for name, command in (("a", FOREVER), ("b", PARENT))]
        until(lambda: all("up" in each.tail() for each in started))

    assert all(group_gone(each.process.pid) for each in started)


def test_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    with supervisor:
        deaf = supervisor.start("deaf", DEAF)
        until(lambda: "up" in deaf.tail())
        supervisor.stop(grace_s=0.3)

    assert deaf.process.returncode == -signal.SIGKILL


def test_processes_end_when_the_demo_fails(tmp_path: Path) -> None:
    started = []

    def fail() -> None:
        with Supervisor(tmp_path) as supervisor:
            started.append(supervisor.start("a", FOREVER))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert started[0].process.returncode == -signal.SIGTERM


def test_processes_end_when_the_demo_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from model_library.processes.supervisor import Supervisor\n"
        f"with Supervisor(Path({str(tmp_path)!r})) as supervisor:\n"
        f"    print(supervisor.start('a', {PARENT!r}).process.pid, flush=True)\n    time.sleep(600)\n"
    )
    demo = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    group = int(demo.stdout.readline())
    until(lambda: "up" in (tmp_path / "a.log").read_text())

    demo.kill()
    demo.wait()
    demo.stdout.close()

    until(lambda: group_gone(group))


def test_failed_process_is_noticed_with_what_it_said(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        failing = supervisor.start("failing", [sys.executable, "-c", "print('no disk'); raise SystemExit(3)"])
        failing.process.wait()
        with pytest.raises(ProcessFailed, match=r"failing to keep running.*code 3[\s\S]*no disk"):
            supervisor.check()


def test_process_that_is_run_must_succeed_in_time(tmp_path: Path) -> None:
    with Supervisor(tmp_path, {"GREETING": "hello"}) as supervisor:
        supervisor.run("env", [sys.executable, "-c", "import os; print(os.environ['GREETING'])"])
        with pytest.raises(ProcessFailed, match="exit code 2"):
            supervisor.run("bad", [sys.executable, "-c", "raise SystemExit(2)"])
        with pytest.raises(ProcessFailed, match="to end within"):
            supervisor.run("slow", FOREVER, timeout_s=0.2)
    assert (tmp_path / "env.log").read_text() == "hello\n"


def test_second_interrupt_does_not_leave_processes_behind(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        deaf = supervisor.start("deaf", DEAF)
        until(lambda: "up" in deaf.tail())
        interrupting = subprocess.Popen(
            [sys.executable, "-c", f"import os, time; time.sleep(0.1); os.kill({os.getpid()}, 2)"]
        )
        supervisor.stop(grace_s=1.0)
        interrupting.wait()
    assert gone(deaf.process.pid)


def test_watchdog_keeps_the_groups_that_were_not_taken_off() -> None:
    assert listed(["+10\n", "+11\n", "-10\n", "+12\n"]) == {11, 12}
