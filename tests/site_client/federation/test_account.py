"""The owner's bounds on updates hold whatever a coordinator asks for, and survive restarts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_library.cards.privacy import Privacy, epsilon
from site_client.allowance import DAY_S
from site_client.database import Database
from site_client.errors import AdaptationRefused
from site_client.federation.account import UpdateAccount, UpdatesSent
from site_client.journal import Journal


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def noise(multiplier: float) -> Privacy:
    return Privacy(clip_norm=1.0, noise_multiplier=multiplier)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account_of(site, clock):
    def make(**bounds: object) -> UpdateAccount:
        return UpdateAccount(site.journal, site.settings.model_copy(update=bounds), clock)

    return make


BOUNDS = {
    "no bounds": ({}, None, None),
    "noise that nobody asks for": ({}, 0.01, None),
    "enough noise": ({"least_noise_multiplier": 4.0}, 4.0, None),
    "too little noise": ({"least_noise_multiplier": 4.0}, 3.9, "at least 4"),
    "none where some is demanded": ({"least_noise_multiplier": 4.0}, None, "found one without"),
    "none where epsilon is bounded": ({"most_epsilon": 10.0}, None, "found one without"),
    "one update beyond the budget": ({"most_epsilon": 10.0}, 0.5, "epsilon to stay within 10"),
    "one update within the budget": ({"most_epsilon": 10.0}, 4.0, None),
    "no update a day": ({"most_updates_per_day": 0}, 4.0, "at most 0 updates a day"),
}


@pytest.mark.parametrize(("bounds", "multiplier", "cause"), BOUNDS.values(), ids=BOUNDS.keys())
def test_a_plan_is_held_against_the_owners_bounds(account_of, bounds, multiplier, cause) -> None:
    account = account_of(**bounds)
    privacy = None if multiplier is None else noise(multiplier)
    if cause is None:
        account.spend(privacy)
        assert account.told().updates_with_noise + account.told().updates_without == 1
        return
    for step in (account.refuse, account.spend):
        with pytest.raises(AdaptationRefused, match=cause):
            step(privacy)
    assert account.sent() == UpdatesSent()


def test_a_greedy_coordinator_gets_what_the_budget_holds_and_no_more(account_of) -> None:
    account, got = account_of(most_epsilon=5.0), 0
    while account.lets_out():
        account.spend(noise(8.0))
        got += 1
    with pytest.raises(AdaptationRefused, match="takes part again when its owner allows more"):
        account.spend(noise(8.0))
    assert epsilon({8.0: got}) <= 5.0 < epsilon({8.0: got + 1})
    assert account.told().epsilon == epsilon({8.0: got})
    assert not account.lets_out()


def test_a_site_whose_budget_is_used_up_says_so_and_takes_part_again_when_allowed(account_of, site) -> None:
    account = account_of(most_epsilon=1.2)
    assert account.lets_out()
    account.spend(noise(8.0))
    assert not account.lets_out()
    assert "used up" in site.journal.alarms()["privacy"]
    assert account_of(most_epsilon=20.0).lets_out()
    assert "privacy" not in site.journal.alarms()


def test_what_was_spent_survives_a_restart(account_of, site) -> None:
    account_of().spend(noise(8.0))
    account_of().spend(None)
    database = Database(site.folder / "ledger.sqlite")
    told = UpdateAccount(Journal(database, lambda: 0.0), site.settings, lambda: 0.0).told()
    database.close()
    assert (told.updates_with_noise, told.updates_without) == (1, 1)
    assert told.epsilon == epsilon({8.0: 1})
    assert "epsilon 1.01 (delta 1e-05) after 1 with noise, 1 without" in told.told()


def test_an_account_that_cannot_be_read_is_not_taken_for_an_empty_one(account_of, site) -> None:
    site.journal.remember("updates_sent", '{"future": 1}')
    account = account_of(most_epsilon=100.0)
    with pytest.raises(AdaptationRefused, match="account of updates"):
        account.spend(noise(8.0))
    assert not account.lets_out()


def test_updates_of_a_day_are_counted_over_any_24_hours(account_of, clock) -> None:
    account = account_of(most_updates_per_day=2)
    account.spend(None)
    clock.now += DAY_S / 2
    account.spend(None)
    with pytest.raises(AdaptationRefused, match="found 2 in the last 24 h"):
        account.spend(None)
    clock.now += DAY_S / 2 + 1
    account.spend(None)
    with pytest.raises(AdaptationRefused, match="found 2 in the last 24 h"):
        account.refuse(None)


def test_a_clock_that_is_set_back_frees_no_update(account_of, clock) -> None:
    account = account_of(most_updates_per_day=1)
    account.spend(None)
    clock.now -= 3600.0
    with pytest.raises(AdaptationRefused, match="found 1 in the last 24 h"):
        account.spend(None)


def test_a_site_that_lets_nothing_out_is_not_invited(account_of) -> None:
    assert account_of().lets_out()
    assert not account_of(most_updates_per_day=0).lets_out()
    assert not account_of(federate=False).lets_out()


@settings(deadline=None)
@given(st.lists(st.sampled_from([None, 1.0, 4.0, 8.0]), max_size=30))
def test_the_account_is_the_sum_in_any_order(multipliers) -> None:
    sent = UpdatesSent()
    before = -1.0
    for multiplier in multipliers:
        sent = sent.after(None if multiplier is None else noise(multiplier), 0.0)
        assert sent.epsilon() >= before
        before = sent.epsilon()
    counts = {each: multipliers.count(each) for each in (1.0, 4.0, 8.0)}
    assert sent.epsilon() == epsilon(counts)
    assert sent.plain == multipliers.count(None)
