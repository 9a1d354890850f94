"""Who is in the planted library: what ships, and what was retrained for other materials and instruments."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from benchmark.planted.library import PlantedTask, Specialist
from model_library.specimens import SpecimenKind

SHIPPED: Mapping[PlantedTask, tuple[str, ...]] = MappingProxyType(
    {
        "denoise": (
            "residual-denoise-mixed",
            "unet-denoise-micrographs",
            "unet-denoise-read",
            "unet-denoise-sem",
            "unet-denoise-shot",
        ),
        "segment": (
            "unet-segment-precipitates",
            "unet-segment-superalloy",
            "unet-segment-cavities",
            "unet-segment-dislocation-loops",
        ),
    }
)

_DENOISE, _ALLOY = "unet-denoise-shot", "unet-segment-precipitates"

_FEW: Mapping[str, Any] = {"images": 24, "side_px": 192}
_BRIGHT = {**_FEW, "only_bright": "precipitate"}
_DARK = {**_FEW, "kinds": (SpecimenKind.PRECIPITATES,), "only_dark": "precipitate", "only_bright": None}
_POWDER = {**_FEW, "kinds": (SpecimenKind.PARTICLES,)}
_SMALL = {"widths": (8, 16, 32)}
_DEEP = {"widths": (8, 16, 32, 48, 64)}
_AFRESH: Mapping[str, Any] = {"steps": 300, "learning_rate": 3e-3, "fresh": True}
_FURTHER: Mapping[str, Any] = {"steps": 240, "learning_rate": 1.5e-3}

_SEGMENTERS = (
    Specialist(
        "alloy-grainy",
        _ALLOY,
        {"electrons_per_pixel": (2.0, 12.0), "read_sigma": None},
        {**_BRIGHT, "zoom": (2.0, 3.0)},
        network=_DEEP,
        patch_px=64,
        **_AFRESH,
    ),
    Specialist(
        "alloy-fine",
        _ALLOY,
        {"electrons_per_pixel": (60.0, 1000.0), "blur_px": (0.8, 2.0)},
        {**_BRIGHT, "zoom": (0.35, 0.5)},
        network=_SMALL,
        **_AFRESH,
    ),
    Specialist(
        "alloy-charging",
        _ALLOY,
        {"electrons_per_pixel": (200.0, 2000.0), "contrast": (0.12, 0.3), "charging_sigma": (0.01, 0.06)},
        {**_BRIGHT, "zoom": (0.8, 1.3)},
        **_FURTHER,
    ),
    Specialist(
        "alloy-dark",
        "unet-segment-superalloy",
        {"electrons_per_pixel": (30.0, 1000.0), "read_sigma": (0.005, 0.06)},
        {**_DARK, "zoom": (0.8, 1.3)},
        **_FURTHER,
    ),
    Specialist(
        "alloy-coarse",
        _ALLOY,
        {"electrons_per_pixel": (1000.0, 20000.0), "read_sigma": None},
        {**_BRIGHT, "zoom": (2.2, 3.2)},
        network={**_DEEP, "normalisation": "batch"},
        patch_px=64,
        **_AFRESH,
    ),
    Specialist(
        "powder",
        _ALLOY,
        {"electrons_per_pixel": None, "read_sigma": (0.03, 0.12), "jitter_px": (0.0, 0.5)},
        {**_POWDER, "only_bright": "particle", "zoom": (0.7, 1.2)},
        label="particle",
        **_FURTHER,
    ),
    Specialist(
        "shadows",
        _ALLOY,
        {"electrons_per_pixel": (10.0, 100.0)},
        {**_POWDER, "only_bright": None, "only_dark": "particle", "zoom": (1.0, 1.6)},
        network=_SMALL,
        label="particle",
        **_AFRESH,
    ),
    Specialist(
        "columns",
        _ALLOY,
        {"electrons_per_pixel": (20.0, 200.0)},
        {**_FEW, "kinds": (SpecimenKind.ATOMS,), "only_bright": "column", "zoom": (1.0, 1.6)},
        network={**_SMALL, "normalisation": "batch"},
        label="column",
        **_AFRESH,
    ),
)

SPECIALISTS: Mapping[PlantedTask, tuple[Specialist, ...]] = MappingProxyType(
    {
        "denoise": (
            Specialist("faint", _DENOISE, {"electrons_per_pixel": (1.0, 6.0), "read_sigma": (0.002, 0.01)}),
            Specialist("clear", _DENOISE, {"electrons_per_pixel": (1500, 20000), "read_sigma": None}),
            Specialist("amplifier", _DENOISE, {"electrons_per_pixel": (500, 5000), "read_sigma": (0.2, 0.5)}),
            Specialist("blurred", _DENOISE, {"electrons_per_pixel": (5, 200), "blur_px": (1.5, 3.5)}),
            Specialist("local", _DENOISE, {"electrons_per_pixel": None, "local_share": (0.02, 0.1)}),
            Specialist(
                "lattice",
                _DENOISE,
                {"electrons_per_pixel": (10, 200)},
                {"kinds": (SpecimenKind.ATOMS,), "zoom": (0.4, 0.8)},
            ),
            Specialist("hasty", _DENOISE, {}, steps=60, learning_rate=2e-3, fresh=True),
        ),
        "segment": _SEGMENTERS,
    }
)
"""By task; the names tell what each was retrained for."""
