"""When a network is adapted here, and what becomes of it: beside its release, and gone with it."""

from datetime import UTC, datetime

import numpy as np
import pytest

from model_library.cards.card import NetworkCard
from model_library.cards.release import ReleaseManifest
from model_library.errors import ChildDied, ChildRefused, SynopticError
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.networks.build import build
from model_library.networks.config import ResidualDenoiserConfig
from model_library.networks.facts import facts
from model_library.signing.digests import sha256_file
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.orders import Orders
from model_library.wire.tasks import Denoise
from model_library.zoo.store import save_network
from site_client.conversation import Conversation
from site_client.fallback import Fallback
from site_client.federation.standing import Standing, keep_standing
from site_client.frames import Finished, Header, Stamp
from site_client.local_adaptation import LocalAdaptation, read_buffer, read_record
from site_client.reconstruct import load_method
from site_client.settings import read_settings, write_settings
from site_client.trainer import Trainer as RealTrainer

FRAMES = 14
CONFIG = ResidualDenoiserConfig(depth=3, width=8)
RELEASED = NetworkRef(id="net", version="1", weights_sha256=f"{1:064x}")
ADAPTED = NetworkRef(id="net", version="1+local.00000002", weights_sha256=f"{2:064x}")
BETTER = {"network": ADAPTED.model_dump(mode="json"), "told": "is better: +0.2 dB"}
NO_BETTER = {"network": None, "told": "is not shown better: +0.0 dB"}


class Trainer:
    """Stands in for the child process: answers what it is told to, and remembers what it was asked."""

    def __init__(self, *answers: object) -> None:
        self.answers, self.asked, self.stops = list(answers), [], 0

    def ask(self, question, deadline_s):
        self.asked.append(question)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    def stop(self) -> None:
        self.stops += 1

    retire = stop


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def accept(site, number: int, content: bytes | None = None) -> None:
    path = site.acquire(number, content)
    stamp = Stamp(path.stat().st_size, path.stat().st_mtime_ns)
    site.ledger.accept(
        path.name, stamp, Header(sha256_file(path), 4, 4.0, None), now=0, exists=lambda _: True
    )
    frame = site.ledger.next_waiting("in-order")
    finished = Finished(method=RELEASED, release_id="r-1", result="x", busy_s=0.1)
    assert site.ledger.finish(frame, finished, now=0)


def install(site, number: int, ref=RELEASED) -> None:
    site.journal.put_in_service(
        ReleaseManifest(
            release_id=f"r-{number}",
            instrument_id="instrument-1",
            task=Denoise(),
            method=ref,
            reasons=(),
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ready(site):
    """A site with frames and a network in service."""
    for number in range(FRAMES):
        accept(site, number)
    install(site, 1)
    for ref in (RELEASED, ADAPTED):
        (site.folder / "networks" / ref.weights_sha256).mkdir(parents=True)
    return site


@pytest.fixture
def adaptation_of(ready, clock):
    def make(*answers: object, idle=lambda: True, **changes: object) -> tuple[LocalAdaptation, Trainer]:
        settings = ready.settings.model_copy(update={"adapt_locally": True, "least_free_gb": 0.0} | changes)
        trainer = Trainer(*answers)
        return (
            LocalAdaptation(ready.folder, settings, ready.memory, idle=idle, clock=clock, trainer=trainer),
            trainer,
        )

    return make


def in_service(site) -> tuple[str, object]:
    service = site.journal.in_service()
    return service.release_id, service.method


def test_it_is_off_unless_the_owner_asks_for_it(adaptation_of, ready) -> None:
    assert not read_settings(_written(ready)).adapt_locally
    adaptation, trainer = adaptation_of(BETTER, adapt_locally=False)
    adaptation.step()
    assert trainer.asked == []
    assert read_buffer(ready.journal).frames == ()


def _written(site):
    (site.folder / "settings.toml").write_text(write_settings(site.settings))
    return site.folder


def test_an_accepted_network_serves_beside_its_release_and_says_so(adaptation_of, ready) -> None:
    adaptation, trainer = adaptation_of(BETTER)
    adaptation.step()
    assert in_service(ready) == ("r-1-local", ADAPTED)
    assert ready.journal.in_service().released == "r-1"
    assert ready.journal.releases()[-1].reasons == ("adapted here: is better: +0.2 dB",)
    [question] = trainer.asked
    assert len(question["frames"]) == FRAMES
    assert question["frames"][0]["path"].endswith(f"frame-{FRAMES - 1:03d}.tif")
    assert question["hold"] == str(ready.folder / "federation" / "hold")
    # The process is not kept: idle memory is the microscope's.
    assert trainer.stops == 1


def test_a_refused_network_changes_nothing(adaptation_of, ready) -> None:
    adaptation_of(NO_BETTER)[0].step()
    assert in_service(ready) == ("r-1", RELEASED)
    assert read_record(ready.journal).told == "is not shown better: +0.0 dB"


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ChildRefused("AdaptationRefused", "no time"), "no time"),
        (ChildDied("killed"), "ended before its time: killed"),
    ],
)
def test_a_try_that_fails_is_told_and_not_repeated_soon(adaptation_of, ready, clock, failure, told) -> None:
    adaptation, trainer = adaptation_of(failure, BETTER)
    adaptation.step()
    adaptation.step()
    assert in_service(ready) == ("r-1", RELEASED)
    assert read_record(ready.journal).told == told
    assert len(trainer.asked) == 1
    clock.now += 25 * 3600
    accept(ready, FRAMES)
    adaptation.step()
    assert trainer.asked[-1]["look"] == 2
    assert in_service(ready) == ("r-1-local", ADAPTED)


OBSTACLES = {
    "the microscope acquires": (lambda site: None, {"idle": lambda: False}, "acquires"),
    "paused": (lambda site: site.memory.controls.pause(), {}, "paused"),
    "draining": (lambda site: site.memory.controls.drain(), {}, "drains"),
    "a federation": (
        lambda site: keep_standing(site.journal, Standing(state="taking_part")),
        {},
        "federation",
    ),
    "a classical algorithm": (
        lambda site: install(site, 2, ClassicalRef(id="gaussian", parameters={"sigma_px": 1.0})),
        {},
        "classical",
    ),
    "a full disk": (lambda site: None, {"least_free_gb": 1e9}, "disk"),
    "too small a buffer": (lambda site: None, {"replay_frames": 8}, "fewer than 12"),
}


@pytest.mark.parametrize(("arrange", "changes", "cause"), OBSTACLES.values(), ids=OBSTACLES.keys())
def test_it_waits_for_an_idle_site(adaptation_of, ready, arrange, changes, cause) -> None:
    arrange(ready)
    adaptation, trainer = adaptation_of(BETTER, **changes)
    adaptation.step()
    assert trainer.asked == []
    why = adaptation.obstacle(
        ready.journal.in_service(), read_buffer(ready.journal), read_record(ready.journal)
    )
    assert cause in why


def test_frames_that_wait_come_first(adaptation_of, ready) -> None:
    path = ready.acquire(FRAMES)
    stamp = Stamp(path.stat().st_size, path.stat().st_mtime_ns)
    ready.ledger.accept(
        path.name, stamp, Header(sha256_file(path), 4, 4.0, None), now=0, exists=lambda _: True
    )
    adaptation, trainer = adaptation_of(BETTER)
    adaptation.step()
    assert trainer.asked == []


def test_without_new_frames_there_is_no_second_try(adaptation_of, clock) -> None:
    adaptation, trainer = adaptation_of(NO_BETTER)
    adaptation.step()
    clock.now += 100 * 3600
    adaptation.step()
    assert len(trainer.asked) == 1


def test_files_that_vanish_drop_out_of_the_buffer_and_a_restart_keeps_the_rest(adaptation_of, ready) -> None:
    adaptation, _ = adaptation_of(BETTER)
    before = adaptation.fill()
    (ready.settings.acquisitions / "frame-003.tif").unlink()
    again, trainer = adaptation_of(BETTER)
    assert again.fill().frames == tuple(each for each in before.frames if each.path != "frame-003.tif")
    again.step()
    assert len(trainer.asked[0]["frames"]) == FRAMES - 1


def test_a_release_that_comes_meanwhile_wins(adaptation_of, ready) -> None:
    def overtaken():
        install(ready, 2, ADAPTED.model_copy(update={"weights_sha256": f"{3:064x}"}))
        return BETTER

    adaptation_of(overtaken)[0].step()
    assert in_service(ready)[0] == "r-2"
    assert not (ready.folder / "networks" / ADAPTED.weights_sha256).exists()


def test_a_new_release_takes_its_place_and_tries_begin_anew(adaptation_of, ready, clock) -> None:
    adaptation, trainer = adaptation_of(BETTER, NO_BETTER)
    adaptation.step()
    install(ready, 2, RELEASED)
    assert in_service(ready) == ("r-2", RELEASED)
    clock.now += 25 * 3600
    accept(ready, FRAMES)
    adaptation.step()
    assert [question["look"] for question in trainer.asked] == [1, 1]


def test_rolled_back_it_stays_out_until_the_next_release(adaptation_of, ready, clock) -> None:
    adaptation, trainer = adaptation_of(BETTER, BETTER)
    adaptation.step()
    back = Fallback(ready.journal, ready.folder / "networks").fall_back("streaks")
    assert (back.release_id, in_service(ready)) == ("r-1", ("r-1", RELEASED))
    # The release itself was not declined: the coordinator's channel still holds it.
    assert ready.journal.declined() is None
    clock.now += 25 * 3600
    accept(ready, FRAMES)
    adaptation.step()
    assert len(trainer.asked) == 1
    install(ready, 2, RELEASED)
    adaptation.step()
    assert in_service(ready) == ("r-2-local", ADAPTED)


def test_the_heartbeat_tells_of_it_and_the_channel_is_not_installed_over_it(adaptation_of, ready) -> None:
    class Client:
        def __init__(self) -> None:
            self.beats = []

        def heartbeat(self, report):
            self.beats.append(report)
            return Orders(first_images=(), every_n=5, release_id="r-1")

    class Installer:
        looked = 0

        def is_whole(self) -> bool:
            return True

        def refresh(self) -> None:
            self.looked += 1

    installer, client = Installer(), Client()
    adaptation_of(BETTER)[0].step()
    conversation = Conversation(
        ready.settings, client, ready.memory, installer, wake=lambda _: None, invited=lambda _: None
    )
    conversation._next_release = float("inf")
    conversation.step()
    [beat] = client.beats
    assert (beat.release_id, beat.method) == ("r-1-local", ADAPTED)
    assert installer.looked == 0


def test_nothing_of_it_is_queued_to_leave(adaptation_of, ready) -> None:
    adaptation_of(BETTER)[0].step()
    assert sum(counts.queued for counts in ready.outbox.counts().values()) == 0
    assert sum(ready.journal.bytes_out().values()) == 0


class InProcess(Trainer):
    """The trainer's own code, without its process."""

    def ask(self, question, deadline_s):
        self.asked.append(question)
        try:
            return RealTrainer().answer(question)
        except SynopticError as refusal:
            raise ChildRefused(type(refusal).__name__, str(refusal)) from refusal


def test_frames_of_a_microscope_make_its_network_better_and_the_site_serves_it(site, clock) -> None:
    module = build(CONFIG)
    rng = np.random.default_rng(7)
    for key, tensor in module.state_dict().items():
        scale = 0.4 if key == "noise.4.weight" else 0.0 if key.startswith("noise.4") else 0.3
        tensor.copy_(tensor.new_tensor(scale * rng.standard_normal(tuple(tensor.shape))))
    card = NetworkCard(
        id="tiny-8",
        version="3",
        purpose="Tests.",
        task=Denoise(),
        config=CONFIG,
        facts=facts(CONFIG),
        weights_sha256="0" * 64,
    )
    saved = save_network(site.folder / "draft", module, card)
    (site.folder / "networks").mkdir()
    (site.folder / "draft").rename(site.folder / "networks" / saved.weights_sha256)
    ref = NetworkRef(id=saved.id, version=saved.version, weights_sha256=saved.weights_sha256)
    install(site, 1, ref)
    for number in range(24):
        accept(site, number, content=squares(number))
    settings = site.settings.model_copy(
        update={"adapt_locally": True, "least_free_gb": 0.0, "local_steps": 60}
    )
    trainer = InProcess()
    adaptation = LocalAdaptation(
        site.folder, settings, site.memory, idle=lambda: True, clock=clock, trainer=trainer
    )
    adaptation.step()
    told = read_record(site.journal).told
    assert "is better after 60 steps" in told
    service = site.journal.in_service()
    assert service.release_id == "r-1-local"
    folder = site.folder / "networks" / service.method.weights_sha256
    method = load_method(service.method, Denoise(), folder, threads=1)
    assert method.ref == service.method


def squares(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    clean = np.full((96, 96), 60.0)
    for _ in range(8):
        y, x = rng.integers(0, 76, 2)
        clean[y : y + 20, x : x + 20] = rng.uniform(100, 400)
    return encode_acquisition(Frame(rng.poisson(clean).astype(np.uint16), pixel_size_nm=4.0))
