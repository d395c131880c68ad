"""What a launcher of a cluster has to know of its scheduler."""

from dataclasses import dataclass
from typing import Protocol

from utils.launchers.array import Array, End
from utils.launchers.record import Submission

WAITING, RUNNING, ENDED = "waiting", "running", "ended"


@dataclass(frozen=True)
class Seen:
    """What a scheduler says of one task.

    Attributes
    ----------
    state : str
        ``waiting``, ``running`` or ``ended``.
    end : End
        How it ended; of a waiting one the reason why.
    """

    state: str
    end: End = End()  # noqa: RUF009 - frozen


class Engine(Protocol):
    """A scheduler's commands.  Each raises `NoAnswer` where asking again may help."""

    name: str  # of the launcher

    def numbers(self, jobs: list[int]) -> dict[int, int]:
        """The scheduler's numbers for tasks: number -> JOB."""

    def start(self, array: Array, submission: Submission) -> str:
        """Submit; the job's number, or an empty text where the scheduler did not say it.  `UserError`: refused for good."""

    def find(self, name: str) -> str:
        """Number of the job of that name; empty where there is none."""

    def look(self, job: str) -> dict[int, Seen]:
        """Tasks that the scheduler knows; empty where it does not know the job."""

    def ends(self, job: str) -> dict[int, End]:
        """Ends of tasks that it does not show any more, from its accounts."""

    def cancel(self, job: str) -> None:
        """Cancel what is left of it."""
