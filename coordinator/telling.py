"""Parts of the overview that campaigns and federations share; times are ISO 8601, UTC."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from coordinator.store.values import Release


def iso(at: float | None) -> str | None:
    """Write a time (seconds since 1970) for people and programs."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()


def gate_told(gate: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what a sitting of the gate saw and decided."""
    verdict, rivals, means = gate["verdict"], gate["rivals"], gate["means"]
    return {
        "candidate": verdict["candidate"],
        "incumbent": next(iter(rivals.get("in service", ())), None),
        "second": next(iter(rivals.get("second network", ())), None),
        "classical": {key: means[key] for key in rivals.get("classical", ())},
        "scores": means,
        "metric": verdict["metric"],
        "comparisons": [
            {
                "rival": each["rival"],
                "role": each["role"],
                "difference": each["comparison"]["difference"],
                "ci95": each["comparison"]["ci95"],
                "fields": each["comparison"]["fields"],
                "interval": each["interval"],
            }
            for each in verdict["comparisons"]
        ],
        "looks": verdict["look"],
        "level": verdict["level"],
        "fields": verdict["fields"],
        "passed": verdict["passed"],
        "assigned": verdict["assigned"],
        "reasons": verdict["reasons"],
    }


def release_told(release: Release) -> dict[str, Any]:
    """Tell what was released, and when it arrived."""
    return {
        "release_id": release.id,
        "purpose": str(release.purpose),
        "method": release.manifest.method.model_dump(mode="json"),
        "instrument": release.instrument_id,
        "origin": release.campaign_id,
        "reasons": list(release.manifest.reasons),
        "created_at": iso(release.created_at),
        "published_at": iso(release.published_at),
        "installed_at": iso(release.installed_at),
    }
