"""What is shown while a run goes on."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from simulations.observation import Look, SiteLook


class Progress:
    """A live table on a terminal; elsewhere a line whenever a site enters another stage.

    Parameters
    ----------
    console
        Where to show it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = (
            Live(console=console, refresh_per_second=2, transient=True) if console.is_terminal else None
        )
        self._told: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, words: str) -> None:
        """Tell one thing that happened."""
        self._console.print(words, highlight=False, soft_wrap=True)

    def show(self, seen: Look) -> None:
        """Show where every site stands."""
        if self._live is not None:
            self._live.update(_table(seen))
            return
        for federation in seen.overview.federations:
            line = f"{federation.stage}, {len(federation.rounds)} rounds"
            if self._told.get(federation.id) != line:
                self._told[federation.id] = line
                self.say(f"{seen.at_s:6.1f} s  {federation.id}: {line}")
        for site in seen.sites:
            stage = "enrolling" if site.campaign is None else site.campaign.stage
            if site.campaign is not None and site.campaign.number > 1:
                stage = f"improvement {site.campaign.number}, {stage}"
            line = f"{stage}; in service: {_in_service(site)}"
            if self._told.get(site.name) != line:
                self._told[site.name] = line
                self.say(f"{seen.at_s:6.1f} s  {site.name}: {line}; {_counts(site)}")


def _table(seen: Look) -> Table:
    table = Table(title=f"Synoptic demo, {seen.at_s:.0f} s", title_justify="left", expand=False)
    for name in ("site", "campaign", "acquired", "reconstructed", "waiting", "returned", "in service"):
        table.add_column(
            name, justify="right" if name in {"acquired", "reconstructed", "waiting", "returned"} else "left"
        )
    for site in seen.sites:
        frames = None if site.status is None else site.status.frames
        numbers = (
            ("-", "-", "-") if frames is None else (frames.reconstructed, frames.waiting, frames.returned)
        )
        acquired = f"{len(site.acquired)}/{site.planned}"
        table.add_row(site.name, _stage(site), acquired, *map(str, numbers), _in_service(site))
    for federation in seen.overview.federations:
        table.add_row(federation.id, f"{federation.stage}, {len(federation.rounds)} rounds")
    return table


def _stage(site: SiteLook) -> str:
    if site.campaign is None:
        return "enrolling"
    last = site.campaign.events[-1].text if site.campaign.events else ""
    detail = (
        f" ({last.partition(',')[0]})"
        if last.startswith("step ") and site.campaign.stage == "fine-tuning"
        else ""
    )
    again = f"improvement {site.campaign.number}: " if site.campaign.number > 1 else ""
    return f"{again}{site.campaign.stage}{detail}"


def _in_service(site: SiteLook) -> str:
    if site.status is None or site.status.in_service is None:
        return "nothing yet"
    method = site.status.in_service.method
    return f"{method.id} {method.version}"


def _counts(site: SiteLook) -> str:
    if site.status is None:
        return "no daemon yet"
    frames = site.status.frames
    return f"{frames.acquired} acquired, {frames.reconstructed} reconstructed, {frames.waiting} waiting"
