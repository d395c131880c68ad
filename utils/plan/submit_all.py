"""A recipe's stages as jobs of Slurm, each waiting for the one before: `run.sh --cmd slurm --submit-all`."""

import os
import shlex
import sys
from collections.abc import Sequence
from itertools import dropwhile
from pathlib import Path

from utils.cli import exit_with
from utils.errors import UserError
from utils.files import atomic_write
from utils.launchers.record import Submission, alone_at, read_record, write_record
from utils.launchers.script import ask, carried_ones, refuse_letter, words_of
from utils.launchers.site import Site, read_site
from utils.locks.run_lock import locked
from utils.plan.stages import Stage, examine
from utils.plan.written_folders import places_to_write
from utils.receipts import DONE, VISIBLE_SECONDS

NAME = "chain.jobs.json"
# A stage waits for its arrays, which may wait for days: its job is queued again before its time is over, and finds them.
QUEUED_AGAIN = ["--requeue", "--open-mode=append", "--signal=B:USR1@120"]
WATCHED = """trap 'over=yes; kill -USR1 "$run"' USR1  # dies, and its jobs are left
{command} &
run=$!
wait "$run"
code=$?
[ -z "${{over:-}}" ] || {{ wait "$run"; scontrol requeue "$SLURM_JOB_ID"; }}
exit "$code"
"""


def chain_stages(
    plan: Path, folder: Path, conf: str, first: int, last: int, words: Sequence[str]
) -> list[str]:
    """Submit the stages that are not done; a stage's job runs run.sh for that stage, which submits its arrays.

    Parameters
    ----------
    plan : path
        Written by run.sh.
    folder : path
        For logs, scripts and the record of the chain.
    conf : str
        The site's file; empty for the default.
    first, last : int
        Stages asked for.
    words : sequence of str
        run.sh and the options that it was given.

    Returns
    -------
    list of str
        Numbers of the jobs.

    Raises
    ------
    UserError
        An earlier chain still waits or runs; another run is at work in the same places; sbatch refused.
    """
    site, record = read_site(Path(conf or "conf/cluster/slurm.conf")), folder / NAME
    stages = list(
        dropwhile(
            lambda stage: stage.state == DONE,
            (stage for stage in examine(plan, last) if stage.number >= first and stage.commands),
        )
    )
    with alone_at(record):
        alive = [
            each.job
            for each in read_record(record)[1]
            if ask(["squeue", "--noheader", f"--jobs={each.job}"]).stdout.strip()
        ]
        if alive:
            raise UserError(
                f"{record}: jobs {', '.join(alive)} of an earlier chain still wait or run; wait for them, or scancel {' '.join(alive)}"
            )
        with locked(places_to_write(plan, stages)):
            pass  # a run that is at work there would be in the way of the first job: each takes the locks for itself
        submissions: list[Submission] = []
        for stage in stages:
            submission = Submission("", {})
            submission.job = _hand_over(
                site,
                folder,
                stage,
                submission.name,
                submissions[-1].job if submissions else "",
                words,
            )
            submissions.append(submission)
            write_record(record, "slurm", submissions)
            print(
                f"stage {stage.number}: {stage.title}: job {submission.job}; log {folder}/stage{stage.number}.log"
            )
    if not stages:
        print("nothing to do: every stage asked for is done")
    return [submission.job for submission in submissions]


def _hand_over(
    site: Site, folder: Path, stage: Stage, name: str, before: str, words: Sequence[str]
) -> str:
    """Submit one stage; the number of its job."""
    late = {VISIBLE_SECONDS: f"{site.visible_seconds:g}"}  # the stage before ran on another host
    carried = sorted(
        f"export {key}={shlex.quote(value)}" for key, value in (carried_ones() | late).items()
    )
    command = [
        *words,
        "--submit-all",
        "false",
        "--stage",
        str(stage.number),
        "--stop-stage",
        str(stage.number),
    ]
    script = folder / f"stage{stage.number}.sh"
    with atomic_write(script) as file:
        # options may name paths relative to it
        callers_folder = os.environ.get("OLDPWD", os.getcwd())
        file.write(
            "\n".join(
                [
                    "#!/usr/bin/env bash",
                    *carried,
                    f"cd {shlex.quote(callers_folder)} || exit 1",
                    WATCHED.format(command=shlex.join(command)),
                ]
            )
        )
    waits = [f"--dependency=afterok:{before}", "--kill-on-invalid-dep=yes"] if before else []
    log = str(folder.absolute() / f"stage{stage.number}.log").replace("%", "%%")
    refuse_letter("\\", log, "Slurm")
    done = ask(
        [
            *site.words({}),
            *QUEUED_AGAIN,
            "--parsable",
            f"--job-name={name}",
            f"--output={log}",
            *waits,
            str(script),
        ]
    )
    job = done.stdout.strip().partition(";")[0]
    if done.returncode or not job.isdigit():
        submitted = (
            f"job {before} and those before it wait or run" if before else "nothing was submitted"
        )
        raise UserError(
            f"{site.path}: sbatch did not take stage {stage.number}: {words_of(done)}; {submitted}"
        )
    return job


if __name__ == "__main__":
    plan, folder, conf, first, last = sys.argv[1:6]
    exit_with(
        lambda: chain_stages(Path(plan), Path(folder), conf, int(first), int(last), sys.argv[6:])
    )
