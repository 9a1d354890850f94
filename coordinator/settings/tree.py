"""One settings tree for the coordinator process, read once from `<data>/settings.toml`."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from coordinator.errors import NotFounded, Unprocessable
from coordinator.settings.campaign import AssessmentSettings, DriftSettings, TuningSettings
from coordinator.settings.federation import FederationSettings

MIB = 1024 * 1024
ACCESS_KEY = "access_tokens.key"
"""File of the secret that signs access tokens, in the folder of keys."""

_TEXT = """\
# Settings of the Synoptic coordinator; a removed line means its default.

hosts = [{hosts}]    # names and addresses by which sites reach it; all are in the TLS certificate
port = {port}               # 0: any free port, told in serving.json
first_images = 28           # how many first images a campaign asks of an instrument
labelled_images = 14        # for segmentation: how many of them need labels before it begins
every_n = 5                 # every N-th frame comes back for a benchmark
seed = 0                    # of everything random: recorruption, crops, fine-tuning
at_once = 1                 # steps of campaigns that compute at the same time; one core each
threads = 1                 # of torch and BLAS in each of them; results depend on it

[assessment]
crop_px = 256               # side of the crop on which methods are compared
tile_px = 512

[tuning]
steps = 150
batch = 8
patch_px = 64
learning_rate = 2e-4
look_ahead_steps = 30       # what close leading networks are trained before one is tuned; 0: none

[drift]
automatic = true            # false: a drift is noted and shown, but opens no campaign

[federation]
automatic = true            # false: only by `synoptic coordinator federation start`
quorum = 3                  # sites that must contribute to a round
rounds = 3
algorithm = {{ kind = "fedavg" }}   # others: see docs/federation.md

[federation.schedule]
# window = "22:00-06:00"    # federations begin by themselves only then
# every_hours = 24          # a cohort federates again after so long, however few new frames there are
"""


class Settings(BaseSettings):
    """Everything that can be set; sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="SYNOPTIC_COORDINATOR_", env_nested_delimiter="__"
    )

    data: Path
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    port: int = Field(default=8443, ge=0, le=65535)
    first_images: int = Field(default=28, ge=1, le=200)
    labelled_images: int = Field(default=14, ge=1, le=200)
    every_n: int = Field(default=5, ge=1)
    seed: int = 0
    at_once: int = Field(default=1, ge=1)
    threads: int = Field(default=1, ge=1)
    library: Path | None = None
    assessment: AssessmentSettings = AssessmentSettings()
    tuning: TuningSettings = TuningSettings()
    drift: DriftSettings = DriftSettings()
    federation: FederationSettings = FederationSettings()

    upload_bytes: int = Field(default=256 * MIB, ge=1)
    upload_life_s: float = Field(default=24 * 3600.0, gt=0)
    flush_bytes: int = Field(default=4 * MIB, ge=1)
    intake_deadline_s: float = Field(default=20.0, gt=0)
    intake_memory_bytes: int = Field(default=3 * 1024 * MIB, gt=0)
    enrol_token_life_s: float = Field(default=7 * 24 * 3600.0, gt=0)
    housekeeping_s: float = Field(default=60.0, gt=0)

    @property
    def database(self) -> Path:
        """The coordinator's own database."""
        return self.data / "synoptic.sqlite"

    @property
    def workflows(self) -> Path:
        """The database in which DBOS keeps what each workflow has done."""
        return self.data / "dbos.sqlite"

    @property
    def objects(self) -> Path:
        """Content-addressed images."""
        return self.data / "objects"

    @property
    def uploads(self) -> Path:
        """Bytes of unfinished uploads."""
        return self.data / "uploads"

    @property
    def networks(self) -> Path:
        """Network versions made here, one folder each, named by the digest of the weights."""
        return self.data / "networks"

    @property
    def federations(self) -> Path:
        """Plans, checkpoints and outcomes of federations, one folder each."""
        return self.data / "federations"

    @property
    def releases(self) -> Path:
        """The TUF repository."""
        return self.data / "releases"

    @property
    def keys(self) -> Path:
        """Private keys of the coordinator."""
        return self.data / "keys"

    @property
    def tls(self) -> Path:
        """Certificates."""
        return self.data / "tls"


def settings_text(hosts: Sequence[str], port: int) -> str:
    """Write the settings file of a new coordinator, with comments."""
    return _TEXT.format(hosts=", ".join(f'"{host}"' for host in hosts), port=port)


def read_settings(data: Path) -> Settings:
    """Read `<data>/settings.toml`.

    Raises
    ------
    NotFounded
        The folder holds no settings.
    Unprocessable
        The file is no TOML, or holds an unknown key or a wrong value.
    """
    path = data / "settings.toml"
    if not path.is_file():
        message = f"expected a coordinator in {data}, found no settings.toml; run `synoptic coordinator init`"
        raise NotFounded(message)
    try:
        return Settings(data=data.resolve(), **tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        message = f"expected valid settings, found an error in {path}: {error}; correct the file"
        raise Unprocessable(message) from error
