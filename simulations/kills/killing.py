"""Killing processes of a fleet with -9, at moments and of kinds that are drawn at random."""

import json
import os
import signal
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from coordinator.federation.conducting import rounds_of
from coordinator.federation.plan import read_outcome
from coordinator.federation.server_app import LOG_FILE
from simulations.kills.fleet import KINDS, Kind, Living, LoopbackFleet
from simulations.measurement import say

_LATEST_S = 4.0
"""After a round's first site was asked."""
_LONGEST_RESUMING_S = 300.0
_LONGEST_START_S = 240.0
_ANYWHERE_S = 15.0
"""A round lasts about so long: from one resumption to the next kill any moment of it is as likely."""


def kill_in_every_round(
    fleet: LoopbackFleet, folder: Path, rng: np.random.Generator, longest_s: float
) -> list[dict[str, Any]]:
    """Kill one process in every round until the end: each kind once in random order, then again.

    Returns
    -------
    list of dict
        Which process was killed in which round. A round that ended before its kill has none; later kills
        then come sooner after the beginning of a round.
    """
    killed: dict[int, dict[str, Any]] = {}
    kinds: list[Kind] = []
    latest_s, deadline = _LATEST_S, time.monotonic() + longest_s

    def disturb() -> bool:
        nonlocal latest_s
        number = len(rounds_of(folder)) + 1
        if number not in killed and is_asked(folder, number):
            kinds[:] = kinds or rng.permutation(KINDS).tolist()
            wait(fleet, float(rng.uniform(0.0, latest_s)))
            victim = _victim(fleet, folder, kinds[-1], number, rng)
            if victim is None:
                latest_s /= 2
            else:
                kill(victim)
                killed[number] = {"round": number, "kind": kinds.pop(), "where": victim.where}
                say(f"round {number}: the {victim.kind} of {victim.where} is killed")
        return read_outcome(folder) is not None or time.monotonic() > deadline

    fleet.until(disturb, longest_s + _LONGEST_RESUMING_S, "the rounds to end")
    return [*killed.values()]


def _victim(
    fleet: LoopbackFleet, folder: Path, kind: Kind, number: int, rng: np.random.Generator
) -> Living | None:
    """Await a process of a kind, for as long as a round lasts."""
    found: list[Living] = []

    def seen() -> bool:
        found[:] = [each for each in fleet.living() if each.kind == kind]
        return bool(found) or len(rounds_of(folder)) + 1 != number or read_outcome(folder) is not None

    fleet.until(seen, _LONGEST_RESUMING_S, f"a {kind} to kill")
    if not found or len(rounds_of(folder)) + 1 != number:
        return None
    return found[rng.integers(len(found))]


def interrupt_coordinator(
    fleet: LoopbackFleet, folder: Path, rng: np.random.Generator, kills: int
) -> list[dict[str, Any]]:
    """Kill the coordinator at random points; returns how long it took each time until the round went on.

    A round goes on once a server app that started after the kill has asked a site for it, or, where
    nothing was left to be asked, has completed it.
    """
    fleet.until(lambda: is_asked(folder, 1), _LONGEST_START_S, "the first round to begin")
    found = [_interrupted(fleet, folder, float(rng.uniform(0.0, _ANYWHERE_S))) for _ in range(kills)]
    last = found[-1]["resumed_round"]
    fleet.until(lambda: len(rounds_of(folder)) >= last, _LONGEST_RESUMING_S, f"round {last} to end")
    return found


def _interrupted(fleet: LoopbackFleet, folder: Path, after_s: float) -> dict[str, Any]:
    wait(fleet, after_s)
    at, number = time.time(), len(rounds_of(folder)) + 1
    kill(next(each for each in fleet.living() if each.kind == "coordinator"))
    fleet.until(lambda: goes_on(folder, at), _LONGEST_RESUMING_S, "the round to go on")
    resumed = goes_on(folder, at)
    assert resumed is not None
    say(f"coordinator killed in round {number}: goes on after {resumed['at'] - at:.1f} s")
    # What was written just before the kill may have been the end of its round.
    ended = number < resumed["round"] == len(rounds_of(folder)) + 1
    return {
        "round": number,
        "resumed_round": resumed["round"],
        "same_round": number == resumed["round"] or ended,
        "started_s": round(resumed["started"] - at, 1),
        "resumed_s": round(resumed["at"] - at, 1),
    }


def kill(victim: Living) -> None:
    """End a process with -9; one that has just ended by itself is as good as killed."""
    with suppress(ProcessLookupError):
        os.kill(victim.pid, signal.SIGKILL)


def wait(fleet: LoopbackFleet, seconds: float) -> None:
    """Let the fleet go on for a while."""
    end = time.monotonic() + seconds
    fleet.until(lambda: time.monotonic() >= end, seconds + 60.0, "time to pass")


def is_asked(folder: Path, number: int) -> bool:
    """Whether sites were asked for a round."""
    return any(each["event"] == "asked" and each["round"] == number for each in said(folder))


def goes_on(folder: Path, after: float) -> dict[str, Any] | None:
    """Find when the last server app that started after a moment took a round up; None while it has not."""
    started: float | None = None
    found: dict[str, Any] | None = None
    for each in said(folder):
        if each["event"] == "started" and each["at"] > after:
            started, found = each["at"], None
        elif started is not None and found is None and each["event"] in {"asked", "completed"}:
            number = each["round"] if each["event"] == "asked" else each["number"]
            found = {"round": number, "at": each["at"], "started": started}
    return found


def said(folder: Path) -> list[dict[str, Any]]:
    """Read whole lines of what the server apps logged; `at` is in seconds since the epoch."""
    path = folder / LOG_FILE
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError, KeyError):
            told = json.loads(line)
            moment = datetime.fromisoformat(told["timestamp"])
            found.append(told | {"at": moment.timestamp()})
    return found
