"""The stages of a recipe as a chain of Slurm jobs: `run.sh --cmd slurm --submit-all`."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.cli import exit_with
from utils.errors import UserError
from utils.files import atomic_write
from utils.launchers.record import Submission, lock_array, read_record, write_record
from utils.launchers.script import ask, error_output, inherited_variables, refuse_letter
from utils.launchers.site import Site, read_site
from utils.locks.run_lock import locked
from utils.plan.stages import Stage, examine
from utils.plan.written_folders import folders_to_lock
from utils.receipts import DONE, VISIBLE_SECONDS

NAME = "chain.jobs.json"
# A stage waits for its arrays, perhaps for days: its job is queued again before its time is over,
# and goes on waiting for them.
QUEUED_AGAIN = ["--requeue", "--open-mode=append", "--signal=B:USR1@120"]
WATCHED = """trap 'over=yes; kill -USR1 "$run"' USR1  # ends run.sh, but not its jobs
{command} &
run=$!
wait "$run"
code=$?
[ -z "${{over:-}}" ] || {{ wait "$run"; scontrol requeue "$SLURM_JOB_ID"; }}
exit "$code"
"""


def chain_stages(
    plan: Path, folder: Path, conf: str, first: int, last: int, arguments: Sequence[str]
) -> list[str]:
    """Submit a job for each stage that is not done; it runs run.sh, which submits its arrays.

    The folder gets logs, scripts and the record of the chain; conf is the site's file, empty for
    the default; arguments are run.sh and its options.  Returns the numbers of the jobs.
    UserError: an earlier chain or another run is at work, or sbatch refused.
    """
    site, record = read_site(Path(conf or "conf/cluster/slurm.conf")), folder / NAME
    stages = [stage for stage in examine(plan, last) if stage.number >= first and stage.commands]
    while stages and stages[0].state == DONE:
        stages.pop(0)
    with lock_array(record):
        _refuse_second_chain(record)
        with locked(folders_to_lock(plan, stages)):
            pass  # another run would block the first job; each job takes the locks itself
        submissions: list[Submission] = []
        for stage in stages:
            submission = Submission("", {})
            before = submissions[-1].job if submissions else ""
            submission.job = _submit(site, folder, stage, submission.name, before, arguments)
            submissions.append(submission)
            write_record(record, "slurm", submissions)
            print(
                f"stage {stage.number}: {stage.title}: job {submission.job}; "
                f"log {folder}/stage{stage.number}.log"
            )
    if not stages:
        print("nothing to do: every stage asked for is done")
    return [submission.job for submission in submissions]


def _refuse_second_chain(record: Path) -> None:
    """Refuse to go on while jobs of an earlier chain wait or run."""
    alive = []
    for submission in read_record(record)[1]:
        answer = ask(["squeue", "--noheader", f"--jobs={submission.job}"])
        if answer.stdout.strip():
            alive.append(submission.job)
    if alive:
        raise UserError(
            f"{record}: jobs {', '.join(alive)} of an earlier chain still wait or run; "
            f"wait for them, or scancel {' '.join(alive)}"
        )


def _submit(
    site: Site, folder: Path, stage: Stage, name: str, before: str, arguments: Sequence[str]
) -> str:
    """Submit one stage, to run after the job before; return the number of its job."""
    script = folder / f"stage{stage.number}.sh"
    _write_script(script, site, stage.number, arguments)
    log = str(folder.absolute() / f"stage{stage.number}.log").replace("%", "%%")
    refuse_letter("\\", log, "Slurm")
    options = ["--parsable", f"--job-name={name}", f"--output={log}"]
    if before:
        options += [f"--dependency=afterok:{before}", "--kill-on-invalid-dep=yes"]
    answer = ask([*site.words({}), *QUEUED_AGAIN, *options, str(script)])
    job = answer.stdout.strip().partition(";")[0]
    if answer.returncode or not job.isdigit():
        submitted = "nothing was submitted"
        if before:
            submitted = f"job {before} and those before it wait or run"
        raise UserError(
            f"{site.path}: sbatch refused stage {stage.number}: {error_output(answer)}; {submitted}"
        )
    return job


def _write_script(script: Path, site: Site, number: int, arguments: Sequence[str]) -> None:
    """Write the script of a stage's job."""
    late = {VISIBLE_SECONDS: f"{site.visible_seconds:g}"}  # the stage before ran on another host
    exports = [
        f"export {name}={shlex.quote(value)}"
        for name, value in (inherited_variables() | late).items()
    ]
    stage_options = ["--submit-all", "false", "--stage", str(number), "--stop-stage", str(number)]
    callers_folder = os.environ.get("OLDPWD", os.getcwd())  # where paths of options start
    lines = [
        "#!/usr/bin/env bash",
        *sorted(exports),
        f"cd {shlex.quote(callers_folder)} || exit 1",
        WATCHED.format(command=shlex.join([*arguments, *stage_options])),
    ]
    with atomic_write(script) as file:
        file.write("\n".join(lines))


if __name__ == "__main__":
    plan, folder, conf, first, last = sys.argv[1:6]
    exit_with(
        lambda: chain_stages(Path(plan), Path(folder), conf, int(first), int(last), sys.argv[6:])
    )
