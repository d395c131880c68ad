"""The command of the launchers: see utils/launchers/__init__.py."""

import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from utils.cli import die_with_parent, exit_with
from utils.errors import UserError
from utils.plan import evaluate
from utils.receipts import DONE

RESOURCES = ("num-threads", "mem", "gpu", "time", "max")
LOG_LINES_SHOWN = 8


def launch(launcher: str, words: Sequence[str]) -> None:
    """Run those tasks of an array that have no fresh receipt, and judge them by their receipts.

    Parameters
    ----------
    launcher : str
        Name of a module of utils/launchers.
    words : sequence of str
        ``[--num-threads N] [--mem G] [--gpu N] [--time H:MM:SS] [--max N] JOB=1:N[%M] LOG COMMAND...``

    Raises
    ------
    UserError
        The array is malformed, or tasks ended without a receipt: names each with its log.
    """
    resources, jobs, log, command = parse(words)
    missing = []
    for job in jobs:
        statuses = evaluate(substitute(command, job))
        if any(status.state != DONE for status in statuses):
            missing.append(job)
    if not missing:
        print(f"   all {len(jobs)} tasks done already", file=sys.stderr)
        return
    if len(missing) < len(jobs):
        print(f"   {len(jobs) - len(missing)} of {len(jobs)} tasks done already; running {missing}", file=sys.stderr)
    logs = {job: Path(log.replace("JOB", str(job))) for job in missing}
    tasks = {job: [sys.executable, "-m", "utils.launchers.task", str(logs[job]), *substitute(command, job)] for job in missing}
    codes = import_module(f"utils.launchers.{launcher}").submit(tasks, resources)
    failed = [job for job in missing if any(status.state != DONE for status in evaluate(substitute(command, job)))]
    if failed:
        for job in failed:
            print(f"-- task {job}: exit code {codes.get(job)}, no receipt; the end of {logs[job]}:", file=sys.stderr)
            tail = logs[job].read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:] if logs[job].exists() else ["(no log)"]
            print("\n".join("   " + line for line in tail), file=sys.stderr)
        raise UserError(f"{len(failed)} of {len(jobs)} tasks failed: {failed}; mend the cause and run the same command again: only they are run")


def parse(words: Sequence[str]) -> tuple[dict[str, str], range, str, list[str]]:
    """Resources, task numbers, log and command of an array.

    Parameters
    ----------
    words : sequence of str
        See `launch`.
    """
    words, resources = list(words), {}
    while words and words[0].startswith("--"):
        if words[0][2:] not in RESOURCES or len(words) < 2:
            raise UserError(f"unknown resource '{words[0]}'; there are {', '.join('--' + name for name in RESOURCES)}")
        resources[words[0][2:]] = words[1]
        words = words[2:]
    array = re.fullmatch(r"JOB=1:(\d+)(?:%(\d+))?", words[0]) if len(words) >= 3 else None
    if not array:
        raise UserError(f"expected JOB=1:N LOG COMMAND..., found '{' '.join(words[:3])}'")
    if array[2]:
        resources["max"] = array[2]
    return resources, range(1, int(array[1]) + 1), words[1], words[2:]


def substitute(command: Sequence[str], job: int) -> list[str]:
    """The command of one task.

    Parameters
    ----------
    command : sequence of str
        Words that hold JOB where the number goes.
    job : int
        From 1 on.
    """
    return [word.replace("JOB", str(job)) for word in command]


if __name__ == "__main__":
    die_with_parent()
    exit_with(lambda: launch(sys.argv[1], sys.argv[2:]))
