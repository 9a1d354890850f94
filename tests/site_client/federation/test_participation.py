"""A site joins when it is invited and may, and leaves when the invitation ends, whoever ends it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.splits import field_key
from model_library.cards.privacy import Privacy
from model_library.signing.digests import sha256_file
from model_library.wire.tasks import SuperResolve
from site_client.coordinator_client import CoordinatorClient
from site_client.errors import AdaptationRefused
from site_client.federation.account import UpdateAccount
from site_client.federation.participation import Participation, choose
from site_client.federation.standing import read_standing
from site_client.frames import AcceptedFile, Header, Stamp
from site_client.identity import read_identity
from site_client.journal import BytesKind
from site_client.trusted import CoordinatorFetcher, TrustedTargets


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class StandIn:
    """A session that only remembers what was wanted of it."""

    made: list["StandIn"]

    def __init__(self, folder, settings, identity, admission, *, account, answered) -> None:
        self.federation_id = admission.invitation.federation_id
        self.files, self.answered = admission.files, answered
        self.entities, self.is_open, self.died = None, False, None
        type(self).made.append(self)

    def open(self, entities) -> None:
        self.entities, self.is_open = entities, True

    def keep_up(self) -> str | None:
        return self.died

    def interrupt(self) -> None:
        return

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def sessions(monkeypatch) -> list[StandIn]:
    made: list[StandIn] = []
    kind = type("Session", (StandIn,), {"made": made})
    monkeypatch.setattr("site_client.federation.participation.Session", kind)
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(enrolled):
    client = CoordinatorClient(
        enrolled.settings, read_identity(enrolled.folder), enrolled.journal.count_bytes
    )
    yield client
    client.close()


@pytest.fixture
def participation_of(enrolled, client, coordinator, entities, clock, sessions):
    coordinator.trust(entities)
    for number in range(1, 5):
        path = enrolled.acquire(number)
        stamp = Stamp(path.stat().st_size, path.stat().st_mtime_ns)
        header = Header(sha256_file(path), 4, 4.0, f"field-{number % 2}")
        enrolled.ledger.accept(path.name, stamp, header, now=0, exists=lambda _: True)
    targets = TrustedTargets(
        enrolled.folder,
        read_identity(enrolled.folder),
        url=client.releases_url,
        fetcher=CoordinatorFetcher(client),
        journal=enrolled.journal,
    )

    def make(**changes) -> Participation:
        settings = enrolled.settings.model_copy(update=changes)
        return Participation(enrolled.folder, settings, client, enrolled.memory, targets, clock=clock)

    return make


@pytest.fixture
def participation(participation_of) -> Participation:
    return participation_of()


def test_without_an_invitation_nothing_is_done(participation, sessions, coordinator, enrolled) -> None:
    assert participation.step() > 60
    assert (sessions, coordinator.claims) == ([], [])
    assert read_standing(enrolled.journal).state == "apart"


def test_an_invited_site_joins_with_its_granted_frames_and_the_signed_trust(
    participation, sessions, coordinator, invitation_of, enrolled, entities
) -> None:
    coordinator.tuning = lambda field: field == "stage:field-1"
    assert participation.invite(invitation_of())
    participation.step()
    assert coordinator.claims == [["stage:field-0", "stage:field-1"]]
    (session,) = sessions
    assert session.is_open
    assert session.entities == entities
    assert [file.path for file in session.files] == ["frame-003.tif", "frame-001.tif"]
    standing = read_standing(enrolled.journal)
    assert (standing.state, standing.federation_id, standing.rounds) == ("taking_part", "fed-1", 3)
    assert participation.step() == 1.0


def test_repeating_the_invitation_changes_nothing(participation, sessions, invitation_of) -> None:
    assert participation.invite(invitation_of())
    participation.step()
    assert not participation.invite(invitation_of(ends_in_s=500.0))
    participation.step()
    assert len(sessions) == 1


def test_the_site_leaves_when_the_invitation_is_withdrawn(
    participation, sessions, invitation_of, enrolled, clock
) -> None:
    participation.invite(invitation_of())
    participation.step()
    assert participation.invite(None)
    clock.now += 11
    assert not participation.invite(None)
    assert participation.step() > 60
    assert not sessions[0].is_open
    assert read_standing(enrolled.journal).state == "apart"


def test_a_coordinator_that_invites_nobody_for_a_moment_loses_nobody(
    participation, sessions, invitation_of, clock
) -> None:
    participation.invite(invitation_of())
    participation.step()
    participation.invite(None)
    clock.now += 8
    participation.step()
    assert participation.invite(invitation_of())
    clock.now += 8
    participation.step()
    assert [session.is_open for session in sessions] == [True]


def test_an_invitation_that_was_withdrawn_before_the_site_could_join_is_not_followed(
    participation, sessions, invitation_of, coordinator, enrolled
) -> None:
    coordinator.down = True
    participation.invite(invitation_of())
    participation.step()
    coordinator.down = False
    participation.invite(None)
    participation.step()
    assert sessions == []
    assert read_standing(enrolled.journal).state == "apart"


def test_the_site_leaves_when_time_is_over_though_nobody_says_so(
    participation, sessions, invitation_of, clock
) -> None:
    participation.invite(invitation_of(ends_in_s=30.0))
    participation.step()
    clock.now += 29
    participation.step()
    assert sessions[0].is_open
    clock.now += 2
    participation.step()
    assert not sessions[0].is_open
    assert participation.invite(invitation_of(ends_in_s=30.0))  # the coordinator is back, and gave more time
    participation.step()
    assert sessions[1].is_open


def test_another_federation_takes_the_place_of_the_first(participation, sessions, invitation_of) -> None:
    participation.invite(invitation_of())
    participation.step()
    assert participation.invite(invitation_of(federation_id="fed-2"))
    participation.step()
    assert [(each.federation_id, each.is_open) for each in sessions] == [("fed-1", False), ("fed-2", True)]


def test_an_owner_who_does_not_federate_is_never_joined(
    participation_of, sessions, invitation_of, coordinator
) -> None:
    participation = participation_of(federate=False)
    assert not participation.invite(invitation_of())
    participation.step()
    assert (sessions, coordinator.claims) == ([], [])


@pytest.mark.parametrize("shift_s", [-10.0, 400.0])
def test_a_wrong_clock_is_an_alarm_and_no_joining_until_it_is_set(
    participation, sessions, invitation_of, coordinator, client, enrolled, shift_s
) -> None:
    coordinator.clock_shift_s = shift_s
    client.call("POST", "/v1/heartbeat", content=b"{}")
    participation.invite(invitation_of())
    assert participation.step() == 15.0
    assert sessions == []
    assert "set it (NTP)" in enrolled.journal.alarms()["clock"]
    assert "clock" in read_standing(enrolled.journal).cause
    coordinator.clock_shift_s = 0.0
    client.call("POST", "/v1/heartbeat", content=b"{}")
    participation.step()
    assert sessions[0].is_open
    assert enrolled.journal.alarms() == {}
    assert read_standing(enrolled.journal).cause is None


def test_the_alarm_ends_with_the_first_talk_after_the_clock_was_set_invited_or_not(
    participation, invitation_of, coordinator, client, enrolled, clock
) -> None:
    coordinator.clock_shift_s = -10.0
    client.call("POST", "/v1/heartbeat", content=b"{}")
    participation.invite(invitation_of(ends_in_s=30.0))
    participation.step()
    clock.now += 60
    client.call("POST", "/v1/heartbeat", content=b"{}")
    participation.invite(None)
    assert "clock" in enrolled.journal.alarms()
    coordinator.clock_shift_s = 0.0
    client.call("POST", "/v1/heartbeat", content=b"{}")
    participation.invite(None)
    assert enrolled.journal.alarms() == {}


def test_a_clock_that_is_right_is_measured_so(client) -> None:
    client.call("POST", "/v1/heartbeat", content=b"{}")
    assert abs(client.clock_ahead_s) < 2.0


def test_a_federation_that_is_over_is_not_asked_for_again(
    participation, sessions, invitation_of, coordinator, enrolled
) -> None:
    coordinator.federation_over = True
    participation.invite(invitation_of())
    participation.step()
    participation.step()
    assert len(coordinator.claims) == 1
    assert "it is over" in read_standing(enrolled.journal).cause
    coordinator.federation_over = False
    participation.invite(invitation_of(federation_id="fed-2"))
    participation.step()
    assert [session.federation_id for session in sessions] == ["fed-2"]


def test_a_coordinator_that_is_away_is_asked_again_later(
    participation, sessions, invitation_of, coordinator, enrolled
) -> None:
    coordinator.down = True
    participation.invite(invitation_of())
    assert participation.step() == 15.0
    assert read_standing(enrolled.journal).state == "joining"
    coordinator.down = False
    participation.step()
    assert sessions[0].is_open


def test_without_frames_for_tuning_there_is_nothing_to_offer(
    participation, sessions, invitation_of, coordinator, enrolled
) -> None:
    coordinator.tuning = lambda field: False
    participation.invite(invitation_of())
    participation.step()
    assert sessions == []
    assert "none among the 2 fields" in read_standing(enrolled.journal).cause


def test_an_invitation_for_another_task_is_refused(participation, sessions, invitation_of, enrolled) -> None:
    participation.invite(invitation_of(task=SuperResolve(scale=2)))
    participation.step()
    assert sessions == []
    assert "this site's task" in read_standing(enrolled.journal).cause


@pytest.mark.parametrize("published", [{}, {"fpk_a": "ssh-rsa AAAA"}, ["x"]])
def test_trust_in_nobody_or_in_nonsense_starts_nothing(
    participation, sessions, invitation_of, coordinator, enrolled, published
) -> None:
    coordinator.trust(published)
    participation.invite(invitation_of())
    participation.step()
    assert sessions == []
    assert "public keys by id" in enrolled.journal.alarms()["federation"]


def test_trust_that_was_tampered_with_starts_nothing(
    participation, sessions, invitation_of, coordinator, enrolled, entities
) -> None:
    coordinator.tampered["trusted-entities"] = lambda content: content.replace(b"AAAA", b"BBBB")
    participation.invite(invitation_of())
    participation.step()
    assert sessions == []
    assert enrolled.journal.alarms()["federation"]
    coordinator.tampered.clear()
    participation.step()
    assert sessions[0].entities == entities
    assert enrolled.journal.alarms() == {}


def test_rounds_and_their_bytes_are_remembered(
    participation, sessions, invitation_of, report_of, enrolled
) -> None:
    participation.invite(invitation_of())
    participation.step()
    sessions[0].answered(report_of(number=1), 1000)
    sessions[0].answered(AdaptationRefused("no time"), 0)
    assert read_standing(enrolled.journal).cause == "no time"
    sessions[0].answered(report_of(number=2), 500)
    standing = read_standing(enrolled.journal)
    assert (standing.rounds_done, standing.cause) == (2, None)
    assert enrolled.journal.bytes_out()[BytesKind.UPDATES] == 1500
    kinds = [event.kind for event in enrolled.journal.events()]
    assert kinds.count("federation-round") == 2
    assert kinds.count("federation-trouble") == 1


def test_processes_that_die_are_told_once_each_time(participation, sessions, invitation_of, enrolled) -> None:
    participation.invite(invitation_of())
    participation.step()
    sessions[0].died = "expected supernode to keep running, found that it ended with code -9"
    participation.step()
    sessions[0].died = None
    participation.step()
    assert "code -9" in read_standing(enrolled.journal).cause


def test_programs_that_do_not_start_are_told_and_tried_again(
    participation, sessions, invitation_of, enrolled, monkeypatch
) -> None:
    participation.invite(invitation_of())
    participation.step()

    def fail() -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(sessions[0], "keep_up", fail)
    assert participation.step() == 15
    assert not sessions[0].is_open
    assert read_standing(enrolled.journal).cause == "No space left on device"
    participation.step()
    assert sessions[1].is_open


def test_a_trainer_that_cannot_prepare_is_told_and_the_site_stays(
    participation, sessions, invitation_of, enrolled
) -> None:
    participation.invite(invitation_of())
    participation.step()
    sessions[0].answered(AdaptationRefused("no frame is readable"), 0)
    participation.step()
    assert sessions[0].is_open
    standing = read_standing(enrolled.journal)
    assert (standing.state, standing.cause) == ("taking_part", "no frame is readable")


def test_a_daemon_that_ends_leaves_and_one_that_starts_is_apart(
    participation_of, sessions, invitation_of, enrolled, report_of
) -> None:
    first = participation_of()
    first.invite(invitation_of())
    first.step()
    sessions[0].answered(report_of(number=2), 10)
    second = participation_of()  # the first was killed and told nobody
    standing = read_standing(enrolled.journal)
    assert (standing.state, standing.rounds_done) == ("apart", 2)
    second.invite(invitation_of())
    second.step()
    assert read_standing(enrolled.journal).rounds_done == 2
    second.interrupt()
    second.close()
    assert not sessions[1].is_open
    second.step()
    assert len(sessions) == 2


files = st.lists(
    st.builds(AcceptedFile, st.uuids().map(str), st.uuids().map(str), st.sampled_from(["a", "b", "c", None])),
    max_size=40,
    unique_by=lambda file: file.sha256,
)


@given(files, st.integers(1, 20), st.sets(st.sampled_from(["stage:a", "stage:b", "stage:c"])))
def test_only_granted_frames_are_chosen_and_every_field_in_turn(found, most, stages) -> None:
    unlabelled = {field_key(file.field, file.sha256) for file in found[::2] if file.field is None}
    granted = frozenset(stages | unlabelled)
    usable = [file for file in found if field_key(file.field, file.sha256) in granted]
    chosen = choose(found, granted, most)
    assert len(chosen) == min(most, len(usable)) == len(set(chosen))
    assert set(chosen) <= set(usable)
    for field in granted:
        of_field = [file for file in usable if field_key(file.field, file.sha256) == field]
        taken = [file for file in chosen if file in of_field]
        assert taken == of_field[: len(taken)]  # the newest of each
        if len(taken) < len(of_field):
            other = max(
                (sum(field_key(f.field, f.sha256) == each for f in chosen) for each in granted), default=0
            )
            assert other <= len(taken) + 1


def test_a_site_whose_privacy_budget_is_used_up_takes_no_part(
    participation_of, sessions, coordinator, invitation_of, enrolled
) -> None:
    bounds = {"least_noise_multiplier": 8.0, "most_epsilon": 1.2}
    first = participation_of(**bounds)
    assert first.invite(invitation_of())
    first.step()
    # The one update that the budget holds.
    UpdateAccount(enrolled.journal, enrolled.settings, lambda: 0.0).spend(
        Privacy(clip_norm=1.0, noise_multiplier=8.0)
    )
    later = participation_of(**bounds)
    assert not later.invite(invitation_of(federation_id="fed-2"))
    later.step()
    assert len(sessions) == len(coordinator.claims) == 1
    assert "used up" in enrolled.journal.alarms()["privacy"]


@pytest.mark.parametrize("bounds", [{"federate": False}, {"most_updates_per_day": 0}])
def test_an_owner_who_lets_no_update_out_is_not_moved_by_an_invitation(
    participation_of, sessions, coordinator, invitation_of, bounds
) -> None:
    participation = participation_of(**bounds)
    assert not participation.invite(invitation_of())
    participation.step()
    assert (sessions, coordinator.claims) == ([], [])
