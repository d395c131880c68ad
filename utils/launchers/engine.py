"""The interface of schedulers: submit, find, states, ends, cancel."""

from dataclasses import dataclass
from typing import Protocol

from utils.launchers.array import Array, End
from utils.launchers.record import Submission

WAITING, RUNNING, ENDED = "waiting", "running", "ended"


@dataclass(frozen=True)
class TaskState:
    """State of a task (waiting, running or ended) and how it ended, or why it waits."""

    state: str
    end: End = End()  # noqa: RUF009 - frozen


class Engine(Protocol):
    """The commands of a scheduler; each raises `NoAnswer` if a retry may help."""

    name: str  # of the launcher

    def numbers(self, jobs: list[int]) -> dict[int, int]:
        """Number that the scheduler gives each task -> JOB."""

    def start(self, array: Array, submission: Submission) -> str:
        """Submit; the id of the job, or empty if the scheduler gave none.  UserError: refused."""

    def find(self, name: str) -> str:
        """Id of the job of that name; empty without one."""

    def task_states(self, job: str) -> dict[int, TaskState]:
        """States of the tasks that the scheduler knows; empty if it does not know the job."""

    def ends(self, job: str) -> dict[int, End]:
        """Ends of tasks that the scheduler no longer shows, from its accounting."""

    def cancel(self, job: str) -> None:
        """Cancel what is left of a job."""
