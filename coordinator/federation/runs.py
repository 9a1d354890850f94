"""What the engine tells about a run."""

from dataclasses import dataclass

FINISHED, COMPLETED = "finished", "completed"


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands, in Flower's words.

    Attributes
    ----------
    status
        `pending`, `starting`, `running` or `finished`.
    sub_status
        Of a finished run `completed`, `failed` or `stopped`; empty before.
    details
        Flower's explanation, often empty.
    """

    status: str
    sub_status: str
    details: str

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will come of the run."""
        return self.status == FINISHED
