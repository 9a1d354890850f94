"""Adaptation that is told to give way, with a real trainer."""

import sys

import pytest

from simulations import giving_way


@pytest.mark.skipif(sys.platform != "linux", reason="processor time is told by Linux")
def test_a_trainer_stops_when_the_microscope_acquires_and_goes_on_afterwards() -> None:
    found = giving_way.measure("unet-denoise-shot", times=2, seed=0)
    # The second time it computes again only because the first wish was taken back.
    assert len(found["seconds"]) == 2
    assert found["longest_s"] < giving_way.STOPPED_WITHIN_S
