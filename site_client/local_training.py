"""Adapting the network in service to one instrument, and checking the result, where torch is loaded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from safetensors.numpy import load_file, save

from benchmark.cases import Case, repeat_cases
from benchmark.compare import mean_interval, paired_differences
from benchmark.evaluate import evaluate
from benchmark.scores import method_key
from benchmark.verdict import GatePolicy
from model_library.cards.adaptation import AdaptationPlan
from model_library.cards.card import Lineage, NetworkCard
from model_library.images.frame import Grey
from model_library.images.pixel_fit import fit_pixels
from model_library.inference.engine import NetworkMethod
from model_library.inference.weights import assemble, load_network, read_card
from model_library.signing.digests import sha256_bytes
from model_library.wire.base import Message
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Segment
from model_library.zoo.store import save_network, weights_bytes
from site_client.adapt import Material, TrainingFrame, adapt
from site_client.errors import AdaptationRefused

LOCAL = "local"
"""In place of the id of a federation or campaign, in plans and cards."""

FEWEST_FIELDS = 4
"""Fields of view to check on; with fewer no interval means anything."""
_CHECKED_OF = 3
"""One field in so many is never trained on."""
_CROP_PX = 256
_ADAPTED = " Adapted further on this instrument's own frames, here, and checked on others of them."


class LocalResult(Message):
    """What came of it: the network where it was accepted, and by how much it is better than the one before.

    `difference` and `interval` are of PSNR against a repeat (noise-corrected, dB), paired over `fields`
    that were not trained on; the interval is at `level`.
    """

    network: NetworkRef | None
    difference: float
    interval: tuple[float, float]
    level: float
    fields: int = Field(ge=2)
    steps: int = Field(ge=1)

    def told(self) -> str:
        """Say it in a line."""
        low, high = self.interval
        verdict = "is better" if self.network is not None else "is not shown better"
        return (
            f"{verdict} after {self.steps} steps: {self.difference:+.3f} dB [{low:+.3f}, {high:+.3f}]"
            f" ({self.level:.1%} interval, {self.fields} fields of view)"
        )


@dataclass(frozen=True, slots=True)
class LocalTask:
    """What is to be done: the network in service, how long to train, and where networks are kept.

    `look` is the number, from 1, of tries since the release: the frames of the check are the same ones
    each time, so each look asks for more.
    """

    ref: NetworkRef
    folder: Path
    networks: Path
    steps: int
    seed: int
    look: int


def is_checked(field: str) -> bool:
    """Whether a field of view is for checking, always, and never trained on."""
    return int(sha256_bytes(f"check:{field}".encode())[:8], 16) % _CHECKED_OF == 0


def adapt_locally(
    task: LocalTask,
    frames: Sequence[TrainingFrame],
    *,
    stop: Callable[[], bool],
    clock: Callable[[], float],
) -> LocalResult:
    """Train from the network in service, and keep the result only where it is shown to be better.

    Parameters
    ----------
    frames
        Of the replay buffer, the newest first.
    stop
        Asked before every step and every image of the check; it may wait.
    clock
        Seconds.

    Raises
    ------
    AdaptationRefused
        Too few fields of view, another network than the one in service, pixels that it was not made for,
        no time for a step or for the check.
    WeightsError, CardError
        The network does not load.
    """
    card = _own_card(task)
    material, checked = _split(card, frames)
    weights: Mapping[str, NDArray[np.float32]] = load_file(task.folder / "weights.safetensors")
    plan = _plan(card, task, len(material.frames))
    update, report = adapt(material, weights, plan, stop=stop, clock=clock)
    reached = save({key: np.asarray(array + update[key]) for key, array in weights.items()})
    rng = np.random.default_rng([task.seed & 0xFFFFFFFF, 1])
    cases = repeat_cases([(frame.field, frame.pixels) for frame in checked], material.noise, rng, _CROP_PX)
    differences = paired_differences(*_scored(task, card, reached, cases, stop))
    level = GatePolicy().level(task.look)
    interval = mean_interval(differences, level=level)
    return LocalResult(
        network=_keep(task, card, reached, report.fields) if interval[0] > 0 else None,
        difference=float(differences.mean()),
        interval=interval,
        level=level,
        fields=len(differences),
        steps=report.steps,
    )


def _split(card: NetworkCard, frames: Sequence[TrainingFrame]) -> tuple[Material, list[TrainingFrame]]:
    """Divide the frames that fit a network into what it is trained on, and what it is checked on."""
    made_for = card.pixel_size_nm
    fitting = [each for each in frames if fit_pixels(each.pixel_size_nm, made_for).action == "as_is"]
    if not fitting:
        raise AdaptationRefused(
            f"expected frames whose pixels {card.id} was made for, found none among {len(frames)}: noise that"
            " was resampled teaches nothing"
        )
    material = Material.of(fitting)
    checked = [frame for frame in material.frames if is_checked(frame.field)]
    taught = tuple(frame for frame in material.frames if not is_checked(frame.field))
    fields = {frame.field for frame in checked}
    if len(fields) < FEWEST_FIELDS or not taught:
        raise AdaptationRefused(
            f"expected frames to train on and {FEWEST_FIELDS} other fields of view to check on, found "
            f"{len(taught)} frames and {len(fields)} fields; more are acquired with time"
        )
    return Material(taught, material.noise), checked


def _own_card(task: LocalTask) -> NetworkCard:
    card = read_card(task.folder)
    if card.weights_sha256 != task.ref.weights_sha256 or isinstance(card.task, Segment):
        raise AdaptationRefused(
            f"expected the restoring network {task.ref.id} {task.ref.version}, found {card.id} "
            f"{card.version} for {card.task.kind}; without labels nothing else can be trained"
        )
    return card


def _plan(card: NetworkCard, task: LocalTask, frames: int) -> AdaptationPlan:
    return AdaptationPlan(
        federation_id=LOCAL,
        number=task.look,
        rounds=task.look,
        task=card.task,
        config=card.config,
        steps=task.steps,
        learning_rate=3e-4,
        seed=task.seed,
        most_frames=frames,
        deadline_s=1.0,
    )


class _Watched:
    """A method that asks before every image whether there is time."""

    def __init__(self, method: NetworkMethod, stop: Callable[[], bool]) -> None:
        self._method, self._stop, self.ref, self.scale = method, stop, method.ref, method.scale

    def __call__(self, pixels: Grey) -> Grey:
        if self._stop():
            raise AdaptationRefused("expected time to check the network, found none left")
        return self._method(pixels)


def _scored(
    task: LocalTask, card: NetworkCard, content: bytes, cases: Sequence[Case], stop: Callable[[], bool]
) -> tuple[dict[str, float], dict[str, float]]:
    """Score the new network and the present one per field of view."""
    named = card.model_copy(
        update={"version": f"{card.version}+candidate", "weights_sha256": sha256_bytes(content)}
    )
    candidate = assemble(named, content, source="the candidate")
    methods = [_Watched(NetworkMethod(network), stop) for network in (candidate, load_network(task.folder))]
    scores = evaluate(methods, cases)
    if scores.failures:
        found = next(iter(scores.failures.values()))
        raise AdaptationRefused(f"expected scores of both networks on {len(cases)} images, found {found}")
    new, present = (
        {field: value for field, value in scores.by_field(method_key(each.ref)).items() if value is not None}
        for each in methods
    )
    return new, present


def _keep(task: LocalTask, card: NetworkCard, content: bytes, fields: Sequence[str]) -> NetworkRef:
    """Keep a network beside those of releases, under its digest, with a card that says where it is from."""
    named = card.model_copy(update={"weights_sha256": sha256_bytes(content)})
    module = assemble(named, content, source="the candidate").module
    sha256 = sha256_bytes(weights_bytes(module))
    before = () if card.lineage is None else card.lineage.tuned_fields
    changes: dict[str, Any] = {
        "version": f"{card.version.partition('+local.')[0]}+local.{sha256[:8]}",
        "weights_sha256": sha256,
        "purpose": f"{card.purpose.partition(_ADAPTED)[0]}{_ADAPTED}",
        "scores": (),
        "lineage": Lineage(
            parent_id=card.id,
            parent_version=card.version,
            parent_weights_sha256=card.weights_sha256,
            campaign=LOCAL,
            tuned_fields=tuple(sorted({*before, *fields})),
        ),
    }
    kept, final = card.model_copy(update=changes), task.networks / sha256
    if not final.is_dir():
        incoming = task.networks / f".incoming-{sha256}"
        save_network(incoming, module, kept)
        incoming.replace(final)
    return NetworkRef(id=kept.id, version=kept.version, weights_sha256=sha256)
