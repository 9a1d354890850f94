"""The labels of a segmentation site: a simulated annotator's, imported as an operator would."""

from model_library.images.durable import write_durably
from model_library.images.readers import read_frame
from model_library.processes.supervisor import Supervisor
from model_library.wire.tasks import Segment
from simulations.annotator import annotate
from simulations.cues import first_image_names
from simulations.fleet import synoptic
from simulations.observation import SiteLook
from simulations.workspace import Workspace

_IMPORT_WITHIN_S = 60.0


def is_handed_in(workspace: Workspace, site: str) -> bool:
    """Whether the labels of a site were imported."""
    return workspace.labels(site).with_suffix(".imported").exists()


def label_and_import(site: SiteLook, workspace: Workspace, supervisor: Supervisor) -> None:
    """Draw the true masks of exactly the first images as CVAT would export them, and import the file.

    Repeating it after an interruption imports the same labels again.

    Raises
    ------
    ProcessFailed
        The coordinator refuses the file.
    """
    assert isinstance(site.task, Segment)
    truth = workspace.truth(site.name)
    masks = [(name, read_frame(truth / name).pixels) for name in first_image_names(site)]
    file = workspace.labels(site.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_durably(file, annotate(masks, site.task.classes))
    # The annotator looked at every image: one without any object is background throughout.
    arguments = ("--data", str(workspace.coordinator), "--instrument", site.name, "--complete")
    supervisor.run(
        f"annotations-{site.name}",
        synoptic("coordinator", "annotations", "import", str(file), *arguments),
        timeout_s=_IMPORT_WITHIN_S,
    )
    write_durably(file.with_suffix(".imported"), b"")
