"""What is replayed, and what a replay reports."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from model_library.wire.base import Message
from model_library.wire.methods import MethodRef
from simulations.replay.accounts import Losses, Spread, WriterCost
from simulations.replay.first_frame import FirstFrame


@dataclass(frozen=True, slots=True)
class Plan:
    """What is replayed.

    Attributes
    ----------
    frames, fast_px
        Written while the daemon is killed `kills` times, as fast as it goes, and their side.
    pairs, block, side_px
        Blocks with and without the daemon in turns, and frames in each, one every `interval_s`; their side.
    idle_s
        How long the idle daemon is watched.
    """

    frames: int
    kills: int
    method: MethodRef
    seed: int = 0
    side_px: int = 1024
    fast_px: int = 128
    pairs: int = 20
    block: int = 10
    interval_s: float = 0.15
    idle_s: float = 20.0


class Idle(Message):
    """The daemon with nothing to do; `with_children` counts its inspector and worker too.

    CPU is a share of one core.
    """

    seconds: float
    rss_mb: float
    cpu_share: float
    rss_mb_with_children: float
    cpu_share_with_children: float


class Machine(Message):
    """Where it ran; the load averages of one minute, before and after, tell what else ran there."""

    processor: str
    cores: int
    load_before: float
    load_after: float


class ReplayReport(Message):
    """What `synoptic benchmark daemon --json` writes.

    Attributes
    ----------
    frames, slow_written, renamed
        All that the acquisition folder was given.
    leftovers
        Unfinished files that are left in the results folder.
    frame_px, fast_px
        Side of the frames of the blocks, and of those under kills.
    closed_to_read_ms
        From a file's close to the moment at which it was read whole and is accepted.
    closed_to_result_less_inference_ms
        From a file's close to its durable result, without the worker's own time. Both of the blocks, in
        which the daemon keeps up and is not killed.
    replay_s
        From the first frame of the replay under kills to the result of the last.
    """

    frames: int
    slow_written: int
    renamed: int
    kills: int
    losses: Losses
    leftovers: int
    frame_px: int
    fast_px: int
    method: MethodRef
    seed: int
    closed_to_read_ms: Spread
    closed_to_result_less_inference_ms: Spread
    inference_ms: Spread
    writer: WriterCost
    idle: Idle
    first_frame: FirstFrame
    replay_s: float = Field(ge=0)
    machine: Machine


def machine(load_before: float) -> Machine:
    """Describe this machine, and its load now."""
    cores = os.cpu_count() or 1
    return Machine(
        processor=_processor(), cores=cores, load_before=load_before, load_after=os.getloadavg()[0]
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
