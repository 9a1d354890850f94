"""Every site's network on every site's benchmark images: who could use whose.

Computed here, from images that were sent for benchmarks anyway; no other image moves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.metrics import Metric
from coordinator.federation.hearings import Hearing, concerned, gate_cases, hearing_of, local_only
from coordinator.federation.records import Finding
from coordinator.federation.versions import network_of, own_version
from coordinator.methods import method_of
from coordinator.store.values import Federation
from coordinator.workplace import Workplace
from model_library.errors import SynopticError
from model_library.wire.methods import NetworkRef

if TYPE_CHECKING:
    from benchmark.cases import Case

MOST_SITES = 16
"""Instruments in one matrix: its cost grows with the square of their number."""
MOST_IMAGES = 8
_URGENCY = 7


@dataclass(frozen=True, slots=True)
class _Row:
    """A network: that of one site (`personal`, `local_only`, `in_service`), or of all (`common`)."""

    site: str | None
    kind: str
    ref: NetworkRef


def measure_matrix(place: Workplace, federation: Federation) -> str:
    """Score the networks of all instruments on the images of all, once; what cannot be scored is left out."""
    if Finding.MATRIX in federation.findings:
        return "the matrix was measured before"
    hearings, left_out = _hearings(place, federation)
    rows = (_Row(None, "common", network_of(federation)), *_rows(federation, hearings))
    columns: dict[str, list[float | None]] = {}
    for site, hearing in hearings.items():
        with place.turns.turn(_URGENCY, place.check):
            try:
                cases = gate_cases(place, federation, hearing, [row.ref for row in rows], MOST_IMAGES)
                columns[site] = _column(place, hearing, rows, cases)
            except SynopticError as refusal:
                left_out[site] = str(refusal)
    told: dict[str, Any] = {
        "metric": str(Metric.PSNR_REPEAT),
        "images_of": list(columns),
        "networks": [
            {"site": row.site, "kind": row.kind, "method": row.ref.model_dump(mode="json")} for row in rows
        ],
        "values": [[column[number] for column in columns.values()] for number in range(len(rows))],
        "left_out": left_out,
    }
    place.federations.find_out(federation.id, Finding.MATRIX, told)
    return f"{len(rows)} networks on the images of {len(columns)} sites"


def _hearings(place: Workplace, federation: Federation) -> tuple[dict[str, Hearing], dict[str, str]]:
    """Call the instruments, by a name that no other one bears; the second are left out, and why."""
    found: dict[str, Hearing] = {}
    left_out: dict[str, str] = {}
    for standing in concerned(place, federation):
        name = standing.site if standing.site not in found else standing.instrument_id
        if len(found) >= MOST_SITES:
            left_out[name] = f"a matrix has at most {MOST_SITES} instruments"
            continue
        try:
            found[name] = hearing_of(place, standing, place.releases.current(standing.instrument_id))
        except SynopticError as refusal:
            left_out[name] = str(refusal)
    return found, left_out


def _rows(federation: Federation, hearings: dict[str, Hearing]) -> Iterator[_Row]:
    for site, hearing in hearings.items():
        in_service = hearing.release.manifest.method
        networks = {
            "personal": own_version(federation, hearing.instrument.id),
            "local_only": local_only(hearing.campaign),
            "in_service": in_service if isinstance(in_service, NetworkRef) else None,
        }
        seen: set[NetworkRef] = set()
        for kind, ref in networks.items():
            if ref is not None and ref not in seen:
                seen.add(ref)
                yield _Row(site, kind, ref)


def _column(
    place: Workplace, hearing: Hearing, rows: tuple[_Row, ...], cases: "tuple[Case, ...]"
) -> list[float | None]:
    """Mean score of each network on the images of one instrument; None where it gave none."""
    from benchmark.evaluate import evaluate
    from benchmark.scores import method_key

    found: dict[NetworkRef, float | None] = {}
    for row in rows:
        if row.ref not in found:
            place.check()
            scores = evaluate([method_of(place, row.ref, hearing.instrument.task)], cases)
            key = method_key(row.ref)
            found[row.ref] = scores.mean(key) if key in scores.values else None
    return [found[row.ref] for row in rows]
