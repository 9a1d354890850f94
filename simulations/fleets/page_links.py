"""What the report says of real processes: what passed their links, and when these were cut."""

from collections.abc import Mapping

from benchmark.report import Html, bullets, note, section, table
from simulations.fleets.outcome import FleetOutcome, LinkBytes

_JUDGED = "Networks are judged on frames that nobody trained on, against a truth that only this report knows."
WHAT: Mapping[str, str] = {
    "engine": (
        "Simulated: instruments, their frames, hours, lines and failures; time is virtual. Real: Flower's "
        "simulation engine, this project's rounds, validation, aggregation and coding, and the trainer that "
        f"sites run. {_JUDGED}"
    ),
    "processes": (
        "Simulated: instruments and their frames, hours, lines and failures. Real: the coordinator, a daemon "
        "per site, Flower's processes, TLS and time. Each site's link is a relay outside both; what passed "
        f"was counted there. No campaign went before: all began with the same network. {_JUDGED}"
    ),
}


def links_section(outcome: FleetOutcome) -> Html:
    """Tell what passed each link, and which were cut."""
    rows = [
        (
            site,
            f"{link.up / 1e6:.2f}",
            f"{link.down / 1e6:.2f}",
            f"{link.updates / 1e6:.2f}",
            str(link.images),
            upload_in_words(link),
        )
        for site, link in outcome.links.items()
    ]
    header = ("site", "MB up", "MB down", "MB of updates", "bytes of images", "up per round, of raw float32")
    cuts = [
        f"{each.site}: {'drops out of round ' + str(each.number) if each.number else each.cause}, after "
        f"{each.at_s:.0f} s for {each.seconds:.0f} s"
        for each in outcome.outages
    ]
    told = bullets(cuts) if cuts else note("No link was cut.")
    return section("Links", table(header, rows), told)


def upload_in_words(link: LinkBytes) -> str:
    """Tell what a site sent in each round, as a share of the weights in float32."""
    return ", ".join(f"{each.of_raw:.0%}" for each in link.rounds) or "no round"


def links_in_words(outcome: FleetOutcome) -> list[str]:
    """Tell the same in a line per link and outage, as the command prints it."""
    lines = [
        f"{site}: {link.up / 1e6:.2f} MB up and {link.down / 1e6:.2f} MB down on its link, "
        f"{link.updates / 1e6:.2f} MB of updates, {link.images} bytes of images; per round up "
        f"{upload_in_words(link)} of the weights in float32"
        for site, link in outcome.links.items()
    ]
    return lines + [
        f"{each.site}: link cut after {each.at_s:.0f} s for {each.seconds:.0f} s ({each.cause})"
        for each in outcome.outages
    ]
