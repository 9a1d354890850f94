"""From what a federation begins with and the settings to the plan of its rounds."""

from pydantic import ValidationError

from coordinator.errors import CannotFederate
from coordinator.federation.membership import offences_before
from coordinator.federation.plan import FederationPlan, Member
from coordinator.federation.records import Start
from coordinator.settings.algorithms import FedBN
from coordinator.workplace import Workplace


def plan_of(place: Workplace, federation_id: str, start: Start) -> FederationPlan:
    """Plan the rounds.

    Raises
    ------
    CannotFederate
        The settings do not fit the members, or name layers that the network has not.
    """
    wanted, offended = place.settings.federation, offences_before(place)
    try:
        return FederationPlan(
            federation_id=federation_id,
            task=start.task,
            config=start.config,
            members=tuple(
                Member(
                    instrument_id=each.instrument_id, site=each.site, offences=offended[each.instrument_id]
                )
                for each in start.members
            ),
            rounds=start.rounds,
            quorum=start.quorum,
            assemble_s=start.assemble_s,
            round_s=start.round_s,
            steps=wanted.steps,
            batch=wanted.batch,
            patch_px=wanted.patch_px,
            learning_rate=wanted.learning_rate,
            seed=place.settings.seed,
            most_frames=wanted.most_frames,
            algorithm=wanted.algorithm,
            encoding=wanted.encoding,
            travels=_travels(start, wanted.layers),
            keeps=_keeps(start) if isinstance(wanted.algorithm, FedBN) else (),
            fraction=wanted.fraction,
            quarantine_after=wanted.quarantine_after,
            privacy=wanted.privacy,
            personal_steps=start.personal_steps,
        )
    except ValidationError as error:
        told = "; ".join(each["msg"] for each in error.errors(include_url=False, include_input=False))
        raise CannotFederate(
            f"expected settings that fit {len(start.members)} members, found: {told}"
        ) from error


def _travels(start: Start, layers: tuple[str, ...]) -> tuple[str, ...] | None:
    if not layers:
        return None
    from model_library.networks.parts import keys_under

    keys = keys_under(start.config, layers)
    if not keys:
        raise CannotFederate(
            f"expected layers of {start.config.kind}, found no array whose name begins with "
            f"{', '.join(layers)}; correct `layers` in settings.toml"
        )
    return keys


def _keeps(start: Start) -> tuple[str, ...]:
    from model_library.networks.parts import head_keys, normalisation_keys

    return tuple(dict.fromkeys((*normalisation_keys(start.config), *head_keys(start.config))))
