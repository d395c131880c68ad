"""Rows of results.json: written, read, and as tables of plain text."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from utils.files import atomic_write, read_lines
from utils.report_page import rate, series_of

CHOSEN_SUBSET = "across conditions, same sex"  # the hardest trials: shown beside the whole list on the screen


def write_json(path: Path, rows: Iterable[dict]) -> None:
    """Write a list of objects, one on each line.

    Parameters
    ----------
    path : path
        Output.
    rows : iterable of dict
        JSON values.
    """
    with atomic_write(path) as file:
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


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


def leaks_of(experiments: Sequence[Path], each: int) -> dict[tuple[str, str], list[str]]:
    """What evaluations found of speakers that leak and was allowed, so that it stands beside these figures wherever they are shown again.

    Parameters
    ----------
    experiments : sequence of path
        Their ``results.json`` are read, where they have one; of several folds those of the first fold first.
    each : int
        Number of experiments of a fold.

    Returns
    -------
    dict of (system, test set) to list of str
        By the system's name in the first fold.
    """
    found: dict[tuple[str, str], list[str]] = {}
    rows = [row for folder in experiments for row in read_entries(folder / "results.json")]
    for number, folder in enumerate(experiments):
        for row in (row for row in rows if row["system"] == folder.name):
            marks = found.setdefault((experiments[number % each].name, row["test_set"]), [])
            marks += [mark for mark in row["watermarks"] if mark.startswith("leakage") and mark not in marks]
    return found


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


def markdown_table(rows: Sequence[dict]) -> str:
    """Results as a table for a RESULTS.md, with intervals.

    Parameters
    ----------
    rows : sequence of dict
        Of results.json.
    """
    lines = ["| test set | system | EER % | minDCF 0.01 | minDCF 0.05 | Cllr | trials | speakers |", "|---|---|---|---|---|---|---|---|"]
    for row in (row for row in rows if row["subset"] == "all"):
        cells = [row["test_set"], series_of(row)]
        for name, digits in (("eer_percent", 2), ("min_dcf_0.01", 3), ("min_dcf_0.05", 3)):
            ends = row[f"{name}_interval"]
            cells.append(rate(row[name], digits) + (f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]" if ends else ""))
        cells += [rate(row["cllr"], 3), f"{row['targets'] + row['nontargets']:,}", f"{row['speakers']:,}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, *(f"\n{mark}" for mark in dict.fromkeys(mark for row in rows for mark in row["watermarks"]))]) + "\n"
