"""Children that read images and reconstruct, so that the daemon itself needs neither numpy nor torch."""

import sys
from dataclasses import dataclass
from pathlib import Path

from model_library.inference.precision import PrecisionPolicy
from model_library.processes.child import Child
from model_library.zoo.serving.places import usable_cache, user_cache
from site_client.settings import SiteSettings

_READERS_MEMORY_BYTES = 3 << 30
_KEPT_PAGES = {"MALLOC_MMAP_THRESHOLD_": str(16 << 20), "MALLOC_TRIM_THRESHOLD_": str(32 << 20)}
"""glibc (mallopt(3)) gives the memory of every frame back to the system, and takes it anew for the next one,
page by page: half of the time that it takes to look at a frame of 1024 px."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What the reconstruction may take at most; None is no cap.

    Attributes
    ----------
    gpu_share
        Of each GPU's memory; see `inference.gpu_share`.
    memory_bytes
        Of address space; Windows has no such limit.
    """

    gpu_share: float | None = None
    memory_bytes: int | None = None

    def options(self) -> list[str]:
        """Options of `site_client.worker`."""
        gpu = [] if self.gpu_share is None else ["--gpu-share", str(self.gpu_share)]
        memory = [] if self.memory_bytes is None else ["--memory-bytes", str(self.memory_bytes)]
        return gpu + memory


NO_CAPS = Caps()


def reading_child(module: str, *arguments: str, log: Path) -> Child:
    """Prepare a child process that reads images under a memory limit; it starts when it is first asked.

    Parameters
    ----------
    module
        Run with the limit in bytes and `arguments`.
    """
    return Child(
        [sys.executable, "-m", module, str(_READERS_MEMORY_BYTES), *arguments],
        log=log,
        # Each thread of a linear algebra library would reserve address space.
        environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **_KEPT_PAGES},
    )


def worker_child(
    threads: int,
    nice: int,
    log: Path,
    *,
    cache: Path | None = None,
    precision: PrecisionPolicy = "float32",
    caps: Caps = NO_CAPS,
) -> Child:
    """Prepare the child process that reconstructs; it starts when it is first asked.

    In `cache` networks are prepared for serving; without it torch computes them in float32.
    """
    options = ["--threads", str(threads), "--nice", str(nice), "--precision", precision]
    options += [] if cache is None else ["--cache", str(cache)]
    return Child(
        [sys.executable, "-m", "site_client.worker", *options, *caps.options()],
        log=log,
        environment=dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)
        ),
    )


def caps_of(settings: SiteSettings) -> Caps:
    """Tell what the settings allow the reconstruction."""
    memory_gb = settings.worker_memory_gb
    return Caps(settings.gpu_memory_share, None if memory_gb is None else int(1e9 * memory_gb))


def engine_folder(settings: SiteSettings, folder: Path) -> Path:
    """Tell where networks are prepared: where the settings say, else for all sites of this user."""
    return usable_cache(settings.engine_cache or user_cache(), folder / "engine")
