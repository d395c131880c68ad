"""The report's cards, and its section on each test set.

A section has a table, DET curves, histograms, calibration, EER by subset, and the worst trials.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from utils.evaluation.results import rate, reversals, series_name, table_notes
from utils.metrics.rates import reversal_note
from utils.packed.facts import exclude_other_packed
from utils.report.decisions import (
    HEADLINE_POINT,
    decisions_in_words,
    explain_thresholds,
    format_threshold,
    headline_threshold,
    is_chosen_on_itself,
)
from utils.report.page import Section, series_style
from utils.report.plots import breakdown_plot, calibration_plot, det_plot, histogram_plot
from utils.report.render import NOTHING, drawing, render
from utils.report.trials import Players, Sounds, worst_part

INTERVALS = (
    "Brackets and bands: 95 % confidence intervals from a bootstrap over the test's speakers.  A "
    "band shows the miss rate at a given false-alarm rate.  A figure without an interval has too "
    "few speakers for a meaningful one."
)
SERIES_IN_BREAKDOWN = 3  # of the drawing; the table has all
SYSTEMS_IN_BOX = 4  # of decisions; further ones are folded up
# folded up: title and digits
RARE_FIGURES = {
    "eer_hull_percent": ("EER % (convex hull)", 2),
    "eer_kaldi_percent": ("EER % (Kaldi)", 2),
    "min_cllr": ("minCllr, bits", 3),
    "tpr_at_far_0.001": ("TPR at FAR 0.1 %", 3),
    "tpr_at_far_0.01": ("at FAR 1 %", 3),
    "tpr_at_far_0.1": ("at FAR 10 %", 3),
    "best_accuracy": ("best accuracy", 3),
}
MAIN_FIGURES = {"min_dcf_0.01": "minDCF 0.01", "min_dcf_0.05": "minDCF 0.05"}
RATIO_FIGURES = {"act_dcf_0.01": "actDCF 0.01", "cllr": "Cllr", "min_cllr": "minCllr"}
RowOfSubset = Mapping[tuple[str, str], Mapping]  # (series, subset) -> row of results.json


def cards(rows: Sequence[dict], curves: Sequence[dict] = ()) -> Markup:
    """EER and decisions of the first system on each test set, from results.json and curves.json."""
    shown: list[dict] = []
    for name in _test_sets(rows):
        row = _whole_lists(of_set(rows, name))[0]
        curve = _find_curve(curves, row)
        # a later set, such as dev, that thresholds were chosen on says little about them
        if shown and is_chosen_on_itself(curve):
            curve = {}
        card = {
            "row": row,
            "trials": row["targets"] + row["nontargets"],
            "note": reversal_note(row["eer_percent"]),
            "decisions": decisions_in_words(curve, row),
            "explanation": explain_thresholds(curve),
        }
        shown.append(card)
    return render("cards.html", cards=shown)


def comparison_cards(rows: Sequence[dict], curves: Sequence[dict]) -> Markup:
    """EER and decisions of all systems on each test set."""
    boxes = []
    for name in _test_sets(rows):
        systems, explanations = [], []
        for number, row in enumerate(_whole_lists(of_set(rows, name))):
            curve = _find_curve(curves, row)
            explanation = explain_thresholds(curve)
            explanations.append(explanation)
            system = {
                "row": row,
                "style": series_style(number),
                "note": reversal_note(row["eer_percent"]),
                "decisions": decisions_in_words(curve, row),
                "explanation": explanation,
            }
            systems.append(system)
        boxes.append({"name": name, "systems": systems, "explanations": _unique(explanations)})
    return render("comparison_cards.html", boxes=boxes, shown=SYSTEMS_IN_BOX)


def set_sections(
    rows: Sequence[dict],
    curves: Sequence[dict],
    sounds: Mapping[str, Sounds],
    players: Players,
    compared: Mapping[str, Markup] | None = None,
) -> list[Section]:
    """One section for each test set of results.json and curves.json.

    ``sounds`` and ``compared`` (differences of systems) are by test set, which may be missing.
    """
    sections = []
    for name in _test_sets(rows):
        drawn = of_set(curves, name)
        worst = worst_part(drawn, sounds.get(name, Sounds()), players)
        differences = (compared or {}).get(name, NOTHING)
        sections.append(results_section(name, of_set(rows, name), drawn, worst, differences))
    return sections


def _test_sets(rows: Sequence[Mapping]) -> list[str]:
    """Names of the test sets, in order."""
    return _unique(row["test_set"] for row in rows)


def _unique(values: Iterable[str]) -> list[str]:
    """Each value once, in order, without empty ones."""
    return list(filter(None, dict.fromkeys(values)))


def _whole_lists(rows: Sequence[Mapping]) -> list[Mapping]:
    """The rows that are not of subsets of the trials."""
    return [row for row in rows if row["subset"] == "all"]


def _find_curve(curves: Sequence[Mapping], row: Mapping) -> Mapping:
    """The curve of a row; empty if it has none."""
    for curve in curves:
        if curve["test_set"] == row["test_set"] and series_name(curve) == series_name(row):
            return curve
    return {}


def of_set(entries: Sequence[dict], name: str) -> list[dict]:
    """Entries of results.json or curves.json of one test set."""
    return [entry for entry in entries if entry["test_set"] == name]


def results_section(
    name: str,
    rows: Sequence[Mapping],
    curves: Sequence[Mapping],
    worst: Markup = NOTHING,
    compared: Markup = NOTHING,
) -> Section:
    """One test set, with its worst trials and the differences of systems."""
    whole = _whole_lists(rows)
    styles = {series_name(row): series_style(number) for number, row in enumerate(whole)}
    row_of = {(series_name(row), row["subset"]): row for row in rows}
    drawn = [_prepare_curve(curve, row_of, styles) for curve in curves]
    marks: list[str] = []
    for row in rows:
        marks += row["watermarks"]
    with_bands = [curve["name"] for curve in drawn if curve["band_low"]]
    body = render(
        "results.html",
        name=name,
        first=whole[0],
        intervals=INTERVALS if whole[0].get("eer_percent_interval") else "",
        notes=table_notes(rows),
        watermarks=[*_unique(marks), *reversals(rows, ["all"])],
        whole=whole,
        styles=styles,
        main=_main_table(whole),
        about=_describe_systems(curves),
        compared=compared,
        more=_more_figures(whole),
        decided=_decision_table(drawn),
        curves=drawn,
        det=drawing(det_plot(drawn)) if drawn else "",
        shown_band=with_bands[0] if with_bands else "",
        marked=_describe_marks(drawn),
        calibrations=_calibrations(drawn),
        breakdown=_breakdown(row_of, styles),
        worst=worst,
    )
    return Section(name, body, len(whole))


def _prepare_curve(curve: Mapping, row_of: RowOfSubset, styles: Mapping[str, str]) -> dict:
    """An entry of curves.json with its name, style, EER, histogram and table of rates."""
    name = series_name(curve)
    cells = []
    for threshold, false_alarm, miss in curve.get("rates", ()):
        cells.append([f"{threshold:.4g}", f"{100 * false_alarm:.3g}", f"{100 * miss:.3g}"])
    prepared = {
        **curve,
        "name": name,
        "style": styles[name],
        "eer_percent": row_of[name, "all"]["eer_percent"],
        "band_low": curve.get("band_low", []),
        "rate_cells": cells,
    }
    prepared["histogram"] = drawing(histogram_plot(prepared, headline_threshold(curve)))
    return prepared


def _describe_systems(curves: Sequence[Mapping]) -> list[tuple[str, str]]:
    """Each system with its description, if it has one."""
    about = {}
    for curve in curves:
        if curve.get("about"):
            about[curve["system"]] = curve["about"]
    return list(about.items())


def _main_table(whole: Sequence[Mapping]) -> dict:
    """The first table: ``head``, ``figures`` behind the EER, and ``bars`` (EER, % of chance).

    Systems with log-likelihood ratios have more figures in place of bars: ``ratios`` is true.
    """
    ratios = any(row.get("cllr") is not None for row in whole)
    figures, titles = MAIN_FIGURES, ["system", "EER %"]
    if ratios:
        figures = MAIN_FIGURES | RATIO_FIGURES
    else:
        titles.append("of 50 % (chance)")
    bars = [f"{min(100, 2 * row['eer_percent']):.1f}" for row in whole]
    head = [*titles, *figures.values()]
    return {"head": head, "figures": list(figures), "ratios": ratios, "bars": bars}


def _more_figures(whole: Sequence[Mapping]) -> dict:
    """The table that is folded up: ``head``, and name and digits of its ``figures``."""
    first = whole[0]
    columns = {name: column for name, column in RARE_FIGURES.items() if name in first}
    for name in first:
        is_cost = name.startswith(("min_dcf_", "act_dcf_")) and "interval" not in name
        in_main_table = name in MAIN_FIGURES or name == "act_dcf_0.01"
        if is_cost and not in_main_table and any(row[name] is not None for row in whole):
            columns[name] = (name.replace("_dcf_", "DCF "), 3)
    head, figures = ["system"], []
    for name, (title, digits) in columns.items():
        head.append(title)
        figures.append((name, digits))
    return {"head": head, "figures": figures}


def _decision_table(drawn: Sequence[Mapping]) -> dict:
    """Decisions of all series at all operating points: ``head``, ``rows``, ``explanation``."""
    rows = []
    for curve in drawn:
        for entry in curve.get("decisions", ()):
            threshold = "–"
            if entry["threshold"] is not None:
                threshold = format_threshold(entry["threshold"])
            cells = [
                curve["name"],
                entry["point"],
                threshold,
                f"{rate(100 * entry['miss'])} %",
                f"{rate(100 * entry['false_alarm'])} %",
                format_threshold(entry["bayes_threshold"]),
                entry["chosen_on"] or "Bayes",
            ]
            rows.append(cells)
    explanations = _unique(map(explain_thresholds, drawn))
    head = ["system", "prior", "threshold", "genuine refused", "impostors accepted"]
    return {
        "head": [*head, "Bayes threshold", "threshold of"],
        "rows": rows,
        "explanation": explanations[0] if len(explanations) == 1 else "",
    }


def _describe_marks(drawn: Sequence[Mapping]) -> str:
    """The meaning of the line in a histogram; empty if there is none."""
    if all(headline_threshold(curve) is None for curve in drawn):
        return ""
    return f"Dashed: the threshold for a prior of {HEADLINE_POINT}."


def _calibrations(drawn: Sequence[Mapping]) -> list[tuple[str, Markup]]:
    """Name and calibration plot of each series of log-likelihood ratios."""
    plots = []
    for curve in drawn:
        if len(curve.get("said", ())) > 1:
            plots.append((curve["name"], drawing(calibration_plot(curve, curve["style"]))))
    return plots


def _breakdown(row_of: RowOfSubset, styles: Mapping[str, str]) -> dict | None:
    """EER by subset: ``drawing`` with the series ``shown``, ``head``, ``rows``; None without."""
    subsets = _unique(subset for _, subset in row_of if subset != "all")
    if not subsets:
        return None
    shown = chosen_series(row_of, list(styles))
    plot_rows, table_rows = [], []
    for subset in ["all", *subsets]:
        marks = [(styles[series], series, row_of[series, subset]) for series in shown]
        if any(row["eer_percent"] is not None for _, _, row in marks):
            plot_rows.append((subset, marks))
        if subset != "all":
            table_rows.append((subset, [row_of[series, subset] for series in styles]))
    return {
        "drawing": drawing(breakdown_plot(plot_rows)),
        "shown": shown,
        "head": ["trials", *styles, "targets", "nontargets", "speakers"],
        "rows": table_rows,
    }


def chosen_series(of_series: RowOfSubset, series: Sequence[str]) -> list[str]:
    """The series of the breakdown's drawing: the first one and the best, each EER once.

    Calibration, for example, doesn't change the EER.
    """
    rates = {name: of_series[name, "all"]["eer_percent"] for name in series}
    chosen = [series[0]]
    for name in sorted(series[1:], key=rates.__getitem__):
        known = [rates[other] for other in chosen]
        if rates[name] not in known and len(chosen) < SERIES_IN_BREAKDOWN:
            chosen.append(name)
    return sorted(chosen, key=series.index)


def sound_folders(data: Path, packed: Path | None = None) -> dict[str, Path]:
    """Name -> data directory with trials and sound; of equal names the one nearest to ``data``.

    Of several folders of packed audio only ``packed`` counts.
    """
    folders = []
    for path in exclude_other_packed(data.rglob("trials"), packed):
        if (path.parent / "wav.scp").exists():
            folders.append(path.parent)
    folders.sort(key=lambda path: (-len(path.parts), path))
    return {folder.name: folder for folder in folders}
