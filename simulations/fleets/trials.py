"""The same fleet again: with attackers among it, and under other settings of its rounds."""

from collections.abc import Iterator, Mapping, Sequence

from coordinator.federation.offences import quarantined
from coordinator.federation.plan import FederationPlan
from model_library.cards.privacy import epsilon
from simulations.fleets.attacks import Attack, attack_of, attackers
from simulations.fleets.judging import FrameScores, difference, mean_score
from simulations.fleets.outcome import AttackRun, VariantRun, bytes_of
from simulations.fleets.planned import plan_of
from simulations.fleets.sites import SiteFiles
from simulations.fleets.staging import Staging


def attack_runs(
    staging: Staging, plan: FederationPlan, sites: Sequence[SiteFiles], clean: FrameScores
) -> Iterator[AttackRun]:
    """Run each attack that the scenario asks for, guarded and not; `clean` are the scores without any.

    The first of them is no attack: what plain averaging makes of honest updates.
    """
    asked = staging.scenario.attacks
    if asked is None:
        return
    chosen = attackers(asked.instruments, len(sites), staging.scenario.seed)
    honest = [site for n, site in enumerate(sites) if n not in chosen]
    names = [site.id for site in honest]
    with staging.stage("plain averaging"):
        plain = staging.run("none-plain", plan, sites, guarded=False)
        found, why = staging.scored("none-plain", plan, plain, honest)
    yield AttackRun(
        kind=None,
        lost=difference(clean, clean, names),
        dropped=(),
        quarantined=(),
        unguarded_lost=None if found is None else difference(clean, found, names),
        why=why,
    )
    for kind in asked.kinds:
        does = {sites[n].id: attack_of(kind, place) for place, n in enumerate(chosen)}
        with staging.stage(f"attack {kind}"):
            used = _spoiled(staging, sites, does) if kind is Attack.WRONG_TARGETS else sites
            guarded = staging.run(f"{kind}-guarded", plan, used, does)
            plain = staging.run(f"{kind}-plain", plan, used, does, guarded=False)
            kept, _ = staging.scored(f"{kind}-guarded", plan, guarded, honest)
            lost, why = staging.scored(f"{kind}-plain", plan, plain, honest)
        rounds = guarded.outcome.rounds
        yield AttackRun(
            kind=kind,
            lost=None if kept is None else difference(clean, kept, names),
            dropped=tuple(sorted({each for record in rounds for each in record.offenders})),
            quarantined=tuple(sorted(quarantined(plan, rounds))),
            unguarded_lost=None if lost is None else difference(clean, lost, names),
            why=why,
        )


def variant_runs(staging: Staging, sites: Sequence[SiteFiles], clean: FrameScores) -> Iterator[VariantRun]:
    """Run each variant that the scenario asks for; `clean` are the scores under its own settings."""
    scenario, names = staging.scenario, [site.id for site in sites]
    for number, variant in enumerate(scenario.variants, start=1):
        plan = plan_of(scenario, staging.instruments, staging.network.config, variant.federation)
        folder = f"variant-{number}"
        with staging.stage(variant.name):
            run = staging.run(folder, plan, sites)
            scores, why = staging.scored(folder, plan, run, sites)
        yield VariantRun(
            name=variant.name,
            gained=None if scores is None else difference(scores, clean, names),
            mean=None if scores is None else mean_score(scores),
            epsilon=None if plan.privacy is None else epsilon({plan.privacy.noise_multiplier: plan.rounds}),
            bytes=bytes_of(run.outcome.rounds),
            why=why,
        )


def _spoiled(staging: Staging, sites: Sequence[SiteFiles], attacked: Mapping[str, Attack]) -> list[SiteFiles]:
    chosen = [each for each in staging.instruments if each.id in attacked]
    written = {each.id: each for each in staging.written(chosen, "spoiled", spoil=True)}
    return [written.get(site.id, site) for site in sites]
