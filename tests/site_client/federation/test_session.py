"""One federation on a site, with a real trainer and real sockets; only Flower's programs are stood in for."""

import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from model_library.cards.privacy import epsilon
from model_library.networks.build import build
from model_library.signing.digests import sha256_file
from model_library.signing.keys import generate_instrument_key
from model_library.wire.delta_coding import unpack
from model_library.wire.tasks import SuperResolve
from site_client.errors import AdaptationRefused
from site_client.federation.account import UpdateAccount
from site_client.federation.desk import UPDATE_FILE, WEIGHTS_FILE, ask_desk
from site_client.federation.session import Admission, Session
from site_client.frames import AcceptedFile
from site_client.identity import Identity


class Answers(list):
    def __call__(self, outcome, update_bytes: int) -> None:
        self.append((outcome, update_bytes))


@pytest.fixture
def session_of(site, frame_of, stand_ins, entities, invitation_of, tmp_path):
    opened = []

    def make(*, gone: bool = False, settings=None, clock=time.time) -> tuple[Session, Answers]:
        files = []
        for number in range(3):
            path = site.acquire(number, frame_of(number, (64, 64)))
            files.append(AcceptedFile(path.name, sha256_file(path), "a"))
            if gone:
                path.unlink()
        identity = Identity("instrument-1", generate_instrument_key(), tmp_path / "ca.pem", "")
        answers = Answers()
        session = Session(
            site.folder,
            settings or site.settings,
            identity,
            Admission(invitation_of(), files),
            account=UpdateAccount(site.memory.journal, settings or site.settings, clock),
            answered=answers,
        )
        session.open(entities)
        opened.append(session)
        return session, answers

    yield make
    for session in opened:
        session.close()


def ask(session: Session, site, plan) -> Path:
    exchange = lay_out(site, plan)
    ask_desk(session._desk.path, exchange, plan)
    return exchange


def lay_out(site, plan) -> Path:
    exchange = Path(tempfile.mkdtemp(dir=site.folder / "federation" / "exchange"))
    save_file(
        {key: tensor.numpy().copy() for key, tensor in build(plan.config).state_dict().items()},
        exchange / WEIGHTS_FILE,
    )
    return exchange


def test_rounds_are_answered_by_one_trainer_until_it_ends(session_of, site, plan_of, until) -> None:
    session, answers = session_of()
    exchange = ask(session, site, plan_of())
    trainer = session._trainer.pid
    exchange = ask(session, site, plan_of(number=2))
    update = unpack((exchange / UPDATE_FILE).read_bytes(), 1 << 20)
    assert update.keys() == load_file(exchange / WEIGHTS_FILE).keys()
    assert session._trainer.pid == trainer
    assert [(report.number, report.fields) for report, _ in answers] == [(1, ("stage:a",)), (2, ("stage:a",))]
    assert answers[1][1] == (exchange / UPDATE_FILE).stat().st_size
    session.close()
    assert session._trainer.pid is None
    assert not (site.folder / "federation" / "exchange").exists()


def test_a_site_goes_online_only_when_its_trainer_is_ready(session_of, stand_ins, until) -> None:
    session, _ = session_of()
    begun = stand_ins / "flower-supernode.starts"
    trainers = []

    def online() -> bool:
        assert session.keep_up() is None
        trainers.append(session._preparing.is_alive())
        return begun.exists()

    until(online, 60)
    assert trainers[0]
    assert not trainers[-1]
    session.close()
    assert not session._node._supervisor.alive("supernode")


def test_a_trainer_that_is_killed_is_named_and_replaced(session_of, site, plan_of, until) -> None:
    session, answers = session_of()
    ask(session, site, plan_of())
    killer = threading.Timer(0.5, lambda: os.kill(session._trainer.pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(AdaptationRefused, match=r"trainer died: .*SIGKILL"):
        ask(session, site, plan_of(number=2, steps=1_000_000))
    killer.join()
    ask(session, site, plan_of(number=3))
    assert [type(outcome).__name__ for outcome, _ in answers] == [
        "AdaptationReport",
        "AdaptationRefused",
        "AdaptationReport",
    ]


def test_a_plan_that_takes_too_long_is_cut_short_in_time(session_of, site, plan_of) -> None:
    session, answers = session_of()
    ask(session, site, plan_of())
    ask(session, site, plan_of(number=2, steps=1_000_000, deadline_s=6.0))
    assert 1 <= answers[1][0].steps < 1_000_000


def test_plans_for_others_are_refused_without_training(session_of, site, plan_of) -> None:
    session, answers = session_of()
    with pytest.raises(AdaptationRefused, match="to which this site is invited, found one of fed-2"):
        ask(session, site, plan_of(federation_id="fed-2"))
    with pytest.raises(AdaptationRefused, match="this site's task"):
        ask(session, site, plan_of(task=SuperResolve(scale=2)))
    assert [size for _, size in answers] == [0, 0]
    assert not list((site.folder / "federation" / "exchange").glob(f"*/{UPDATE_FILE}"))


def test_frames_that_are_gone_are_told_before_the_first_round(session_of, site, until) -> None:
    _, answers = session_of(gone=True)
    until(lambda: answers, 60)
    assert "none of 3 is readable" in str(answers[0][0])


def test_leaving_in_mid_round_ends_it_at_once_and_blames_nobody(session_of, site, plan_of, until) -> None:
    session, answers = session_of()
    plan = plan_of(steps=1_000_000)
    exchange = lay_out(site, plan)
    refused = []

    def work() -> None:
        with pytest.raises(AdaptationRefused) as refusal:
            ask_desk(session._desk.path, exchange, plan)
        refused.append(str(refusal.value))

    asker = threading.Thread(target=work)
    asker.start()
    until(session._desk._answering.locked)
    session.close()
    asker.join(10)
    assert refused
    assert answers == []
    assert session._trainer.pid is None


REFUSED_PLANS = {
    "less noise than the owner demands": (
        {"least_noise_multiplier": 4.0},
        {"privacy": {"clip_norm": 1.0, "noise_multiplier": 1.0}},
        "at least 4",
    ),
    "no noise": ({"most_epsilon": 5.0}, {}, "found one without"),
    "its own version, which the owner keeps": ({}, {"kind": "personal"}, "share_personal = true"),
    "an update, where none may leave": ({"most_updates_per_day": 0}, {}, "at most 0 updates a day"),
}


@pytest.mark.parametrize(("bounds", "wanted", "cause"), REFUSED_PLANS.values(), ids=REFUSED_PLANS.keys())
def test_a_coordinator_that_asks_for_more_than_the_owner_allows_is_refused(
    session_of, site, plan_of, bounds, wanted, cause
) -> None:
    session, answers = session_of(settings=site.settings.model_copy(update=bounds))
    exchange = lay_out(site, plan_of())
    with pytest.raises(AdaptationRefused, match=cause):
        ask_desk(session._desk.path, exchange, plan_of(**wanted))
    assert not (exchange / UPDATE_FILE).exists()
    assert [type(outcome) for outcome, _ in answers] == [AdaptationRefused]


def test_every_answer_is_accounted_also_one_that_is_asked_for_again(session_of, site, plan_of) -> None:
    privacy = {"clip_norm": 1.0, "noise_multiplier": 8.0}
    bounds = {"most_epsilon": epsilon({8.0: 2}), "share_personal": True}
    session, answers = session_of(settings=site.settings.model_copy(update=bounds))
    ask(session, site, plan_of(privacy=privacy))
    ask(session, site, plan_of(privacy=privacy))
    with pytest.raises(AdaptationRefused, match="budget of this site"):
        ask(session, site, plan_of(number=4, kind="personal", privacy=privacy))
    assert session._account.told().updates_with_noise == 2
    assert [update_bytes > 0 for _, update_bytes in answers] == [True, True, False]
