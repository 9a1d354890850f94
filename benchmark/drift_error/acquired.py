"""Images of instruments in several states, simulated and real, observed and scored as at the coordinator."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmark.baselines import classical
from benchmark.cases import Repeat, repeat_cases
from benchmark.drift_error.sources import DECIBEL, FIRST, HALF, Seen, Source, resampled
from benchmark.drift_policy import DriftPolicy, Feature
from benchmark.evaluate import evaluate
from benchmark.method import Method
from benchmark.observation import Observation, observe
from benchmark.perfect import perfect_by_field
from benchmark.scores import method_key
from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.degradation.operators import Digitise, ReadNoise, ShotNoise
from model_library.degradation.recipe import Recipe
from model_library.degradation.recorruption import added_noise
from model_library.errors import SynopticError
from model_library.images.frame import Grey
from model_library.images.readers import read_micrograph
from model_library.specimens import SpecimenKind, render
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Denoise

_SIDE_PX, _DOSE, _REAL_PX = 192, 20.0, 256
_NOISIER, _DARKER, _DIMMER = "noise +1 dB", "half as bright", "21 % darker"
_BLURS = {"blur of 1 px": 1.0, "blur of 1.5 px": 1.5}
_REAL = (
    ("TEM sections", "em_bio_isbi2012_membranes/image", "*"),
    ("FIB-SEM slices", "em_bio_fibsem_fib25/validation_slices_520", "*"),
    ("nanocomposite SEM", "em_mat_nanocomposite_agglomerates/images", "*"),
    ("superalloy SEM", "em_mat_superalloy_nasa/spots/images", "*"),
    ("oxide SEM", "em_mat_coating_oxide_cracks_nasa/images", "*"),
)


@dataclass(frozen=True)
class Methods:
    """The method in service, and the classical algorithm that it is held against."""

    served: Method
    reference: Method

    @classmethod
    def usual(cls) -> "Methods":
        """TV, held against a Gaussian: both are quick."""
        return cls(
            classical(ClassicalRef(id="tv"), Denoise()), classical(ClassicalRef(id="gaussian"), Denoise())
        )


def simulated_sources(
    kind: SpecimenKind, images: int, seed: int, policy: DriftPolicy, *, one_specimen: bool
) -> list[Source]:
    """Acquire simulated specimens in every state and give the series of every feature.

    Parameters
    ----------
    images
        In the calm state; half as many in the changed ones.
    one_specimen
        Fields of view of a single large specimen, as an instrument sees them; else another for each image.
    """
    told = f"{kind}, {'fields of one specimen' if one_specimen else 'other specimens'}"
    specimens = _fields(kind, images, seed) if one_specimen else _others(kind, images, seed)
    calm = [_acquired(each, [seed, 1, number]) for number, each in enumerate(specimens)]
    few = specimens[::2]
    states = {
        _NOISIER: [_acquired(each, [seed, 2, n], _DOSE / DECIBEL**2) for n, each in enumerate(few)],
        _DARKER: [_acquired(each, [seed, 3, n], _DOSE * HALF, HALF) for n, each in enumerate(few)],
        _DIMMER: [
            _acquired(each, [seed, 4, n], _DOSE / DECIBEL**2, 1 / DECIBEL**2) for n, each in enumerate(few)
        ],
        **{
            name: [_acquired(_blurred(each, sigma), [seed, 5, n]) for n, each in enumerate(few)]
            for name, sigma in _BLURS.items()
        },
    }
    return _sources(told, calm, states, np.random.default_rng(seed), policy)


def real_sources(
    data: Path, images: int, seed: int, policy: DriftPolicy, *, only: str = ""
) -> Iterator[Source]:
    """Take crops of real series for the calm state; noise is added and grey values are scaled for the others.

    Left out are series of too few images for a baseline and as many others, and names without `only`.
    """
    for told, folder, pattern in _REAL:
        if only not in told:
            continue
        rng = np.random.default_rng([seed, len(told)])
        crops = [crop for path in sorted((data / folder).glob(pattern)) for crop in _crops(path)]
        if len(crops) < 2 * FIRST:
            continue
        chosen = rng.permutation(len(crops))[:images]
        calm = [crops[number] for number in sorted(chosen)]
        few = calm[::2]
        noise = estimate_noise(calm[:FIRST])
        more = DECIBEL**2 - 1
        states = {
            _NOISIER: [each + added_noise(each, noise, more, rng) for each in few],
            _DARKER: [each * np.float32(HALF) for each in few],
            _DIMMER: [each / np.float32(DECIBEL**2) for each in few],
            **{
                name: [_out_of_focus(each, sigma, noise, rng) for each in few]
                for name, sigma in _BLURS.items()
            },
        }
        yield from _sources(f"real {told}", calm, states, rng, policy)


def _blurred(specimen: Grey, sigma_px: float) -> Grey:
    return np.asarray(ndimage.gaussian_filter(specimen, sigma_px), dtype=np.float32)


def _out_of_focus(acquired: Grey, sigma_px: float, noise: NoiseModel, rng: np.random.Generator) -> Grey:
    """Blur an acquired image, and add the noise that this takes away."""
    point = np.zeros((33, 33), np.float32)
    point[16, 16] = 1
    left = float(np.square(ndimage.gaussian_filter(point, sigma_px)).sum())
    blurred = _blurred(acquired, sigma_px)
    return blurred + added_noise(blurred, noise, 1 - left, rng)


def _sources(
    told: str,
    calm: Sequence[Grey],
    changed: Mapping[str, Sequence[Grey]],
    rng: np.random.Generator,
    policy: DriftPolicy,
) -> list[Source]:
    noise = estimate_noise(calm[:FIRST])
    methods = Methods.usual()
    as_was = _seen(calm, noise, rng, methods)
    lower = replace(as_was, scores=as_was.scores - 1.0)
    worse = _seen(calm, noise, rng, methods, error_db=1.0)
    states = {name: _observed(each) for name, each in changed.items()}
    watched = [
        (Feature.NOISE, _NOISIER, states[_NOISIER]),
        (Feature.BRIGHTNESS, _DARKER, states[_DARKER]),
        (Feature.BRIGHTNESS, _DIMMER, states[_DIMMER]),
        *((Feature.SHARPNESS, name, states[name]) for name in _BLURS),
        (Feature.SCORE, "score -1 dB", lower),
        (Feature.LEAD, "score -1 dB", lower),
        (Feature.LEAD, "error +1 dB", worse),
    ]
    return [
        *(resampled((feature,), told, change, (as_was, state), policy) for feature, change, state in watched),
        resampled(tuple(Feature), told, "score -1 dB", (as_was, lower), policy),
    ]


def _observed(acquired: Sequence[Grey]) -> Seen:
    none = np.zeros(len(acquired))
    return Seen(_observations(acquired), none, none, none)


def _seen(
    acquired: Sequence[Grey],
    noise: NoiseModel,
    rng: np.random.Generator,
    methods: Methods,
    error_db: float = 0.0,
) -> Seen:
    """Observe and score images; the method in service errs by so much more than it does.

    A score without truth is the squared error plus the repeat's noise, which is taken off and put back: an
    error far below the noise hardly moves it.
    """
    cases = repeat_cases([(str(number), pixels) for number, pixels in enumerate(acquired)], noise, rng)
    scores, references = (
        np.array(list((evaluate([each], cases).complete(method_key(each.ref)) or {}).values()))
        for each in (methods.served, methods.reference)
    )
    if error_db:
        spans = np.array([_span(case.reference) for case in cases])
        variance = np.array([float(noise.variance(case.input).mean()) for case in cases])
        risks = spans**2 * 10 ** (-scores / 10)
        risks = variance + np.maximum(risks - variance, 0) * 10 ** (error_db / 10)
        scores = 10 * np.log10(spans**2 / risks)
    perfect = np.array([*perfect_by_field(cases).values()])
    return Seen(_observations(acquired), scores, references, perfect)


def _observations(acquired: Sequence[Grey]) -> tuple[Observation, ...]:
    return tuple(observe(pixels) for pixels in acquired)


def _span(reference: object) -> float:
    assert isinstance(reference, Repeat)
    return reference.data_range


def _acquired(
    specimen: Grey, seed: Sequence[int], electrons_per_pixel: float = _DOSE, gain: float = 1.0
) -> Grey:
    recipe = Recipe(
        operators=(
            ShotNoise(electrons_per_pixel=electrons_per_pixel),
            ReadNoise(sigma=0.02),
            Digitise(bits=16, gain=30000 * gain, offset=4000),
        )
    )
    return recipe.apply(specimen, np.random.default_rng(seed))


def _others(kind: SpecimenKind, images: int, seed: int) -> list[Grey]:
    return [
        render(kind, (_SIDE_PX, _SIDE_PX), np.random.default_rng([seed, number])).intensity
        for number in range(images)
    ]


def _fields(kind: SpecimenKind, images: int, seed: int) -> list[Grey]:
    """Cut the fields of view of one large specimen, in an order without meaning."""
    rng = np.random.default_rng(seed)
    count = int(np.ceil(np.sqrt(images)))
    whole = render(kind, (count * _SIDE_PX, count * _SIDE_PX), rng).intensity
    places = [(row, column) for row in range(count) for column in range(count)]
    return [
        np.ascontiguousarray(
            whole[row * _SIDE_PX : (row + 1) * _SIDE_PX, column * _SIDE_PX : (column + 1) * _SIDE_PX]
        )
        for row, column in (places[number] for number in rng.permutation(len(places))[:images])
    ]


def _crops(path: Path) -> list[NDArray[np.float32]]:
    """Up to nine squares of an image, side by side; none of a file that is no image."""
    if not path.is_file():
        return []
    try:
        pixels = read_micrograph(path).grey
    except SynopticError:
        return []
    rows, columns = (min(3, length // _REAL_PX) for length in pixels.shape)
    return [
        np.ascontiguousarray(
            pixels[row * _REAL_PX : (row + 1) * _REAL_PX, column * _REAL_PX : (column + 1) * _REAL_PX]
        )
        for row in range(rows)
        for column in range(columns)
    ]
