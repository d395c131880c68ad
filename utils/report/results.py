"""The report's cards, and its section on each test set: table, DET curves, histograms, calibration,
breakdown, worst trials.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from utils.evaluation.results import notes_of, rate, reversals, series_of
from utils.metrics.rates import reversal_note
from utils.packed.facts import of_one_cut
from utils.report.decisions import (
    HEADLINE,
    chosen_on_itself,
    explanation,
    headline_threshold,
    said_of,
    shown,
)
from utils.report.page import Section, series_style
from utils.report.plots import breakdown_plot, calibration_plot, det_plot, histogram_plot
from utils.report.render import NOTHING, drawing, render
from utils.report.trials import Players, Sounds, worst_part

INTERVALS = (
    "In brackets and as bands: 95 % intervals, by drawing the test's speakers again.  Bands show the miss rate at a given false-alarm "
    "rate.  A figure without an interval has too few speakers for one that means something."
)
BROKEN_DOWN = 3  # series in the breakdown's figure; its table has all of them
FEW_ASK_FOR = {
    "eer_hull_percent": ("EER % (convex hull)", 2),
    "eer_kaldi_percent": ("EER % (Kaldi)", 2),
    "min_cllr": ("minCllr, bits", 3),
    "tpr_at_far_0.001": ("found at FAR 0.1 %", 3),
    "tpr_at_far_0.01": ("at FAR 1 %", 3),
    "tpr_at_far_0.1": ("at FAR 10 %", 3),
    "best_accuracy": ("best accuracy", 3),
}


def cards(rows: Sequence[dict], curves: Sequence[dict] = ()) -> Markup:
    """What people look for first: the error rate of the first system on each set, and what a threshold does.

    Parameters
    ----------
    rows, curves : sequences of dict
        Of results.json and curves.json; without curves nothing is said of thresholds.
    """
    found = []
    for number, name in enumerate(dict.fromkeys(row["test_set"] for row in rows)):
        row = next(row for row in rows if row["test_set"] == name and row["subset"] == "all")
        mine = [curve for curve in of_set(curves, name) if series_of(curve) == series_of(row)]
        # where others have their threshold from: it says little of itself
        if number > 0:
            mine = [curve for curve in mine if not chosen_on_itself(curve)]
        one = {
            "row": row,
            "trials": row["targets"] + row["nontargets"],
            "note": reversal_note(row["eer_percent"]),
            "decisions": [said for curve in mine for said in said_of(curve, row)],
            "explanation": " ".join(map(explanation, mine)),
        }
        found.append(one)
    return render("cards.html", cards=found)


def sections_of_sets(
    rows: Sequence[dict],
    curves: Sequence[dict],
    sounds: Mapping[str, Sounds],
    players: Players,
    compared: Mapping[str, Markup] | None = None,
) -> list[Section]:
    """One section for each test set.

    Parameters
    ----------
    rows, curves : sequences of dict
        Of results.json and curves.json.
    sounds : mapping of str to Sounds
        Set -> where its utterances lie; sets may be missing.
    players : Players
        Of the page.
    compared : mapping of str to Markup, optional
        Set -> the comparison of systems.
    """
    sections = []
    for name in dict.fromkeys(row["test_set"] for row in rows):
        drawn = of_set(curves, name)
        worst = worst_part(drawn, sounds.get(name, Sounds()), players)
        told = (compared or {}).get(name, NOTHING)
        sections.append(results_section(name, of_set(rows, name), drawn, worst, told))
    return sections


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


def results_section(
    name: str,
    rows: Sequence[Mapping],
    curves: Sequence[Mapping],
    worst: Markup = NOTHING,
    compared: Markup = NOTHING,
) -> Section:
    """One test set.

    Parameters
    ----------
    name : str
        Test set.
    rows, curves : sequences of mappings
        Of results.json and curves.json, those of this set.
    worst, compared : Markup
        The worst trials, and the comparison of systems; empty for none.
    """
    whole = [row for row in rows if row["subset"] == "all"]
    styles = {series_of(row): series_style(number) for number, row in enumerate(whole)}
    of_series = {(series_of(row), row["subset"]): row for row in rows}
    drawn = [drawn_curve(curve, of_series, styles) for curve in curves]
    marks = dict.fromkeys(mark for row in rows for mark in row["watermarks"])
    with_bands = [curve["name"] for curve in drawn if curve["band_low"]]
    body = render(
        "results.html",
        name=name,
        first=whole[0],
        intervals=INTERVALS if whole[0].get("eer_percent_interval") else "",
        notes=notes_of(rows),
        watermarks=[*marks, *reversals(rows, ["all"])],
        whole=whole,
        styles=styles,
        main=main_table(whole),
        about=about_systems(curves),
        compared=compared,
        more=more_figures(whole),
        decided=decided_table(drawn, of_series),
        curves=drawn,
        det=drawing(det_plot(drawn)) if drawn else "",
        shown_band=with_bands[0] if with_bands else "",
        marked=marked_threshold(drawn),
        calibrations=calibrations_of(drawn),
        breakdown=breakdown_of(of_series, styles),
        worst=worst,
    )
    return Section(name, body, len(whole))


def drawn_curve(
    curve: Mapping, of_series: Mapping[tuple[str, str], Mapping], styles: Mapping[str, str]
) -> dict:
    """A curve with what its drawings and tables need besides.

    Parameters
    ----------
    curve : mapping
        Of curves.json.
    of_series : mapping of (series, subset) to mapping
        Rows of results.json.
    styles : mapping of str to str
        CSS class of each series.
    """
    name = series_of(curve)
    rates = [
        [f"{threshold:.4g}", f"{100 * false_alarm:.3g}", f"{100 * miss:.3g}"]
        for threshold, false_alarm, miss in curve.get("rates", ())
    ]
    named = {
        **curve,
        "name": name,
        "style": styles[name],
        "eer_percent": of_series[name, "all"]["eer_percent"],
        "band_low": curve.get("band_low", []),
        "rate_cells": rates,
    }
    return named | {"histogram": drawing(histogram_plot(named, headline_threshold(curve)))}


def about_systems(curves: Sequence[Mapping]) -> list[tuple[str, str]]:
    """What each system is, in a line; those of which nothing is known are left out.

    Parameters
    ----------
    curves : sequence of mappings
        Of curves.json.
    """
    about = {curve["system"]: curve.get("about", "") for curve in curves}
    return [(system, said) for system, said in about.items() if said]


def main_table(whole: Sequence[Mapping]) -> dict:
    """The table that people look at first: ``head``, names of the ``figures`` behind the EER, ``declared``, and lengths of the ``bars``.

    Parameters
    ----------
    whole : sequence of mappings
        Rows of results.json of the whole list.
    """
    declared = any(row.get("cllr") is not None for row in whole)
    figures = ["min_dcf_0.01", "min_dcf_0.05"]
    head = ["system", "EER %", "of 50 % (chance)", "minDCF 0.01", "minDCF 0.05"]
    if declared:
        figures += ["act_dcf_0.01", "cllr", "min_cllr"]
        head = ["system", "EER %", "minDCF 0.01", "minDCF 0.05", "actDCF 0.01", "Cllr", "minCllr"]
    bars = [f"{min(100, 2 * row['eer_percent']):.1f}" for row in whole]
    return {"head": head, "figures": figures, "declared": declared, "bars": bars}


def more_figures(whole: Sequence[Mapping]) -> dict:
    """Figures that few ask for, folded up: ``head``, and name and digits of the ``figures``.

    Parameters
    ----------
    whole : sequence of mappings
        Rows of results.json of the whole list.
    """
    known = FEW_ASK_FOR | {
        name: (name.replace("_dcf_", "DCF "), 3)
        for name in whole[0]
        if name.startswith(("min_dcf_", "act_dcf_"))
        and "interval" not in name
        and name not in ("min_dcf_0.01", "min_dcf_0.05", "act_dcf_0.01")
        and any(row[name] is not None for row in whole)
    }
    known = {name: column for name, column in known.items() if name in whole[0]}
    return {
        "head": ["system", *(title for title, _ in known.values())],
        "figures": [(name, digits) for name, (_, digits) in known.items()],
    }


def decided_table(drawn: Sequence[Mapping], of_series: Mapping[tuple[str, str], Mapping]) -> dict:
    """What thresholds decide, of all series at all operating points: ``head``, ``rows``, ``explanation``.

    Parameters
    ----------
    drawn : sequence of mappings
        From `drawn_curve`.
    of_series : mapping of (series, subset) to mapping
        Rows of results.json.
    """
    rows = []
    for curve in drawn:
        rows += [
            [
                curve["name"],
                one["point"],
                "–" if one["threshold"] is None else shown(one["threshold"]),
                f"{rate(100 * one['miss'])} %",
                f"{rate(100 * one['false_alarm'])} %",
                shown(one["bayes_threshold"]),
                one["chosen_on"] or "Bayes",
            ]
            for one in curve.get("decisions", ())
        ]
    head = ["system", "prior", "threshold", "genuine refused", "impostors accepted"]
    said = list(dict.fromkeys(filter(None, map(explanation, drawn))))
    return {
        "head": [*head, "Bayes threshold", "threshold of"],
        "rows": rows,
        "explanation": said[0] if len(said) == 1 else "",
    }


def marked_threshold(drawn: Sequence[Mapping]) -> str:
    """What the line in a histogram is; empty where there is none.

    Parameters
    ----------
    drawn : sequence of mappings
        From `drawn_curve`.
    """
    if all(headline_threshold(curve) is None for curve in drawn):
        return ""
    return f"Dashed: the threshold for a prior of {HEADLINE}."


def calibrations_of(drawn: Sequence[Mapping]) -> list[tuple[str, Markup]]:
    """What scores say against what they should say, drawn; of those that are declared log-likelihood ratios.

    Parameters
    ----------
    drawn : sequence of mappings
        From `drawn_curve`.
    """
    return [
        (curve["name"], drawing(calibration_plot(curve, curve["style"])))
        for curve in drawn
        if len(curve.get("said", ())) > 1
    ]


def breakdown_of(
    of_series: Mapping[tuple[str, str], Mapping], styles: Mapping[str, str]
) -> dict | None:
    """EER by subset of the trials: ``drawing`` and the series ``shown`` there, ``head`` and ``rows``; None where there are no subsets.

    Parameters
    ----------
    of_series : mapping of (series, subset) to mapping
        Rows of results.json.
    styles : mapping of str to str
        CSS class of each series.
    """
    subsets = list(dict.fromkeys(subset for _, subset in of_series if subset != "all"))
    if not subsets:
        return None
    chosen = chosen_series(of_series, list(styles))
    known = [
        subset
        for subset in ["all", *subsets]
        if any(of_series[key, subset]["eer_percent"] is not None for key in chosen)
    ]
    plot = breakdown_plot(
        [
            (subset, [(styles[key], key, of_series[key, subset]) for key in chosen])
            for subset in known
        ]
    )
    return {
        "drawing": drawing(plot),
        "shown": chosen,
        "head": ["trials", *styles, "targets", "non-targets", "speakers"],
        "rows": [(subset, [of_series[key, subset] for key in styles]) for subset in subsets],
    }


def chosen_series(of_series: Mapping[tuple[str, str], Mapping], series: Sequence[str]) -> list[str]:
    """The series that the breakdown's figure shows: the first one, and then the best; of several with one EER (calibration changes none) one.

    Parameters
    ----------
    of_series : mapping of (series, subset) to mapping
        Rows of results.json.
    series : sequence of str
        Their names.
    """
    rates = {key: of_series[key, "all"]["eer_percent"] for key in series}
    chosen = [series[0]]
    for key in sorted(series[1:], key=lambda key: rates[key]):
        if rates[key] not in [rates[other] for other in chosen] and len(chosen) < BROKEN_DOWN:
            chosen.append(key)
    return sorted(chosen, key=series.index)


def sound_folders(data: Path, packed: Path | None = None) -> dict[str, Path]:
    """Data directories with trials, by name; of two of one name the one nearer to the top.

    Parameters
    ----------
    data : path
        Folder of data directories.
    packed : path or None
        As of `of_one_cut`.
    """
    found = [
        path.parent
        for path in of_one_cut(data.rglob("trials"), packed)
        if (path.parent / "wav.scp").exists()
    ]
    found.sort(key=lambda path: (-len(path.parts), path))
    return {folder.name: folder for folder in found}
