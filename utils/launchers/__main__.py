"""The command of the launchers: see utils/launchers/__init__.py."""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from utils.cli import die_with_parent, program, run_and_report
from utils.errors import UserError
from utils.launchers.arguments import parse
from utils.launchers.array import Array, End
from utils.launchers.failures import Failure, check_tasks, not_done, show, still_unfinished
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
    """Launch an array and return the exit code.

    Parameters
    ----------
    words : sequence of str
        Name of the launcher, then what `launch` takes.
    """
    try:
        if not words or words[0] not in LAUNCHERS:
            name = " ".join(words[:1])
            raise UserError(f"expected one of {', '.join(LAUNCHERS)}, found '{name}'")
        parse(words[1:])
    except UserError as error:
        print(f"{program()}: {error}", file=sys.stderr)
        return 2
    if words[0] == LOCAL:
        die_with_parent(signal.SIGKILL)
    else:
        die_with_parent(signal.SIGHUP)  # the site's file says what happens to its jobs
    return run_and_report(lambda: launch(words[0], words[1:]))


def launch(launcher: str, words: Sequence[str]) -> None:
    """Run the tasks of an array that have no valid receipt, and check their receipts.

    Parameters
    ----------
    launcher : str
        Name of a module of utils/launchers.
    words : sequence of str
        ``[--num-threads N] [--mem 4G] [--gpu N] [--time H:MM:SS] [--nodes N] [--max N]
        [--conf FILE] JOB=1:N[%M] LOG COMMAND...``; FILE is the site's file, by default
        conf/cluster/<launcher>.conf.

    Raises
    ------
    UserError
        The array is malformed, or tasks ended without a receipt: a table lists each with its log.
    """
    resources, jobs, log, command = parse(words)
    conf = resources.pop("conf", "") or f"conf/cluster/{launcher}.conf"
    site = None
    if launcher != LOCAL:
        site = read_site(Path(conf))
    statuses = check_tasks(command, jobs)
    missing = list(not_done(statuses))
    line = ArrayLine(command, Path(log), len(jobs), len(jobs) - len(missing))
    if not missing:
        _print_line(f"{line.what}: all {len(jobs)} tasks done already")
        return
    if len(missing) < len(jobs):
        _print_line(
            f"{line.what}: {line.done} of {len(jobs)} tasks done already; running {missing}"
        )
    if _needs_gpu(command):
        resources.setdefault("gpu", "1")
    array = Array(log, command, missing, resources, site, line)
    _refuse_other_launcher(array, launcher)
    failures, attempts = _attempt(array, import_module(f"utils.launchers.{launcher}").submit)
    if not failures:
        line.finish(_count_utterances(statuses))
        return
    line.clear()
    print(show(array, failures, attempts), file=sys.stderr)
    failed = [failure.job for failure in failures]
    message = (
        f"{len(failed)} of {len(jobs)} tasks failed: {failed}; fix the cause and run the same "
        "command again: only they are run"
    )
    if os.environ.get("SV_RESUME"):
        message += f"; again: {os.environ['SV_RESUME'].strip()}"
    raise UserError(message)


def _refuse_other_launcher(array: Array, launcher: str) -> None:
    """Refuse an array whose tasks may still run under another launcher."""
    record = array.beside("jobs.json")
    other = read_record(record)[0]
    if other not in ("", launcher):
        raise UserError(
            f"{record}: tasks of this array were submitted with --cmd {other} and may still run; "
            f"use --cmd {other} again, or make sure that none runs and remove that file"
        )


def _count_utterances(statuses: Mapping[int, Sequence[Status]]) -> int:
    """Utterances that the tasks processed, from their receipts."""
    counts = []
    for task_statuses in statuses.values():
        for status in task_statuses:
            receipt = read_receipt(status.task.path)
            if receipt:
                counts.append(receipt["counts"])
    return utterances_in(counts)


def _attempt(array: Array, submit: Callable) -> tuple[list[Failure], dict[int, int]]:
    """Submit the tasks, and failed ones again while a retry may help.

    Returns the final failures, and JOB -> number of attempts.
    """
    retries, visible_seconds = 0, 0.0
    if array.site:
        retries, visible_seconds = array.site.retries, array.site.visible_seconds
    attempts = dict.fromkeys(array.jobs, 0)
    failures: dict[int, Failure] = {}
    current = array
    for attempt in range(1 + retries):
        ends = submit(current)
        for job in current.jobs:
            attempts[job] += 1
            failures.pop(job, None)
        reasons = still_unfinished(
            array.command, ends, current.jobs, visible_seconds, array.line.say
        )
        failed = [
            Failure(job, ends.get(job, End()), reason, array.log_path(job))
            for job, reason in reasons.items()
        ]
        failures |= {failure.job: failure for failure in failed}
        again = [failure for failure in failed if not failure.is_final]
        if not again or attempt == retries:
            break
        jobs = [failure.job for failure in again]
        current = replace(current, jobs=jobs, resources=_with_memory(current, again))
        array.line.say(_describe_retry(current, again))
    return [failures[job] for job in sorted(failures)], attempts


def _with_memory(array: Array, failures: Sequence[Failure]) -> dict[str, str]:
    """Resources of the next attempt: more memory if a task ran out of it."""
    resources = dict(array.resources)
    asked = array.cluster.asked(resources)
    if "mem" in asked and any(failure.lacks_memory for failure in failures):
        resources["mem"] = memory(asked["mem"], array.cluster.memory_factor)
    return resources


def _describe_retry(array: Array, failures: Sequence[Failure]) -> str:
    reasons = sorted({failure.describe() for failure in failures})
    text = f"trying again: {array.jobs}: {'; '.join(reasons)}"
    if "mem" in array.resources:
        text += f"; with --mem {array.resources['mem']}"
    return text


def _needs_gpu(command: Sequence[str]) -> bool:
    """Whether the step computes on a GPU, so that the scheduler has to allocate one."""
    return "--device=cuda" in command or ("--device", "cuda") in itertools.pairwise(command)


def _print_line(text: str) -> None:
    print(f"   {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
