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

from markupsafe import Markup

from utils.cli import run
from utils.evaluation.results import markdown_table, text_table
from utils.files import atomic_write, read_entries
from utils.pretrained import refuse_model
from utils.receipts import MODE, Task, existing_receipt
from utils.report.facts import facts_part
from utils.report.ledger import ledger_files, ledger_section, ledger_text
from utils.report.page import Section, learning_section, page
from utils.report.render import render
from utils.report.results import cards, set_sections, sound_folders
from utils.report.similarity import similarity_receipts, similarity_section
from utils.report.sound import sound_section
from utils.report.trials import Players, Sounds

FORMAT = 5
VERDICT = "fine_tuning.json"  # of steps.judge_fine_tuning
SUBTITLE = "Speaker verification: error rates, scores, and how they were made."


def report(
    experiment: Path, data: Path, *, packed: Path | None = None, players: bool = True
) -> dict:
    """Write ``report.html`` and ``results.md``; print the results and the ledgers' totals.

    Parameters
    ----------
    experiment : path
        Folder with ``results.json`` and ``curves.json`` of ``steps.evaluate``.  Its configuration
        and its training log are shown if it has them.
    data : path
        Folder of data directories, for their ledgers and the sound of the worst trials.
    packed : path or None
        The folder of packed audio below ``data`` that this experiment used; others are ignored.
    players : bool
        Include sound of the worst trials, as long as the page stays below about 1.5 MB.

    Returns
    -------
    dict
        Number of ``test_sets`` and ``systems`` shown.
    """
    refuse_model(experiment)
    vad_receipts = _find_vad_receipts(data)
    sounds = sound_folders(data, packed)
    inputs = _experiment_inputs(experiment)
    for path in ledger_files(data, packed):
        inputs[f"ledger {path.parent.relative_to(data)}"] = path
    for name, path in vad_receipts.items():
        inputs[f"speech {name}"] = path
    for folder in sounds.values():
        inputs[f"sound {folder.name}"] = folder / "wav.scp"
    inputs |= _picture_inputs(experiment)
    options = {} if players else {"players": False}
    task = Task(home=experiment, name="report", format=FORMAT, inputs=inputs, options=options)
    if not task.is_done():
        rows = read_entries(experiment / "results.json")
        timing = collect_times([experiment, data])
        sections = [
            _verdict_section(experiment),
            *_experiment_sections(
                experiment,
                rows,
                {name: Sounds(folder) for name, folder in sounds.items()},
                Players() if players else Players(0),
            ),
            _sound_section(experiment, vad_receipts),
            _configuration_section(experiment / "config.yaml"),
            ledger_section(data, packed, experiment),
            _timing_section(timing),
        ]
        texts = {
            "timing.json": "[\n" + ",\n".join(map(json.dumps, timing)) + "\n]\n",
            "report.html": page(experiment.name, SUBTITLE, sections, _top(experiment, rows)),
            "results.md": markdown_table(rows),
        }
        for name, text in texts.items():
            with atomic_write(experiment / name) as file:
                file.write(text)
        counts = {
            "test_sets": len({row["test_set"] for row in rows}),
            "systems": len({row["system"] for row in rows}),
        }
        task.finish([experiment / name for name in texts], counts)
    if not MODE.checking:
        _print_summary(experiment, data, packed)
    return task.counts


def _print_summary(experiment: Path, data: Path, packed: Path | None) -> None:
    """Print the results, sets without error rates, the ledgers' totals, and where the page is."""
    rows = read_entries(experiment / "results.json")
    parts = [
        text_table(rows) if rows else "",
        *_sets_without_error_rate(experiment),
        ledger_text(data, packed, experiment),
        next_steps(experiment),
        *_verdict(experiment),
    ]
    print("\n".join(filter(None, parts)))


def _verdict(experiment: Path) -> list[str]:
    """What recipes/own says of a fine-tuned network; no line of another one."""
    return [line for entry in read_entries(experiment / VERDICT) for line in entry["lines"]]


def _verdict_section(experiment: Path) -> Section | None:
    """The same as a part of the page."""
    lines = _verdict(experiment)
    if not lines:
        return None
    return Section("Fine-tuning", render("lines.html", lines=lines))


def next_steps(experiment: Path) -> str:
    """What to look at now: the page, and the learning curves if there are any."""
    lines = [f"report: {experiment / 'report.html'}"]
    logs = experiment / "tensorboard"
    if logs.exists():
        lines.append(f"learning curves: {_tensorboard()} --logdir {shlex.quote(str(logs))}")
    return "\n".join(lines)


def _tensorboard() -> str:
    """The TensorBoard command for a shell outside the recipe.

    An environment that isn't activated, such as the .venv of path.sh, is not on the user's PATH.
    """
    program = Path(sys.executable).with_name("tensorboard")
    if sys.prefix == sys.base_prefix or not program.exists():
        return "tensorboard"
    if os.environ.get("VIRTUAL_ENV") == sys.prefix:
        return "tensorboard"
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    return shlex.quote(str(program))


def _find_vad_receipts(data: Path) -> dict[str, Path]:
    """Data directory, relative to ``data`` -> the receipt of its VAD."""
    receipts = {}
    for path in sorted(data.rglob("vad/receipts/collect_vad.json")):
        receipts[path.parents[2].relative_to(data).as_posix()] = path
    return receipts


def _experiment_inputs(experiment: Path) -> dict[str, Path]:
    """The results, and the configuration and the training log if they exist."""
    inputs = {"results": experiment / "receipts" / "evaluate.json"}
    for name in ("config.yaml", "log/history.jsonl", VERDICT):
        if (experiment / name).exists():
            inputs[name] = experiment / name
    return inputs


def _picture_inputs(experiment: Path) -> dict[str, Path]:
    """Receipts of similarity matrices and of pictures of utterances."""
    receipts = similarity_receipts(experiment)
    inputs = {f"similarity {path.parents[1].name}": path for path in receipts}
    pictures = experiment / "pictures"
    if pictures.exists():
        inputs["pictures"] = pictures / "receipts" / "illustrate.json"
    return inputs


def _top(experiment: Path, rows: Sequence[dict]) -> Markup:
    """The page above its sections: facts, sets without error rates, cards."""
    curves = read_entries(experiment / "curves.json")
    unrated = render("watermarks.html", marks=_sets_without_error_rate(experiment))
    return facts_part(experiment) + unrated + cards(rows, curves)


def _sets_without_error_rate(experiment: Path) -> list[str]:
    """Test sets without an error rate, with the reason, a line each."""
    counts = existing_receipt(experiment / "receipts" / "evaluate.json")["counts"]
    return [f"{name}: {reason}" for name, reason in counts.get("without_error_rate", {}).items()]


def _experiment_sections(
    experiment: Path, rows: Sequence[dict], sounds: Mapping[str, Sounds], players: Players
) -> list[Section | None]:
    """Test sets, similarity matrices and the training."""
    curves = read_entries(experiment / "curves.json")
    history = read_entries(experiment / "log" / "history.jsonl")
    return [
        *set_sections(rows, curves, sounds, players),
        similarity_section(experiment),
        learning_section(history),
    ]


def _sound_section(experiment: Path, vad_receipts: Mapping[str, Path]) -> Section | None:
    """Speech in each set, and the pictures of steps.illustrate; None if there is neither."""
    folder = experiment / "pictures"
    pictures = []
    for entry in read_entries(folder / "pictures.json"):
        svg = (folder / entry["file"]).read_text(encoding="utf-8")
        pictures.append(entry | {"svg": svg})
    speech = {name: existing_receipt(path)["counts"] for name, path in vad_receipts.items()}
    return sound_section(speech, pictures)


def _configuration_section(path: Path) -> Section | None:
    """The resolved configuration; None if the experiment has none."""
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8")
    return Section("Configuration", render("configuration.html", text=text))


def collect_times(folders: Sequence[Path]) -> list[dict]:
    """Times of each step below folders, from receipts: the entries of timing.json.

    ``folder``, ``step``, ``jobs``, and ``seconds`` and ``core_seconds`` summed over the jobs.
    """
    times: dict[tuple[str, str], dict] = {}
    for folder in folders:
        for path in _receipts_below(folder):
            receipt = existing_receipt(path)
            relative = Path(folder.name) / path.parent.parent.relative_to(folder)
            key = (relative.as_posix(), receipt["step"])
            if key not in times:
                times[key] = {
                    "folder": key[0],
                    "step": key[1],
                    "jobs": 0,
                    "seconds": 0.0,
                    "core_seconds": 0.0,
                }
            entry = times[key]
            entry["jobs"] += 1
            for unit in ("seconds", "core_seconds"):
                entry[unit] = round(entry[unit] + receipt[unit], 2)
    return list(times.values())


def _receipts_below(folder: Path) -> list[Path]:
    """Receipts below a folder, without those that were moved aside."""
    receipts = sorted(folder.rglob("receipts/*.json"))
    return [path for path in receipts if not re.search(r"/old\.\d+/", str(path))]


def _timing_section(timing: Sequence[dict]) -> Section:
    """The entries of timing.json as a table."""
    rows = []
    for entry in timing:
        seconds, core_seconds = f"{entry['seconds']:,.1f}", f"{entry['core_seconds']:,.1f}"
        rows.append([entry["folder"], entry["step"], entry["jobs"], seconds, core_seconds])
    return Section("Time", render("time.html", rows=rows))


if __name__ == "__main__":
    run(report)
