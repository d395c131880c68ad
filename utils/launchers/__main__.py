"""The command of the launchers: see utils/launchers/__init__.py."""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from utils.cli import die_with_parent, exit_code_of, program
from utils.errors import UserError
from utils.launchers.arguments import parse
from utils.launchers.array import Array, End
from utils.launchers.failures import Failure, not_done, show, statuses_of, still_unfinished
from utils.launchers.progress import ArrayLine, utterances_in
from utils.launchers.record import read_record
from utils.launchers.site import memory, read_site
from utils.receipts import Status, read_receipt

LOCAL = "local"
LAUNCHERS = sorted(
    path.stem
    for path in Path(__file__).parent.glob("*.py")
    if "\ndef submit(" in path.read_text(encoding="utf-8")
)


def main(words: Sequence[str]) -> int:
    """Launch, and give the exit code.

    Parameters
    ----------
    words : sequence of str
        Name of the launcher, then what `launch` takes.
    """
    try:
        if not words or words[0] not in LAUNCHERS:
            raise UserError(
                f"expected one of {', '.join(LAUNCHERS)}, found '{' '.join(words[:1])}'"
            )
        parse(words[1:])
    except UserError as error:
        print(f"{program()}: {error}", file=sys.stderr)
        return 2
    # On a cluster, its site says what becomes of the jobs.
    die_with_parent(signal.SIGKILL if words[0] == LOCAL else signal.SIGHUP)
    return exit_code_of(lambda: launch(words[0], words[1:]))


def launch(launcher: str, words: Sequence[str]) -> None:
    """Run those tasks of an array that have no fresh receipt, and judge them by their receipts.

    Parameters
    ----------
    launcher : str
        Name of a module of utils/launchers.
    words : sequence of str
        ``[--num-threads N] [--mem 4G] [--gpu N] [--time H:MM:SS] [--nodes N] [--max N] [--conf FILE] JOB=1:N[%M] LOG COMMAND...``;
        FILE is the site's, by default conf/cluster/<launcher>.conf.

    Raises
    ------
    UserError
        The array is malformed, or tasks ended without a receipt: a table names each with its log.
    """
    resources, jobs, log, command = parse(words)
    conf = resources.pop("conf", "") or f"conf/cluster/{launcher}.conf"
    site = None if launcher == LOCAL else read_site(Path(conf))
    statuses = statuses_of(command, jobs)
    missing = list(not_done(statuses))
    line = ArrayLine(command, Path(log), len(jobs), len(jobs) - len(missing))
    if not missing:
        _say(f"{line.what}: all {len(jobs)} tasks done already")
        return
    if len(missing) < len(jobs):
        _say(f"{line.what}: {line.done} of {len(jobs)} tasks done already; running {missing}")
    if _is_for_gpu(command):
        resources.setdefault("gpu", "1")
    array = Array(log, command, missing, resources, site, line)
    if (other := read_record(array.beside("jobs.json"))[0]) not in ("", launcher):
        raise UserError(
            f"{array.beside('jobs.json')}: tasks of this array were submitted with --cmd {other} and may still run; "
            f"use --cmd {other} again, or see that none runs and remove that file"
        )
    failures, attempts = _attempt(array, import_module(f"utils.launchers.{launcher}").submit)
    if not failures:
        line.finish(_utterances(statuses))
    else:
        line.clear()
        print(show(array, failures, attempts), file=sys.stderr)
        again = f"; again: {os.environ['SV_RESUME'].strip()}" if os.environ.get("SV_RESUME") else ""
        raise UserError(
            f"{len(failures)} of {len(jobs)} tasks failed: {[each.job for each in failures]}; mend the cause and run the same command "
            f"again: only they are run{again}"
        )


def _utterances(statuses: Mapping[int, Sequence[Status]]) -> int:
    """How many utterances the tasks of an array worked on, as their receipts count them."""
    found = [read_receipt(each.task.path) for every in statuses.values() for each in every]
    return utterances_in([receipt["counts"] for receipt in found if receipt])


def _attempt(array: Array, submit: Callable) -> tuple[list[Failure], dict[int, int]]:
    """Submit the tasks, and again those that may succeed; what failed for good, and JOB -> tries."""
    attempts = dict.fromkeys(array.jobs, 0)
    failures: dict[int, Failure] = {}
    todo = array
    for tries in range(1 + (array.site.retries if array.site else 0)):
        ends = submit(todo)
        for job in todo.jobs:
            attempts[job] += 1
        left = still_unfinished(
            array.command,
            ends,
            todo.jobs,
            array.site.visible_seconds if array.site else 0.0,
            array.line.say,
        )
        failed = [
            Failure(job, ends.get(job, End()), reason, array.log_of(job))
            for job, reason in left.items()
        ]
        failures = {job: each for job, each in failures.items() if job not in todo.jobs} | {
            each.job: each for each in failed
        }
        again = [each for each in failed if not each.is_final]
        if not again or not array.site or tries == array.site.retries:
            break
        todo = replace(todo, jobs=[each.job for each in again], resources=_with_memory(todo, again))
        array.line.say(
            f"trying again: {todo.jobs}: {'; '.join(sorted({each.told() for each in again}))}{_mem_told(todo)}"
        )
    return [failures[job] for job in sorted(failures)], attempts


def _with_memory(array: Array, failures: Sequence[Failure]) -> dict[str, str]:
    """The resources of the next attempt: more memory where some task lacked it."""
    asked = array.cluster.asked(array.resources)
    if "mem" not in asked or not any(each.lacks_memory for each in failures):
        return dict(array.resources)
    return dict(array.resources) | {"mem": memory(asked["mem"], array.cluster.memory_factor)}


def _mem_told(array: Array) -> str:
    """The memory that an attempt asks for, for a message."""
    return f"; with --mem {array.resources['mem']}" if "mem" in array.resources else ""


def _is_for_gpu(command: Sequence[str]) -> bool:
    """True where a step is told to compute on a GPU, so that the scheduler has to give it one."""
    return "--device=cuda" in command or ("--device", "cuda") in itertools.pairwise(command)


def _say(words: str) -> None:
    """Tell the user, in a line of its own."""
    print(f"   {words}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
