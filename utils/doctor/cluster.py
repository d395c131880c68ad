"""What the doctor asks of the scheduler: whether its commands answer, and whether it would take a job as the site's file asks for it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from utils.doctor.findings import BAD, OK, WARNING, Finding, ask_program, first_line, graded, joined
from utils.requirements import PYTHON

SUBMITS = {"slurm": "sbatch", "sge": "qsub"}
ANSWERS = {"slurm": ["sinfo", "--noheader"], "sge": ["qstat"]}
# Nothing is submitted.  Grid Engine judges by an empty cluster (v), without what hosts report of themselves, as mem_free; or by that of now (p).
WOULD_TAKE = {
    "slurm": [["--test-only", "--wrap=true"]],
    "sge": [["-w", "v", "-b", "y", "true"], ["-w", "p", "-b", "y", "true"]],
}
PAGE = "see conf/cluster/README.md"


def check_scheduler(cmd: str, conf: str, device: str) -> Iterator[Finding]:
    """The scheduler that --cmd names; without one, whether there would be one.

    Parameters
    ----------
    cmd : str
        ``local``, ``slurm`` or ``sge``.
    conf : str
        The site's file; empty for the default.
    device : str
        With ``cuda`` a job with a GPU is tried too.
    """
    if cmd not in SUBMITS:
        there = [f"--cmd {name}" for name, program in SUBMITS.items() if shutil.which(program)]
        yield Finding(
            "scheduler",
            OK,
            f"none asked for ({' or '.join(there)} is possible here)"
            if there
            else "none asked for, and none here",
        )
        return
    yield answers(cmd)
    yield site_file(cmd, Path(conf or f"conf/cluster/{cmd}.conf"), device)


def answers(cmd: str) -> Finding:
    """Whether the commands are there, and the scheduler behind them answers.

    Parameters
    ----------
    cmd : str
        ``slurm`` or ``sge``.
    """
    words = ANSWERS[cmd]
    missing = [program for program in (SUBMITS[cmd], words[0]) if not shutil.which(program)]
    if missing:
        return Finding(
            "scheduler",
            BAD,
            f"{' and '.join(missing)} not on PATH",
            "start from a login node, or load its module; or --cmd local",
        )
    done = ask_program(words)
    assert done is not None, f"{words[0]} is on PATH"
    return graded(
        "scheduler",
        f"{words[0]} answers" if not done.returncode else f"{words[0]}: {first_line(done)}",
        (
            done.returncode != 0,
            BAD,
            f"its server does not answer; try {words[0]} by hand, ask the site",
        ),
    )


def site_file(cmd: str, conf: Path, device: str) -> Finding:
    """Whether the site's file is well formed, and the scheduler would take jobs made by it.

    Parameters
    ----------
    cmd : str
        ``slurm`` or ``sge``.
    conf : path
        The site's file.
    device : str
        See `check_scheduler`.
    """
    if sys.version_info < PYTHON:
        return Finding("site's file", WARNING, f"{conf}: not looked at", "a newer Python first")
    from utils.errors import UserError
    from utils.launchers.site import read_site

    try:
        site = read_site(conf)
        jobs = {"a job": site.words({"num-threads": "1"})} | (
            {"a job with a GPU": site.words({"gpu": "1"})} if device == "cuda" else {}
        )
    except UserError as error:
        return Finding("site's file", BAD, str(error), PAGE)
    if not shutil.which(SUBMITS[cmd]):
        return Finding(
            "site's file",
            WARNING,
            f"{conf}: well formed; not tried",
            f"{SUBMITS[cmd]} is needed to try it",
        )
    return joined(
        "site's file",
        [
            Finding("", OK, str(conf)),
            *(would_take(cmd, name, words) for name, words in jobs.items()),
        ],
    )


def would_take(cmd: str, name: str, words: list[str]) -> Finding:
    """Ask the scheduler whether it would take a job, without handing it one.

    Parameters
    ----------
    cmd : str
        ``slurm`` or ``sge``.
    name : str
        Of the job, in words.
    words : list of str
        What submits it.
    """
    refusal = ""
    for question in WOULD_TAKE[cmd]:
        done = ask_program([*words, *question])
        if done is None:
            return Finding("", BAD, f"{words[0]} not found", PAGE)
        if not done.returncode:
            return Finding("", OK, f"{name} would be taken")
        refusal = first_line(done)
    return Finding(
        "",
        BAD,
        f"{name} is refused: {refusal}",
        f"partition, account, queue or parallel environment of the file: {PAGE}",
    )
