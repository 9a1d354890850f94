"""The size of a pixel: lengths as microscope software writes them, in nanometres along each axis."""

from dataclasses import dataclass

_UNITS = {
    1e9: ("m", "meter", "metre"),
    1e7: ("cm", "centimeter"),
    1e6: ("mm", "millimeter"),
    # Micro sign, Greek mu, ImageJ's escape of the first; Berkeley EMD writes [u_m] and [n_m].
    1e3: ("um", "\u00b5m", "\u03bcm", "\\u00B5m", "micron", "microns", "micrometer", "u_m", "[u_m]"),
    1.0: ("nm", "n_m", "[n_m]", "nanometer"),
    0.1: ("A", "\u00c5", "\u212b", "angstrom", "Angstrom", "angstroms"),
    1e-3: ("pm", "picometer"),
}
_NANOMETRES = {unit: factor for factor, units in _UNITS.items() for unit in units}
_SQUARE_WITHIN = 0.01


def nanometres(value: float, unit: str) -> float | None:
    """Convert a length.

    None where the unit is unknown or no length (`1/nm` of a diffraction pattern, `px`), or the
    value is not positive and finite.
    """
    factor = _NANOMETRES.get(unit.strip("\0 "))
    return value * factor if factor is not None and 0 < value < float("inf") else None


@dataclass(frozen=True, slots=True)
class PixelSize:
    """Distances between neighbouring pixels, in nanometres; None along an axis means unknown."""

    y_nm: float | None = None
    x_nm: float | None = None
    z_nm: float | None = None

    @classmethod
    def square(cls, side_nm: float | None) -> "PixelSize":
        """Give y and x the same size."""
        return cls(side_nm, side_nm)

    @classmethod
    def of(cls, y_nm: float | None, x_nm: float | None, z_nm: float | None = None) -> "PixelSize":
        """Take a file at its word; one that tells only y or only x means square pixels."""
        return cls(x_nm if y_nm is None else y_nm, y_nm if x_nm is None else x_nm, z_nm)

    @property
    def is_known(self) -> bool:
        """Whether y and x are both known."""
        return self.y_nm is not None and self.x_nm is not None

    @property
    def is_square(self) -> bool:
        """Whether y and x are known and agree within 1 %."""
        if self.y_nm is None or self.x_nm is None:
            return False
        return abs(self.y_nm - self.x_nm) <= _SQUARE_WITHIN * self.x_nm

    @property
    def side_nm(self) -> float | None:
        """Side of the square pixel; None where it is unknown or not square."""
        return self.x_nm if self.is_square else None

    def __str__(self) -> str:
        if not self.is_known:
            return "unknown"
        depth = "" if self.z_nm is None else f", z {self.z_nm:.6g} nm"
        return (
            f"{self.x_nm:.6g} nm" if self.is_square else f"y {self.y_nm:.6g}, x {self.x_nm:.6g} nm"
        ) + depth


UNKNOWN_SIZE = PixelSize()
