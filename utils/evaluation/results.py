"""Rows of results.json: written, read, and as tables of plain text.

python -m utils.evaluation.results table exp/x/results.json --test-set test --subsets "[all, 'sex: f', 'sex: m']"      rows for a RESULTS.md
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
# the hardest trials: shown beside the whole list on the screen
CHOSEN_SUBSET = "across conditions, same sex"
WIDTH = 80  # columns of a terminal
DOTS = "..."
# on the screen, beside the EER: figure -> both lines of the title, and digits after the point
SCREEN_COLUMNS = {
    "min_dcf_0.01": ("minDCF", "0.01", 3),
    "min_dcf_0.05": ("minDCF", "0.05", 3),
}
SCREEN_LLR_COLUMNS = {"act_dcf_0.01": ("actDCF", "0.01", 3), "cllr": ("Cllr", "", 3)}


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
            marks += [
                mark
                for mark in row["watermarks"]
                if mark.startswith("leakage") and mark not in marks
            ]
    return found


def text_table(rows: Sequence[dict]) -> str:
    """Results for a terminal, no wider than `WIDTH` columns: a table for each test set, and what has to be said beside them.

    Parameters
    ----------
    rows : sequence of dict
        Of results.json.
    """
    hard = {
        (series_of(row), row["test_set"]): row["eer_percent"]
        for row in rows
        if row["subset"] == CHOSEN_SUBSET
    }
    whole = [
        row | {"hard": hard.get((series_of(row), row["test_set"]))}
        for row in rows
        if row["subset"] == "all"
    ]
    columns = SCREEN_COLUMNS.copy()
    if any(row["cllr"] is not None for row in whole):
        columns |= SCREEN_LLR_COLUMNS
    if hard:
        columns["hard"] = ("EER %", "hard", 2)
    lines: list[str] = []
    for name in dict.fromkeys(row["test_set"] for row in whole):
        lines += [""] if lines else []
        lines += table_of_set([row for row in whole if row["test_set"] == name], columns)
    if hard:
        lines.append(f"hard: trials {CHOSEN_SUBSET}")
    marks = dict.fromkeys(
        f"{row['test_set']}: {mark}" for row in rows for mark in row["watermarks"]
    )
    for note in [*notes_of(rows), *marks, *reversals(rows, ["all"])]:
        lines += wrap(note, WIDTH, subsequent_indent="  ")
    return "\n".join(lines)


def table_of_set(
    whole: Sequence[Mapping], columns: Mapping[str, tuple[str, str, int]]
) -> list[str]:
    """Lines of one test set: what it is, two of titles, and one for each series; a long name has a line of its own.

    Parameters
    ----------
    whole : sequence of mapping
        Rows of the whole list.
    columns : mapping of str to (str, str, int)
        Figure -> both lines of its title, and digits after the point.
    """
    first = whole[0]
    trials = f"{first['targets']:,} target and {first['nontargets']:,} non-target trials"
    said = f"{first['test_set']}: {trials}, {speakers_of(first)}"
    lines = wrap(said, WIDTH, subsequent_indent="  ")
    intervals = [interval_text(row) for row in whole]
    title = "EER % 95 % interval" if any(intervals) else "EER %"
    longest = max(map(len, intervals))
    cells = [
        [title, *(above for above, _, _ in columns.values())],
        ["", *(below for _, below, _ in columns.values())],
    ]
    for row, interval in zip(whole, intervals, strict=True):
        figures = [rate(row[name], digits) for name, (_, _, digits) in columns.items()]
        cells.append([f"{rate(row['eer_percent'])}{interval:{longest}}", *figures])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    room = WIDTH - sum(width + 1 for width in widths) - 1
    names = ["", "", *short_names(whole)]
    taken = max(len(name) for name in names if len(name) <= room)
    for name, line in zip(names, cells, strict=True):
        right = "".join(f" {cell:>{width}}" for cell, width in zip(line, widths, strict=True))
        if len(name) > room:
            lines += wrap(name, WIDTH)
            name = ""
        lines.append(f"{name:<{taken}} {right}".rstrip())
    return lines


def short_names(whole: Sequence[Mapping]) -> list[str]:
    """Names of the series of a set: where one begins with the name of the first system, dots stand for it.

    Parameters
    ----------
    whole : sequence of mapping
        Rows of the whole list.
    """
    first = whole[0]["system"]
    names = [series_of(row) for row in whole]
    short = []
    for name in names:
        rest = name.removeprefix(first)
        begins = rest != name and rest[:1] in ("-", ",")
        short.append(DOTS + rest if begins and len(first) > len(DOTS) else name)
    # the first line says what the dots stand for
    return [names[0], *short[1:]]


def interval_text(row: Mapping) -> str:
    """The interval of the EER as the screen shows it; empty where there is none.

    Parameters
    ----------
    row : mapping
        Of results.json.
    """
    ends = row.get("eer_percent_interval")
    return f" [{ends[0]:5.2f}, {ends[1]:5.2f}]" if ends else ""


def notes_of(rows: Sequence[Mapping]) -> list[str]:
    """What stands below a table: what systems are centred by, and which figures have no interval.

    Parameters
    ----------
    rows : sequence of mappings
        Of results.json.
    """
    whole = [row for row in rows if row["subset"] == "all"]
    systems: dict[str, list[str]] = {}
    for row in whole:
        if row.get("centred"):
            systems.setdefault(row["centred"], []).append(series_of(row))
    notes = []
    for how, series in systems.items():
        words = how if how.startswith("not") else f"centred by {how}"
        notes.append(f"{words}: {'; '.join(dict.fromkeys(series))}")
    for name in dict.fromkeys(row["test_set"] for row in whole):
        notes += _missing_intervals(name, [row for row in whole if row["test_set"] == name])
    return notes


def _missing_intervals(name: str, rows: Sequence[Mapping]) -> list[str]:
    """Figures of a test set that have no interval, by the reason; a line for each reason."""
    figures: dict[str, list[str]] = {}
    for row in rows:
        for figure, reason in (row.get("no_interval") or {}).items():
            figures.setdefault(reason, []).append(TITLES.get(figure, title_of_cost(figure)))
    return [
        f"{name}: no interval of {', '.join(dict.fromkeys(titles))}: {reason}"
        for reason, titles in figures.items()
    ]


def title_of_cost(figure: str) -> str:
    """How a cost is called: ``min_dcf_0.01`` -> ``minDCF 0.01``.

    Parameters
    ----------
    figure : str
        Key of results.json.
    """
    return figure.replace("_dcf_", "DCF ")


def reversals(rows: Sequence[Mapping], subsets: Sequence[str]) -> list[str]:
    """A line for each row whose EER says that something is reversed.

    Parameters
    ----------
    rows : sequence of mappings
        Of results.json.
    subsets : sequence of str
        Of the trials, those that are shown.
    """
    found = []
    for row in rows:
        note = reversal_note(row["eer_percent"]) if row["subset"] in subsets else ""
        part = "" if row["subset"] == "all" else f", {row['subset']}"
        if note:
            found.append(f"{row['test_set']}, {series_of(row)}{part}: {note}")
    return found


def markdown_table(rows: Sequence[dict], subsets: Sequence[str] = ("all",)) -> str:
    """Results as a table for a RESULTS.md, with intervals.

    Parameters
    ----------
    rows : sequence of dict
        Of results.json.
    subsets : sequence of str
        Of the trials; more than one, or another than the whole list, has a column of its own.
    """
    chosen = [row for row in rows if row["subset"] in subsets]
    several = list(subsets) != ["all"]
    columns = {
        "eer_percent": ("EER %", 2),
        "min_dcf_0.01": ("minDCF 0.01", 3),
        "min_dcf_0.05": ("minDCF 0.05", 3),
    }
    columns |= {
        name: (title, 3)
        for name, title in LLR_COLUMNS.items()
        if any(row[name] is not None for row in chosen)
    }
    head = [
        "test set",
        "system",
        *(["trials of"] if several else []),
        *(title for title, _ in columns.values()),
        "trials",
        "speakers",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in chosen:
        cells = [row["test_set"], series_of(row), *([row["subset"]] if several else [])]
        for name, (_, digits) in columns.items():
            ends = row.get(f"{name}_interval")
            shown = f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]" if ends else ""
            cells.append(rate(row[name], digits) + shown)
        cells += [count(row["targets"] + row["nontargets"]), count(row["speakers"])]
        lines.append("| " + " | ".join(cells) + " |")
    marks = dict.fromkeys(mark for row in chosen for mark in row["watermarks"])
    said = [*notes_of(chosen), *marks, *reversals(chosen, subsets)]
    return "\n".join([*lines, *(f"\n{mark}" for mark in said)]) + "\n"


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
    missing = next((path for path in results if not path.exists()), None)
    if missing:
        raise UserError(
            f"{missing}: no such file; steps.evaluate and steps.compare write results.json"
        )
    rows = [
        row
        for path in results
        for row in read_entries(path)
        if test_set in (None, row["test_set"]) and (not scorers or row["backend"] in scorers)
    ]
    wanted = subsets or ["all"]
    absent = next(
        (subset for subset in wanted if subset not in {row["subset"] for row in rows}), None
    )
    if absent:
        known = ", ".join(dict.fromkeys(row["subset"] for row in rows)) or "no row at all"
        raise UserError(
            f"{results[0]}: no row of subset '{absent}' among those asked for; there is {known}"
        )
    print(markdown_table(rows, wanted), end="")


def rate(value: float | None, digits: int = 2) -> str:
    """A figure, or a dash where there is none.

    Parameters
    ----------
    value : float or None
        The figure.
    digits : int
        After the point.
    """
    return "–" if value is None else f"{value:.{digits}f}"


def count(number: int | None) -> str:
    """A number of things, or a dash where it is not known.

    Parameters
    ----------
    number : int or None
        Of trials or speakers.
    """
    return "–" if number is None else f"{number:,}"


def speakers_of(row: Mapping) -> str:
    """How many speakers a row's trials have, in words.

    Parameters
    ----------
    row : mapping
        Of results.json.
    """
    return "unknown speakers" if row["speakers"] is None else f"{row['speakers']:,} speakers"


def series_of(row: Mapping) -> str:
    """Name of one curve: the system, its back end where that is not the cosine, and the protocol where utterances were not embedded whole.

    Parameters
    ----------
    row : mapping
        Of results.json or curves.json.
    """
    words = [row["system"]]
    if row["backend"] != "cosine":
        words.append(row["backend"])
    if row["protocol"] != "whole":
        words.append(row["protocol"])
    return ", ".join(filter(None, words))  # of scores from elsewhere neither is known


if __name__ == "__main__":
    run_subcommands({"table": table})
