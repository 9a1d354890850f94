"""A replay: pairs of blocks with and without the daemon, an idle while, then writing under kills."""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from model_library.processes.child import Child
from model_library.processes.supervisor import Started, Supervisor
from simulations.fleet import ENVIRONMENT
from simulations.processes import Usage, family, frozen, usage
from simulations.replay.accounts import (
    Entry,
    closed_to_read_ms,
    closed_to_result_ms,
    losses,
    read_results,
    spread,
    writer_cost,
)
from simulations.replay.first_frame import first_frame
from simulations.replay.frames import Manner, Written
from simulations.replay.report import Idle, Plan, ReplayReport, machine
from simulations.replay.rig import Rig
from simulations.replay.writer import Block

_FEWEST_KEPT, _MOST_KEPT = 8, 64
"""Frames in a folder while writes are timed: so many fit into no cache, with the daemon or without."""
_KILL_WORD = 73
_LONGEST_LIFE_S = 3.0
_WRITER_S, _KEEPS_UP_S, _NO_PROGRESS_S = 600.0, 120.0, 90.0
_LOOK_S = 0.1
_ELSEWHERE = "elsewhere"


class Session:
    """One replay in a folder.

    Parameters
    ----------
    tell
        Called with a line of progress.
    """

    def __init__(self, folder: Path, plan: Plan, supervisor: Supervisor, tell: Callable[[str], None]) -> None:
        self._plan, self._supervisor, self._tell = plan, supervisor, tell
        self._folder = folder
        self._rig = Rig(folder, supervisor)
        self._writer = Child(
            [sys.executable, "-m", "simulations.replay.writer"],
            log=folder / "log" / "writer.log",
            environment=ENVIRONMENT,
        )
        self._next = 1
        self._written: list[Written] = []
        self._lying: dict[Path, list[Path]] = {}
        self._kept = min(_MOST_KEPT, max(_FEWEST_KEPT, plan.pairs * plan.block))

    def run(self) -> ReplayReport:
        """Run the whole replay.

        Raises
        ------
        ProcessFailed
            A process ends in failure, or something does not come about in time.
        """
        load_before = os.getloadavg()[0]
        try:
            self._prepare()
            pairs = self._pairs()
            entries = self._settled()
            undisturbed = [frame for beside, _ in pairs for frame in beside]
            idle = self._idle()
            self._tell("starting the daemon anew, for its first frame")
            self._supervisor.end("daemon")
            first = first_frame(self._rig, self._start_anew, lambda: self._acquire(1)[0], self._settled)
            began = time.monotonic()
            self._under_kills()
            self._drained()
            replay_s = time.monotonic() - began
        finally:
            self._writer.stop()
        self._supervisor.end("daemon")
        self._tell("reading every result")
        plan, found = self._plan, self._entries()
        return ReplayReport(
            frames=len(self._written),
            slow_written=sum(frame.manner is Manner.SLOW for frame in self._written),
            renamed=sum(frame.manner is Manner.RENAMED for frame in self._written),
            kills=plan.kills,
            losses=losses(self._written, found, read_results(self._rig.results)),
            leftovers=sum(path.name.startswith(".") for path in self._rig.results.rglob("*")),
            frame_px=plan.side_px,
            fast_px=plan.fast_px,
            method=plan.method,
            seed=plan.seed,
            closed_to_read_ms=closed_to_read_ms(undisturbed, entries),
            closed_to_result_less_inference_ms=closed_to_result_ms(undisturbed, entries),
            inference_ms=spread(1e3 * entry.busy_s for entry in entries),
            writer=writer_cost(pairs),
            idle=idle,
            first_frame=first,
            replay_s=replay_s,
            machine=machine(load_before),
        )

    def _prepare(self) -> None:
        """Everything up, the method in service, and each process past its first frame."""
        self._tell("founding a coordinator, enrolling a site")
        self._rig.found(heartbeat_s=2.0, federate=False)
        release_id = self._rig.release(self._plan.method)
        self._daemon: Started = self._rig.start_daemon()
        with self._rig.read() as reader:
            self._rig.until(lambda: reader.serves(release_id), 300, f"{release_id} to be installed")
        self._acquire(self._kept)
        self._settled()
        self._write(self._folder / _ELSEWHERE, self._kept)

    def _pairs(self) -> list[tuple[list[Written], list[Written]]]:
        """Blocks beside the daemon and alone, by pair; by chance either comes first."""
        plan = self._plan
        chance = np.random.default_rng([_KILL_WORD, plan.seed, 0])
        found = []
        for pair in range(plan.pairs):
            beside_first = chance.random() < 0.5
            blocks: dict[bool, list[Written]] = {}
            for beside in (beside_first, not beside_first):
                if beside:
                    blocks[beside] = self._acquire(plan.block)
                    self._settled()
                    continue
                with frozen(self._daemon.process.pid):
                    blocks[beside] = self._write(self._folder / _ELSEWHERE, plan.block)
            found.append((blocks[True], blocks[False]))
            self._tell(f"pair {pair + 1} of {plan.pairs}, with and without the daemon")
        return found

    def _idle(self) -> Idle:
        self._tell(f"watching the idle daemon for {self._plan.idle_s:.0f} s")
        time.sleep(1.0)
        pid = self._daemon.process.pid
        before, everybody = usage(pid), _usage_of_all(pid)
        began = time.monotonic()
        time.sleep(self._plan.idle_s)
        seconds = time.monotonic() - began
        after, everybody_after = usage(pid), _usage_of_all(pid)
        return Idle(
            seconds=seconds,
            rss_mb=after.rss_bytes / 1e6,
            cpu_share=(after.cpu_s - before.cpu_s) / seconds,
            rss_mb_with_children=everybody_after.rss_bytes / 1e6,
            cpu_share_with_children=(everybody_after.cpu_s - everybody.cpu_s) / seconds,
        )

    def _under_kills(self) -> None:
        """Write in as many blocks as there are kills and one more; each kill strikes at a random moment."""
        plan = self._plan
        chance = np.random.default_rng([_KILL_WORD, plan.seed, 1])
        shares = np.diff(np.linspace(0, plan.frames, plan.kills + 2).astype(int))
        with ThreadPoolExecutor(1) as beside:
            for number, count in enumerate(shares, start=1):
                writing = beside.submit(self._acquire, int(count), fast=True) if count else None
                if number <= plan.kills:
                    time.sleep(chance.uniform(0.0, _LONGEST_LIFE_S))
                    self._kill()
                    self._tell(f"kill {number} of {plan.kills}; {len(self._written)} frames written")
                if writing is not None:
                    writing.result()

    def _kill(self) -> None:
        self._daemon.process.kill()
        self._daemon.process.wait()
        self._start_anew()

    def _start_anew(self) -> int:
        self._daemon = self._rig.start_daemon()
        return self._daemon.process.pid

    def _acquire(self, count: int, *, fast: bool = False) -> list[Written]:
        written = self._write(self._rig.acquisitions, count, fast=fast)
        self._written += written
        return written

    def _write(self, folder: Path, count: int, *, fast: bool = False) -> list[Written]:
        plan, lying = self._plan, self._lying.setdefault(folder, [])
        # They have their results by now.
        emptied = [] if fast else lying[: max(0, len(lying) + count - self._kept)]
        block = Block(
            folder=folder,
            emptied=tuple(emptied),
            first=self._next,
            count=count,
            side_px=plan.fast_px if fast else plan.side_px,
            seed=plan.seed,
            interval_s=0.0 if fast else plan.interval_s,
        )
        self._next += count
        answer = self._writer.ask(block.model_dump(mode="json"), _WRITER_S)
        written = [Written.model_validate(each) for each in answer["written"]]
        self._lying[folder] = lying[len(emptied) :] + [folder / each.name for each in written]
        return written

    def _settled(self) -> tuple[Entry, ...]:
        """Wait until every frame that was written has its result."""
        wanted = len(self._written)
        with self._rig.read() as reader:
            self._rig.until(
                lambda: reader.memory.ledger.counts().reconstructed >= wanted,
                _KEEPS_UP_S,
                "the results of all frames so far",
            )
        return self._entries()

    def _drained(self) -> None:
        """Wait until every frame has its result, or none comes any more: then the accounts say so."""
        done, moved_at = -1, time.monotonic()
        with self._rig.read() as reader:
            while done < len(self._written) and time.monotonic() < moved_at + _NO_PROGRESS_S:
                now_done = reader.memory.ledger.counts().reconstructed
                if now_done > done:
                    done, moved_at = now_done, time.monotonic()
                time.sleep(_LOOK_S)

    def _entries(self) -> tuple[Entry, ...]:
        with self._rig.read() as reader:
            return tuple(
                Entry(row["sha256"], row["state"], row["arrived_at"], row["finished_at"], row["busy_s"])
                for row in reader.rows()
                if row["sequence"] is not None
            )


def replay(folder: Path, plan: Plan, tell: Callable[[str], None]) -> ReplayReport:
    """Replay in a folder; every process has ended when this returns or raises."""
    folder.mkdir(parents=True, exist_ok=True)
    with Supervisor(folder / "log", ENVIRONMENT) as supervisor:
        return Session(folder, plan, supervisor, tell).run()


def _usage_of_all(pid: int) -> Usage:
    return sum((usage(each) for each in family(pid)), Usage(0, 0.0))
