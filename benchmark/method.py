"""The one port through which a network and a classical algorithm are assessed and run."""

from typing import Protocol

from model_library.images.frame import Grey
from model_library.wire.methods import MethodRef


class Method(Protocol):
    """Turns an acquired image into a restored one, in the same grey-value units."""

    @property
    def ref(self) -> MethodRef:
        """What this method is, as written into provenance and releases."""
        ...

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along each axis."""
        ...

    def __call__(self, pixels: Grey) -> Grey:
        """Restore one image: float32 [Y, X] in counts -> float32 [Y * scale, X * scale] in counts."""
        ...
