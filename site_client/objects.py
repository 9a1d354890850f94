"""The objects of a segmented frame: a file beside its result, and sums over all frames.

`write_objects` and `figures_of` run in the worker; everything else is the daemon's and needs no numpy.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_library.images.durable import write_durably
from model_library.wire.base import Message
from site_client.database import Database
from site_client.frames import LedgerFrame

if TYPE_CHECKING:
    from model_library.measurement.objects import ObjectStatistics

_SUFFIX = ".objects.json"


class ClassFigures(Message):
    """One class in one frame, as kept for the summary; a diameter only where objects lie wholly inside."""

    count: int
    area_fraction: float
    diameter_nm: float | None = None
    diameter_px: float | None = None


class ClassSummary(Message):
    """Means over the frames; diameters over those frames that have any."""

    mean_count: float
    mean_area_fraction: float
    mean_diameter_nm: float | None
    mean_diameter_px: float | None


class SegmentationSummary(Message):
    """What `site status` tells of all segmented frames, by class."""

    frames: int
    classes: dict[str, ClassSummary]


class Objects:
    """Figures of segmented frames in the site's database, one set per frame however often it is done."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, frame: LedgerFrame, figures: Mapping[str, ClassFigures]) -> None:
        """Keep a frame's figures, replacing earlier ones."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM objects WHERE frame_id = ?", (frame.id,))
            connection.executemany(
                "INSERT INTO objects (frame_id, class, count, area_fraction, diameter_nm, diameter_px)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (frame.id, name, each.count, each.area_fraction, each.diameter_nm, each.diameter_px)
                    for name, each in figures.items()
                ],
            )

    def summary(self) -> SegmentationSummary | None:
        """Sum up the reconstructed frames; None before the first segmented one."""
        rows = self._database.rows(
            "SELECT class, count(*) AS frames, avg(count) AS count, avg(area_fraction) AS area,"
            " avg(diameter_nm) AS nm, avg(diameter_px) AS px"
            " FROM objects JOIN frames ON frames.id = objects.frame_id"
            " WHERE frames.state = 'reconstructed' GROUP BY class ORDER BY min(objects.rowid)"
        )
        if not rows:
            return None
        classes = {
            row["class"]: ClassSummary(
                mean_count=row["count"],
                mean_area_fraction=row["area"],
                mean_diameter_nm=row["nm"],
                mean_diameter_px=row["px"],
            )
            for row in rows
        }
        return SegmentationSummary(frames=max(int(row["frames"]) for row in rows), classes=classes)


def objects_path(result: Path) -> Path:
    """Name of the statistics beside a result: `<stem>.objects.json`."""
    return result.with_name(f"{result.name.removesuffix('.tif').removesuffix('.ome')}{_SUFFIX}")


def write_objects(
    result: Path,
    statistics: "Mapping[str, ObjectStatistics]",
    pixel_size_nm: float | None,
    provenance: Mapping[str, Any],
) -> Path:
    """Write the statistics of a frame beside its result, atomically and durably."""
    from model_library.measurement.objects import SMALLEST_OBJECT_PX

    record = {
        "result": result.name,
        "pixel_size_nm": pixel_size_nm,
        "smallest_object_px": SMALLEST_OBJECT_PX,
        "classes": {name: each.model_dump(exclude_none=True) for name, each in statistics.items()},
        "provenance": dict(provenance),
    }
    path = objects_path(result)
    write_durably(path, (json.dumps(record, indent=2, allow_nan=False) + "\n").encode())
    return path


def figures_of(statistics: "Mapping[str, ObjectStatistics]") -> dict[str, dict[str, Any]]:
    """Reduce statistics to what the daemon keeps, as JSON values."""
    return {
        name: ClassFigures(
            count=each.count,
            area_fraction=each.area_fraction,
            diameter_nm=None if each.equivalent_diameter_nm is None else each.equivalent_diameter_nm.mean,
            diameter_px=None if each.equivalent_diameter_px is None else each.equivalent_diameter_px.mean,
        ).model_dump()
        for name, each in statistics.items()
    }
