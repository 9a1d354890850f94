from datetime import timedelta

from simulations.observation import Look
from simulations.overview import InstrumentSeen, Overview
from simulations.page import render_page
from simulations.replacements import Improved, Shared

from .seen import BEGUN, FEDERATED, NETWORK, campaign, cohort, federation, outcome_of, pair, site_look


def test_rounds_and_cohorts_are_told_with_causes_and_verdicts() -> None:
    overview = Overview(
        campaigns=(campaign(),),
        instruments=(InstrumentSeen(id="cortex-1", site="cortex", release_id="r-1"),),
        cohorts=(cohort(),),
        federations=(federation(),),
    )
    shared = Shared(
        federation="federation-1",
        assigned=True,
        reasons=("not worse",),
        before=NETWORK,
        after=FEDERATED,
        scores=pair(),
    )

    found, closed = outcome_of(site_look(), overview=overview, shared=shared)

    told = found.model_dump(mode="json")
    assert found.complete, found.waiting
    assert told["rounds"] == [
        {
            "federation": "federation-1",
            "number": 1,
            "eligible": ["cortex", "cerebellum", "retina"],
            "contributed": ["cortex", "retina"],
            "refused": [{"site": "cerebellum", "cause": "expected finite numbers, found NaN"}],
            "seconds": 12.5,
            "train_seconds": 4.0,
            "bytes_up": 5_000_000,
            "bytes_down": 7_500_000,
        }
    ]
    (one,) = told["cohorts"]
    assert one["federation"]["state"] == "done"
    assert one["federation"]["network"] == {"id": "federated-denoise", "version": "1+abc"}
    assert one["sites"] == [
        {
            "site": "cortex",
            "took_part": True,
            "assigned": "federated",
            "reasons": ["not worse"],
            "difference_to_local": 0.5,
            "difference_ci95": [0.25, 0.75],
            "fields": 6,
        }
    ]
    assert [each["purpose"] for each in told["releases"]] == ["first", "federated"]
    assert told["releases"][1]["instruments"] == ["cortex-1"]
    assert told["gates"][-1]["federation"] == "federation-1"
    assert told["library"][0]["tuned_fields"] == 36
    html = render_page(found, [closed], [])
    for words in ("found NaN", "federated minus own", "+0.50 dB [+0.25, +0.75]", "federated-denoise"):
        assert words in html


def test_drift_is_held_against_when_the_instrument_really_changed() -> None:
    drift = {
        "feature": "noise",
        "onset_sequence": 10,
        "detected_sequence": 15,
        "before": 1.0,
        "after": 1.6,
        "statistic": 7.0,
        "threshold": 5.0,
        "at": BEGUN + timedelta(seconds=90),
        "campaign": "campaign-retina-1-2",
    }
    observed = [
        {"sequence": number, "purpose": "benchmark_images", "noise": 1.0, "brightness": 9.0}
        for number in (5, 10, 15)
    ]
    first = campaign(site="retina", instrument="retina-1", observed=observed)
    second = campaign(site="retina", instrument="retina-1", number=2, trigger="drift", drift=drift)
    improved = Improved(
        campaign=2,
        trigger="drift",
        before=NETWORK,
        after=FEDERATED,
        reasons=("better",),
        scores=pair(),
    )
    seen = site_look(name="retina", campaigns=(first, second), changes=True)

    found, closed = outcome_of(seen, improved=(improved,))

    told = found.model_dump(mode="json")
    assert told["drift"] == [
        {
            "site": "retina",
            "feature": "noise",
            "onset_sequence": 10,
            "detected_sequence": 15,
            "true_onset_sequence": 6,
            "before": 1.0,
            "after": 1.6,
            "statistic": 7.0,
            "threshold": 5.0,
            "at_s": 90.0,
        }
    ]
    (one,) = told["improvements"]
    assert (one["site"], one["trigger"], one["campaign"], one["replaced"]) == ("retina", "drift", 2, True)
    assert (one["before"]["id"], one["after"]["id"]) == ("unet", "federated-denoise")
    assert one["scores"]["difference_ci95"] == [0.25, 0.75]
    assert one["scores"]["frames"] == 6
    html = render_page(found, [closed], [])
    for words in ("noise went from 1 to 1.6", "it changed at frame 6", "replaced unet 1.0.0"):
        assert words in html


def test_federation_that_failed_is_told_and_the_run_is_not_complete() -> None:
    failed = federation(stage="failed", failure={"stage": "rounds", "reason": "2 of 3 contributed"})
    overview = Overview(campaigns=(campaign(),), cohorts=(cohort(),), federations=(failed,))

    found, _ = outcome_of(site_look(), overview=overview)

    assert found.waiting == ("denoise-unet: rounds: 2 of 3 contributed",)


def test_run_waits_for_a_federation_that_is_due_or_under_way() -> None:
    due = Look(1.0, (site_look(),), Overview(campaigns=(), cohorts=(cohort(),)))
    under_way = federation(stage="rounds")
    going = Look(1.0, (site_look(),), Overview(campaigns=(), cohorts=(cohort(),), federations=(under_way,)))
    few = cohort(instruments=[{"site": "cortex", "id": "cortex-1", "federates": True}])

    assert due.waiting_for() == ("denoise-unet: its federation to begin",)
    assert going.waiting_for() == ("denoise-unet: its federation: rounds",)
    assert Look(1.0, (site_look(),), Overview(campaigns=(), cohorts=(few,))).done


def test_false_alarm_that_asks_for_frames_never_acquired_holds_nothing_up() -> None:
    asked = {"from_sequence": 6, "count": 7}
    alarm = campaign(number=2, stage="waiting for first images", requested=asked)

    assert site_look(campaigns=(campaign(), alarm)).waiting_for() == ()
    assert site_look(campaigns=(campaign(), alarm), changes=True).waiting_for() != ()
