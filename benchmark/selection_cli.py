"""`synoptic benchmark select` and `synoptic benchmark race`: their words."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.look import Look

if TYPE_CHECKING:
    from benchmark.selection.race_cost import RaceCost
    from benchmark.selection.told import FolderSelection
    from model_library.wire.tasks import Task

_SELECT_EXAMPLE = (
    "Example: synoptic benchmark select --images first/ --task denoise --rate-mpix-per-s 1 --json found.json;"
    " synoptic benchmark select --images first/ --labels annotations.xml --task segment:background,CLASS;"
    " synoptic benchmark select --images first/ --task segment:background,CLASS --structure dark"
)
_RACE_EXAMPLE = (
    "Example: synoptic benchmark race --table scores.json --seeds 300 --json race.json;"
    " synoptic benchmark race --table dice.json --score dice --work planted-work"
)


class RacedOn(StrEnum):
    """What a table of scores is made of."""

    PSNR = "psnr"
    PSNR_SELF = "psnr_self"
    DICE = "dice"


class ModalityName(StrEnum):
    """Kinds of microscopes, as cards name them."""

    SEM = "sem"
    TEM = "tem"
    STEM = "stem"
    FIB_SEM = "fib_sem"
    CRYO_EM = "cryo_em"
    LIGHT = "light"


def task_of(words: str) -> "Task":
    """Read a task, as `parse_task` does.

    Raises
    ------
    typer.BadParameter
        It is none.
    """
    from model_library.errors import UnknownTask
    from model_library.wire.tasks import parse_task

    try:
        return parse_task(words)
    except UnknownTask as refusal:
        raise typer.BadParameter(
            f"{refusal}; `synoptic library list` tells what networks there are"
        ) from refusal


def select(
    images: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of an instrument's first images.")
    ],
    task: Annotated[
        str, typer.Option(help="denoise, super-resolve-x2 (x3, x4) or segment:background,CLASS.")
    ],
    labels: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="CVAT, VIA or COCO, to segment.")
    ] = None,
    structure: Annotated[
        Look | None,
        typer.Option(
            help="To segment without labels: is what you mean brighter or darker than what surrounds it?"
        ),
    ] = None,
    pixel_size_nm: Annotated[
        float | None, typer.Option(min=1e-6, help="Side of a pixel, where the files do not tell.")
    ] = None,
    modality: Annotated[ModalityName | None, typer.Option(help="Kind of microscope.")] = None,
    rate_mpix_per_s: Annotated[
        float | None, typer.Option(min=1e-9, help="Of the acquisition: what the network has to keep up with.")
    ] = None,
    library: Annotated[
        list[Path] | None,
        typer.Option(exists=True, file_okay=False, help="Library to choose from (repeatable)."),
    ] = None,
    at_most: Annotated[int, typer.Option(min=1, max=200, help="Use only the first images.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Places crops, draws noise, orders and resamples.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the whole record to this file.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write quality against throughput as PNG.")] = None,
) -> None:
    """Choose the network of a library for an instrument, from a handful of its images.

    Denoising networks are judged at pixels that they were not shown, super-resolving ones on pairs made
    from the images by the noise found in them, segmenting ones on labels or, without, by how plausible
    their results are: state --structure, or the wrong phase is as plausible. All see the same crops, and
    those that cannot win stop early. Exit code 1 if the images do not suffice or no network fits.
    """
    from benchmark.figures import figure_png
    from benchmark.selection.folder import FolderQuestion, select_for_folder
    from benchmark.selection.told import draw_selection

    asked = FolderQuestion(
        images=images,
        task=task_of(task),
        labels=labels,
        structure=structure,
        pixel_size_nm=pixel_size_nm,
        modality=None if modality is None else modality.value,
        rate_mpix_per_s=rate_mpix_per_s,
        libraries=tuple(library or ()),
        at_most=at_most,
        seed=seed,
    )
    found = select_for_folder(asked, _progress)
    if json_file is not None:
        json_file.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if plot is not None:
        plot.write_bytes(figure_png(lambda axes: draw_selection(axes, found.selection)))
    _echo(found)


def race(
    table: Annotated[
        Path,
        typer.Option(dir_okay=False, help="Scores of every network on every crop; made if it is not there."),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="To make the table: clean micrographs, not simulated ones."
        ),
    ] = None,
    at_most: Annotated[int, typer.Option(min=1, help="To make the table: images.")] = 20,
    crops: Annotated[int, typer.Option(min=1, help="To make the table: crops of each image.")] = 16,
    score: Annotated[
        RacedOn,
        typer.Option(
            help="To make the table: PSNR against the truth, psnr_self without it, or the Dice of the"
            " networks that `planted` has in its work folder, on fields of one planted instrument."
        ),
    ] = RacedOn.PSNR,
    domain: Annotated[int, typer.Option(min=0, max=4, help="To make a table of Dice: instrument.")] = 0,
    work: Annotated[Path, typer.Option(help="To make a table of Dice: see `planted`.")] = Path(
        "planted-work"
    ),
    seed: Annotated[
        int, typer.Option(min=0, help="To make the table: draws specimens, noise and crops.")
    ] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Races to run.")] = 300,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Measure what a race costs and how often it finds the winner, on scores of real networks."""
    from benchmark.planted.score_table import build_dice_table
    from benchmark.selection.race_cost import replay
    from benchmark.selection.race_rules import RaceRules
    from benchmark.selection.score_table import ScoreTable, build_self_table, build_table

    if table.is_file():
        scores = ScoreTable.model_validate_json(table.read_bytes())
    else:
        match score:
            case RacedOn.DICE:
                scores = build_dice_table(
                    work, domain=domain, fields=at_most * crops, seed=seed, tell=_progress
                )
            case RacedOn.PSNR_SELF:
                scores = build_self_table(images, images=at_most, crops=crops, seed=seed, tell=_progress)
            case RacedOn.PSNR:
                scores = build_table(images, images=at_most, crops=crops, seed=seed, tell=_progress)
        table.write_text(scores.model_dump_json(indent=1) + "\n", encoding="utf-8")
    found = replay(scores, seeds, RaceRules())
    if json_file is not None:
        json_file.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _tell_race(found)


def _tell_race(found: "RaceCost") -> None:
    typer.echo(
        f"{found.networks} networks, {found.crops} crops of {found.fields} {found.images}; best {found.best},"
        f" the next {found.runner_up:.4f} behind (near-tie {found.near_tie:.4f})"
    )
    for each in found.replays:
        typer.echo(
            f"{each.how:18} of {each.networks:2}  cost {each.cost_mean:6.1%} (at most {each.cost_max:.1%};"
            f" time {each.time_mean:.1%})"
            f"  same winner {each.same_winner:.1%}  same or near-tie {each.right:.1%}"
            f"  worst regret {each.worst_regret:.4f}  {each.seeds} seeds, {each.tied:.1%} tied by the budget"
        )
        if each.truth_near is not None:
            typer.echo(
                f"{'':25} against the truth {each.truth_near:.1%} within 0.05 dB of the exhaustive choice,"
                f" or better; most lost {each.truth_worst:.3f} dB"
            )


def _progress(words: str) -> None:
    typer.echo(words, err=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the group `benchmark`."""
    app.command(epilog=_SELECT_EXAMPLE)(select)
    app.command(epilog=_RACE_EXAMPLE)(race)


def _echo(found: "FolderSelection") -> None:
    from benchmark.selection.told import front_words, table_lines

    for line in table_lines(found.rows):
        typer.echo(line)
    if (front := front_words(found.selection)) is not None:
        typer.echo(front)
    if found.doubt is not None:
        typer.echo(found.doubt, err=True)
    cost = found.selection.cost
    if cost is not None:
        typer.echo(
            f"{cost.network_crops} runs of a network on a crop instead of {cost.of_network_crops},"
            f" {cost.flops / max(cost.of_flops, 1):.0%} of the arithmetic"
        )
    for name, why in found.refused.items():
        typer.echo(f"left out {name}: {why}", err=True)
