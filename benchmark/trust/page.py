"""The page that `synoptic benchmark trust --report` writes: findings, and pictures of what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.figures import Panel, map_row, montage
from benchmark.method import Method
from benchmark.micrographs import Micrograph
from benchmark.report import Html, note, page, picture, section, table, text
from benchmark.trust.checks import Checked
from benchmark.trust.findings import Finding, failed
from benchmark.trust.forward import residual
from model_library.degradation.noise import NoiseModel
from model_library.images.frame import Grey
from model_library.inference.uncertainty import Calibration, spread_of

_ANSWERS = {True: "holds", False: "fails", None: "no answer"}
_MOST_SPOTS = 12


@dataclass(frozen=True)
class Shown:
    """What the pictures are drawn from: images, the crops that were checked, and what was found on them."""

    images: tuple[Micrograph, ...]
    crops: tuple[Grey, ...]
    noise: NoiseModel
    checked: Checked
    calibration: Calibration | None
    method: Method


def trust_page(name: str, findings: Sequence[Finding], shown: Shown) -> str:
    """Whole HTML page."""
    broken = failed(tuple(findings))
    verdict = (
        f"{name} is not to be trusted on these images: {', '.join(one.check for one in broken)}."
        if broken
        else f"Every check that applies holds for {name} on these images."
    )
    return page(
        "Trust",
        note(verdict) if broken else text(verdict),
        section("Findings", findings_table(findings)),
        *_pictures(shown),
        subtitle=f"{name} on {len(shown.images)} images",
    )


def findings_table(findings: Sequence[Finding]) -> Html:
    """One row per check: figure, limit, answer, and what it means."""
    rows = [
        (
            one.check.value,
            None if one.value is None else f"{one.value:.4g}",
            one.limit,
            _ANSWERS[one.holds],
            one.told,
        )
        for one in findings
    ]
    return table(("check", "value", "limit", "answer", "what was found"), rows)


def _pictures(shown: Shown) -> list[Html]:
    seen, blocks = shown.checked.seen, []
    if seen.results:
        left = residual(seen.results[0], shown.crops[0], shown.noise)
        blocks.append(
            section(
                "Forward consistency",
                picture(
                    montage([Panel("acquired", shown.crops[0]), Panel("result", seen.results[0])]),
                    f"{shown.images[0].name}: the middle above, the marked square below",
                ),
                picture(
                    map_row(
                        [Panel("acquired - result, in noise standard deviations", left.pixels, signed=True)]
                    ),
                    "Noise without any trace of the specimen is what should be left.",
                ),
                *_spots(shown),
            )
        )
    if seen.invention is not None:
        made = seen.invention
        panels = [
            Panel("noise alone", made.given),
            Panel("what became of it", made.made),
            Panel("counts as structure", made.structure.astype("float32")),
        ]
        blocks.append(section("Invented structure", picture(map_row(panels), "An image without specimen.")))
    if shown.calibration is not None:
        mean, spread = spread_of(shown.method, shown.crops[0])
        width = shown.calibration.half_width(spread)
        panels = [Panel("result", mean), Panel("half width of the 95 % interval, counts", width)]
        blocks.append(
            section("Uncertainty", picture(map_row(panels), "Where the eight turned results differ."))
        )
    return blocks


def _spots(shown: Shown) -> list[Html]:
    rows = [
        (image.name, spot.y, spot.x, "invented" if spot.invented else "lost", f"{spot.sigma:+.1f}")
        for image, spots in zip(shown.images, shown.checked.seen.spots, strict=False)
        for spot in spots[:_MOST_SPOTS]
    ]
    if not rows:
        return []
    header = ("image", "y, px of the crop", "x, px of the crop", "structure", "standard deviations")
    return [table(header, rows, caption="Where result and acquisition contradict each other")]
