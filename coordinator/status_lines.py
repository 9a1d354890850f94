"""What `synoptic coordinator status` prints: the overview as a line per instrument and federation."""

from collections.abc import Mapping
from typing import Any

from coordinator.records import Stage

Told = Mapping[str, Any]
"""A part of the overview, as JSON gives it."""


def status_lines(overview: Told) -> list[str]:
    """Write a line per instrument with its latest campaign, one with what it would notice, federations."""
    # The overview lists campaigns in the order of their opening: the latest of an instrument stays.
    latest = {each["instrument"]: each for each in overview["campaigns"]}
    instruments = [_instrument(each, latest.get(each["id"])) for each in overview["instruments"]]
    if not instruments:
        return ["No instrument has enrolled; invite one with `synoptic coordinator enrol-token`."]
    return [
        *instruments,
        *(line for each in overview["instruments"] for line in _noticed(each)),
        *map(federation_line, overview["federations"]),
        *map(quarantine_line, overview["quarantine"]),
    ]


def federation_line(federation: Told) -> str:
    """Say in one line what a federation did."""
    failure = federation["failure"]
    told = f"{len(federation['rounds'])} rounds" if failure is None else failure["reason"]
    return f"{federation['id']} of {federation['cohort']}: {federation['stage']}; {told}"


def round_line(record: Told, members: int) -> str:
    """Say in one line who contributed to a round, and of every other member why not."""
    missing = "".join(
        f"; {each['site']}: {each['cause']}" for each in (*record["refused"], *record["absent"])
    )
    judged = list(record["evaluation"].values())
    told = f"round {record['number']}: {len(record['contributed'])} of {members} contributed"
    if judged:
        before, after = (sum(each[name] for each in judged) / len(judged) for name in ("before", "after"))
        told += f", loss on spared frames {before:.4g} before and {after:.4g} after"
    return f"{told}, {record['bytes_up'] / 1e6:.2f} MB up{missing}"


def quality_lines(federation: Told) -> list[str]:
    """Say per instrument how the kinds of networks did at the gate, and which site's network suits which."""
    lines = []
    for gate in federation["gates"]:
        scores = {kind: value for kind, value in (gate.get("quality") or {}).items() if value is not None}
        if scores:
            told = ", ".join(f"{kind.replace('_', ' ')} {value:.2f}" for kind, value in scores.items())
            lines.append(f"{gate['site']}: {told} ({gate['metric']})")
    matrix = federation.get("matrix")
    if matrix is None or not matrix["images_of"]:
        return lines
    lines.append(f"{matrix['metric']} on the images of {', '.join(matrix['images_of'])}:")
    for network, row in zip(matrix["networks"], matrix["values"], strict=True):
        values = "  ".join("    -" if value is None else f"{value:5.2f}" for value in row)
        kind = network["kind"].replace("_", " ")
        lines.append(f"  {values}  {kind if network['site'] is None else network['site'] + ', ' + kind}")
    return lines


def cohort_line(cohort: Told) -> str:
    """Say in one line who is in a cohort, and what keeps some from taking part."""
    sites = (
        each["site"] + (f" ({each['obstacle']})" if each["obstacle"] else "")
        for each in cohort["instruments"]
    )
    return f"{cohort['id']}: {', '.join(sites)}"


def quarantine_line(held: Told) -> str:
    """Say in one line who is in quarantine, and how it ends."""
    return (
        f"{held['site']} ({held['id']}) is in quarantine after {held['offences']} updates that cannot be "
        f"used; `federation lift-quarantine {held['id']}` ends it"
    )


def _instrument(instrument: Told, campaign: Told | None) -> str:
    revoked = "" if instrument["revoked_at"] is None else ", revoked"
    doing = "no campaign yet" if campaign is None else _campaign(campaign)
    return (
        f"{instrument['site']} ({instrument['id']}{revoked}): {doing}; {_in_service(instrument['release'])}"
    )


def _campaign(campaign: Told) -> str:
    why = f", after a {campaign['trigger']}" if campaign["number"] > 1 else ""
    told = f"campaign {campaign['number']}{why}: {campaign['stage']}"
    if campaign["failure"] is not None:
        return f"{told} at {campaign['failure']['stage']}: {campaign['failure']['reason']}"
    if campaign["stage"] == Stage.LABELLING:
        return f"{told}, {campaign['events'][-1]['text']}"
    drift = campaign["unanswered_drift"]
    return told if drift is None else f"{told}, drift from frame {drift['onset_sequence']} on not answered"


def _noticed(instrument: Told) -> list[str]:
    found = ", ".join(each["words"] for each in instrument["noticeable"])
    return [f"{instrument['site']}: three returned images would show {found}"] if found else []


def _in_service(release: Told | None) -> str:
    if release is None:
        return "nothing released yet"
    method = release["method"]
    state = "released, not installed yet:" if release["installed_at"] is None else "in service"
    return f"{state} {method['id']} {method['version']}, {release['purpose']} release of {release['origin']}"
