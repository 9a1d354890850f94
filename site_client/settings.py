"""What a person may decide about a site; one TOML file, written with comments by `enrol`."""

import json
import tomllib
from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from model_library.inference.precision import PrecisionPolicy
from model_library.wire.base import Message
from model_library.wire.tasks import Task
from site_client.candidate import MICROGRAPHS
from site_client.errors import SettingsError
from site_client.frames import Order
from site_client.hours import parse_span
from site_client.send_policy import SendPolicy

FILE_NAME = "settings.toml"
_FORMS = {"coordinator_url": "https://host:port", "site_name": "1 to 63 of a-z, 0-9 and -"}
"""Patterns below, in words."""


class SiteSettings(Message):
    """The settings of one site; the comments in `_TEMPLATE` tell what each means."""

    coordinator_url: str = Field(pattern=r"^https://[^/\s]+$")
    site_name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    task: Task
    pixel_size_nm: float | None = Field(default=None, gt=0)
    acquisitions: Path
    results: Path
    patterns: tuple[str, ...] = Field(default=MICROGRAPHS, min_length=1)
    polling: bool = False
    settle_s: float = Field(default=2.0, gt=0)
    incomplete_s: float = Field(default=20.0, gt=0)
    rescan_s: float = Field(default=30.0, gt=0)
    order: Order = "in-order"
    every_k: int = Field(default=10, ge=1)
    worker_threads: int = Field(default=1, ge=1, le=256)
    nice: int = Field(default=10, ge=0, le=19)
    worker_memory_gb: float | None = Field(default=None, ge=0.5)
    gpu_memory_share: float | None = Field(default=None, gt=0, le=1)
    federate: bool = True
    least_noise_multiplier: float | None = Field(default=None, gt=0)
    most_epsilon: float | None = Field(default=None, gt=0)
    share_personal: bool = False
    most_first_images_per_day: int | None = Field(default=None, ge=0)
    most_benchmark_images_per_day: int | None = Field(default=None, ge=0)
    most_updates_per_day: int | None = Field(default=None, ge=0)
    adapt_locally: bool = False
    replay_frames: int = Field(default=64, ge=8, le=10_000)
    replay_mb: float = Field(default=512.0, gt=0)
    local_steps: int = Field(default=200, ge=1)
    local_every_h: float = Field(default=24.0, ge=0)
    adaptation_threads: int = Field(default=1, ge=1, le=256)
    adaptation_nice: int = Field(default=15, ge=0, le=19)
    quiet_s: float = Field(default=3.0, ge=0)
    slowest_mpix_per_s: float | None = Field(default=None, gt=0)
    frame_deadline_s: float = Field(default=300.0, gt=0)
    inspect_deadline_s: float = Field(default=10.0, gt=0)
    heartbeat_s: float = Field(default=2.0, gt=0)
    release_check_s: float = Field(default=300.0, gt=0)
    call_deadline_s: float = Field(default=15.0, gt=0)
    upload_mbit_per_s: float | None = Field(default=None, gt=0)
    upload_hours: tuple[str, ...] = ()
    adaptation_hours: tuple[str, ...] = ()
    least_free_gb: float = Field(default=1.0, ge=0)
    spool_gb: float = Field(default=20.0, ge=0)
    send_crop_px: int | None = Field(default=None, ge=256)
    send_bits: int | None = Field(default=None, ge=8, le=15)
    proxy: str | None = None
    trust: str = Field(default="coordinator", min_length=1)
    loopback: bool = True
    loopback_port: int = Field(default=0, ge=0, le=65535)
    release_cache: Path | None = None
    precision: PrecisionPolicy = "float32"
    engine_cache: Path | None = None

    @property
    def send_policy(self) -> SendPolicy:
        """What is made of an image before it leaves."""
        return SendPolicy(crop_px=self.send_crop_px, bits=self.send_bits)

    @field_validator("upload_hours", "adaptation_hours")
    @classmethod
    def _hours(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for span in value:
            parse_span(span)
        return value

    @field_validator("acquisitions", "results", "release_cache", "engine_cache")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError("expected an absolute path, found one that depends on where the daemon starts")
        return value


_TEMPLATE = """\
# Settings of this Synoptic site. Change them, then restart `synoptic site run`.

coordinator_url = {coordinator_url}
site_name = {site_name}
# What is wanted of each image: denoise, super_resolve (scale 2, 3 or 4) or segment (classes).
task = {task}
# Side of a pixel in nanometres, for files that do not say it themselves.
{pixel_size_nm}

# Where the microscope writes (subfolders are watched too), and where results go.
acquisitions = {acquisitions}
results = {results}
# Files that are images, in upper or lower case; hidden and temporary names are always ignored. Add "*.png"
# or "*.jpg" only where the instrument writes nothing better: a preview beside a frame is the frame twice.
patterns = {patterns}
# true on network shares (NFS, SMB), which do not tell when a file is closed.
polling = {polling}
# A file without a close event is read once size and time stood still for settle_s; one that stays
# incomplete for incomplete_s is set aside, and looked at again when it changes.
settle_s = {settle_s}
incomplete_s = {incomplete_s}
# The whole folder is compared with the ledger this often, in case an event was missed.
rescan_s = {rescan_s}

# Which waiting frame comes next: "in-order" (oldest first), "live" (newest first for the screen, the others
# in their order when there is time) or "every-k" (every every_k-th; the others are counted as skipped).
order = {order}
every_k = {every_k}
# What the reconstruction may take from the microscope's computer: threads, and how far daemon and
# reconstruction stand back where others want the processor (0 not at all, 19 most).
worker_threads = {worker_threads}
nice = {nice}
# How much address space the reconstruction may take (GB, 1e9 bytes; networks need 4 and more), and which
# share of a GPU's memory, such as 0.5. A frame that needs more is set aside. Adaptation never uses a GPU.
{worker_memory_gb}
{gpu_memory_share}
# In what networks compute: "float32", as the coordinator computed when it judged them, or "auto", which takes
# bfloat16 where the processor has it: up to twice as fast, and grey values differ by less than their noise.
precision = {precision}
# true lets federations adapt networks to this site's own images, here: weight updates leave the site,
# images do not. What that may take from the computer follows.
federate = {federate}
adaptation_threads = {adaptation_threads}
adaptation_nice = {adaptation_nice}
# Noise that every update must have before it leaves, as a multiple of the norm that it is clipped to, and how
# much all updates together may tell (epsilon, at delta 1e-5; docs/federation.md says what that means). A
# federation that wants less noise is refused; when the budget is used up this site takes no further part.
{least_noise_multiplier}
{most_epsilon}
# true gives the coordinator this site's own version of a federation's network too, for this site alone.
share_personal = {share_personal}
# How many may leave within 24 hours, whatever the coordinator asks for; 0 is none, without a figure there
# is no limit. First images and every N-th image are images as they are, updates are those of federations.
{most_first_images_per_day}
{most_benchmark_images_per_day}
{most_updates_per_day}
# true adapts the network in service to this microscope's frames, here and without any federation, while
# nothing is acquired and nothing waits: at most every local_every_h hours, local_steps steps. It looks at no
# more than replay_frames frames and replay_mb megabytes of files, and serves only where it proves better.
adapt_locally = {adapt_locally}
replay_frames = {replay_frames}
replay_mb = {replay_mb}
local_steps = {local_steps}
local_every_h = {local_every_h}
# Adaptation waits while the microscope acquires: for so many seconds after each file that it writes (0: its
# files do not tell), and while `synoptic site acquiring on` or its software says so.
quiet_s = {quiet_s}
# A new method that reconstructs fewer megapixels per second than this is given up for the one before it.
{slowest_mpix_per_s}
# A frame that takes longer than this stops the worker; the second time the frame is set aside.
frame_deadline_s = {frame_deadline_s}
inspect_deadline_s = {inspect_deadline_s}
# Below so much free space (GB, 1e9 bytes) where results go, nothing is written until there is more.
least_free_gb = {least_free_gb}
# Images that wait to be sent are kept in the site's folder too, in case the microscope's folder is emptied:
# as links where that is possible, else as copies of at most so many GB.
spool_gb = {spool_gb}
# What leaves of an image: only its middle, at most so many pixels along each side (256 or more), and only
# the upper bits of 16-bit counts (8 to 15), in all images alike. Made here; `synoptic site sent` lists it.
{send_crop_px}
{send_bits}
# When images may be sent, and when networks may be adapted, by this computer's clock; [] is always. Such as
# ["20:00-06:00", "sat,sun 00:00-24:00"]. Images wait; their order stays.
upload_hours = {upload_hours}
adaptation_hours = {adaptation_hours}
# No faster than this, in megabits per second, where the microscope needs the network.
{upload_mbit_per_s}

# Conversation with the coordinator: how often, how often releases are checked unasked, and how long
# one call may take.
heartbeat_s = {heartbeat_s}
release_check_s = {release_check_s}
call_deadline_s = {call_deadline_s}
# An HTTPS proxy, where the network demands one.
{proxy}
# Whose certificates are accepted besides those of the coordinator's own CA: "coordinator" for nobody's,
# "system" for those that this computer trusts, or a file of CA certificates (PEM), for a proxy that looks
# into TLS.
trust = {trust}

# A page on this computer alone (127.0.0.1) that shows the newest frame before and after, figures for
# Prometheus (/metrics), and takes `POST /acquiring` from the microscope's software. Port 0 takes any that
# is free; `synoptic site status` tells the address.
loopback = {loopback}
loopback_port = {loopback_port}

# A folder that the daemons of several instruments share: each release is then downloaded once.
{release_cache}
# Where networks are made ready for this computer, once for all sites that name the same folder; without it,
# where the system keeps such things for this user.
{engine_cache}
"""


def write_settings(settings: SiteSettings) -> str:
    """Give the settings as TOML text with comments, in the order in which a person reads them."""
    values = settings.model_dump(mode="json")
    return _TEMPLATE.format(
        **{
            name: _line(name, values[name]) if field.default is None else toml_value(values[name])
            for name, field in SiteSettings.model_fields.items()
        }
    )


def _line(name: str, value: object) -> str:
    """Write the whole line of a setting that may be absent."""
    return f"# {name} =" if value is None else f"{name} = {toml_value(value)}"


def read_settings(folder: Path) -> SiteSettings:
    """Read the settings of a site folder.

    Raises
    ------
    SettingsError
        The file is missing, is no TOML, or holds a value that is unknown or out of range.
    """
    path = folder / FILE_NAME
    try:
        return SiteSettings.model_validate(tomllib.loads(path.read_bytes().decode()))
    except FileNotFoundError as error:
        raise SettingsError(
            f"expected {path}, found none; run `synoptic site enrol` for this folder"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: expected TOML, found {error}; correct the file") from error
    except ValidationError as error:
        raise SettingsError(
            f"{path}: expected valid settings, found {found_in(error)}; correct the file"
        ) from error


def found_in(error: ValidationError) -> str:
    """Say which settings are not valid, and why."""
    told = []
    for each in error.errors():
        name = ".".join(map(str, each["loc"]))
        wanted = _FORMS.get(name) if each["type"] == "string_pattern_mismatch" else None
        told.append(f"{name}: " + (each["msg"] if wanted is None else f"{each['input']}, not {wanted}"))
    return "; ".join(told)


def toml_value(value: object) -> str:
    """Write a value of a setting as TOML, in one line."""
    # JSON's strings, numbers, booleans and lists are TOML too; only tables differ.
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
