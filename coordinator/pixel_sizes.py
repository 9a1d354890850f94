"""How the networks for a task fit the pixels of a campaign's images, told before any is run."""

from collections import Counter
from collections.abc import Sequence

from coordinator.findings import instrument_of
from coordinator.methods import networks_for
from coordinator.records import Finding
from coordinator.store.values import Campaign, StoredImage
from coordinator.workplace import Workplace
from model_library.images.pixel_fit import PixelFit, fit_pixels

_WORSE = ("as_is", "resample", "refuse")
_WORDS = {"as_is": "as they are", "resample": "resampled", "refuse": "refused"}


def record_fits(place: Workplace, campaign: Campaign, images: Sequence[StoredImage]) -> str:
    """Keep what becomes of the images' pixels with each network; returns what to note.

    The assessment acts upon the same decision (`benchmark.served`), as the site does that serves.
    """
    # Imports the metrics, which the server does without until its first campaign.
    from benchmark.scores import method_key

    sizes = sorted({image.pixel_size_nm for image in images if image.pixel_size_nm is not None})
    fits = {
        method_key(card.ref): _worst(sizes, card.pixel_size_nm)
        for card in networks_for(place, instrument_of(place, campaign).task)
    }
    told = {name: fit.as_provenance() for name, fit in fits.items()}
    place.campaigns.find_out(campaign.id, Finding.PIXELS, {"sizes_nm": sizes, "networks": told})
    if not sizes:
        return "pixels of unknown size"
    counts: Counter[str] = Counter(fit.action for fit in fits.values())
    found = ", ".join(f"{counts[action]} networks {_WORDS[action]}" for action in _WORSE if counts[action])
    return f"pixels of {_span(sizes)} nm: {found or 'no network for the task'}"


def _worst(sizes: Sequence[float], wanted_nm: tuple[float, float] | None) -> PixelFit:
    fits = [fit_pixels(size, wanted_nm) for size in sizes] or [fit_pixels(None, wanted_nm)]
    return max(fits, key=lambda fit: _WORSE.index(fit.action))


def _span(sizes: Sequence[float]) -> str:
    return f"{sizes[0]:.4g}" if len(sizes) == 1 else f"{sizes[0]:.4g} to {sizes[-1]:.4g}"
