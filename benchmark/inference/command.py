"""`synoptic benchmark inference`: runs, prints a table, writes JSON."""

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmark.inference.measure import Contest, run_contest
from benchmark.inference.rows import InferenceReport
from model_library.images.durable import write_durably


def run_inference(contest: Contest, json_file: Path | None) -> None:
    """Run a contest in a temporary folder; progress goes to standard error."""
    progress = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        report = run_contest(contest, Path(folder), lambda text: progress.print(text, style="dim"))
    if json_file is not None:
        write_durably(json_file, (report.model_dump_json(indent=2) + "\n").encode())
    Console().print(table(report))


def table(report: InferenceReport) -> Table:
    """Lay out the rows for a person."""
    roofs = ", ".join(f"{name} {value:.0f}" for name, value in report.roof_gflop_per_s.items())
    found = Table(title=f"{report.processor}; roof of one thread, GFLOP/s: {roofs}")
    for column in ("network", "size", "backend", "dtype", "MPix/s", "x MONAI", "x tuned", "x bioimage.io"):
        found.add_column(column)
    for column in ("roof", "error / std", "seam / std", "peak MB"):
        found.add_column(column)
    for row in report.rows:
        found.add_row(
            row.network,
            str(row.size),
            row.backend,
            row.dtype,
            f"{row.mpix_per_s:.3f}",
            *(
                "" if ratio is None else f"{ratio:.2f}"
                for ratio in (row.ratio_to_monai, row.ratio_to_monai_tuned, row.ratio_to_bioimageio)
            ),
            f"{100 * row.fraction_of_roof:.0f} %",
            f"{row.max_error_over_std:.1e}",
            "" if row.seam_over_std is None else f"{row.seam_over_std:.1e}",
            "" if row.peak_rss_mb is None else f"{row.peak_rss_mb:.0f}",
        )
    return found
