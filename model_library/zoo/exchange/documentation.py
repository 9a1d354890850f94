"""The README of a package: the card in Markdown, and what the package computes."""

from collections.abc import Iterable

from model_library.cards.card import CardScore, NetworkCard, TrainingData
from model_library.images.intensity import HIGH_PERCENTILE, LOW_PERCENTILE
from model_library.wire.tasks import Segment


def documentation(card: NetworkCard) -> str:
    """Tell in Markdown what the network is, what goes in and out, and how to judge it."""
    facts = card.facts
    sizes = card.pixel_size_nm
    sections = (
        f"# {card.id} {card.version}\n\n{card.purpose}",
        "## What goes in\n\n"
        "An image of at least the size in `bioimageio.yaml`, in counts. The package normalises it by its own "
        f"percentiles {LOW_PERCENTILE:g} and {HIGH_PERCENTILE:g}, of the *whole* image, never of a tile. "
        "Synoptic scales an image whose two percentiles are equal by its extremes instead; "
        "this cannot be said here.\n\n"
        f"Pixel size: {'not bound to one' if sizes is None else f'{sizes[0]:g} to {sizes[1]:g} nm'}.",
        f"## What comes out\n\n{_output(card)}",
        "## Tiles\n\n"
        f"An output pixel depends on at most {facts.receptive_field_px} x {facts.receptive_field_px} input "
        f"pixels; tiles with the halo given {'equal' if facts.exact_tiling else 'only resemble'} "
        "the result of the whole image.",
        "## Training data\n\n" + _lines(_data(item) for item in card.training_data),
        "## Validation\n\n"
        + _lines(_score(item) for item in card.scores)
        + "\n\nTo validate it on your own images, compare with classical algorithms on images that no "
        "training saw: `synoptic benchmark run --images FOLDER`.",
        "## Limits\n\n" + _lines(card.limits),
        "## Files\n\n"
        "- `weights.onnx`: graph and weights, under the keys of the state dict.\n"
        f"- `weights.safetensors`: the state dict, SHA-256 `{card.weights_sha256}`.\n"
        "- `card.json`: Synoptic's card. `synoptic library import` restores the very network from these two.",
        f"Licence: {card.licence}.",
    )
    return "\n\n".join(sections) + "\n"


def _output(card: NetworkCard) -> str:
    if isinstance(card.task, Segment):
        names = ", ".join(f"`{name}`" for name in card.task.classes)
        return f"The probability of each class ({names}) for each pixel; the most probable one is the label."
    return (
        f"The restored image at {card.task.scale} x {card.task.scale} pixels per input pixel, in the units "
        "of the normalised input. To return to counts, multiply by the difference of the two percentiles "
        "of the input and add the lower one: bioimage.io has no step for the inverse."
    )


def _data(item: TrainingData) -> str:
    kind = "simulated" if item.simulated else f"{len(item.digests)} files by digest in `card.json`"
    return f"{item.source}: {item.images} images, terms {item.terms}, {kind}"


def _score(item: CardScore) -> str:
    low, high = item.ci95
    return (
        f"{item.suite}: {item.metric} {item.value:.3f} [{low:.3f}, {high:.3f}], {item.fields} fields; "
        f"measured by `{item.command}`"
    )


def _lines(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items) or "None told."
