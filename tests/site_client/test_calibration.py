"""A site measures its computer once, keeps the figures, and tells them with every heartbeat."""

from pathlib import Path

import pytest

from model_library.wire.compute import ComputeFacts, FamilyThroughput
from model_library.zoo.shipped import library_folder
from site_client.calibration import calibrate, family_members
from site_client.compute import keep_compute, read_compute

FACTS = ComputeFacts(
    threads=2,
    memory_bytes=1 << 33,
    engine="openvino bfloat16",
    families=(FamilyThroughput(family="unet", flops_per_pixel=280_000, mpix_per_s=1.5),),
)


def test_what_was_measured_is_kept_and_recalled(tmp_path: Path):
    assert read_compute(tmp_path) is None
    keep_compute(tmp_path, FACTS)
    assert read_compute(tmp_path) == FACTS


def test_figures_of_another_version_are_forgotten(tmp_path: Path):
    (tmp_path / "compute.json").write_text('{"cores": 3}')
    assert read_compute(tmp_path) is None


def test_each_family_of_the_library_has_one_member_and_instances_have_none():
    members = family_members(library_folder())
    assert {"unet", "edsr", "residual_denoiser", "pssr_unet"} <= members.keys()
    assert "mask_rcnn" not in members
    assert all(card.config.kind == family for family, (card, _) in members.items())


@pytest.mark.parametrize("threads", [1])
def test_a_family_is_measured_by_its_member_with_the_threads_of_the_settings(tmp_path: Path, threads: int):
    members = family_members(library_folder())
    small = {"residual_denoiser": members["residual_denoiser"]}
    told: list[str] = []
    facts = calibrate(small, tmp_path, threads, begun=told.append)
    assert told == ["residual_denoiser"]
    assert facts.threads == threads
    (family,) = facts.families
    assert family.flops_per_pixel == small["residual_denoiser"][0].facts.flops_per_pixel
    assert family.mpix_per_s > 0
    asked: list[Path] = []
    again = calibrate(small, tmp_path, threads, prepare=lambda folder, *_: asked.append(folder))
    assert (asked, again) == ([], facts)


def test_the_heartbeat_tells_what_was_measured(site):
    assert site.memory.compute() is None
    keep_compute(site.folder, FACTS)
    assert site.memory.compute() == FACTS
