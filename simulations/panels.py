"""One held-out frame in pictures: as acquired, by the best classical algorithm, as in service, truth."""

import numpy as np

from benchmark.cases import Case, Labels, Truth, score
from benchmark.figures import Panel
from benchmark.method import Method
from benchmark.metrics import Metric
from model_library.images.frame import Grey
from model_library.wire.tasks import Segment, Task
from simulations.truth_scores import Untreated


def panels_of(case: Case, task: Task, rival: Method | None, final: Method) -> tuple[Panel, ...]:
    """Picture a frame; the truth comes last, because it sets the grey scale."""
    named: dict[str, Method | None] = {
        f"best classical: {rival.ref.id}" if rival else "": rival,
        f"in service: {final.ref.id}": final,
    }
    shown = [_panel(title, method(case.input), case) for title, method in named.items() if method]
    if isinstance(task, Segment):
        # Masks are black and white: the frame is brought to the same scale.
        shown.insert(0, Panel("as acquired", _unit(case.input)))
    else:
        shown.insert(0, _panel("as acquired", Untreated(task)(case.input), case))
    match case.reference:
        case Truth(pixels=pixels):
            shown.append(Panel("truth", pixels))
        case Labels(mask=mask):
            shown.append(Panel("truth", mask.astype(np.float32)))
    return tuple(shown)


def _panel(title: str, pixels: Grey, case: Case) -> Panel:
    match case.reference:
        case Truth():
            return Panel(title, pixels, f"{score(pixels, case.reference, Metric.PSNR):.2f} dB")
        case Labels():
            told = f"Dice {score(pixels, case.reference, Metric.DICE):.3f}"
            return Panel(title, (pixels > 0).astype(np.float32), told)
        case _:
            return Panel(title, pixels, "")


def _unit(pixels: Grey) -> Grey:
    low, high = (float(value) for value in np.percentile(pixels, (1, 99.5)))
    return ((pixels - np.float32(low)) / np.float32(max(high - low, 1e-9))).astype(np.float32)
