"""What is watched of an instrument, and when a change of it counts as a drift."""

from enum import StrEnum

from pydantic import Field

from model_library.wire.base import Message


class Feature(StrEnum):
    """What is watched.

    `NOISE` is the standard deviation of a pixel over what the campaign's noise model gives at the same
    grey values; the specimen plays no part in it. `BRIGHTNESS` is a weighted mean of the grey values above
    that of no electrons, in counts, see `observation.brightness`: where the detector's gain is fixed, a
    lower dose darkens the image. `SHARPNESS` is that of the strongest edges, see `edge_sharpness`: a defocus
    lowers it. `SCORE` is that of the method in service, minus that of a perfect result on the same image
    where that is known. `LEAD` is the score minus the one of a classical algorithm on the same image. In
    both differences most of what the specimen does to the score cancels.
    """

    NOISE = "noise"
    BRIGHTNESS = "brightness"
    SHARPNESS = "sharpness"
    SCORE = "score"
    LEAD = "lead"

    @property
    def logarithmic(self) -> bool:
        """Whether changes count as ratios."""
        return self in (Feature.NOISE, Feature.BRIGHTNESS, Feature.SHARPNESS)

    @property
    def specimen_moves(self) -> bool:
        """Whether another specimen changes it as well, which is no drift."""
        return self is not Feature.NOISE

    @property
    def sides(self) -> tuple[int, ...]:
        """Directions that count as a drift: a better score and sharper edges do not."""
        return (1, -1) if self in (Feature.NOISE, Feature.BRIGHTNESS) else (-1,)


class Sum(Message):
    """A cumulative sum: what an image has to exceed, how far it counts, and the sum that is a drift."""

    allowance: float
    most: float
    threshold: float


class DriftPolicy(Message):
    """How a drift is told from chance.

    Attributes
    ----------
    allowance
        Standard deviations by which an image may be off without adding to the sum.
    threshold
        Sum, in standard deviations, that is called a drift.
    most
        An image counts with at most so many standard deviations. Less `allowance` it is below
        `threshold`, so that one odd image never makes a drift; two may.
    specimen_allowance, specimen_threshold, specimen_most
        For features that the specimen moves, whose tails are heavier: added to the allowance, times the
        threshold, and instead of `most`. At least three images in a row make a drift then, each
        of which counts with little; the same false alarms are so bought with fewer images that are missed.
    learned_after
        A returned image joins the baseline once so many later ones have come: a drift must not be
        learned before it is told, be it at the eighth image.
    fewest
        Values without which a baseline says nothing.
    noise_floor, brightness_floor, sharpness_floor, score_floor_db, lead_floor_db, score_floor
        Least standard deviation that a baseline is credited with, as a ratio, in dB or in units of the
        score: smaller changes matter to nobody.
    """

    allowance: float = Field(default=1.0, ge=0)
    threshold: float = Field(default=5.0, gt=0)
    most: float = Field(default=4.5, gt=0)
    specimen_allowance: float = Field(default=0.5, ge=0)
    specimen_threshold: float = Field(default=0.68, gt=0)
    specimen_most: float = Field(default=3.0, gt=0)
    learned_after: int = Field(default=8, ge=0)
    fewest: int = Field(default=8, ge=3)
    noise_floor: float = Field(default=0.03, gt=0)
    brightness_floor: float = Field(default=0.07, gt=0)
    sharpness_floor: float = Field(default=0.01, gt=0)
    score_floor_db: float = Field(default=0.1, gt=0)
    lead_floor_db: float = Field(default=0.1, gt=0)
    score_floor: float = Field(default=0.02, gt=0)

    def sum_of(self, feature: Feature) -> Sum:
        """Tell how a feature is summed."""
        if not feature.specimen_moves:
            return Sum(allowance=self.allowance, most=self.most, threshold=self.threshold)
        return Sum(
            allowance=self.allowance + self.specimen_allowance,
            most=self.specimen_most,
            threshold=self.threshold * self.specimen_threshold,
        )

    def floor(self, feature: Feature, unit: str = "dB") -> float:
        """Least standard deviation of a feature, of scores in this unit."""
        match feature:
            case Feature.NOISE:
                return self.noise_floor
            case Feature.BRIGHTNESS:
                return self.brightness_floor
            case Feature.SHARPNESS:
                return self.sharpness_floor
            case Feature.SCORE:
                return self.score_floor_db if unit == "dB" else self.score_floor
            case Feature.LEAD:
                return self.lead_floor_db if unit == "dB" else self.score_floor
