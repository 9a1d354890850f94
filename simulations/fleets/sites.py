"""From a scenario to its instruments: what each draws for itself, and its frames on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_library.degradation.detection import ReadNoise
from model_library.degradation.operators import Operator, ShotNoise
from model_library.degradation.optics import GaussianBlur
from model_library.degradation.recipe import Recipe
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.signing.digests import sha256_bytes
from model_library.wire.base import Message
from model_library.wire.tasks import Segment
from simulations.acquisition import acquire
from simulations.crops import Micrograph, lay_out
from simulations.errors import ScenarioError
from simulations.fleets.attacks import flipped, shuffled
from simulations.fleets.scenario import SIDE_MULTIPLE, FleetScenario, Instruments, Spread
from simulations.micrograph_files import read_pages
from simulations.scenario import SEED_STREAM, Change, Micrographs, SiteScenario, Source, Specimens, digitise

_FLEET_WORD, _SHUFFLE_WORD = 0xF1EE7, 0x5AFF1E


class TrainedFrame(Message):
    """A frame on disk, as the site's trainer is told of it; `labels` (npy) are classes, uint8 [Y, X]."""

    path: str
    sha256: str
    field: str
    labels: str | None = None


class Instrument(Message):
    """One instrument: what it does to what lies under it, and its conditions (see `Instruments`)."""

    id: str
    site: SiteScenario
    group: Instruments
    step_s: float
    mbit_per_s: float


class SiteFiles(Message):
    """Where an instrument's frames lie: those it learns from, newest first, and the archive of the others.

    The archives (npz) of frames to choose a network by, `gate`, and to judge it by, `held_out`, hold
    `frame-N` and `truth-N`, float32 [Y, X] in counts, or classes, uint8; no site reads them.
    """

    id: str
    folder: Path
    trained: tuple[TrainedFrame, ...]
    held_out: Path
    gate: Path


def instruments_of(scenario: FleetScenario, data: Path | None = None) -> tuple[Instrument, ...]:
    """Draw every instrument of a scenario, always the same for the same seed.

    Raises
    ------
    ScenarioError
        Real micrographs are asked for, and are not there or too few.
    """
    found = []
    for group in scenario.instruments:
        sources = _sources(scenario, group, data)
        for number, source in enumerate(sources):
            name = group.name if group.count == 1 else f"{group.name}-{number + 1:03d}"
            # By its name: another group in the scenario changes nothing for this one.
            rng = np.random.default_rng([SEED_STREAM, scenario.seed, _FLEET_WORD, *name.encode()])
            found.append(_instrument(scenario, group, name, source, rng))
    return tuple(found)


def write_frames(instrument: Instrument, scenario: FleetScenario, folder: Path, *, spoil: bool) -> SiteFiles:
    """Acquire an instrument's frames into a folder.

    Parameters
    ----------
    spoil
        Whether those that it learns from have wrong targets: classes that have changed places, or, where
        there are no labels, pixels that were shuffled.
    """
    folder.mkdir(parents=True)
    site, trained = instrument.site, []
    asked = scenario.frames
    gate: dict[str, NDArray[Any]] = {}
    held_out: dict[str, NDArray[Any]] = {}
    rng = np.random.default_rng([scenario.seed, _SHUFFLE_WORD, *instrument.id.encode()])
    for number in range(site.frames):
        acquired = acquire(site, number, scenario.seed)
        truth = _known(acquired.truth)
        if number >= asked.trained:
            archive = gate if number < asked.trained + asked.gate else held_out
            archive[f"frame-{number}"], archive[f"truth-{number}"] = acquired.frame.grey, truth
            continue
        frame, path = acquired.frame, folder / f"{number:05d}.tif"
        labels = None
        if isinstance(site.task, Segment):
            labels = path.with_suffix(".npy")
            np.save(labels, flipped(truth, len(site.task.classes)) if spoil else truth, allow_pickle=False)
        elif spoil:
            frame = Frame(shuffled(frame.pixels, rng), frame.pixel_size_nm, frame.field)
        trained.append(_trained(frame, path, labels))
    np.savez(folder / "gate.npz", allow_pickle=False, **gate)
    np.savez(folder / "held-out.npz", allow_pickle=False, **held_out)
    return SiteFiles(
        id=instrument.id,
        folder=folder,
        trained=tuple(reversed(trained)),
        held_out=folder / "held-out.npz",
        gate=folder / "gate.npz",
    )


def read_known(path: Path) -> tuple[tuple[NDArray[np.float32], NDArray[Any]], ...]:
    """Read an archive's frames, float32 [Y, X], counts; each with its truth (see `SiteFiles`)."""
    with np.load(path, allow_pickle=False) as archive:
        numbers = sorted(int(key.removeprefix("frame-")) for key in archive if key.startswith("frame-"))
        return tuple((archive[f"frame-{number}"], archive[f"truth-{number}"]) for number in numbers)


def _known(truth: Frame | None) -> NDArray[Any]:
    assert truth is not None, "of simulated and planted noise the truth is known"
    return truth.pixels if truth.pixels.dtype == np.uint8 else truth.grey


def _trained(frame: Frame, path: Path, labels: Path | None) -> TrainedFrame:
    content = encode_acquisition(frame)
    path.write_bytes(content)
    return TrainedFrame(
        path=str(path),
        sha256=sha256_bytes(content),
        field=frame.field or path.stem,
        labels=None if labels is None else str(labels),
    )


def _instrument(
    scenario: FleetScenario, group: Instruments, name: str, source: Source, rng: np.random.Generator
) -> Instrument:
    frames = scenario.frames
    dose, recipe = _recipe(group, rng)
    change = None
    if group.dose_falls_to is not None:
        later = drawn(group.dose_falls_to, rng)
        words = f"from the middle of its frames on, {later:.3g} electrons per pixel"
        change = Change(at_frame=max(1, frames.trained // 2), recipe=_with_dose(recipe, later), told=words)
    if isinstance(source, Specimens):
        source = source.model_copy(update={"magnification": drawn(group.magnification, rng)})
    site = SiteScenario(
        name=name,
        task=scenario.task,
        source=source,
        recipe=recipe,
        pixel_size_nm=drawn(group.pixel_size_nm, rng),
        frames=frames.trained + frames.gate + frames.held_out,
        change=change,
        told=f"{group.specimen or 'real micrographs'}, {dose:.3g} electrons per pixel",
    )
    return Instrument(
        id=name,
        site=site,
        group=group,
        step_s=drawn(group.step_s, rng),
        mbit_per_s=drawn(group.mbit_per_s, rng),
    )


def drawn(spread: Spread, rng: np.random.Generator) -> float:
    """Draw an instrument's own value: of a range, uniformly in its logarithm."""
    if isinstance(spread, tuple):
        return float(np.exp(rng.uniform(np.log(spread[0]), np.log(spread[1]))))
    return spread


def _recipe(group: Instruments, rng: np.random.Generator) -> tuple[float, Recipe]:
    dose = drawn(group.dose, rng)
    operators: list[Operator] = []
    if group.blur_px is not None:
        operators.append(GaussianBlur(sigma_px=drawn(group.blur_px, rng)))
    operators.append(ShotNoise(electrons_per_pixel=dose))
    if group.read_noise is not None:
        operators.append(ReadNoise(sigma=drawn(group.read_noise, rng)))
    return dose, Recipe(operators=(*operators, digitise(group.bits)))


def _with_dose(recipe: Recipe, dose: float) -> Recipe:
    return Recipe(
        operators=tuple(
            ShotNoise(electrons_per_pixel=dose) if isinstance(each, ShotNoise) else each
            for each in recipe.operators
        )
    )


def _sources(scenario: FleetScenario, group: Instruments, data: Path | None) -> Sequence[Source]:
    """Give each instrument of a group what lies under it."""
    if group.files is None:
        assert group.specimen is not None
        side = scenario.frames.side_px
        return [Specimens(specimen=group.specimen, frame_px=side, stained=group.stained)] * group.count
    found = sorted(data.glob(group.files)) if data is not None else []
    if not found:
        raise ScenarioError(
            f"expected micrographs {group.files} for {group.name}, found none in {data}; give the folder "
            "that holds them with --data"
        )
    micrographs = []
    for path in found:
        shapes = tuple((page.pixels.shape[0], page.pixels.shape[1]) for page in read_pages(path))
        micrographs.append(Micrograph(path.resolve(), shapes, None, None))
    frames, side = scenario.frames, scenario.frames.side_px
    wanted = frames.trained + frames.gate + frames.held_out
    crops = lay_out(micrographs, side=side, multiple=SIDE_MULTIPLE, smallest=side)
    if len(crops) < wanted * group.count:
        raise ScenarioError(
            f"expected {wanted * group.count} frames of {side} px for {group.name}, found {len(crops)} in "
            f"{len(found)} micrographs; lower frames or side_px, or add micrographs"
        )
    # Frames that are judged on lie as far as can be from those that are trained on: at the other end.
    ordered = sorted(crops, key=lambda crop: (str(crop.file), crop.page))
    share, first = len(ordered) // group.count, frames.trained + frames.gate
    parts = [ordered[n * share : (n + 1) * share] for n in range(group.count)]
    return [Micrographs(crops=(*part[:first], *part[len(part) - frames.held_out :])) for part in parts]
