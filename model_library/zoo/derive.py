"""The card of a version that was made from another."""

from collections.abc import Sequence

from model_library.cards.card import Lineage, NetworkCard, TrainingData


def derived_card(
    parent: NetworkCard,
    *,
    version: str,
    weights_sha256: str,
    campaign: str,
    tuned_fields: Sequence[str],
    training_data: Sequence[TrainingData],
) -> NetworkCard:
    """Describe a fine-tuned network.

    Parameters
    ----------
    parent
        Card of the network where fine-tuning began.
    version
        Of the new one.
    weights_sha256
        Of the new one's weights file.
    campaign
        That tuned it; a campaign or a federation.
    tuned_fields
        Fields of view that it was tuned on, and so must not be scored on (`tuned_field`); those of
        its ancestors are added.
    training_data
        What it saw in addition to what the parent saw.

    Returns
    -------
    The card: the parent's without its scores and self-test, which belong to other weights.
    """
    before = () if parent.lineage is None else parent.lineage.tuned_fields
    lineage = Lineage(
        parent_id=parent.id,
        parent_version=parent.version,
        parent_weights_sha256=parent.weights_sha256,
        campaign=campaign,
        tuned_fields=tuple(sorted({*before, *tuned_fields})),
    )
    return parent.model_copy(
        update={
            "version": version,
            "weights_sha256": weights_sha256,
            "training_data": (*parent.training_data, *training_data),
            "scores": (),
            "self_test": None,
            "lineage": lineage,
        }
    )
