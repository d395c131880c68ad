"""Tasks that ended without a receipt: whether to try them again, with more memory or not, and what the user is shown."""

import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.files import look_anew
from utils.launchers.array import CANCELLED, GONE, OVER_TIME, Array, End, read_log, substitute
from utils.receipts import DONE, Status
from utils.receipts.check import evaluate

KILLED = 128 + signal.SIGKILL
# of the host: a GPU's is not meant
NO_MEMORY = re.compile(
    r"\bMemoryError\b|Cannot allocate memory|oom[-_ ]kill|Unable to allocate", re.IGNORECASE
)
TAILS_SHOWN, LINES_SHOWN = 10, 8
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Failure:
    """A task without a receipt.

    Attributes
    ----------
    job : int
        Its number.
    end : End
        How it ended.
    reason : str
        What its receipt lacks.
    log : path
        Its log.
    """

    job: int
    end: End
    reason: str
    log: Path

    @property
    def lacks_memory(self) -> bool:
        """True where it was killed for memory, or complained about it."""
        if self.end.reason == OVER_TIME:
            return False
        return (
            "memory" in self.end.reason
            or self.end.code == KILLED
            or any(NO_MEMORY.search(line) for line in read_log(self.log).lines)
        )

    @property
    def is_final(self) -> bool:
        """True where somebody cancelled it, or the step said in a line what the user has to mend: trying again would say it again."""
        return self.end.reason == CANCELLED or (
            self.end.code in (1, 2)
            and not self.end.reason
            and not self.lacks_memory
            and not any(
                line.startswith("Traceback") for line in read_log(self.log, lines=1000).lines
            )
            and len(read_log(self.log).lines) > 2
        )

    def told(self) -> str:
        """The reason in words."""
        code = (
            f"exit code {self.end.code}"
            if self.end.code is not None
            else ""
            if self.end.reason
            else "exit code unknown"
        )
        return ", ".join(filter(None, [self.end.reason, code, self.reason or "no receipt"]))


def unfinished(command: Sequence[str], jobs: Sequence[int]) -> dict[int, str]:
    """Tasks whose work is not done -> what is missing, in words; empty where nothing was ever written.

    Parameters
    ----------
    command : sequence of str
        Of a step, with JOB.
    jobs : sequence of int
        Tasks to look at.
    """
    return not_done(statuses_of(command, jobs))


def statuses_of(command: Sequence[str], jobs: Sequence[int]) -> dict[int, list[Status]]:
    """Tasks -> the statuses of their work.

    Parameters
    ----------
    command, jobs
        As of `unfinished`.
    """
    return {job: evaluate(substitute(command, job)) for job in jobs}


def not_done(statuses: Mapping[int, Sequence[Status]]) -> dict[int, str]:
    """Those tasks of some whose work is not done -> what is missing, as of `unfinished`.

    Parameters
    ----------
    statuses : mapping
        From `statuses_of`.
    """
    missing = {}
    for job, found in statuses.items():
        late = [status for status in found if status.state != DONE]
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

    Parameters
    ----------
    command : sequence of str
        Of a step, with JOB.
    ends : mapping of int to End
        Only results of tasks that ended well, or of whose end nobody knows, are waited for.
    jobs : sequence of int
        Tasks to look at.
    visible_seconds : float
        How long at most.
    say : callable
        Told what is waited for.
    """
    missing = unfinished(command, jobs)
    deadline = time.monotonic() + visible_seconds
    said = False
    ended_well = [
        job
        for job in jobs
        if (end := ends.get(job, End())).code in (0, None) and end.reason in ("", GONE)
    ]
    while (late := [job for job in ended_well if job in missing]) and time.monotonic() < deadline:
        if not said:
            say(
                f"tasks {late} ended without an error, and their results are not visible yet: waiting up to {visible_seconds:g} s for the file system"
            )
        said = True
        time.sleep(min(LOOK_SECONDS, visible_seconds / 10))
        for job in late:
            for status in evaluate(substitute(command, job)):
                look_anew(status.task.path.parent)
        missing = unfinished(command, list(missing))
    return missing


def show(array: Array, failures: Sequence[Failure], attempts: Mapping[int, int]) -> str:
    """The table of what failed, and the ends of the logs.

    Parameters
    ----------
    array : Array
        Whose tasks.
    failures : sequence of Failure
        One for each.
    attempts : mapping of int to int
        JOB -> how often it was run.
    """
    rows = [
        ("task", "host", "tries", "reason"),
        *(
            (
                str(each.job),
                each.end.host or read_log(each.log).host or "-",
                str(attempts[each.job]),
                each.told(),
            )
            for each in failures
        ),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "   "
        + "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]
        )
        for row in rows
    ]
    for each in failures[:TAILS_SHOWN]:
        lines += [
            f"-- task {each.job}: the end of {each.log}:",
            *("   " + line for line in read_log(each.log).lines),
        ]
        if each.end.output:
            kept = each.end.output.read_text(encoding="utf-8", errors="replace").splitlines()[
                -LINES_SHOWN:
            ]
            lines += [
                f"   {each.end.output}, which the scheduler kept:",
                *("   " + line for line in kept),
            ]
    if len(failures) > TAILS_SHOWN:
        lines.append(f"-- {len(failures) - TAILS_SHOWN} more failed; their logs: {array.log}")
    return "\n".join(lines)
