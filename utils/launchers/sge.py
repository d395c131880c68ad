"""The Grid Engine launcher: the tasks of an array as one `qsub -t`.  Ended tasks leave qstat; qacct, where it may be read, tells how."""

import getpass
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

from utils.errors import UserError
from utils.launchers.array import CANCELLED, NOT_STARTED, OVER_TIME, Array, End
from utils.launchers.engine import ENDED, RUNNING, WAITING, Seen
from utils.launchers.follow import follow
from utils.launchers.record import Submission
from utils.launchers.script import NoAnswer, ask, refuse_letter, spread, words_of, write_script

PASSING = re.compile(
    r"unable to (contact|send|receive)|commlib|can't (connect|resolve)|got (send|select) error|timeout",
    re.IGNORECASE,
)
OVER_A_LIMIT = "37 "  # qacct's number for h_rt, h_cpu and h_vmem alike
UNKNOWN_JOB = re.compile(r"do(es)? not exist|not found|job id \d+", re.IGNORECASE)


def submit(array: Array) -> dict[int, End]:
    """Run the tasks on Grid Engine.

    Parameters
    ----------
    array : Array
        What is to run.

    Returns
    -------
    dict of int to End
        JOB -> how it ended.
    """
    return follow(GridEngine(), array)


class GridEngine:
    """Grid Engine's commands; see `utils.launchers.engine.Engine`."""

    name = "sge"

    def __init__(self):
        # tasks that qstat showed on their way out; qacct does not tell
        self.deleted: set[tuple[str, int]] = set()

    def numbers(self, jobs: list[int]) -> dict[int, int]:
        """1, 2, ...: an array of Grid Engine is a range."""
        return dict(enumerate(jobs, 1))

    def start(self, array: Array, submission: Submission) -> str:
        """Submit with qsub."""
        # its folder by itself: in -o a colon or a comma would part it
        output = array.beside(submission.name).absolute()
        refuse_letter("$", str(output), "Grid Engine")
        script = write_script(array, submission.name, submission.tasks, "SGE_TASK_ID")
        limit = ["-tc", array.resources["max"]] if "max" in array.resources else []
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
            raise NoAnswer(words_of(done))
        if done.returncode:
            raise UserError(
                f"{array.cluster.path}: {' '.join(words[:-1])}: refused: {words_of(done)}"
            )
        number = re.search(r"^\s*(\d+)", done.stdout, re.MULTILINE)
        return number[1] if number else ""

    def find(self, name: str) -> str:
        """Look for the name among the jobs of this user."""
        return next(
            (
                job.findtext("JB_job_number", "")
                for job in self._jobs()
                if job.findtext("JB_name") == name
            ),
            "",
        )

    def look(self, job: str) -> dict[int, Seen]:
        """Read qstat: one entry for each task."""
        seen: dict[int, Seen] = {}
        for each in (each for each in self._jobs() if each.findtext("JB_job_number") == job):
            letters = each.findtext("state", "")
            host = each.findtext("queue_name", "").rpartition("@")[2]
            if "E" in letters:  # it would stay so for ever
                why = re.search(
                    r"^error reason .*?: +(?:[\d/]+ [\d:]+ \[\d+:\d+\]: )?(?:error: )?(.+)",
                    ask(["qstat", "-j", job]).stdout,
                    re.MULTILINE,
                )
                self.cancel(f"{job}.{each.findtext('tasks', '')}")
                told = Seen(
                    ENDED,
                    End(
                        None,
                        host,
                        f"{NOT_STARTED} ({letters}): {why[1].strip() if why else 'no reason given'}",
                    ),
                )
            else:
                running = set(letters) & set("rtsST") and "q" not in letters
                told = Seen(
                    RUNNING if running else WAITING, End(None, host, "" if running else letters)
                )
            tasks = spread(each.findtext("tasks", ""))
            self.deleted |= {(job, task) for task in tasks if "d" in letters}
            seen |= dict.fromkeys(tasks, told)
        return seen

    def ends(self, job: str) -> dict[int, End]:
        """Read qacct, which may come late or not be allowed: logs tell the rest."""
        ends = {}
        for entry in re.split(r"^=+$", ask(["qacct", "-j", job]).stdout, flags=re.MULTILINE):
            facts = dict(re.findall(r"^(\w+) +(\S.*?) *$", entry, re.MULTILINE))
            if (
                facts.get("taskid", "").isdigit()
                and facts.get("exit_status", "").split(" ")[0].isdigit()
            ):
                task, reason = int(facts["taskid"]), _trouble(facts)
                if (job, task) in self.deleted and not reason.startswith(OVER_TIME):
                    reason = CANCELLED
                ends[task] = End(
                    int(facts["exit_status"].split(" ")[0]), facts.get("hostname", ""), reason
                )
        return ends

    def cancel(self, job: str) -> None:
        """Cancel with qdel."""
        done = ask(["qdel", job])
        if done.returncode and not UNKNOWN_JOB.search(done.stdout + done.stderr):
            raise NoAnswer(f"qdel: {words_of(done)}")

    def _jobs(self) -> list[ElementTree.Element]:
        done = ask(["qstat", "-xml", "-g", "d", "-u", getpass.getuser()])
        if done.returncode:
            raise NoAnswer(f"qstat: {words_of(done)}")
        try:
            return list(ElementTree.fromstring(done.stdout).iter("job_list"))
        except ElementTree.ParseError as error:
            raise NoAnswer(f"qstat: {error}") from None


def _trouble(facts: Mapping[str, str]) -> str:
    """What the scheduler says of an end beside the exit code; empty where nothing."""
    failed = " ".join(facts.get("failed", "0").split())
    if not failed.startswith(OVER_A_LIMIT):
        return "" if failed == "0" else failed
    asked = re.search(r"h_rt=(\d+)\b", facts.get("category", ""))
    taken = re.match(r"\d+", facts.get("ru_wallclock", ""))
    if asked and taken and int(taken[0]) >= int(asked[1]):
        return OVER_TIME
    return f"{OVER_TIME} or memory"
