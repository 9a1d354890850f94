"""`synoptic benchmark daemon`: its words."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulations.replay import swaps_cli

if TYPE_CHECKING:
    from simulations.replay.accounts import SlowDown
    from simulations.replay.report import ReplayReport

EXAMPLE = "Example: synoptic benchmark daemon --frames 2000 --kills 20 --json daemon.json"


def register(app: typer.Typer) -> None:
    """Add the commands; `benchmark.contributed` calls this."""
    app.command(epilog=EXAMPLE)(daemon)
    swaps_cli.register(app)


def daemon(
    frames: Annotated[int, typer.Option(min=1, help="Written while the daemon is killed.")] = 2000,
    kills: Annotated[int, typer.Option(min=0, help="kill -9 of the daemon, at random moments.")] = 20,
    frame_px: Annotated[int, typer.Option(min=16, help="Side of the frames that are timed, 16 bit.")] = 1024,
    fast_px: Annotated[int, typer.Option(min=16, help="Side of those that are written under kills.")] = 128,
    method: Annotated[
        str, typer.Option(help="In service: a classical algorithm, or the id of a network of the library.")
    ] = "gaussian",
    pairs: Annotated[
        int, typer.Option(min=2, help="Blocks of frames with the daemon, and as many without it, in turns.")
    ] = 20,
    block: Annotated[int, typer.Option(min=1, help="Frames in each of these blocks.")] = 10,
    interval_ms: Annotated[float, typer.Option(min=0, help="Between two frames of a block.")] = 150.0,
    idle_s: Annotated[float, typer.Option(min=1, help="How long the idle daemon is watched.")] = 20.0,
    seed: Annotated[int, typer.Option(min=0, help="Of frames, kills and turns.")] = 0,
    work: Annotated[
        Path | None, typer.Option(help="Folder of the run, kept; default: a temporary one.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
) -> None:
    """Replay a microscope's day beside a real daemon: latency, losses, and what the daemon costs the writer.

    A coordinator, a site and a process that writes frames, 30 % of them in pieces and 20 % renamed into
    place. First blocks with the daemon and with it stopped, in turns; then it is watched idle, and started
    anew for a first frame; then frames come as fast as they can be written, and it is killed again and again.
    Linux only.

    Exit code 1 where a frame was lost, doubled or partial.
    """
    import tempfile

    from rich.console import Console

    from model_library.images.durable import write_durably
    from simulations.replay.named import method_named
    from simulations.replay.report import Plan
    from simulations.replay.session import replay

    plan = Plan(
        frames=frames,
        kills=kills,
        side_px=frame_px,
        fast_px=fast_px,
        method=method_named(method),
        seed=seed,
        pairs=pairs,
        block=block,
        interval_s=interval_ms / 1e3,
        idle_s=idle_s,
    )
    progress = Console(stderr=True)
    with tempfile.TemporaryDirectory() as temporary:
        report = replay(work or Path(temporary), plan, lambda text: progress.print(text, style="dim"))
    if json_file is not None:
        write_durably(json_file, (report.model_dump_json(indent=2) + "\n").encode())
    for line in lines_of(report):
        typer.echo(line)
    if report.losses.any:
        raise typer.Exit(1)


def lines_of(report: "ReplayReport") -> list[str]:
    """Tell a report in lines."""
    writer, idle, machine, lost = report.writer, report.idle, report.machine, report.losses
    first = report.first_frame
    return [
        f"{machine.processor}, {machine.cores} cores, "
        f"load {machine.load_before:.1f} to {machine.load_after:.1f}",
        f"{report.frames} frames ({report.slow_written} written slowly, "
        f"{report.renamed} renamed), {report.kills} kills, {report.replay_s:.0f} s",
        f"lost {lost.lost}, doubled {lost.doubled}, partial {lost.partial}; "
        f"unfinished files left: {report.leftovers}",
        f"closed -> read: median {report.closed_to_read_ms.p50:.1f} ms, "
        f"95 % within {report.closed_to_read_ms.p95:.1f} ms",
        f"closed -> result, less inference ({report.inference_ms.p50:.0f} ms): median "
        f"{report.closed_to_result_less_inference_ms.p50:.0f} ms, "
        f"95 % within {report.closed_to_result_less_inference_ms.p95:.0f} ms",
        f"a write of {report.frame_px} px takes {writer.with_ms.p50:.2f} ms beside the daemon, "
        f"{writer.without_ms.p50:.2f} ms alone (medians)",
        f"slow-down of the median {_percent(writer.of_median)}, of the mean {_percent(writer.of_mean)}",
        f"idle: {idle.rss_mb:.0f} MB, {100 * idle.cpu_share:.2f} % of a core; with its children "
        f"{idle.rss_mb_with_children:.0f} MB, {100 * idle.cpu_share_with_children:.2f} %",
        f"first frame after a start: the daemon watches after {first.up_s:.2f} s, has read it after "
        f"{first.read_s:.2f} s, the result is on disk after {first.result_s:.2f} s (of them "
        f"{first.compute_s:.2f} s for the frame itself); torch {'' if first.torch_loaded else 'not '}loaded",
    ]


def _percent(found: "SlowDown") -> str:
    low, high = found.ci95
    return f"{100 * found.ratio_less_one:+.1f} % [{100 * low:+.1f}, {100 * high:+.1f}]"
