r"""Rows of results.json: read, and shown as tables of plain text and Markdown.

    python -m utils.evaluation.results table exp/x/results.json --test-set test \
      --subsets "[all, 'sex: f', 'sex: m']"
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap

from utils.cli import run_subcommands
from utils.errors import UserError
from utils.files import read_entries
from utils.metrics.rates import reversal_note

TITLES = {"eer_percent": "EER", "cllr": "Cllr"}
# where scores are log-likelihood ratios
LLR_COLUMNS = {"act_dcf_0.01": "actDCF 0.01", "cllr": "Cllr"}
# the hardest trials: on the screen beside all trials
CHOSEN_SUBSET = "across conditions, same sex"
WIDTH = 80  # columns of a terminal
DOTS = "..."
# on the screen, beside the EER: figure -> both lines of the title, and digits after the point
SCREEN_COLUMNS = {
    "min_dcf_0.01": ("minDCF", "0.01", 3),
    "min_dcf_0.05": ("minDCF", "0.05", 3),
}
SCREEN_LLR_COLUMNS = {"act_dcf_0.01": ("actDCF", "0.01", 3), "cllr": ("Cllr", "", 3)}


def read_leaks(experiments: Sequence[Path], each: int) -> dict[tuple[str, str], list[str]]:
    """Watermarks of allowed leakage from ``results.json`` of experiments, for further results.

    ``experiments`` are fold by fold, ``each`` per fold.  Returns (system of the first fold, test
    set) -> watermarks.
    """
    leaks: dict[tuple[str, str], list[str]] = {}
    rows: list[dict] = []
    for folder in experiments:
        rows += read_entries(folder / "results.json")
    for number, folder in enumerate(experiments):
        first = experiments[number % each].name
        for row in rows:
            if row["system"] != folder.name:
                continue
            marks = leaks.setdefault((first, row["test_set"]), [])
            for mark in row["watermarks"]:
                if mark.startswith("leakage") and mark not in marks:
                    marks.append(mark)
    return leaks


def text_table(rows: Sequence[dict]) -> str:
    """Results for a terminal, at most `WIDTH` columns: a table for each test set, and notes."""
    hard = {}
    for row in rows:
        if row["subset"] == CHOSEN_SUBSET:
            hard[series_name(row), row["test_set"]] = row["eer_percent"]
    whole = []
    for row in rows:
        if row["subset"] == "all":
            key = series_name(row), row["test_set"]
            whole.append(row | {"hard": hard.get(key)})
    columns = SCREEN_COLUMNS.copy()
    if any(row["cllr"] is not None for row in whole):
        columns |= SCREEN_LLR_COLUMNS
    if hard:
        columns["hard"] = ("EER %", "hard", 2)
    lines: list[str] = []
    for of_set in by_test_set(whole).values():
        if lines:
            lines.append("")
        lines += set_table(of_set, columns)
    if hard:
        lines.append(f"hard: trials {CHOSEN_SUBSET}")
    marks: dict[str, None] = {}
    for row in rows:
        marks |= dict.fromkeys(f"{row['test_set']}: {mark}" for mark in row["watermarks"])
    for note in [*table_notes(rows), *marks, *reversals(rows, ["all"])]:
        lines += wrap(note, WIDTH, subsequent_indent="  ")
    return "\n".join(lines)


def by_test_set(rows: Sequence[Mapping]) -> dict[str, list[Mapping]]:
    """Rows by their test sets, in their order."""
    sets: dict[str, list[Mapping]] = {}
    for row in rows:
        sets.setdefault(row["test_set"], []).append(row)
    return sets


def set_table(whole: Sequence[Mapping], columns: Mapping[str, tuple[str, str, int]]) -> list[str]:
    """Lines of one test set: its description, two lines of titles, one line per series.

    ``columns`` maps each figure to both lines of its title and its digits after the point.  A long
    name has a line of its own.
    """
    first = whole[0]
    trials = f"{first['targets']:,} target and {first['nontargets']:,} nontarget trials"
    title = f"{first['test_set']}: {trials}, {describe_speakers(first)}"
    lines = wrap(title, WIDTH, subsequent_indent="  ")
    intervals = [interval_text(row) for row in whole]
    interval_width = max(len(interval) for interval in intervals)
    upper, lower = ["EER %"], [""]
    if interval_width:
        upper = ["EER % 95 % interval"]
    for upper_title, lower_title, _ in columns.values():
        upper.append(upper_title)
        lower.append(lower_title)
    cells = [upper, lower]
    for row, interval in zip(whole, intervals, strict=True):
        figures = [rate(row[name], digits) for name, (_, _, digits) in columns.items()]
        cells.append([f"{rate(row['eer_percent'])}{interval:{interval_width}}", *figures])
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    room = WIDTH - sum(width + 1 for width in widths) - 1
    names = ["", "", *short_names(whole)]
    name_width = max(len(name) for name in names if len(name) <= room)
    for name, line in zip(names, cells, strict=True):
        right = "".join(f" {cell:>{width}}" for cell, width in zip(line, widths, strict=True))
        if len(name) > room:
            lines += wrap(name, WIDTH)
            name = ""
        lines.append(f"{name:<{name_width}} {right}".rstrip())
    return lines


def short_names(whole: Sequence[Mapping]) -> list[str]:
    """Names of the series of a set; dots replace the first system's name at their beginning."""
    first = whole[0]["system"]
    names = [series_name(whole[0])]  # in full: it shows what the dots replace
    for row in whole[1:]:
        name = series_name(row)
        rest = name.removeprefix(first)
        if rest != name and rest[:1] in ("-", ",") and len(first) > len(DOTS):
            name = DOTS + rest
        names.append(name)
    return names


def interval_text(row: Mapping) -> str:
    """The interval of the EER as the screen shows it; empty if there is none."""
    ends = row.get("eer_percent_interval")
    if not ends:
        return ""
    return f" [{ends[0]:5.2f}, {ends[1]:5.2f}]"


def table_notes(rows: Sequence[Mapping]) -> list[str]:
    """Notes below a table: what systems are centred by, and which figures have no interval."""
    whole = [row for row in rows if row["subset"] == "all"]
    systems: dict[str, list[str]] = {}
    for row in whole:
        if row.get("centred"):
            systems.setdefault(row["centred"], []).append(series_name(row))
    notes = []
    for how, series in systems.items():
        if not how.startswith("not"):
            how = f"centred by {how}"
        notes.append(f"{how}: {'; '.join(dict.fromkeys(series))}")
    for name, of_set in by_test_set(whole).items():
        notes += _missing_intervals(name, of_set)
    return notes


def _missing_intervals(name: str, rows: Sequence[Mapping]) -> list[str]:
    """Figures of a test set without an interval, one line for each reason."""
    figures: dict[str, list[str]] = {}
    for row in rows:
        for figure, reason in (row.get("no_interval") or {}).items():
            figures.setdefault(reason, []).append(TITLES.get(figure, cost_title(figure)))
    lines = []
    for reason, titles in figures.items():
        listed = ", ".join(dict.fromkeys(titles))
        lines.append(f"{name}: no interval of {listed}: {reason}")
    return lines


def cost_title(figure: str) -> str:
    """Title of a cost: ``min_dcf_0.01`` -> ``minDCF 0.01``."""
    return figure.replace("_dcf_", "DCF ")


def reversals(rows: Sequence[Mapping], subsets: Sequence[str]) -> list[str]:
    """A note for each row of the subsets with an EER above chance: are scores reversed?"""
    lines = []
    for row in rows:
        note = reversal_note(row["eer_percent"])
        if not note or row["subset"] not in subsets:
            continue
        name = f"{row['test_set']}, {series_name(row)}"
        if row["subset"] != "all":
            name += f", {row['subset']}"
        lines.append(f"{name}: {note}")
    return lines


def markdown_table(rows: Sequence[dict], subsets: Sequence[str] = ("all",)) -> str:
    """Results as a table for a RESULTS.md, with intervals and notes.

    Subsets other than the whole list have a column.
    """
    chosen = [row for row in rows if row["subset"] in subsets]
    several = list(subsets) != ["all"]
    columns = {
        "eer_percent": ("EER %", 2),
        "min_dcf_0.01": ("minDCF 0.01", 3),
        "min_dcf_0.05": ("minDCF 0.05", 3),
    }
    for name, title in LLR_COLUMNS.items():
        if any(row[name] is not None for row in chosen):
            columns[name] = title, 3
    head = ["test set", "system"]
    if several:
        head.append("trials of")
    head += [*(title for title, _ in columns.values()), "trials", "speakers"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    marks: list[str] = []
    for row in chosen:
        cells = [row["test_set"], series_name(row)]
        if several:
            cells.append(row["subset"])
        for name, (_, digits) in columns.items():
            cell = rate(row[name], digits)
            ends = row.get(f"{name}_interval")
            if ends:
                cell += f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"
            cells.append(cell)
        cells += [count(row["targets"] + row["nontargets"]), count(row["speakers"])]
        lines.append("| " + " | ".join(cells) + " |")
        marks += row["watermarks"]
    for note in [*table_notes(chosen), *dict.fromkeys(marks), *reversals(chosen, subsets)]:
        lines.append(f"\n{note}")
    return "\n".join(lines) + "\n"


def table(
    results: list[Path],
    *,
    test_set: str | None = None,
    scorers: list[str] | None = None,
    subsets: list[str] | None = None,
) -> None:
    """Print rows of results.json as a Markdown table, for a RESULTS.md.

    Parameters
    ----------
    results : list of path
        Written by ``steps.evaluate`` or ``steps.compare``.
    test_set : str, optional
        One test set; None: all.
    scorers : list of str, optional
        Names of score files; None: all.
    subsets : list of str, optional
        Subsets of the trials, such as ``all`` or ``sex: f``; None: the whole list.

    Raises
    ------
    UserError
        There is no such file or row.
    """
    rows = []
    for path in results:
        if not path.exists():
            raise UserError(
                f"{path}: no such file; steps.evaluate and steps.compare write results.json"
            )
        for row in read_entries(path):
            if test_set not in (None, row["test_set"]):
                continue
            if not scorers or row["backend"] in scorers:
                rows.append(row)
    subsets = subsets or ["all"]
    available = dict.fromkeys(row["subset"] for row in rows)
    for subset in subsets:
        if subset not in available:
            known = ", ".join(available) or "none"
            raise UserError(
                f"{results[0]}: no row of subset '{subset}' for this test set and these scorers, "
                f"found {known}; choose one of these"
            )
    print(markdown_table(rows, subsets), end="")


def rate(value: float | None, digits: int = 2) -> str:
    """A figure, or a dash if there is none."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}"


def count(number: int | None) -> str:
    """A number of things, or a dash if it is not known."""
    if number is None:
        return "–"
    return f"{number:,}"


def describe_speakers(row: Mapping) -> str:
    """How many speakers a row's trials have, as text."""
    if row["speakers"] is None:
        return "unknown speakers"
    return f"{row['speakers']:,} speakers"


def series_name(row: Mapping) -> str:
    """Name of one curve: system, back end unless cosine, and protocol unless whole utterances."""
    parts = [row["system"]]
    if row["backend"] not in ("", "cosine"):  # empty for scores of other programs
        parts.append(row["backend"])
    if row["protocol"] not in ("", "whole"):
        parts.append(row["protocol"])
    return ", ".join(parts)


if __name__ == "__main__":
    run_subcommands({"table": table})
