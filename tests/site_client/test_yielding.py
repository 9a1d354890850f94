"""While the microscope acquires, adaptation is held; when it has finished, it goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from site_client.control import Control
from site_client.yielding import Yielding


class Said:
    """What the microscope's software says."""

    def __init__(self) -> None:
        self.control = Control()

    def current(self) -> Control:
        return self.control


@pytest.fixture
def clock():
    return [100.0]


@pytest.fixture
def said():
    return Said()


@pytest.fixture
def yielding(tmp_path, said, clock):
    made = Yielding(tmp_path / "federation" / "hold", said, 3.0, lambda: clock[0])
    made.look()
    return made


def holds(tmp_path) -> bool:
    return (tmp_path / "federation" / "hold").exists()


def test_a_file_holds_at_once_and_quiet_releases(yielding, tmp_path, clock):
    assert not holds(tmp_path)
    yielding.wrote()
    assert holds(tmp_path)
    clock[0] += 2.9
    yielding.look()
    assert holds(tmp_path)
    clock[0] += 0.2
    yielding.look()
    assert not holds(tmp_path)


def test_what_the_software_says_holds_without_any_file(yielding, tmp_path, said):
    said.control = Control(acquiring_until=5e9)
    yielding.look()
    assert holds(tmp_path)
    said.control = Control()
    yielding.look()
    assert not holds(tmp_path)


def test_files_need_not_tell(tmp_path, said, clock):
    yielding = Yielding(tmp_path / "hold", said, 0.0, lambda: clock[0])
    yielding.wrote()
    yielding.look()
    assert not (tmp_path / "hold").exists()


def test_what_a_killed_daemon_left_is_removed(tmp_path, said, clock):
    (tmp_path / "hold").touch()
    Yielding(tmp_path / "hold", said, 3.0, lambda: clock[0])
    assert not (tmp_path / "hold").exists()


@given(st.lists(st.one_of(st.just("wrote"), st.floats(0.01, 5.0)), max_size=30))
def test_it_is_held_exactly_while_a_file_is_newer_than_the_quiet_time(tmp_path_factory, events):
    clock, last, hold = [0.0], None, tmp_path_factory.mktemp("site") / "hold"
    yielding = Yielding(hold, Said(), 3.0, lambda: clock[0])
    for event in events:
        if event == "wrote":
            yielding.wrote()
            last = clock[0]
        else:
            clock[0] += event
        yielding.look()
        assert hold.exists() == (last is not None and clock[0] < last + 3.0)
