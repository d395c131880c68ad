"""Tasks that ended without a receipt: whether to retry them, and how they are reported."""

import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.files import refresh_listing
from utils.launchers.array import CANCELLED, GONE, OVER_TIME, Array, End, read_log, substitute
from utils.receipts import DONE, Status
from utils.receipts.check import evaluate

KILLED = 128 + signal.SIGKILL
# memory of the host, not of a GPU
NO_MEMORY = re.compile(
    r"\bMemoryError\b|Cannot allocate memory|oom[-_ ]kill|Unable to allocate", re.IGNORECASE
)
TAILS_SHOWN, LINES_SHOWN = 10, 8
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Failure:
    """A task without a receipt."""

    job: int
    end: End
    reason: str  # what its receipt lacks
    log: Path

    @property
    def lacks_memory(self) -> bool:
        """Whether it ran out of memory, or was killed for it."""
        if self.end.reason == OVER_TIME:
            return False
        if "memory" in self.end.reason or self.end.code == KILLED:
            return True
        return any(NO_MEMORY.search(line) for line in read_log(self.log).lines)

    @property
    def is_final(self) -> bool:
        """Whether a retry is useless: cancelled, or a one-line error that the user has to fix."""
        if self.end.reason == CANCELLED:
            return True
        if self.end.code not in (1, 2) or self.end.reason or self.lacks_memory:
            return False
        lines = read_log(self.log, lines=1000).lines
        has_traceback = any(line.startswith("Traceback") for line in lines)
        return len(lines) > 2 and not has_traceback

    def describe(self) -> str:
        """Why it failed: the reasons, joined by commas."""
        reasons = [self.end.reason]
        if self.end.code is not None:
            reasons.append(f"exit code {self.end.code}")
        elif not self.end.reason:
            reasons.append("exit code unknown")
        reasons.append(self.reason or "no receipt")
        return ", ".join(reason for reason in reasons if reason)


def unfinished(command: Sequence[str], jobs: Sequence[int]) -> dict[int, str]:
    """Tasks that are not done -> what their receipts lack; empty if nothing was ever written."""
    return not_done(check_tasks(command, jobs))


def check_tasks(command: Sequence[str], jobs: Sequence[int]) -> dict[int, list[Status]]:
    """Tasks -> the statuses of their work."""
    return {job: evaluate(substitute(command, job)) for job in jobs}


def not_done(statuses: Mapping[int, Sequence[Status]]) -> dict[int, str]:
    """The tasks of `check_tasks` that are not done -> what their receipts lack."""
    missing = {}
    for job, task_statuses in statuses.items():
        late = [status for status in task_statuses if status.state != DONE]
        if late:
            missing[job] = late[0].reason
    return missing


def still_unfinished(
    command: Sequence[str],
    ends: Mapping[int, End],
    jobs: Sequence[int],
    visible_seconds: float,
    say: Callable[[str], object],
) -> dict[int, str]:
    """`unfinished`, after waiting for results that a shared file system shows late.

    It waits for tasks that ended well, or in an unknown way.
    """
    missing = unfinished(command, jobs)
    deadline = time.monotonic() + visible_seconds
    ended_well = []
    for job in jobs:
        end = ends.get(job, End())
        if end.code in (0, None) and end.reason in ("", GONE):
            ended_well.append(job)
    announced = False
    while time.monotonic() < deadline:
        late = [job for job in ended_well if job in missing]
        if not late:
            break
        if not announced:
            say(
                f"tasks {late} ended without an error, and their results are not visible yet: "
                f"waiting up to {visible_seconds:g} s for the file system"
            )
        announced = True
        time.sleep(min(LOOK_SECONDS, visible_seconds / 10))
        for job in late:
            for status in evaluate(substitute(command, job)):
                refresh_listing(status.task.path.parent)
        missing = unfinished(command, list(missing))
    return missing


def show(array: Array, failures: Sequence[Failure], attempts: Mapping[int, int]) -> str:
    """The table of failed tasks, and the ends of their logs, as text."""
    rows = [("task", "host", "tries", "reason")]
    for failure in failures:
        host = failure.end.host or read_log(failure.log).host or "-"
        rows.append((str(failure.job), host, str(attempts[failure.job]), failure.describe()))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("   " + "  ".join([*cells, row[3]]))
    for failure in failures[:TAILS_SHOWN]:
        lines.append(f"-- task {failure.job}: the end of {failure.log}:")
        lines += _indented(read_log(failure.log).lines)
        output = failure.end.output
        if output:
            text = output.read_text(encoding="utf-8", errors="replace").splitlines()
            lines.append(f"   {output}, which the scheduler kept:")
            lines += _indented(text[-LINES_SHOWN:])
    if len(failures) > TAILS_SHOWN:
        lines.append(f"-- {len(failures) - TAILS_SHOWN} more failed; their logs: {array.log}")
    return "\n".join(lines)


def _indented(lines: Sequence[str]) -> list[str]:
    return ["   " + line for line in lines]
