"""Back to an earlier method: by a person's word, or because the new one fails or is too slow."""

import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_library.cards.release import ReleaseManifest
from model_library.errors import ChildDied, ChildRefused
from model_library.images.readers import read_provenance
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.tasks import Denoise
from site_client.errors import NothingToReturnTo
from site_client.fallback import KEPT, Fallback, earlier
from site_client.journal import InService, InstalledRelease
from site_client.processing import Processing

from .test_processing import ScriptedWorker, accept, installer  # noqa: F401

DEATH = ChildDied("it ended without an answer (signal SIGSEGV)")
NOT_FINITE = ChildRefused("NonFinitePixels", "the method gives NaN")


def method(number: int) -> ClassicalRef:
    return ClassicalRef(id="gaussian", parameters={"sigma_px": float(number)})


def network(number: int) -> NetworkRef:
    return NetworkRef(id="net", version=str(number), weights_sha256=f"{number:064x}")


def install(site, number: int, ref=None) -> None:
    site.journal.put_in_service(
        ReleaseManifest(
            release_id=f"r-{number}",
            instrument_id="instrument-1",
            task=Denoise(),
            method=ref or method(number),
            reasons=(),
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
    )


def steps(site, installer, worker, **settings) -> Processing:  # noqa: F811
    changed = site.settings.model_copy(update=settings)
    return Processing(changed, site.memory, installer, worker, stop=threading.Event())


def in_service(site) -> str:
    return site.journal.in_service().release_id


@given(st.lists(st.integers(1, 4), min_size=1, max_size=9))
def test_going_back_never_goes_forward(installed):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    history = [
        InstalledRelease(release_id=f"r-{n}", method=method(n), reasons=(), installed_at=at)
        for n in installed
    ]
    current = InService(release_id=history[-1].release_id, method=history[-1].method)
    before = [release.release_id for release in earlier(history, current)]
    assert current.release_id not in before
    assert len(set(before)) == len(before)
    first = {release.release_id: place for place, release in reversed(list(enumerate(history)))}
    assert all(first[release] < first[current.release_id] for release in before)


def test_there_is_nothing_to_return_to_at_first(site):
    fallback = Fallback(site.journal, site.folder / "networks")
    with pytest.raises(NothingToReturnTo):
        fallback.fall_back("why not")
    install(site, 1)
    with pytest.raises(NothingToReturnTo):
        fallback.fall_back("why not")


def test_a_person_goes_back_step_by_step_and_forward_by_name(site):
    fallback = Fallback(site.journal, site.folder / "networks")
    for number in (1, 2, 3):
        install(site, number)
    assert fallback.fall_back("streaks").release_id == "r-2"
    assert site.journal.declined() == "r-3"
    assert "streaks" in site.journal.alarms()["fallback"]
    assert fallback.fall_back("still").release_id == "r-1"
    assert fallback.return_to("r-3", "it was the detector").release_id == "r-3"
    with pytest.raises(NothingToReturnTo, match="r-1"):
        fallback.return_to("r-9", "a slip of the pen")


def test_a_new_release_ends_the_alarm(site):
    install(site, 1)
    install(site, 2)
    Fallback(site.journal, site.folder / "networks").fall_back("streaks")
    install(site, 3)
    assert (site.journal.alarms(), site.journal.declined()) == ({}, None)


def test_only_the_last_networks_are_kept_and_a_lost_one_is_passed_over(site):
    networks = site.folder / "networks"
    fallback = Fallback(site.journal, networks)
    for number in range(1, 7):
        install(site, number, network(number))
        (networks / network(number).weights_sha256).mkdir(parents=True)
        fallback.prune()
    kept = sorted(folder.name for folder in networks.iterdir())
    assert kept == [network(number).weights_sha256 for number in range(6 - KEPT, 7)]
    (networks / network(5).weights_sha256).rmdir()
    assert fallback.previous().release_id == "r-4"


@pytest.mark.parametrize("answers", [(NOT_FINITE, {"busy_s": 0.1}), (DEATH, DEATH, {"busy_s": 0.1})])
def test_a_method_that_fails_where_its_predecessor_works_is_given_up(site, installer, answers):  # noqa: F811
    accept(site, 1)
    install(site, 1)
    install(site, 2)
    worker = ScriptedWorker(*answers)
    running = steps(site, installer, worker)
    for _ in range(len(answers) - 1):
        running.step()
    assert in_service(site) == "r-1"
    assert site.journal.declined() == "r-2"
    assert site.ledger.frame(1).method == method(1)
    assert worker.questions[-1]["provenance"]["release_id"] == "r-1"


def test_a_frame_that_no_method_can_do_is_the_frames_fault(site, installer):  # noqa: F811
    accept(site, 1)
    install(site, 1)
    install(site, 2)
    steps(site, installer, ScriptedWorker(NOT_FINITE, NOT_FINITE)).step()
    assert in_service(site) == "r-2"
    assert site.ledger.counts().set_aside == 1


def test_a_method_below_the_floor_is_given_up_after_a_few_frames(site, installer):  # noqa: F811
    install(site, 1)
    install(site, 2)
    worker = ScriptedWorker(*[{"busy_s": 10.0}] * 6)
    running = steps(site, installer, worker, slowest_mpix_per_s=0.01)
    for number in range(1, 7):
        accept(site, number)
        running.step()
    assert [question["provenance"]["release_id"] for question in worker.questions] == ["r-2"] * 5 + ["r-1"]
    assert "0.01" in site.journal.alarms()["fallback"]


def test_a_network_that_no_longer_loads_serves_again_once_it_is_installed_anew(site, installer):  # noqa: F811
    accept(site, 1)
    install(site, 1)
    install(site, 2, network(2))
    (installer.networks / network(2).weights_sha256).mkdir(parents=True)
    running = steps(site, installer, ScriptedWorker(ChildRefused("WeightsError", "digest")))
    running.step()
    assert (in_service(site), site.journal.declined()) == ("r-1", None)


def test_the_command_swaps_under_a_running_daemon_and_the_release_stays_out(
    enrolled, coordinator, start_daemon, gaussian, until
):
    coordinator.release("r-1", gaussian)
    start_daemon()
    until(lambda: enrolled.journal.in_service() is not None)
    coordinator.release("r-2", ClassicalRef(id="median", parameters={"size_px": 3.0}))
    until(lambda: in_service(enrolled) == "r-2")
    command = [sys.executable, "-m", "model_library", "site", "rollback", "--folder", str(enrolled.folder)]
    assert subprocess.run([*command, "--reason", "streaks"], timeout=60).returncode == 0
    enrolled.acquire(1)
    until(lambda: enrolled.ledger.counts().reconstructed == 1, 60)
    heard = len(coordinator.heartbeats)
    until(lambda: len(coordinator.heartbeats) > heard + 5)
    assert in_service(enrolled) == "r-1"
    result = enrolled.settings.results / enrolled.ledger.frame(1).result
    assert read_provenance(result)["release_id"] == "r-1"
    coordinator.release("r-3", ClassicalRef(id="median", parameters={"size_px": 5.0}))
    until(lambda: in_service(enrolled) == "r-3")
    refused = subprocess.run([*command, "--to", "r-9"], capture_output=True, text=True, timeout=60)
    assert (refused.returncode, "r-1" in refused.stderr) == (1, True)
