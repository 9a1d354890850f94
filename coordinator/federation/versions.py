"""Members' own versions of a federation's network, kept as networks beside the common one."""

from pathlib import Path

from coordinator.federation.network import acquired, keep_as_version, network_id
from coordinator.federation.personal import version_file
from coordinator.federation.plan import RoundRecord
from coordinator.federation.records import Finding
from coordinator.methods import card_of
from coordinator.store.values import Federation
from coordinator.workplace import Workplace
from model_library.cards.card import Lineage, NetworkCard, TrainingData, tuned_field
from model_library.wire.methods import NetworkRef


def keep_versions(
    place: Workplace, federation: Federation, folder: Path, common: NetworkRef, record: RoundRecord | None
) -> dict[str, NetworkRef]:
    """Keep the versions that came as networks; keeping them twice is keeping them once.

    Parameters
    ----------
    folder
        The federation's, with the weights.
    common
        The network of the rounds.
    record
        Of who was asked for a version, and what came; None where nobody was.

    Returns
    -------
    Network by instrument id.

    Raises
    ------
    WeightsError
        Weights are not finite, or not those of the architecture.
    """
    if record is None:
        return {}
    cards = {key: _card(place, common, record, key) for key in sorted(record.fields)}
    return {
        key: keep_as_version(place, federation, card, version_file(folder, key).read_bytes())
        for key, card in cards.items()
    }


def network_of(federation: Federation) -> NetworkRef:
    """Tell which network came of the rounds."""
    return NetworkRef.model_validate(federation.findings[Finding.NETWORK])


def own_version(federation: Federation, instrument_id: str) -> NetworkRef | None:
    """Tell which network is an instrument's own version; None where it gave none."""
    told = federation.findings.get(Finding.PERSONAL, {}).get("versions", {}).get(instrument_id)
    return None if told is None else NetworkRef.model_validate(told)


def _card(place: Workplace, common: NetworkRef, record: RoundRecord, instrument_id: str) -> NetworkCard:
    parent = card_of(place, common)
    instrument = place.identities.find(instrument_id)
    site = instrument_id if instrument is None else instrument.site_name
    before = () if parent.lineage is None else parent.lineage.tuned_fields
    fields = {*before, *(tuned_field(instrument_id, each) for each in record.fields[instrument_id])}
    lineage = Lineage(
        parent_id=common.id,
        parent_version=common.version,
        parent_weights_sha256=common.weights_sha256,
        campaign="" if parent.lineage is None else parent.lineage.campaign,
        tuned_fields=tuple(sorted(fields)),
    )
    own = TrainingData(
        source=f"frames of {site}, for its own version",
        terms="of the site; the frames did not leave it",
        images=record.examples.get(site, 0),
        simulated=False,
    )
    return parent.model_copy(
        update={
            "id": f"{network_id(parent.task)}-personal",
            "purpose": f"{parent.purpose} Adapted further at {site}, for {site} alone.",
            "training_data": (*parent.training_data, own),
            "lineage": lineage,
            "acquisition": acquired(place, [instrument_id]),
            "scores": (),
            "self_test": None,
        }
    )
