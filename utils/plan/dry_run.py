"""What a recipe would do, before its first hour: `python -m utils.plan.dry_run PLAN workdir=DIR corpus=DIR`, which run.sh --dry-run calls.

Commands first, then a line for each stage: utterances, hours of audio, disk, memory, time.  Numbers come from what was recorded (utt2dur, receipts of
the same steps) where there is something; what does not is called a guess.  What is missing is listed last, and makes the exit code 1.
"""

import re
import shlex
import shutil
from pathlib import Path
from typing import Literal

from utils.cli import run
from utils.errors import UserError
from utils.machine import existing_parent, usable_memory
from utils.plan.audio_counts import NOISES, Audio, AudioOfPlan, count_corpus, heard_by
from utils.plan.forecast import Amount, Need, Rates, need_of_stage
from utils.plan.missing import (
    missing_gpu,
    missing_inputs,
    missing_options,
    missing_places,
    missing_programs,
    too_little,
)
from utils.plan.stages import Stage, examine
from utils.receipts import DONE

WORKDIR = "workdir"
TRAINING = 3  # the stage whose length its YAML says, whatever the audio


def plan_dry_run(
    plan: Path,
    named: list[str],
    *,
    first: int = 0,
    last: int = 7,
    cmd: Literal["local", "slurm", "sge"] = "local",
    device: Literal["cpu", "cuda"] = "cpu",
) -> None:
    """Show what would run, what it needs and what is missing; run nothing.

    Parameters
    ----------
    plan : path
        Written by run.sh.
    named : list of str
        ``workdir=DIR``, and ``option=PATH`` of every option that names an input.
    first, last : int
        Stages to show.
    cmd : str
        What runs the arrays.
    device : str
        Of training and extraction.

    Raises
    ------
    UserError
        Something is missing.
    """
    options = [(name, path) for name, _, path in (each.partition("=") for each in named)]
    workdir = next(Path(path) for name, path in options if name == WORKDIR)
    options = [pair for pair in options if pair[0] != WORKDIR]
    missing = missing_options(options)
    try:
        every = examine(plan, last)
    except UserError as error:  # a step refuses before it looks at its receipts
        _end(missing or [str(error)])
        return
    stages = [stage for stage in every if stage.number >= first]
    missing += [
        f"stage {stage.number}, which comes before --stage {first}: {stage.state}"
        for stage in every
        if stage.number < first and stage.state != DONE
    ]
    _show_commands(stages)
    if all(stage.state == DONE for stage in stages):
        print("nothing to do")
        _end(missing)
        return
    tasks = [(status.task, status.state) for stage in every for status in stage.statuses]
    prepared = all(stage.state == DONE for stage in every if stage.number == 0)
    corpora = (
        []
        if prepared
        else [
            corpus
            for name, path in options
            if Path(path).is_dir() and (corpus := count_corpus(name, Path(path))).suffixes
        ]
    )
    print("".join(f"corpus: {corpus.line()}\n" for corpus in corpora), end="")
    commands = [command for stage in stages if stage.state != DONE for command in stage.commands]
    missing += (
        missing_inputs(tasks) + missing_programs(tasks, corpora, cmd) + missing_gpu(commands, cmd)
    )
    missing += missing_places(task.home for task, state in tasks if state != DONE)
    speech = sum((corpus.audio for corpus in corpora if corpus.option not in NOISES), Audio())
    rates = Rates(
        [workdir / "data", workdir / "exp"], AudioOfPlan((task for task, _ in tasks), speech)
    )
    total = _show_needs(stages, rates, cmd, device)
    disks = _needs_of_disks(stages, rates, device)
    for folder, needed in disks.items():
        free, which = shutil.disk_usage(folder).free, f" of {folder}" if len(disks) > 1 else ""
        missing += too_little(
            f"disk{which}", needed.value, free, "free some, or --workdir DIR on another disk"
        )
        print(f"disk{which}: about {_size(needed)}, of what is known; free: {free / 1e6:,.0f} MB")
    if cmd == "local" and Path("/proc/meminfo").exists():
        missing += too_little(
            "memory", total.memory.value, usable_memory()[0], "fewer --nj, or another machine"
        )
    _end(missing)


def _show_commands(stages: list[Stage]) -> None:
    """Each stage's state, and its commands where it is not done; those of an array as one."""
    for stage in stages:
        print(stage.line())
        words = [shlex.join(command) for command in stage.commands if stage.state != DONE]
        for line in dict.fromkeys(re.sub(r"(--job )\d+/", r"\1JOB/", line) for line in words):
            print("     $", line)


def _show_needs(stages: list[Stage], rates: Rates, cmd: str, device: str) -> Need:
    """The table; what all stages need together."""
    row = "{:5} {:>16} {:>14} {:>16} {:>14} {:>16}"
    print(row.format("stage", "utterances", "audio", "disk", "memory", "time"))
    total, whole = Need(Amount(), Amount(), Amount()), True
    for stage in (stage for stage in stages if stage.state != DONE and stage.commands):
        folders = {
            folder
            for status in stage.statuses
            if status.state != DONE
            for folder in heard_by(status.task)
        }
        heard = sum(map(rates.audio.of, folders), Audio())
        need = need_of_stage(
            [(status.task, status.state) for status in stage.statuses], rates, device, cmd
        )
        total = Need(
            total.disk + need.disk,
            max(total.memory, need.memory, key=lambda amount: amount.value),
            total.seconds + need.seconds,
        )
        counted = (
            [
                _told(f"{heard.utterances:,.0f}", heard.guess),
                _told(f"{heard.hours:,.1f} h", heard.guess),
            ]
            if heard.utterances
            else ["-", "-"]
        )
        cells = [*counted, _size(need.disk), _size(need.memory), _duration(need.seconds)]
        if folders and not heard.utterances:  # nothing tells yet
            cells = [
                "unknown",
                "unknown",
                *(cells[2:] if stage.number == TRAINING else ["unknown", cells[3], "unknown"]),
            ]
            whole = False
        print(row.format(stage.number, *cells))
    print(
        row.format(
            "all" if whole else "known",
            "",
            "",
            _size(total.disk),
            _size(total.memory),
            _duration(total.seconds),
        )
    )
    return total


def _needs_of_disks(stages: list[Stage], rates: Rates, device: str) -> dict[Path, Amount]:
    """What each disk has to hold, by the first folder on it that is written to: data/ and exp/ may be links to two."""
    folders: dict[int, Path] = {}
    needs: dict[Path, Amount] = {}
    for task in (
        status.task for stage in stages for status in stage.statuses if status.state != DONE
    ):
        home = existing_parent(task.home)
        folder = folders.setdefault(home.stat().st_dev, home)
        needs[folder] = needs.get(folder, Amount()) + rates.need(task, device).disk
    return needs


def _told(text: str, guess: bool) -> str:
    """A number as it is shown."""
    return f"{text} guess" if guess else text


def _size(amount: Amount) -> str:
    """Bytes, as they are shown."""
    return _told(
        f"{amount.value / 1e9:,.1f} GB" if amount.value >= 1e9 else f"{amount.value / 1e6:,.1f} MB",
        amount.guess,
    )


def _duration(amount: Amount) -> str:
    """Time, as it is shown."""
    return _told(
        f"{amount.value / 3600:,.1f} h"
        if amount.value >= 3600
        else f"{amount.value / 60:,.1f} min",
        amount.guess,
    )


def _end(missing: list[str]) -> None:
    """List what is missing."""
    for each in missing:
        print(f"missing: {each}")
    if missing:
        raise UserError(
            f"missing: {len(missing)}, see above" if len(missing) > 1 else f"missing: {missing[0]}"
        )


if __name__ == "__main__":
    run(plan_dry_run)
