"""One page that shows an experiment, and its table of results on the screen.

python -m steps.report exp/ghostvlad_cpu data/full
"""

import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from utils.cli import run
from utils.files import atomic_write, read_lines
from utils.receipt_contents import read_receipt
from utils.receipts import MODE, Task
from utils.report_page import learning_section, page, rate, results_section, series_of, table
from utils.report_sound import sound_section

FORMAT = 1
SUBTITLE = "Speaker verification: error rates, scores, and what they were made with."
CHOSEN_SUBSET = "across conditions, same sex"  # the hardest trials: shown beside the whole list on the screen


def report(experiment: Path, data: Path) -> dict:
    """Write ``report.html`` and print the table of results.

    Parameters
    ----------
    experiment : path
        Folder with ``results.json`` and ``curves.json`` of ``steps.evaluate``; its configuration and training log are shown where it has them.
    data : path
        Folder whose ledgers are shown.

    Returns
    -------
    dict
        Number of ``test_sets`` and ``systems`` shown.
    """
    found = {path.relative_to(experiment).as_posix(): path for name in ("config.yaml", "log/history.jsonl") if (path := experiment / name).exists()}
    ledgers = {f"ledger {path.parent.relative_to(data)}": path for path in sorted(data.rglob("ledger.json"))}
    speech = {path.parents[2].relative_to(data).as_posix(): path for path in sorted(data.rglob("vad/receipts/collect_vad.json"))}
    drawn = experiment / "pictures" / "receipts" / "illustrate.json"
    inputs = {"results": experiment / "receipts" / "evaluate.json"} | found | ledgers | {f"speech {name}": path for name, path in speech.items()}
    inputs |= {"pictures": drawn} if drawn.parents[1].exists() else {}
    task = Task(home=experiment, name="report", format=FORMAT, inputs=inputs, options={})
    if not task.is_done():
        rows, curves, history = (read_entries(experiment / name) for name in ("results.json", "curves.json", "log/history.jsonl"))
        sets = dict.fromkeys(row["test_set"] for row in rows)
        sections = [results_section(name, of_set(rows, name), of_set(curves, name)) for name in sets]
        counts_of = {name: read_receipt(path)["counts"] for name, path in speech.items()}
        sections += [learning_section(history), sound_section(counts_of, read_pictures(experiment / "pictures")),
                     configuration_section(experiment / "config.yaml"), ledger_section(data)]
        timing = times_of([experiment, data])
        with atomic_write(experiment / "timing.json") as file:
            file.write("[\n" + ",\n".join(map(json.dumps, timing)) + "\n]\n")
        with atomic_write(experiment / "report.html") as file:
            file.write(page(experiment.name, SUBTITLE, [*sections, timing_section(timing)]))
        counts = {"test_sets": len(sets), "systems": len({row["system"] for row in rows})}
        task.finish([experiment / "report.html", experiment / "timing.json"], counts)
    if not MODE.checking:
        print(text_table(read_entries(experiment / "results.json")))
        print(f"report: {experiment / 'report.html'}")
    return task.counts


def of_set(entries: Sequence[dict], name: str) -> list[dict]:
    """Rows or curves of one test set.

    Parameters
    ----------
    entries : sequence of dict
        Of results.json or curves.json.
    name : str
        The test set.
    """
    return [entry for entry in entries if entry["test_set"] == name]


def read_entries(path: Path) -> list[dict]:
    """Objects of a JSON list, or of a file with one on each line; none where the file is missing.

    Parameters
    ----------
    path : path
        ``.json`` or ``.jsonl``.
    """
    if not path.exists():
        return []
    return [json.loads(line) for line in read_lines(path)] if path.suffix == ".jsonl" else json.loads(path.read_text(encoding="utf-8"))


def read_pictures(folder: Path) -> list[dict]:
    """What steps.illustrate has drawn: its entries, each with its drawing as ``svg``.

    Parameters
    ----------
    folder : path
        Its output; it may be missing.
    """
    return [entry | {"svg": (folder / entry["file"]).read_text(encoding="utf-8")} for entry in read_entries(folder / "pictures.json")]


def text_table(rows: Sequence[dict]) -> str:
    """Results for a terminal.

    Parameters
    ----------
    rows : sequence of dict
        Of results.json.
    """
    chosen = {(series_of(row), row["test_set"]): row["eer_percent"] for row in rows if row["subset"] == CHOSEN_SUBSET}
    head = ["test set", "system", "EER %", "minDCF 0.01", "minDCF 0.05", *([f"EER % {CHOSEN_SUBSET}"] if chosen else [])]
    cells = [[row["test_set"], series_of(row), rate(row["eer_percent"]), rate(row["min_dcf_0.01"], 3), rate(row["min_dcf_0.05"], 3),
              *([rate(chosen.get((series_of(row), row["test_set"])))] if chosen else [])] for row in rows if row["subset"] == "all"]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) if k < 2 else cell.rjust(width) for k, (cell, width) in enumerate(zip(line, widths, strict=True)))
             for line in [head, *cells]]
    marks = dict.fromkeys(f"{row['test_set']}: {mark}" for row in rows for mark in row["watermarks"])
    return "\n".join([*lines, *marks])


def configuration_section(path: Path) -> str:
    """The resolved configuration; empty where the experiment has none.

    Parameters
    ----------
    path : path
        ``config.yaml``.
    """
    if not path.exists():
        return ""
    return f"<h2>Configuration</h2><details><summary>config.yaml</summary><pre>{escape(path.read_text(encoding='utf-8'))}</pre></details>"


def ledger_section(data: Path) -> str:
    """What each step that can drop utterances did with them.

    Parameters
    ----------
    data : path
        Folder whose ``ledger.json`` files are shown.
    """
    rows = []
    for path in sorted(data.rglob("ledger.json")):
        counts = json.loads(path.read_text(encoding="utf-8"))
        rest = ", ".join(f"{count:,} {reason}" for reason, count in counts.items() if reason not in ("came_in", "went_on"))
        rows.append([escape(str(path.parent.relative_to(data))), f"{counts['came_in']:,}", f"{counts['went_on']:,}", escape(rest or "–")])
    return "<h2>Utterances</h2>" + table(["data", "came in", "went on", "dropped"], rows) if rows else ""


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
        for path in sorted(path for path in folder.rglob("receipts/*.json") if not re.search(r"/old\.\d+/", str(path))):
            receipt, where = read_receipt(path), (Path(folder.name) / path.parent.parent.relative_to(folder)).as_posix()
            nothing = {"folder": where, "step": receipt["step"], "jobs": 0, "seconds": 0.0, "core_seconds": 0.0}
            entry = times.setdefault((where, receipt["step"]), nothing)
            entry["jobs"] += 1
            for unit in ("seconds", "core_seconds"):
                entry[unit] = round(entry[unit] + receipt[unit], 2)
    return list(times.values())


def timing_section(timing: Sequence[dict]) -> str:
    """The table of `times_of`.

    Parameters
    ----------
    timing : sequence of dict
        Its entries.
    """
    rows = [[escape(entry["folder"]), escape(entry["step"]), str(entry["jobs"]), f"{entry['seconds']:,.1f}", f"{entry['core_seconds']:,.1f}"]
            for entry in timing]
    columns = table(["folder", "step", "jobs", "seconds", "core seconds"], rows)
    return f"<h2>Time</h2><details><summary>seconds of each step</summary>{columns}</details>"


if __name__ == "__main__":
    run(report)
