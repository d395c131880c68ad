"""What a recipe would do: `python -m utils.plan.dry_run PLAN workdir=DIR corpus=DIR`.

This is run.sh's --dry-run.  A line for each stage shows utterances, hours of audio, disk, memory
and time.  The numbers come from utt2dur and from receipts of the same steps; for the rest one line
gives rules of thumb.  The commands follow if asked for; what is missing comes last, and makes the
exit code 1.
"""

import re
import shlex
import shutil
from pathlib import Path
from typing import Literal

from utils.cli import run
from utils.errors import UserError, WrongArguments
from utils.machine import existing_parent, usable_memory
from utils.plan.audio_counts import NOISES, Audio, AudioOfPlan, Corpus, count_corpus, data_folders
from utils.plan.forecast import Amount, Need, Records, larger, sum_stage_needs
from utils.plan.intervals import lists_without_intervals
from utils.plan.missing import (
    missing_gpu,
    missing_inputs,
    missing_options,
    missing_programs,
    too_little,
    unwritable_folders,
)
from utils.plan.stages import Stage, examine
from utils.receipts import DONE, NEVER, Task

WORKDIR = "workdir"
TITLE = 31  # letters of a stage's title: a row fits 80 columns
ROW = "{:1}  {:31} {:>10} {:>7} {:>8} {:>8} {:>8}"
UNKNOWN_CELL = "?"
ROUGH = "~ estimated: from the size of files, from other audio, or from a run with another network"
STARTS = "times are without the start of the processes, which takes each a second or more"
RULE = (
    "? no run recorded; as a rule of thumb an hour of audio takes a core one minute in each stage, "
    "and 115 MB packed or copied; a process takes 1 GB of memory, 2 GB with a network; a training "
    "step takes 1 s"
)


def plan_dry_run(
    plan: Path,
    named: list[str],
    *,
    first: int = 0,
    last: int = 7,
    cmd: Literal["local", "slurm", "sge"] = "local",
    verbose: bool = False,
) -> None:
    """Show what would run, what it needs and what is missing; run nothing.

    Parameters
    ----------
    plan : path
        Plan of a recipe, written by run.sh.
    named : list of str
        ``workdir=DIR``, and ``option=PATH`` of every option that names an input.
    first, last : int
        Stages to show.
    cmd : str
        What runs the arrays.
    verbose : bool
        Show the commands too.

    Raises
    ------
    UserError
        Something is missing.
    """
    workdir, options = _split_options(named)
    missing = missing_options(options)
    try:
        all_stages = examine(plan, last)
    except UserError as error:  # a step refuses its options before it reads receipts
        if isinstance(error, WrongArguments) and not missing:
            raise
        _end(missing or [str(error)])
        return
    stages = []
    commands: list[list[str]] = []
    tasks: list[Task] = []
    unfinished: list[Task] = []
    for stage in all_stages:
        tasks += [status.task for status in stage.statuses]
        unfinished += stage.unfinished()
        if stage.number >= first:
            stages.append(stage)
            if stage.state != DONE:
                commands += stage.commands
        elif stage.state != DONE:
            missing.append(
                f"stage {stage.number}, which comes before --stage {first}: {stage.state}"
            )
    if not commands:
        print("nothing to do: every stage asked for is done")
        _end(missing)
        return
    is_prepared = all(stage.state == DONE for stage in all_stages if stage.number == 0)
    corpora = [] if is_prepared else _count_corpora(options)
    missing += missing_inputs(unfinished) + missing_programs(unfinished, corpora, cmd)
    missing += missing_gpu(commands, cmd)
    missing += unwritable_folders(task.home for task in unfinished)
    speech = sum([each.audio for each in corpora if each.option not in NOISES], Audio())
    records = Records([workdir / "data", workdir / "exp"], AudioOfPlan(tasks, speech))
    device = "cuda" if any("cuda" in command for command in commands) else "cpu"
    total = _show_needs(stages, records, cmd, device)
    for line in lists_without_intervals(tasks):
        print(line)
    missing += _show_disks(stages, records, device)
    if cmd == "local" and Path("/proc/meminfo").exists() and not total.memory.is_rough:
        missing += too_little(
            "memory", total.memory.value, usable_memory()[0], "fewer --nj, or another machine"
        )
    if verbose:
        _show_commands(stages)
    _end(missing)


def _split_options(named: list[str]) -> tuple[Path, list[tuple[str, str]]]:
    """The workdir, and name and path of each other option."""
    workdir, options = Path(), []
    for each in named:
        name, _, path = each.partition("=")
        if name == WORKDIR:
            workdir = Path(path)
        else:
            options.append((name, path))
    return workdir, options


def _count_corpora(options: list[tuple[str, str]]) -> list[Corpus]:
    """Count and show the folders of audio that options name."""
    corpora = []
    for name, path in options:
        if Path(path).is_dir():
            corpus = count_corpus(name, Path(path))
            if corpus.suffixes:
                print(f"corpus: {corpus.line()}")
                corpora.append(corpus)
    return corpora


def _show_commands(stages: list[Stage]) -> None:
    """Each stage's state, and its commands if it is not done; those of an array as one."""
    for stage in stages:
        print(stage.line())
        if stage.state == DONE:
            continue
        shown = set()
        for command in stage.commands:
            line = re.sub(r"(--job )\d+/", r"\1JOB/", shlex.join(command))
            if line not in shown:
                print("     $", line)
                shown.add(line)


def _show_needs(stages: list[Stage], records: Records, cmd: str, device: str) -> Need:
    """Show the table and its legend; return what all stages need together."""
    print(ROW.format("", "stage", "utterances", "audio", "disk", "memory", "time"))
    total = Need()
    rows: list[list[str]] = []
    for stage in stages:
        if not stage.commands:
            print(f"{stage.number}  {stage.title}")
            continue
        if stage.state == DONE:
            print(f"{stage.number}  {stage.title:{TITLE}} done")
            continue
        need = sum_stage_needs(stage.unfinished(), records, device, cmd)
        total = Need(
            total.disk + need.disk,
            larger(total.memory, need.memory),
            total.seconds + need.seconds,
        )
        rows.append([*_audio_cells(stage, records), *_need_cells(need)])
        print(ROW.format(stage.number, stage.title[:TITLE], *rows[-1]))
    rows.append(["", "", *_need_cells(total)])
    print(ROW.format("", "total of what is known", *rows[-1]))
    table = str(rows)
    if "~" in table:
        print(ROUGH)
    if UNKNOWN_CELL in table:
        print(RULE)
    if total.seconds.value:
        print(STARTS)
    for stage in stages:
        if stage.state not in (DONE, NEVER):
            print(stage.line())
    return total


def _audio_cells(stage: Stage, records: Records) -> list[str]:
    """Utterances and hours of the data directories that a stage works on."""
    folders: set[Path] = set()
    for task in stage.unfinished():
        folders.update(data_folders(task))
    if not folders:
        return ["-", "-"]
    audio = records.audio.of_folders(folders)
    if not audio.utterances:
        return [UNKNOWN_CELL, UNKNOWN_CELL]
    rough = "~" if audio.guess else ""
    return [f"{rough}{audio.utterances:,.0f}", f"{rough}{audio.hours:,.1f} h"]


def _show_disks(stages: list[Stage], records: Records, device: str) -> list[str]:
    """Show what each disk needs and has free; return a line for each that has too little."""
    missing = []
    disks = _sum_disk_needs(stages, records, device)
    for folder, needed in disks.items():
        free = shutil.disk_usage(folder).free
        disk = f"disk of {folder}" if len(disks) > 1 else "disk"
        missing += too_little(
            disk, needed.value, free, "free some, or --workdir DIR on another disk"
        )
        print(f"{disk}: about {_size(needed)}, of what is known; free: {free / 1e6:,.0f} MB")
    return missing


def _sum_disk_needs(stages: list[Stage], records: Records, device: str) -> dict[Path, Amount]:
    """What each disk needs, by the first folder on it that is written to.

    data/ and exp/ may be links to two disks.
    """
    folders: dict[int, Path] = {}
    needs: dict[Path, Amount] = {}
    for stage in stages:
        for task in stage.unfinished():
            home = existing_parent(task.home)
            folder = folders.setdefault(home.stat().st_dev, home)
            needs[folder] = needs.get(folder, Amount()) + records.need(task, device).disk
    return needs


def _need_cells(need: Need) -> list[str]:
    """Disk, memory and time as text."""
    return [_size(need.disk), _size(need.memory), _duration(need.seconds)]


def _cell(amount: Amount, text: str) -> str:
    """The text of an amount with its mark, or a question mark if nothing is known."""
    if not amount.value and not amount.is_whole:
        return UNKNOWN_CELL
    return f"~{text}" if amount.is_rough else text


def _size(amount: Amount) -> str:
    """Bytes as text."""
    if amount.value >= 1e9:
        return _cell(amount, f"{amount.value / 1e9:,.1f} GB")
    return _cell(amount, f"{amount.value / 1e6:,.1f} MB")


def _duration(amount: Amount) -> str:
    """Seconds as text."""
    if amount.value >= 3600:
        return _cell(amount, f"{amount.value / 3600:,.1f} h")
    if amount.value >= 120:
        return _cell(amount, f"{amount.value / 60:,.1f} min")
    return _cell(amount, f"{amount.value:,.0f} s")


def _end(missing: list[str]) -> None:
    """List what is missing, and raise if anything is."""
    for line in missing:
        print(f"missing: {line}")
    if len(missing) == 1:
        raise UserError(f"missing: {missing[0]}")
    if missing:
        raise UserError(f"missing: {len(missing)}, see above")


if __name__ == "__main__":
    run(plan_dry_run)
