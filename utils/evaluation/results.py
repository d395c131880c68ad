"""Rows of results.json: written, read, and as tables of plain text.

python -m utils.evaluation.results table exp/x/results.json --test-set test --subsets "[all, 'sex: f', 'sex: m']"      rows for a RESULTS.md
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from utils.cli import run_subcommands
from utils.errors import UserError
from utils.files import read_entries
from utils.metrics.rates import reversal_note

TITLES = {"eer_percent": "EER", "cllr": "Cllr"}
# where scores are log-likelihood ratios
LLR_COLUMNS = {"act_dcf_0.01": "actDCF 0.01", "cllr": "Cllr"}
# the hardest trials: shown beside the whole list on the screen
CHOSEN_SUBSET = "across conditions, same sex"


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
    """Results for a terminal.

    Parameters
    ----------
    rows : sequence of dict
        Of results.json.
    """
    chosen = {
        (series_of(row), row["test_set"]): row["eer_percent"]
        for row in rows
        if row["subset"] == CHOSEN_SUBSET
    }
    ratios = LLR_COLUMNS if any(row["cllr"] is not None for row in rows) else {}
    head = [
        "test set",
        "system",
        "EER %",
        "minDCF 0.01",
        "minDCF 0.05",
        *ratios.values(),
        *([f"EER % {CHOSEN_SUBSET}"] if chosen else []),
    ]
    cells = [
        [
            row["test_set"],
            series_of(row),
            rate(row["eer_percent"]),
            *(rate(row[name], 3) for name in ("min_dcf_0.01", "min_dcf_0.05", *ratios)),
            *([rate(chosen.get((series_of(row), row["test_set"])))] if chosen else []),
        ]
        for row in rows
        if row["subset"] == "all"
    ]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if k < 2 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in [head, *cells]
    ]
    marks = dict.fromkeys(
        f"{row['test_set']}: {mark}" for row in rows for mark in row["watermarks"]
    )
    return "\n".join([*lines, *notes_of(rows), *marks, *reversals(rows, ["all"])])


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
    said = dict.fromkeys([*notes_of(chosen), *marks, *reversals(chosen, subsets)])
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
