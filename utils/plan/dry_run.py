"""What a recipe would do, before its first hour: `python -m utils.plan.dry_run PLAN workdir=DIR corpus=DIR`, which run.sh --dry-run calls.

A line for each stage: utterances, hours of audio, disk, memory, time.  Numbers come from what was recorded (utt2dur, receipts of the same steps);
where nothing was, one line says a rule.  The commands come behind, when asked for; what is missing is listed last, and makes the exit code 1.
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
from utils.plan.forecast import Amount, Need, Records, larger, need_of_stage
from utils.plan.intervals import lists_without_intervals
from utils.plan.missing import (
    missing_gpu,
    missing_inputs,
    missing_options,
    missing_places,
    missing_programs,
    too_little,
)
from utils.plan.stages import Stage, examine
from utils.receipts import DONE, NEVER

WORKDIR = "workdir"
TITLE = 31  # letters of a stage's title: a row fits 80 columns
ROW = "{:1}  {:31} {:>10} {:>7} {:>8} {:>8} {:>8}"
UNTOLD = "?"
ROUGH = "~ not of this very audio or network: by the size of files, by what it is made from, or as another recorded it"
STARTS = "time is that of the work; each process takes a second or more besides, to start"
RULE = (
    "? not recorded here; as a rule an hour of audio takes a minute of a core in each stage, and 115 MB packed or "
    "copied; a process 1 GB of memory, with a network 2; a step of training 1 s"
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
        Written by run.sh.
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
    if all(stage.state == DONE for stage in stages):
        print("nothing to do: every stage asked for is done")
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
    audio = AudioOfPlan((task for task, _ in tasks), speech)
    records = Records([workdir / "data", workdir / "exp"], audio)
    device = "cuda" if any("cuda" in command for command in commands) else "cpu"
    total = _show_needs(stages, records, cmd, device)
    for line in lists_without_intervals(task for task, _ in tasks):
        print(line)
    disks = _needs_of_disks(stages, records, device)
    for folder, needed in disks.items():
        free, which = shutil.disk_usage(folder).free, f" of {folder}" if len(disks) > 1 else ""
        missing += too_little(
            f"disk{which}", needed.value, free, "free some, or --workdir DIR on another disk"
        )
        print(f"disk{which}: about {_size(needed)}, of what is known; free: {free / 1e6:,.0f} MB")
    if cmd == "local" and Path("/proc/meminfo").exists() and not total.memory.is_rough:
        missing += too_little(
            "memory", total.memory.value, usable_memory()[0], "fewer --nj, or another machine"
        )
    if verbose:
        _show_commands(stages)
    _end(missing)


def _show_commands(stages: list[Stage]) -> None:
    """Each stage's state, and its commands where it is not done; those of an array as one."""
    for stage in stages:
        print(stage.line())
        words = [shlex.join(command) for command in stage.commands if stage.state != DONE]
        for line in dict.fromkeys(re.sub(r"(--job )\d+/", r"\1JOB/", line) for line in words):
            print("     $", line)


def _show_needs(stages: list[Stage], records: Records, cmd: str, device: str) -> Need:
    """The table, and what its figures are; what all stages need together."""
    print(ROW.format("", "stage", "utterances", "audio", "disk", "memory", "time"))
    total = Need()
    rows: list[list[str]] = []
    for stage in (stage for stage in stages if stage.commands):
        if stage.state == DONE:
            print(f"{stage.number}  {stage.title:{TITLE}} done")
            continue
        tasks = [(status.task, status.state) for status in stage.statuses]
        need = need_of_stage(tasks, records, device, cmd)
        total = Need(
            total.disk + need.disk,
            larger(total.memory, need.memory),
            total.seconds + need.seconds,
        )
        rows.append([*_heard(stage, records), *_told(need)])
        print(ROW.format(stage.number, stage.title[:TITLE], *rows[-1]))
    rows.append(["", "", *_told(total)])
    print(ROW.format("", "together, of what is known", *rows[-1]))
    cells = " ".join(cell for row in rows for cell in row)
    if "~" in cells:
        print(ROUGH)
    if UNTOLD in cells:
        print(RULE)
    if total.seconds.value:
        print(STARTS)
    for stage in stages:
        if stage.state not in (DONE, NEVER):
            print(stage.line())
    return total


def _heard(stage: Stage, records: Records) -> list[str]:
    """Utterances and hours of the data directories that a stage works on."""
    folders = {
        folder
        for status in stage.statuses
        if status.state != DONE
        for folder in heard_by(status.task)
    }
    if not folders:
        return ["-", "-"]
    heard = sum(map(records.audio.of, folders), Audio())
    if not heard.utterances:
        return [UNTOLD, UNTOLD]
    rough = "~" if heard.guess else ""
    return [f"{rough}{heard.utterances:,.0f}", f"{rough}{heard.hours:,.1f} h"]


def _needs_of_disks(stages: list[Stage], records: Records, device: str) -> dict[Path, Amount]:
    """What each disk has to hold, by the first folder on it that is written to: data/ and exp/ may be links to two."""
    folders: dict[int, Path] = {}
    needs: dict[Path, Amount] = {}
    for task in (
        status.task for stage in stages for status in stage.statuses if status.state != DONE
    ):
        home = existing_parent(task.home)
        folder = folders.setdefault(home.stat().st_dev, home)
        needs[folder] = needs.get(folder, Amount()) + records.need(task, device).disk
    return needs


def _told(need: Need) -> list[str]:
    """Disk, memory and time, as they are shown."""
    return [_size(need.disk), _size(need.memory), _duration(need.seconds)]


def _shown(amount: Amount, text: str) -> str:
    """An amount as it is shown: nothing is said where nothing is known."""
    if not amount.value and not amount.is_whole:
        return UNTOLD
    return ("~" if amount.is_rough else "") + text


def _size(amount: Amount) -> str:
    """Bytes, as they are shown."""
    if amount.value >= 1e9:
        return _shown(amount, f"{amount.value / 1e9:,.1f} GB")
    return _shown(amount, f"{amount.value / 1e6:,.1f} MB")


def _duration(amount: Amount) -> str:
    """Time, as it is shown."""
    if amount.value >= 3600:
        return _shown(amount, f"{amount.value / 3600:,.1f} h")
    if amount.value >= 120:
        return _shown(amount, f"{amount.value / 60:,.1f} min")
    return _shown(amount, f"{amount.value:,.0f} s")


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
