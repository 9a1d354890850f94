"""Where the real micrographs come from, and which of them training may see."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from benchmark.errors import BenchmarkError
from model_library.wire.base import Message

ENVIRONMENT = "SYNOPTIC_SHARED_DATA"
"""Variable that names the folder of real micrographs, where --data does not."""


class Part(StrEnum):
    """What an image serves: tuning (training may see it) or scoring (no training may)."""

    TUNING = "tuning"
    SCORED = "scored"


class Source(Message):
    """Micrographs of one instrument, parted by specimen where there are several, else by field of view.

    Attributes
    ----------
    folder
        Under the data folder; patterns start there.
    tuning, scored
        Glob patterns of image files.
    divided
        One place only: both parts name the same files, the left half is for tuning, the right one is
        scored, and every window counts as a field of its own. Training may see nothing of it.
    tuning_pages, scored_pages
        Of a stack, which pages serve what; each is a field of view. Empty where a file is one image.
    parameter_pages
        Pages that no training sees and that are not scored: on them parameters are tuned, those of
        classical algorithms and of what follows a network. Empty where the tuning pages serve that.
    """

    id: str
    folder: str
    instrument: str
    terms: str
    tuning: tuple[str, ...] = Field(min_length=1)
    scored: tuple[str, ...] = Field(min_length=1)
    divided: bool = False
    tuning_pages: tuple[int, ...] = ()
    scored_pages: tuple[int, ...] = ()
    parameter_pages: tuple[int, ...] = ()

    def files(self, data: Path, part: Part) -> tuple[Path, ...]:
        """Files of a part, sorted by name.

        Raises
        ------
        BenchmarkError
            There is none.
        """
        patterns = self.tuning if part is Part.TUNING else self.scored
        found = sorted({path for pattern in patterns for path in (data / self.folder).glob(pattern)})
        if not found:
            raise BenchmarkError(
                f"expected {' or '.join(patterns)} in {data / self.folder} ({self.instrument}, {self.terms}),"
                " found no such file; fetch the source (docs/benchmarks.md), or name other cases (--cases)"
            )
        return tuple(found)

    def pages(self, part: Part) -> tuple[int, ...]:
        """Pages of a stack that serve a part; empty where a file is one image."""
        return self.tuning_pages if part is Part.TUNING else self.scored_pages


def data_folder(named: Path | None) -> Path:
    """Check the folder of real micrographs, as the command line or the environment names it.

    Raises
    ------
    BenchmarkError
        There is no such folder.
    """
    if named is None or not named.is_dir():
        raise BenchmarkError(
            f"expected a folder of real micrographs (--data, or the variable {ENVIRONMENT}) with"
            f" {', '.join(sorted({source.folder for source in SOURCES}))},"
            f" found {named if named is not None else 'none named'}; their terms forbid shipping them:"
            " docs/benchmarks.md tells where each comes from"
        )
    return named


AXONS = Source(
    id="axons",
    folder="em_bio_sem_axons_ads",
    instrument="SEM, rat spinal cord",
    terms="MIT",
    tuning=("sub-rat[125]/micr/*_SEM.png",),
    scored=("sub-rat[346]/micr/*_SEM.png",),
)
OXIDE = Source(
    id="oxide",
    folder="em_mat_coating_oxide_cracks_nasa",
    instrument="SEM, coating cross-sections",
    terms="MIT",
    tuning=tuple(
        f"images/{specimen}_*.png" for specimen in ("010417-4", "040617-3", "050317-3", "070516-1", "S879")
    ),
    scored=tuple(
        f"images/{specimen}_*.png"
        for specimen in ("021519-3", "032919-10", "032919-6", "040617-2", "070516-3", "111418-4")
    ),
)
SUPERALLOY = Source(
    id="superalloy",
    folder="em_mat_superalloy_nasa",
    instrument="SEM, Ni superalloy",
    terms="MIT",
    tuning=("spots/images/spot[1-5]_*.png",),
    scored=("spots/images/spot[67]_*.png",),
)
POWDER = Source(
    id="powder",
    folder="em_mat_powder_polygons_ampis",
    instrument="SEM, gas-atomised powder",
    terms="MIT",
    tuning=("images/Sc1Tile_*.png",),
    scored=("images/Sc2Tile_*.png",),
)
FIB25 = Source(
    id="fib25",
    folder="em_bio_fibsem_fib25",
    instrument="FIB-SEM, Drosophila medulla",
    terms="CC BY",
    tuning=("validation_slices_520/iso.03[456]*.png",),
    scored=("validation_slices_520/iso.03[789]*.png",),
)
FIB25_STACK = Source(
    id="fib25-stack",
    folder="em_bio_fibsem_fib25",
    instrument="FIB-SEM, Drosophila medulla",
    terms="CC BY",
    tuning=("raw_z000-119.tif",),
    scored=("raw_z000-119.tif",),
    tuning_pages=tuple(range(0, 80, 4)),
    scored_pages=tuple(range(90, 118, 4)),
    parameter_pages=(80, 82, 84, 86),
)
TRENCH = Source(
    id="trench",
    folder="em_highres_sr",
    instrument="Zeiss FIB-SEM, milled trench",
    terms="see its SOURCE.md",
    tuning=("images/sem_zeiss_fib_trench_*.tif",),
    scored=("images/sem_zeiss_fib_trench_*.tif",),
    divided=True,
)
SRTIO3 = Source(
    id="srtio3",
    folder="em_highres_sr",
    instrument="HAADF STEM, SrTiO3 lattice",
    terms="see its SOURCE.md",
    tuning=("images/stem_haadf_SrTiO3_*.tif",),
    scored=("images/stem_haadf_SrTiO3_*.tif",),
    divided=True,
)
ISBI = Source(
    id="isbi2012",
    folder="em_bio_isbi2012_membranes",
    instrument="ssTEM, Drosophila nerve cord",
    terms="non-commercial: no weights that ship may be trained on it",
    tuning=("image/0?.png", "image/1?.png", "image/2[0-3].png"),
    scored=("image/2[4-9].png",),
)
LOW_DOSE_TEM = Source(
    id="lowdose-tem",
    folder="pairs_em_lowdose_tem",
    instrument="in-situ TEM, low dose",
    terms="MIT",
    tuning=("train_frame[12].tif",),
    scored=("train_frame[12].tif",),
    divided=True,
)
ABF_STEM = Source(
    id="abf-stem",
    folder="pairs_em_abf_stem_stack",
    instrument="ABF STEM, fast frames",
    terms="none stated: internal testing only",
    tuning=("stem_abf_data_imagestack.hspy",),
    scored=("stem_abf_data_imagestack.hspy",),
    divided=True,
)
STEM_PREVIEW = Source(
    id="stem-preview",
    folder="vendor_formats",
    instrument="STEM preview, nanoparticles",
    terms="GPL-3.0, test data",
    tuning=("ser_emi/03_Scanning_Preview_1.ser",),
    scored=("ser_emi/03_Scanning_Preview_1.ser",),
    divided=True,
)
FLUORESCENCE = Source(
    id="fluorescence",
    folder="pairs_fluo_hagen_gigadb",
    instrument="fluorescence, short and long exposure",
    terms="CC0 (GigaDB policy)",
    tuning=("actin-*_lowsnr.png",),
    scored=("mito-20x*_lowsnr.png",),
)

SOURCES = (
    *(AXONS, OXIDE, SUPERALLOY, POWDER, FIB25, FIB25_STACK, TRENCH, SRTIO3, ISBI),
    *(LOW_DOSE_TEM, ABF_STEM, STEM_PREVIEW, FLUORESCENCE),
)
