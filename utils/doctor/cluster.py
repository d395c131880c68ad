"""Checks of the scheduler: its commands answer, and it would accept jobs of the site's file."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from utils.doctor.findings import BAD, OK, WARNING, Finding, ask_program, first_line, joined
from utils.requirements import PYTHON

SUBMITS = {"slurm": "sbatch", "sge": "qsub"}
ANSWERS = {"slurm": ["sinfo", "--noheader"], "sge": ["qstat"]}
# Nothing is submitted.  Grid Engine checks against an empty cluster (v), which ignores values that
# hosts report, such as mem_free, or against the present one (p).
WOULD_TAKE = {
    "slurm": [["--test-only", "--wrap=true"]],
    "sge": [["-w", "v", "-b", "y", "true"], ["-w", "p", "-b", "y", "true"]],
}
PAGE = "see conf/cluster/README.md"


def check_scheduler(cmd: str, conf: str, device: str) -> Iterator[Finding]:
    """Check the scheduler of --cmd and the site's file `conf` (empty: the default)."""
    if cmd not in SUBMITS:
        available = [f"--cmd {name}" for name, program in SUBMITS.items() if shutil.which(program)]
        facts = "none asked for, and none here"
        if available:
            facts = f"none asked for ({' or '.join(available)} is possible here)"
        yield Finding("scheduler", OK, facts)
        return
    yield _answers(cmd)
    yield _site_file(cmd, Path(conf or f"conf/cluster/{cmd}.conf"), device)


def _answers(cmd: str) -> Finding:
    """Whether the commands exist and the scheduler answers."""
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
    if done.returncode:
        facts = f"{words[0]}: {first_line(done)}"
        remedy = f"its server does not answer; try {words[0]} by hand, ask the site"
        return Finding("scheduler", BAD, facts, remedy)
    return Finding("scheduler", OK, f"{words[0]} answers")


def _site_file(cmd: str, conf: Path, device: str) -> Finding:
    """Whether the site's file is well formed, and the scheduler would accept its jobs."""
    if sys.version_info < PYTHON:
        return Finding("site's file", WARNING, f"{conf}: not checked", "a newer Python first")
    from utils.errors import UserError
    from utils.launchers.site import read_site

    try:
        site = read_site(conf)
        jobs = {"a job": site.words({"num-threads": "1"})}
        if device == "cuda":
            jobs["a job with a GPU"] = site.words({"gpu": "1"})
    except UserError as error:
        return Finding("site's file", BAD, str(error), PAGE)
    if not shutil.which(SUBMITS[cmd]):
        return Finding(
            "site's file",
            WARNING,
            f"{conf}: well formed; not tried",
            f"{SUBMITS[cmd]} is needed to try it",
        )
    findings = [Finding("", OK, str(conf))]
    for name, words in jobs.items():
        findings.append(_would_take(cmd, name, words))
    return joined("site's file", findings)


def _would_take(cmd: str, name: str, words: list[str]) -> Finding:
    """Ask the scheduler whether it would accept a job, without submitting it."""
    refusal = ""
    for question in WOULD_TAKE[cmd]:
        done = ask_program([*words, *question])
        if done is None:
            return Finding("", BAD, f"{words[0]} not found", PAGE)
        if not done.returncode:
            return Finding("", OK, f"{name} would be accepted")
        refusal = first_line(done)
    return Finding(
        "",
        BAD,
        f"{name} is refused: {refusal}",
        f"partition, account, queue or parallel environment of the file: {PAGE}",
    )
