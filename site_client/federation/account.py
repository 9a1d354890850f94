"""What a site's updates have told so far, and whether one more may leave: the owner's bounds, kept here."""

import threading
from collections.abc import Callable

from pydantic import Field, ValidationError

from model_library.cards.privacy import DELTA, Privacy, epsilon
from model_library.wire.base import Message
from site_client.allowance import DAY_S
from site_client.errors import AdaptationRefused
from site_client.journal import Journal
from site_client.settings import SiteSettings

_FACT = "updates_sent"
_ALARM = "privacy"


class Spent(Message):
    """Updates that left with noise of one multiplier."""

    noise_multiplier: float = Field(gt=0)
    updates: int = Field(ge=1)


class UpdatesSent(Message):
    """All updates that ever left: those with noise by multiplier, those without; times of the last day's."""

    spent: tuple[Spent, ...] = ()
    plain: int = Field(default=0, ge=0)
    lately: tuple[float, ...] = ()

    def after(self, privacy: Privacy | None, now: float) -> "UpdatesSent":
        """Add one update."""
        lately = (*self.within_a_day(now), now)
        if privacy is None:
            return self.model_copy(update={"plain": self.plain + 1, "lately": lately})
        counts = {each.noise_multiplier: each.updates for each in self.spent}
        counts[privacy.noise_multiplier] = counts.get(privacy.noise_multiplier, 0) + 1
        spent = tuple(Spent(noise_multiplier=z, updates=n) for z, n in sorted(counts.items()))
        return self.model_copy(update={"spent": spent, "lately": lately})

    def within_a_day(self, now: float) -> tuple[float, ...]:
        """Tell when updates of the last 24 h left; a clock that was set back frees none of them."""
        return tuple(at for at in self.lately if at > now - DAY_S)

    def epsilon(self, delta: float = DELTA) -> float:
        """Account the updates with noise; nothing bounds what those without have told."""
        return epsilon({each.noise_multiplier: each.updates for each in self.spent}, delta)

    @property
    def private(self) -> int:
        """Number of updates with noise."""
        return sum(each.updates for each in self.spent)


class PrivacyTold(Message):
    """What `site status`, `site sent` and the page say of updates; `most_epsilon` is the owner's budget."""

    updates_with_noise: int = 0
    updates_without: int = 0
    epsilon: float = 0.0
    delta: float = DELTA
    most_epsilon: float | None = None

    def told(self) -> str:
        """Say it in a line."""
        if not self.updates_with_noise:
            return f"{self.updates_without} without noise"
        budget = "" if self.most_epsilon is None else f" of {self.most_epsilon:g}"
        plain = f", {self.updates_without} without" if self.updates_without else ""
        return (
            f"epsilon {self.epsilon:.3g}{budget} (delta {self.delta:g})"
            f" after {self.updates_with_noise} with noise{plain}"
        )


class UpdateAccount:
    """Decides by the site's settings alone whether an update may leave, and remembers those that did.

    Parameters
    ----------
    journal
        Of the site's database.
    settings
        The owner's bounds.
    clock
        Seconds since the epoch.
    """

    def __init__(self, journal: Journal, settings: SiteSettings, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._spending = threading.Lock()

    def sent(self) -> UpdatesSent:
        """Recall what left."""
        fact = self._journal.fact(_FACT)
        try:
            return UpdatesSent() if fact is None else UpdatesSent.model_validate_json(fact)
        except ValidationError:
            # Whoever cannot read the account must not believe that nothing was spent.
            raise AdaptationRefused(
                f"expected the account of updates sent as this program writes it, found {fact}; "
                "update the program, or take no part"
            ) from None

    def refuse(self, privacy: Privacy | None) -> None:
        """Refuse an update that the owner does not let out.

        Raises
        ------
        AdaptationRefused
            Less noise than the site asks for, its privacy budget or its updates of a day are used up.
        """
        least, most = self._settings.least_noise_multiplier, self._settings.most_epsilon
        if privacy is None:
            if least is not None or most is not None:
                raise AdaptationRefused(
                    "expected a plan with noise, as this site demands, found one without; ask for privacy"
                    + ("" if least is None else f" with a noise multiplier of at least {least:g}")
                )
        elif least is not None and privacy.noise_multiplier < least:
            raise AdaptationRefused(
                f"expected a noise multiplier of at least {least:g}, as this site demands, found "
                f"{privacy.noise_multiplier:g}; ask for more"
            )
        sent, now = self.sent(), self._clock()
        if privacy is not None and most is not None:
            after = sent.after(privacy, now).epsilon()
            if after > most:
                raise AdaptationRefused(
                    f"expected epsilon to stay within {most:g}, the budget of this site, found {after:.3g} "
                    "after one more update; it takes part again when its owner allows more"
                )
        daily = self._settings.most_updates_per_day
        lately = len(sent.within_a_day(now))
        if daily is not None and lately >= daily:
            raise AdaptationRefused(
                f"expected at most {daily} updates a day, as this site allows, found {lately} in the last "
                "24 h; ask again later"
            )

    def spend(self, privacy: Privacy | None) -> None:
        """Account an update, durably, before it leaves.

        Raises
        ------
        AdaptationRefused
            As `refuse`.
        """
        with self._spending:
            self.refuse(privacy)
            self._journal.remember(_FACT, self.sent().after(privacy, self._clock()).model_dump_json())

    def lets_out(self) -> bool:
        """Whether this site takes part: its owner lets updates out, and some of the budget is left.

        An alarm is up while the budget is used up.
        """
        why = self.exhausted()
        if why is None:
            self._journal.clear_alarm(_ALARM)
        else:
            self._journal.raise_alarm(_ALARM, why)
        return why is None and self._settings.federate and self._settings.most_updates_per_day != 0

    def exhausted(self) -> str | None:
        """Say why not a single further update could leave; None if one could."""
        if self._settings.most_epsilon is None:
            return None
        try:
            sent = self.sent()
        except AdaptationRefused as refusal:
            return str(refusal)
        # Without a demand of the site's own the last federations tell how much noise is usual.
        usual = self._settings.least_noise_multiplier or max(
            (each.noise_multiplier for each in sent.spent), default=None
        )
        if usual is None:
            return None
        after = sent.after(Privacy(clip_norm=1.0, noise_multiplier=usual), self._clock()).epsilon()
        if after <= self._settings.most_epsilon:
            return None
        return (
            f"the privacy budget is used up: epsilon {sent.epsilon():.3g} of "
            f"{self._settings.most_epsilon:g}, and {after:.3g} after one more update"
        )

    def told(self) -> PrivacyTold:
        """Tell it to people."""
        sent = self.sent()
        return PrivacyTold(
            updates_with_noise=sent.private,
            updates_without=sent.plain,
            epsilon=sent.epsilon(),
            most_epsilon=self._settings.most_epsilon,
        )
