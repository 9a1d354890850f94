"""A heartbeat tells which versions the site runs."""

import platform
from importlib.metadata import version

import pytest
from pydantic import ValidationError

from model_library.wire.orders import FrameCounts, Heartbeat
from site_client.software import versions

NOTHING = FrameCounts(acquired=0, reconstructed=0, waiting=0, set_aside=0, returned=0)


def test_what_is_installed_is_told_and_nothing_else():
    found = versions(["synoptic", "no-such-package"])
    assert found["synoptic"] == version("synoptic")
    assert found["python"] == platform.python_version()
    assert found.keys() == {"synoptic", "python", "system"}


def test_a_heartbeat_carries_it_and_no_more_than_it_may():
    told = Heartbeat(frames=NOTHING, software=versions())
    assert Heartbeat.model_validate_json(told.model_dump_json()) == told
    for lie in ({str(number): "1" for number in range(21)}, {"synoptic": "1" * 101}):
        with pytest.raises(ValidationError):
            Heartbeat(frames=NOTHING, software=lie)
