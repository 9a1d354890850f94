"""Instruments whose first campaign has ended, sites that answer from memory, and an engine that runs them.

As a program (`python microscopes.py DATA SECONDS`), it is a coordinator without a port: it resumes
what was interrupted and federates until nothing is left to do; the tests kill it.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from coordinator import publishing
from coordinator.errors import EngineDown
from coordinator.federation import rounds
from coordinator.federation.federating import Federating
from coordinator.federation.fleet import Reply, Weights
from coordinator.federation.liveness import alive
from coordinator.federation.memory_fleet import Answer, MemoryFleet
from coordinator.federation.plan import read_plan
from coordinator.federation.runs import RunState
from coordinator.records import Finding, Stage
from coordinator.services import open_place
from coordinator.settings import Settings, read_settings
from coordinator.store.database import Database
from coordinator.store.values import Instrument, Opening, ReleasePurpose, StoredImage, Upload
from coordinator.workflows import Engine
from coordinator.workplace import Clock, Workplace
from model_library.cards.adaptation import AdaptationPlan, AdaptationReport
from model_library.cards.card import Lineage, NetworkCard
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.networks.config import ResidualDenoiserConfig
from model_library.signing.digests import sha256_bytes
from model_library.signing.keys import generate_instrument_key, public_pem
from model_library.wire.identity import EnrolRequest
from model_library.wire.images import ImageDeclaration, ImagePurpose
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.orders import FrameCounts, Heartbeat
from model_library.wire.tasks import Denoise

MEMBERS = ("ashby", "boreal", "cortex")
BAD = 0.4
"""Strength of a disturbance that a classical algorithm does not beat."""
CONFIG = ResidualDenoiserConfig(depth=3, width=8)
BLUR = ClassicalRef(id="gaussian", parameters={"sigma_px": 6.0})
"""So strong that any network is better."""

IMAGES = 21
_NOISE = {"gain": 1.0, "read_variance": 0.01, "images": 9}


@contextmanager
def opened(data: Path, clock: Clock = time.time) -> Iterator[Workplace]:
    """Open the memory of a coordinator that is not served."""
    settings = read_settings(data)
    database = Database(settings.database)
    yield open_place(settings, database, clock)
    database.close()


def weights_of(strength: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights that leave an image alone, plus a disturbance; strength 0 is the best there is here."""
    rng = np.random.default_rng(seed)
    shapes = {
        "noise.0.weight": (8, 1, 3, 3),
        "noise.0.bias": (8,),
        "noise.2.weight": (8, 8, 3, 3),
        "noise.2.bias": (8,),
    }
    fixed = np.random.default_rng(7)
    weights = {key: 0.3 * fixed.standard_normal(shape) for key, shape in shapes.items()}
    weights["noise.4.weight"] = strength * rng.standard_normal((1, 8, 3, 3))
    weights["noise.4.bias"] = np.zeros(1)
    return {key: array.astype(np.float32) for key, array in weights.items()}


def network(
    place: Workplace,
    name: str,
    weights: Weights,
    tuned_fields: tuple[str, ...] = (),
    parent: str = "tiny-8",
) -> NetworkRef:
    """Keep a network as if a campaign had made it from one that has left the library since."""
    from model_library.networks.facts import facts

    content = save(dict(weights))
    sha256 = sha256_bytes(content)
    lineage = Lineage(
        parent_id=parent,
        parent_version="1",
        parent_weights_sha256="0" * 64,
        campaign=f"campaign-{name}",
        tuned_fields=tuned_fields,
    )
    card = NetworkCard(
        id="tiny-8",
        version=f"1+{sha256[:8]}",
        purpose="Tests.",
        task=Denoise(),
        config=CONFIG,
        facts=facts(CONFIG),
        weights_sha256=sha256,
        lineage=lineage,
    )
    folder = place.settings.networks / sha256
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.safetensors").write_bytes(content)
    (folder / "card.json").write_text(card.model_dump_json())
    return NetworkRef(id=card.id, version=card.version, weights_sha256=sha256)


def enrol(place: Workplace, name: str, pixel_size_nm: float | None = 4.0) -> Instrument:
    """Enrol an instrument; its first campaign waits."""
    now = place.clock()
    request = EnrolRequest(
        token="0" * 16,
        site_name=name,
        task=Denoise(),
        pixel_size_nm=pixel_size_nm,
        public_key_pem=public_pem(generate_instrument_key()),
    )
    instrument = place.identities.enrol(request, place.identities.new_enrol_token(now, 60.0), now)
    place.campaigns.open(Opening(instrument.id), Stage.WAITING, now)
    return instrument


def beat(place: Workplace, instrument: Instrument, acquired: int = 60, federates: bool = True) -> None:
    """Hear of an instrument."""
    frames = FrameCounts(acquired=acquired, reconstructed=acquired, waiting=0, set_aside=0, returned=0)
    place.identities.heard(instrument.id, Heartbeat(frames=frames, federates=federates), place.clock())


def declare(place: Workplace, instrument: Instrument, sequence: int, purpose: ImagePurpose) -> Upload:
    """Send an image of bright squares under Poisson noise, up to its acceptance."""
    rng = np.random.default_rng(sequence)
    clean = np.full((48, 48), 40.0)
    for _ in range(6):
        y, x = rng.integers(0, 36, 2)
        clean[y : y + 8, x : x + 8] = rng.uniform(100, 400)
    content = encode_acquisition(Frame(rng.poisson(clean).astype(np.uint16), pixel_size_nm=4.0))
    told = ImageDeclaration(
        purpose=purpose,
        sequence=sequence,
        file_name="frame.tif",
        bytes=len(content),
        sha256=sha256_bytes(content),
    )
    upload = place.uploads.declare(instrument.id, told, place.clock() + 60)
    part = place.settings.uploads / upload.id
    part.write_bytes(content)
    place.objects.adopt(part, told.sha256)
    return upload


def deliver(
    place: Workplace, instrument: Instrument, sequence: int, purpose: ImagePurpose = ImagePurpose.FIRST
) -> StoredImage:
    """Accept an image of a field of its own."""
    upload = declare(place, instrument, sequence, purpose)
    return place.images.accept(upload, f"stage:{sequence}", 4.0, place.clock())


def serve(place: Workplace, instrument: Instrument, weights: Weights) -> NetworkRef:
    """End an instrument's first campaign with a network in service."""
    images = [deliver(place, instrument, sequence) for sequence in range(1, IMAGES + 1)]
    tuned = tuple(f"{instrument.id}/{each.field}" for each in images if each.split == "tuning")
    ref = network(place, instrument.id, weights, tuned)
    campaign = f"campaign-{instrument.id}-1"
    key = f"{ref.id}@{ref.version}"
    ranked = {"key": key, "ref": ref.model_dump(mode="json")}
    findings = {
        Finding.IMAGES: [image.id for image in images],
        Finding.NOISE: _NOISE,
        Finding.CLASSICAL: {"ranking": [{"method": BLUR.model_dump(mode="json"), "score": 10.0}]},
        Finding.SELECTION: {"ranking": [ranked], "winner": key, "second": None},
    }
    for name, body in findings.items():
        place.campaigns.find_out(campaign, name, body)
    publishing.release_assigned(place, instrument, ref, ["it is there"], campaign, ReleasePurpose.FINAL)
    place.campaigns.enter(campaign, Stage.MONITORING)
    return ref


@dataclass(frozen=True)
class Site:
    """Answers with what is missing to the goal; `name` tells its field of view."""

    goal: Weights
    name: str

    def __call__(self, plan: AdaptationPlan, weights: Weights) -> Answer:
        report = AdaptationReport(
            federation_id=plan.federation_id,
            number=plan.number,
            examples=8,
            fields=(f"stage:{self.name}",),
            steps=plan.steps,
            loss_first=1.0,
            loss_last=0.5,
            train_s=0.1,
        )
        return {key: self.goal[key] - weights[key] for key in weights}, report.model_dump_json()


@dataclass
class SlowFleet(MemoryFleet):
    """A fleet that keeps one waiting."""

    seconds: float = 0.0

    def replies(self, waiting: list[str]) -> list[Reply]:  # type: ignore[override]
        time.sleep(self.seconds)
        return super().replies(waiting)


@dataclass
class MemoryEngine:
    """Runs the real round loop in threads; each entry of `failures` spoils one run."""

    settings: Settings
    goal: Weights
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    up: bool = False
    registered: set[str] = field(default_factory=set)
    runs: list[RunState] = field(default_factory=list)
    finished: int = 0

    def open(self) -> None:
        if self.failures and self.failures[0] == "cannot open":
            self.failures.pop(0)
            raise EngineDown("expected Flower to start, found no answer")
        self.up = True

    def close(self) -> None:
        self.up = False

    def finish(self) -> None:
        self.finished += 1
        self.up = False

    def keep_up(self) -> None:
        """Nothing dies here."""

    def is_up(self) -> bool:
        return self.up

    def register(self, instrument_id: str, public_key_pem: str) -> None:
        assert public_key_pem.startswith("-----BEGIN PUBLIC KEY-----")
        self.registered.add(instrument_id)

    def start_run(self, federation_id: str) -> int:
        number = len(self.runs)
        if self.failures:
            self.runs.append(RunState("finished", "failed", self.failures.pop(0)))
            return number
        self.runs.append(RunState("running", "", ""))
        threading.Thread(target=self._run, args=(federation_id, number), daemon=True).start()
        return number

    def run_state(self, run_id: int) -> RunState:
        return self.runs[run_id]

    def stop_run(self, run_id: int) -> None:
        """Runs here end by themselves."""

    def _run(self, federation_id: str, number: int) -> None:
        folder = self.settings.federations / federation_id
        plan = read_plan(folder)
        sites = {each.instrument_id: Site(self.goal, each.site) for each in plan.members}
        with alive(folder):
            rounds.run(plan, SlowFleet(sites, seconds=self.seconds), folder)
        self.runs[number] = RunState("finished", "completed", "")


def until_done(place: Workplace, federating: Federating, seconds: float = 60.0) -> None:
    """Wait until no federation is under way and none begins."""
    deadline = time.monotonic() + seconds
    while True:
        federating.look()
        if not place.federations.is_under_way() and place.federations.all():
            return
        assert time.monotonic() < deadline, [each.events for each in place.federations.all()]
        time.sleep(0.05)


if __name__ == "__main__":
    here = read_settings(Path(sys.argv[1]))
    database = Database(here.database)
    database.create_tables()
    workflows = Engine(here)
    workflows.configure()
    place = open_place(here, database, time.time)
    federating = Federating(place, MemoryEngine(here, weights_of(0.0), seconds=float(sys.argv[2])))
    workflows.launch()
    federating.resume()
    until_done(place, federating)
    place.stopping.set()
    workflows.close(place.working)
