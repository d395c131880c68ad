"""The Slurm launcher: an array is one `sbatch --array`.

It needs no accounting database: `scontrol` shows states and exit codes.
"""

import re

from utils.errors import UserError
from utils.launchers.array import CANCELLED, OVER_TIME, Array, End
from utils.launchers.engine import ENDED, RUNNING, WAITING, TaskState
from utils.launchers.follow import follow
from utils.launchers.record import Submission
from utils.launchers.script import (
    NoAnswer,
    ask,
    error_output,
    format_ranges,
    parse_ranges,
    refuse_letter,
    write_script,
)

ENDS = {  # final states of a task -> their meaning
    "COMPLETED": "",
    "FAILED": "",
    "CANCELLED": CANCELLED,
    "TIMEOUT": OVER_TIME,
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "killed for lack of memory",
    "PREEMPTED": "preempted",
    "BOOT_FAIL": "its node did not start",
    "DEADLINE": "over its deadline",
    "REVOKED": "revoked",
}
RUNS = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
PASSING = re.compile(
    r"socket timed out|unable to contact|connect failure|temporarily|try again|zero bytes"
    r"|communication|transport",
    re.IGNORECASE,
)
UNKNOWN_JOB = re.compile(r"invalid job id", re.IGNORECASE)


def submit(array: Array) -> dict[int, End]:
    """Run the tasks on Slurm and return their ends."""
    return follow(Slurm(), array)


class Slurm:
    """Slurm's commands, as an `utils.launchers.engine.Engine`."""

    name = "slurm"

    def numbers(self, jobs: list[int]) -> dict[int, int]:
        """JOB itself: an array of Slurm takes any list of numbers."""
        return {job: job for job in jobs}

    def start(self, array: Array, submission: Submission) -> str:
        """Submit with sbatch."""
        output = str(array.beside(submission.name).absolute()).replace("%", "%%")
        refuse_letter("\\", output, "Slurm")
        script = write_script(array, submission.name, submission.tasks, "SLURM_ARRAY_TASK_ID")
        numbers = format_ranges(submission.tasks)
        if "max" in array.resources:
            numbers += f"%{array.resources['max']}"
        words = [
            *array.cluster.words(array.resources),
            "--parsable",
            f"--job-name={submission.name}",
            f"--array={numbers}",
            f"--output={output}.%a.out",
            str(script),
        ]
        done = ask(words)
        if done.returncode and PASSING.search(done.stderr):
            raise NoAnswer(error_output(done))
        if done.returncode:
            raise UserError(
                f"{array.cluster.path}: {' '.join(words[:-1])}: refused: {error_output(done)}"
            )
        if match := re.match(r"\s*(\d+)", done.stdout):
            return match[1]
        return ""

    def find(self, name: str) -> str:
        """Ask squeue for the name."""
        command = ["squeue", "--noheader", "--states=all", f"--name={name}", "--format=%F"]
        jobs = self._answer(command).split()
        return next(iter(jobs), "")

    def task_states(self, job: str) -> dict[int, TaskState]:
        """Read scontrol: a line for each task that started or ended, and one for all that wait."""
        seen: dict[int, TaskState] = {}
        for line in self._answer(["scontrol", "--oneliner", "show", "job", job]).splitlines():
            fields = dict(re.findall(r"(\w+)=(\S*)", line))
            tasks = parse_ranges(fields.get("ArrayTaskId", ""))
            seen |= dict.fromkeys(tasks, _to_state(fields))
        return seen

    def ends(self, job: str) -> dict[int, End]:
        """Empty: without an accounting database, nothing is known beyond scontrol."""
        return {}

    def cancel(self, job: str) -> None:
        """Cancel with scancel."""
        self._answer(["scancel", job])

    def _answer(self, words: list[str]) -> str:
        done = ask(words)
        if done.returncode and UNKNOWN_JOB.search(done.stderr):
            return ""
        if done.returncode:
            raise NoAnswer(f"{words[0]}: {error_output(done)}")
        return done.stdout


def _to_state(fields: dict[str, str]) -> TaskState:
    """State of the tasks that a line of scontrol describes."""
    state = fields.get("JobState", "")
    host = fields.get("NodeList", "").replace("(null)", "")
    if state in ENDS:
        return TaskState(ENDED, End(_exit_code(fields, state), host, ENDS[state]))
    end = End(None, host, fields.get("Reason", "").replace("None", ""))
    if state in RUNS:
        return TaskState(RUNNING, end)
    return TaskState(WAITING, end)


def _exit_code(fields: dict[str, str], state: str) -> int | None:
    """Exit code, 128 + N after signal N; None: unknown, since the scheduler ended the task."""
    exit_code, _, signal_number = fields.get("ExitCode", "0:0").partition(":")
    code = int(exit_code)
    if int(signal_number):
        code = 128 + int(signal_number)
    if ENDS[state] and not code:
        return None
    return code
