"""A child that answers questions, and ends when it is told to."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_library.errors import ChildDied
from model_library.processes.child import Child

SLOW = (
    "import time\nfrom model_library.processes.answering import answer_questions\n"
    "answer_questions(lambda question: time.sleep(question['s']) or {'slept': question['s']})"
)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    made = Child([sys.executable, "-c", SLOW], log=tmp_path / "child.log")
    yield made
    made.retire()


def test_one_that_was_stopped_starts_again_when_it_is_asked(child: Child) -> None:
    assert child.ask({"s": 0}, 30) == {"slept": 0}
    before = child.pid
    child.stop()
    assert child.pid is None
    assert child.ask({"s": 0}, 30) == {"slept": 0}
    assert child.pid != before


def test_stopping_ends_the_questions_that_wait_and_serves_the_next(child: Child) -> None:
    child.ask({"s": 0}, 30)
    told: list[str] = []

    def ask() -> None:
        with pytest.raises(ChildDied) as death:
            child.ask({"s": 100}, 200)
        told.append(str(death.value))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    while not child._asking.locked():
        time.sleep(0.01)
    time.sleep(0.2)  # for the others to queue
    child.stop()
    for asker in askers:
        asker.join(20)

    assert len(told) == 3
    assert child.ask({"s": 0}, 30) == {"slept": 0}


def test_one_that_was_retired_answers_nobody_not_even_who_waits(child: Child) -> None:
    child.ask({"s": 0}, 30)
    told: list[str] = []

    def ask() -> None:
        try:
            child.ask({"s": 100}, 200)
        except ChildDied as death:
            told.append(str(death))

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    child.retire()
    for asker in askers:
        asker.join(20)

    assert len(told) == 2
    assert any("for good" in each for each in told)
    assert child.pid is None
    with pytest.raises(ChildDied, match="for good"):
        child.ask({"s": 0}, 30)


def test_what_a_batch_process_starts_is_one_too() -> None:
    child = "import os; print(os.sched_getscheduler(0), os.nice(0))"
    program = (
        "import subprocess, sys\n"
        "from model_library.processes.operating_system import never_preempt\n"
        "never_preempt(3)\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [*map(int, told.stdout.split())] == [os.SCHED_BATCH, min(19, os.nice(0) + 3)]


REPORTING = (
    "from model_library.processes.answering import answer_questions\n"
    "told = []\n"
    "def answer(question):\n"
    "    for _ in range(question['times']): told[0](0.25)\n"
    "    return {'ok': True}\n"
    "answer_questions(answer, ready=told.append)"
)


def test_progress_comes_before_the_answer(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", REPORTING], log=tmp_path / "child.log")
    shares: list[float] = []
    assert child.ask({"times": 3}, 30, shares.append) == {"ok": True}
    assert shares == [0.25] * 3
    # Whoever does not listen gets the answer alone.
    assert child.ask({"times": 2}, 30) == {"ok": True}
    child.retire()
