"""One page that shows an experiment, and its table of results on the screen.

python -m steps.report exp/ghostvlad_cpu data/full
"""

import json
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from utils.cli import run
from utils.evaluation.results import markdown_table, text_table
from utils.files import atomic_write, read_entries
from utils.receipts import MODE, Task, existing_receipt
from utils.report.facts import facts_part
from utils.report.ledger import ledger_files, ledger_section, ledger_text
from utils.report.page import Section, learning_section, page
from utils.report.render import render
from utils.report.results import cards, sections_of_sets, sound_folders
from utils.report.similarity import similarity_receipts, similarity_section
from utils.report.sound import sound_section
from utils.report.trials import Players, Sounds

FORMAT = 5
SUBTITLE = "Speaker verification: error rates, scores, and what they were made with."


def report(
    experiment: Path, data: Path, *, packed: Path | None = None, players: bool = True
) -> dict:
    """Write ``report.html``, ``results.md`` (a table for a RESULTS.md), and print the table of results and the sum of the ledgers.

    Parameters
    ----------
    experiment : path
        Folder with ``results.json`` and ``curves.json`` of ``steps.evaluate``; its configuration and training log are shown where it has them.
    data : path
        Folder whose ledgers are shown, and whose test sets lead to the sound of the worst trials.
    packed : path or None
        The folder of packed audio below ``data`` that this experiment heard; others are left out.
    players : bool
        Put sound of the worst trials into the page, as much as keeps it below about 1.5 MB.

    Returns
    -------
    dict
        Number of ``test_sets`` and ``systems`` shown.
    """
    speech = {
        path.parents[2].relative_to(data).as_posix(): path
        for path in sorted(data.rglob("vad/receipts/collect_vad.json"))
    }
    sounds = sound_folders(data, packed)
    inputs = inputs_of_experiment(experiment)
    inputs |= {
        f"ledger {path.parent.relative_to(data)}": path for path in ledger_files(data, packed)
    }
    inputs |= {f"speech {name}": path for name, path in speech.items()}
    inputs |= {f"sound {folder.name}": folder / "wav.scp" for folder in sounds.values()}
    inputs |= inputs_of_pictures(experiment)
    options = {} if players else {"players": False}
    task = Task(home=experiment, name="report", format=FORMAT, inputs=inputs, options=options)
    if not task.is_done():
        rows = read_entries(experiment / "results.json")
        sets = dict.fromkeys(row["test_set"] for row in rows)
        heard = {name: Sounds(folder) for name, folder in sounds.items()}
        room = Players() if players else Players(0)
        counts_of = {name: existing_receipt(path)["counts"] for name, path in speech.items()}
        timing = times_of([experiment, data])
        sections = [
            *sections_of_results(experiment, rows, heard, room),
            sound_section(counts_of, read_pictures(experiment / "pictures")),
            configuration_section(experiment / "config.yaml"),
            ledger_section(data, packed, experiment),
            timing_section(timing),
        ]
        unrated = render("watermarks.html", marks=lines_without_error_rate(experiment))
        curves = read_entries(experiment / "curves.json")
        top = facts_part(experiment) + unrated + cards(rows, curves)
        texts = {
            "timing.json": "[\n" + ",\n".join(map(json.dumps, timing)) + "\n]\n",
            "report.html": page(experiment.name, SUBTITLE, sections, top),
            "results.md": markdown_table(rows),
        }
        for name, text in texts.items():
            with atomic_write(experiment / name) as file:
                file.write(text)
        counts = {"test_sets": len(sets), "systems": len({row["system"] for row in rows})}
        task.finish([experiment / name for name in texts], counts)
    if not MODE.checking:
        print(text_table(read_entries(experiment / "results.json")))
        for line in lines_without_error_rate(experiment):
            print(line)
        ledgers = ledger_text(data, packed, experiment)
        if ledgers:
            print(ledgers)
        print(next_steps(experiment))
    return task.counts


def next_steps(experiment: Path) -> str:
    """What to look at now: the page, and the learning curves where there are any.

    Parameters
    ----------
    experiment : path
        Its folder.
    """
    lines = [f"report: {experiment / 'report.html'}"]
    logs = experiment / "tensorboard"
    if logs.exists():
        lines.append(f"learning curves: {tensorboard()} --logdir {shlex.quote(str(logs))}")
    return "\n".join(lines)


def tensorboard() -> str:
    """The command that shows learning curves, as a shell outside the recipe finds it.

    An environment that nobody activated, such as the .venv of path.sh, is not on the caller's PATH.
    """
    program = Path(sys.executable).with_name("tensorboard")
    if sys.prefix == sys.base_prefix or not program.exists():
        return "tensorboard"
    if os.environ.get("VIRTUAL_ENV") == sys.prefix:
        return "tensorboard"
    here = Path.cwd()
    shown = program.relative_to(here) if program.is_relative_to(here) else program
    return shlex.quote(str(shown))


def lines_without_error_rate(experiment: Path) -> list[str]:
    """Why sets of the evaluation have no error rate, a line each.

    Parameters
    ----------
    experiment : path
        Its folder.
    """
    counts = existing_receipt(experiment / "receipts" / "evaluate.json")["counts"]
    return [f"{name}: {reason}" for name, reason in counts.get("without_error_rate", {}).items()]


def inputs_of_experiment(experiment: Path) -> dict[str, Path]:
    """The results, and the configuration and the training log where there are any.

    Parameters
    ----------
    experiment : path
        Its folder.
    """
    inputs = {"results": experiment / "receipts" / "evaluate.json"}
    for name in ("config.yaml", "log/history.jsonl"):
        if (experiment / name).exists():
            inputs[name] = experiment / name
    return inputs


def inputs_of_pictures(experiment: Path) -> dict[str, Path]:
    """Receipts of what was drawn for the page.

    Parameters
    ----------
    experiment : path
        Its folder.
    """
    receipts = similarity_receipts(experiment)
    inputs = {f"similarity {path.parents[1].name}": path for path in receipts}
    drawn = experiment / "pictures"
    if drawn.exists():
        inputs["pictures"] = drawn / "receipts" / "illustrate.json"
    return inputs


def sections_of_results(
    experiment: Path, rows: Sequence[dict], sounds: Mapping[str, Sounds], players: Players
) -> list[Section | None]:
    """The page's sections on test sets, similarity matrices and the training.

    Parameters
    ----------
    experiment : path
        Its folder.
    rows : sequence of dict
        Of results.json.
    sounds : mapping of str to Sounds
        Set -> where its utterances lie.
    players : Players
        Of the page.
    """
    curves = read_entries(experiment / "curves.json")
    history = read_entries(experiment / "log" / "history.jsonl")
    return [
        *sections_of_sets(rows, curves, sounds, players),
        similarity_section(experiment),
        learning_section(history),
    ]


def read_pictures(folder: Path) -> list[dict]:
    """What steps.illustrate has drawn: its entries, each with its drawing as ``svg``.

    Parameters
    ----------
    folder : path
        Its output; it may be missing.
    """
    return [
        entry | {"svg": (folder / entry["file"]).read_text(encoding="utf-8")}
        for entry in read_entries(folder / "pictures.json")
    ]


def configuration_section(path: Path) -> Section | None:
    """The resolved configuration; None where the experiment has none.

    Parameters
    ----------
    path : path
        ``config.yaml``.
    """
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8")
    return Section("Configuration", render("configuration.html", text=text))


def times_of(folders: Sequence[Path]) -> list[dict]:
    """Time of each step below some folders, from the receipts; jobs of an array together.

    Parameters
    ----------
    folders : sequence of path
        Whose receipts are read.

    Returns
    -------
    list of dict
        ``folder``, ``step``, ``jobs``, ``seconds`` and ``core_seconds``, both summed over the jobs.
    """
    times: dict[tuple[str, str], dict] = {}
    for folder in folders:
        for path in receipts_below(folder):
            receipt = existing_receipt(path)
            place = Path(folder.name) / path.parent.parent.relative_to(folder)
            where, step = place.as_posix(), receipt["step"]
            nothing = {
                "folder": where,
                "step": step,
                "jobs": 0,
                "seconds": 0.0,
                "core_seconds": 0.0,
            }
            entry = times.setdefault((where, step), nothing)
            entry["jobs"] += 1
            for unit in ("seconds", "core_seconds"):
                entry[unit] = round(entry[unit] + receipt[unit], 2)
    return list(times.values())


def receipts_below(folder: Path) -> list[Path]:
    """Receipts of work that counts: not of what was moved aside.

    Parameters
    ----------
    folder : path
        Of an experiment, or of data directories.
    """
    found = sorted(folder.rglob("receipts/*.json"))
    return [path for path in found if not re.search(r"/old\.\d+/", str(path))]


def timing_section(timing: Sequence[dict]) -> Section:
    """The table of `times_of`.

    Parameters
    ----------
    timing : sequence of dict
        Its entries.
    """
    rows = [
        [
            entry["folder"],
            entry["step"],
            entry["jobs"],
            f"{entry['seconds']:,.1f}",
            f"{entry['core_seconds']:,.1f}",
        ]
        for entry in timing
    ]
    return Section("Time", render("time.html", rows=rows))


if __name__ == "__main__":
    run(report)
