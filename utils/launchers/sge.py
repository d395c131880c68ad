"""The Grid Engine launcher: an array is one `qsub -t`.

Ended tasks disappear from qstat; qacct, if it may be read, shows how they ended.
"""

import getpass
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

from utils.errors import UserError
from utils.launchers.array import CANCELLED, NOT_STARTED, OVER_TIME, Array, End
from utils.launchers.engine import ENDED, RUNNING, WAITING, TaskState
from utils.launchers.follow import follow
from utils.launchers.record import Submission
from utils.launchers.script import (
    NoAnswer,
    ask,
    error_output,
    parse_ranges,
    refuse_letter,
    write_script,
)

PASSING = re.compile(
    r"unable to (contact|send|receive)|commlib|can't (connect|resolve)"
    r"|got (send|select) error|timeout",
    re.IGNORECASE,
)
OVER_A_LIMIT = "37 "  # qacct's number for h_rt, h_cpu and h_vmem alike
UNKNOWN_JOB = re.compile(r"do(es)? not exist|not found|job id \d+", re.IGNORECASE)


def submit(array: Array) -> dict[int, End]:
    """Run the tasks on Grid Engine and return their ends."""
    return follow(GridEngine(), array)


class GridEngine:
    """Grid Engine's commands, as an `utils.launchers.engine.Engine`."""

    name = "sge"

    def __init__(self):
        # tasks that qstat showed as deleted, which qacct does not show
        self.deleted: set[tuple[str, int]] = set()

    def numbers(self, jobs: list[int]) -> dict[int, int]:
        """1, 2, ...: an array of Grid Engine is a range."""
        return dict(enumerate(jobs, 1))

    def start(self, array: Array, submission: Submission) -> str:
        """Submit with qsub."""
        # the folder goes to -wd: in -o a colon or a comma would split it
        output = array.beside(submission.name).absolute()
        refuse_letter("$", str(output), "Grid Engine")
        script = write_script(array, submission.name, submission.tasks, "SGE_TASK_ID")
        limit = []
        if "max" in array.resources:
            limit = ["-tc", array.resources["max"]]
        words = [
            *array.cluster.words(array.resources),
            "-terse",
            "-N",
            submission.name,
            "-t",
            f"1-{len(submission.tasks)}",
            *limit,
            "-wd",
            str(output.parent),
            "-S",
            "/bin/bash",
            "-j",
            "y",
            "-o",
            f"{output.name}.$TASK_ID.out",
            str(script),
        ]
        done = ask(words)
        if done.returncode and PASSING.search(done.stderr):
            raise NoAnswer(error_output(done))
        if done.returncode:
            raise UserError(
                f"{array.cluster.path}: {' '.join(words[:-1])}: refused: {error_output(done)}"
            )
        if match := re.search(r"^\s*(\d+)", done.stdout, re.MULTILINE):
            return match[1]
        return ""

    def find(self, name: str) -> str:
        """Search the jobs of this user for the name."""
        for job in self._jobs():
            if job.findtext("JB_name") == name:
                return job.findtext("JB_job_number", "")
        return ""

    def task_states(self, job: str) -> dict[int, TaskState]:
        """Read qstat, which has an entry for each task."""
        seen: dict[int, TaskState] = {}
        for entry in self._jobs():
            if entry.findtext("JB_job_number") != job:
                continue
            numbers = entry.findtext("tasks", "")
            letters = entry.findtext("state", "")
            host = entry.findtext("queue_name", "").rpartition("@")[2]
            if "E" in letters:
                state = self._end_of_error(job, numbers, letters, host)
            elif set(letters) & set("rtsST") and "q" not in letters:
                state = TaskState(RUNNING, End(None, host))
            else:
                state = TaskState(WAITING, End(None, host, letters))
            tasks = parse_ranges(numbers)
            if "d" in letters:
                self.deleted |= {(job, task) for task in tasks}
            seen |= dict.fromkeys(tasks, state)
        return seen

    def _end_of_error(self, job: str, numbers: str, letters: str, host: str) -> TaskState:
        """Cancel tasks in an error state, which never ends by itself, and return the reason."""
        match = re.search(
            r"^error reason .*?: +(?:[\d/]+ [\d:]+ \[\d+:\d+\]: )?(?:error: )?(.+)",
            ask(["qstat", "-j", job]).stdout,
            re.MULTILINE,
        )
        reason = "no reason given"
        if match:
            reason = match[1].strip()
        self.cancel(f"{job}.{numbers}")
        return TaskState(ENDED, End(None, host, f"{NOT_STARTED} ({letters}): {reason}"))

    def ends(self, job: str) -> dict[int, End]:
        """Read qacct; where it is late or forbidden, only the logs tell how tasks ended."""
        ends = {}
        for entry in re.split(r"^=+$", ask(["qacct", "-j", job]).stdout, flags=re.MULTILINE):
            facts = dict(re.findall(r"^(\w+) +(\S.*?) *$", entry, re.MULTILINE))
            exit_status = facts.get("exit_status", "").split(" ")[0]
            if not facts.get("taskid", "").isdigit() or not exit_status.isdigit():
                continue
            task, reason = int(facts["taskid"]), _end_reason(facts)
            if (job, task) in self.deleted and not reason.startswith(OVER_TIME):
                reason = CANCELLED
            ends[task] = End(int(exit_status), facts.get("hostname", ""), reason)
        return ends

    def cancel(self, job: str) -> None:
        """Cancel with qdel."""
        done = ask(["qdel", job])
        if done.returncode and not UNKNOWN_JOB.search(done.stdout + done.stderr):
            raise NoAnswer(f"qdel: {error_output(done)}")

    def _jobs(self) -> list[ElementTree.Element]:
        done = ask(["qstat", "-xml", "-g", "d", "-u", getpass.getuser()])
        if done.returncode:
            raise NoAnswer(f"qstat: {error_output(done)}")
        try:
            return list(ElementTree.fromstring(done.stdout).iter("job_list"))
        except ElementTree.ParseError as error:
            raise NoAnswer(f"qstat: {error}") from None


def _end_reason(facts: Mapping[str, str]) -> str:
    """The reason for an end that the scheduler gives beside the exit code; may be empty."""
    failed = " ".join(facts.get("failed", "0").split())
    if failed == "0":
        return ""
    if not failed.startswith(OVER_A_LIMIT):
        return failed
    asked = re.search(r"h_rt=(\d+)\b", facts.get("category", ""))
    taken = re.match(r"\d+", facts.get("ru_wallclock", ""))
    if asked and taken and int(taken[0]) >= int(asked[1]):
        return OVER_TIME
    return f"{OVER_TIME} or memory"
