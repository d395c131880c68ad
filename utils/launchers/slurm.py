"""The Slurm launcher: the tasks of an array as one `sbatch --array`.  It needs no accounting data base: `scontrol` tells states and exit codes."""

import re

from utils.errors import UserError
from utils.launchers.array import CANCELLED, OVER_TIME, Array, End
from utils.launchers.engine import ENDED, RUNNING, WAITING, Seen
from utils.launchers.follow import follow
from utils.launchers.record import Submission
from utils.launchers.script import (
    NoAnswer,
    ask,
    in_ranges,
    refuse_letter,
    spread,
    words_of,
    write_script,
)

ENDS = {  # states that a task does not leave again -> what they mean; others wait or run
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
    r"socket timed out|unable to contact|connect failure|temporarily|try again|zero bytes|communication|transport",
    re.IGNORECASE,
)
UNKNOWN_JOB = re.compile(r"invalid job id", re.IGNORECASE)


def submit(array: Array) -> dict[int, End]:
    """Run the tasks on Slurm.

    Parameters
    ----------
    array : Array
        What is to run.

    Returns
    -------
    dict of int to End
        JOB -> how it ended.
    """
    return follow(Slurm(), array)


class Slurm:
    """Slurm's commands; see `utils.launchers.engine.Engine`."""

    name = "slurm"

    def numbers(self, jobs: list[int]) -> dict[int, int]:
        """JOB itself: an array of Slurm takes any list of numbers."""
        return {job: job for job in jobs}

    def start(self, array: Array, submission: Submission) -> str:
        """Submit with sbatch."""
        output = str(array.beside(submission.name).absolute()).replace("%", "%%")
        refuse_letter("\\", output, "Slurm")
        script = write_script(array, submission.name, submission.tasks, "SLURM_ARRAY_TASK_ID")
        numbers = in_ranges(submission.tasks) + (
            f"%{array.resources['max']}" if "max" in array.resources else ""
        )
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
            raise NoAnswer(words_of(done))
        if done.returncode:
            raise UserError(
                f"{array.cluster.path}: {' '.join(words[:-1])}: refused: {words_of(done)}"
            )
        number = re.match(r"\s*(\d+)", done.stdout)
        return number[1] if number else ""

    def find(self, name: str) -> str:
        """Ask squeue for the name."""
        found = self._answer(
            ["squeue", "--noheader", "--states=all", f"--name={name}", "--format=%F"]
        ).split()
        return found[0] if found else ""

    def look(self, job: str) -> dict[int, Seen]:
        """Read every line of scontrol: one for each task that started or ended, and one for all that wait."""
        seen: dict[int, Seen] = {}
        for line in self._answer(["scontrol", "--oneliner", "show", "job", job]).splitlines():
            facts = dict(re.findall(r"(\w+)=(\S*)", line))
            state = facts.get("JobState", "")
            code, _, number = facts.get("ExitCode", "0:0").partition(":")
            host = facts.get("NodeList", "").replace("(null)", "")
            if state in ENDS:
                ended_with = 128 + int(number) if int(number) else int(code)
                told = Seen(
                    ENDED,
                    End(None if ENDS[state] and not ended_with else ended_with, host, ENDS[state]),
                )
            else:
                told = Seen(
                    RUNNING if state in RUNS else WAITING,
                    End(None, host, facts.get("Reason", "").replace("None", "")),
                )
            seen |= dict.fromkeys(spread(facts.get("ArrayTaskId", "")), told)
        return seen

    def ends(self, job: str) -> dict[int, End]:
        """Nothing: what scontrol has forgotten nobody tells without a data base."""
        return {}

    def cancel(self, job: str) -> None:
        """Cancel with scancel."""
        self._answer(["scancel", job])

    def _answer(self, words: list[str]) -> str:
        done = ask(words)
        if done.returncode and UNKNOWN_JOB.search(done.stderr):
            return ""
        if done.returncode:
            raise NoAnswer(f"{words[0]}: {words_of(done)}")
        return done.stdout
