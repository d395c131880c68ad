"""The report's cards, and its section on each test set: table, DET curves, histograms, calibration,
breakdown, worst trials.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from utils.evaluation.results import notes_of, rate, reversals, series_of, speakers_of
from utils.metrics.rates import reversal_note
from utils.packed.facts import of_one_cut
from utils.report.page import series_style, table
from utils.report.plots import breakdown_plot, calibration_plot, det_plot, histogram_plot
from utils.report.trials import Players, Sounds, worst_part

INTERVALS = (
    "In brackets and as bands: 95 % intervals, by drawing the test's speakers again.  Bands show the miss rate at a given false-alarm "
    "rate.  A figure without an interval has too few speakers for one that means something."
)
BROKEN_DOWN = 3  # series in the breakdown's figure; its table has all of them
CROWD = 5  # series from which bands are drawn faintly


def cards(rows: Sequence[Mapping]) -> str:
    """What people look for first: the error rate of the first system on each set.

    Parameters
    ----------
    rows : sequence of mappings
        Of results.json.
    """
    parts = []
    for name in dict.fromkeys(row["test_set"] for row in rows):
        row = next(row for row in rows if row["test_set"] == name and row["subset"] == "all")
        ends, note = row.get("eer_percent_interval"), reversal_note(row["eer_percent"])
        interval = f"<small>[{ends[0]:.2f}, {ends[1]:.2f}]</small>" if ends else ""
        parts.append(
            f'<div class="card"><p>EER on {escape(name)}, %</p><b>{rate(row["eer_percent"])}{interval}</b>'
            f"<p>{escape(', '.join(filter(None, [row['system'], row['backend']])))}; {speakers_of(row)}, "
            f"{row['targets'] + row['nontargets']:,} trials</p>{note and f'<p>{note}</p>'}</div>"
        )
    return f'<div class="cards">{"".join(parts)}</div>\n'


def sections_of_sets(
    rows: Sequence[dict],
    curves: Sequence[dict],
    sounds: Mapping[str, Sounds],
    players: Players,
    compared: Mapping[str, str] | None = None,
) -> list[str]:
    """One section for each test set.

    Parameters
    ----------
    rows, curves : sequences of dict
        Of results.json and curves.json.
    sounds : mapping of str to Sounds
        Set -> where its utterances lie; sets may be missing.
    players : Players
        Of the page.
    compared : mapping of str to str, optional
        Set -> HTML of the comparison of systems.
    """
    sections = []
    for name in dict.fromkeys(row["test_set"] for row in rows):
        drawn = of_set(curves, name)
        worst = worst_part(drawn, sounds.get(name, Sounds()), players)
        told = (compared or {}).get(name, "")
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
    worst: str = "",
    compared: str = "",
) -> str:
    """One test set.

    Parameters
    ----------
    name : str
        Test set.
    rows, curves : sequences of mappings
        Of results.json and curves.json, those of this set.
    worst, compared : str
        HTML of the worst trials, and of the comparison of systems; empty for none.
    """
    whole = [row for row in rows if row["subset"] == "all"]
    series = {series_of(row): series_style(number) for number, row in enumerate(whole)}
    of_series = {(series_of(row), row["subset"]): row for row in rows}
    drawn: list[Mapping] = []
    for curve in curves:
        key = series_of(curve)
        eer = of_series[key, "all"]["eer_percent"]
        drawn.append({**curve, "name": key, "style": series[key], "eer_percent": eer})
    first = whole[0]
    counts = (
        f"{first['targets']:,} target and {first['nontargets']:,} non-target trials of "
        f"{speakers_of(first)}."
    )
    parts = [
        f"<h2>{escape(name)}</h2>",
        f"<p>{counts} {INTERVALS if first.get('eer_percent_interval') else ''}</p>",
        *(f"<p>{escape(note)}.</p>" for note in notes_of(rows)),
    ]
    parts += [
        f'<p class="watermark">{escape(mark)}</p>'
        for mark in [
            *dict.fromkeys(mark for row in rows for mark in row["watermarks"]),
            *reversals(rows, ["all"]),
        ]
    ]
    swatches = {key: swatch(style, key) for key, style in series.items()}
    parts += [
        main_table(whole, swatches, series),
        compared,
        more_figures(whole, swatches),
        rates_part(drawn),
        det_part(drawn),
        scores_part(drawn),
        calibration_part(drawn),
        breakdown_part(of_series, series, swatches),
        worst,
    ]
    return "\n".join(filter(None, parts))


def swatch(style: str, text: str) -> str:
    """A dot of a colour, and a word.

    Parameters
    ----------
    style : str
        CSS class.
    text : str
        Plain text.
    """
    return f'<span class="key {style}"><span class="swatch"></span>{escape(text)}</span>'


def with_interval(row: Mapping, name: str, digits: int) -> str:
    """A figure, and its interval in brackets where it has one.

    Parameters
    ----------
    row : mapping
        Of results.json.
    name : str
        Of the figure.
    digits : int
        After the point.
    """
    figure = rate(row[name], digits)
    ends = row.get(f"{name}_interval")
    if not ends:
        return figure
    return f"{figure}<small>[{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]</small>"


def main_table(
    whole: Sequence[Mapping], swatches: Mapping[str, str], series: Mapping[str, str]
) -> str:
    """The table that people look at first.

    Parameters
    ----------
    whole : sequence of mappings
        Rows of results.json of the whole list.
    swatches, series : mapping of str to str
        HTML of each series' name, and its CSS class.
    """
    declared = any(row.get("cllr") is not None for row in whole)
    rows = []
    for row in whole:
        key = series_of(row)
        bar = f'<span class="bar {series[key]}"><i style="width:{min(100, 2 * row["eer_percent"]):.1f}%"></i></span>'
        costs = [with_interval(row, f"min_dcf_{p}", 3) for p in ("0.01", "0.05")]
        cells = [swatches[key], with_interval(row, "eer_percent", 2)]
        if declared:
            ratios = [with_interval(row, name, 3) for name in ("act_dcf_0.01", "cllr")]
            cells += [*costs, *ratios, rate(row["min_cllr"], 3)]
        else:
            cells += [bar, *costs]
        rows.append(cells)
    head = ["system", "EER %"]
    if declared:
        head += ["minDCF 0.01", "minDCF 0.05", "actDCF 0.01", "Cllr", "minCllr"]
    else:
        head += ["of 50 % (chance)", "minDCF 0.01", "minDCF 0.05"]
    return table(head, rows)


def more_figures(whole: Sequence[Mapping], swatches: Mapping[str, str]) -> str:
    """Figures that few ask for, folded up.

    Parameters
    ----------
    whole : sequence of mappings
        Rows of results.json of the whole list.
    swatches : mapping of str to str
        HTML of each series' name.
    """
    known = {
        "eer_hull_percent": ("EER % (convex hull)", 2),
        "eer_kaldi_percent": ("EER % (Kaldi)", 2),
        "min_cllr": ("minCllr, bits", 3),
        "tpr_at_far_0.001": ("found at FAR 0.1 %", 3),
        "tpr_at_far_0.01": ("at FAR 1 %", 3),
        "tpr_at_far_0.1": ("at FAR 10 %", 3),
        "best_accuracy": ("best accuracy", 3),
    }
    known |= {
        name: (name.replace("_dcf_", "DCF "), 3)
        for name in whole[0]
        if name.startswith(("min_dcf_", "act_dcf_"))
        and "interval" not in name
        and name not in ("min_dcf_0.01", "min_dcf_0.05", "act_dcf_0.01")
        and any(row[name] is not None for row in whole)
    }
    known = {name: column for name, column in known.items() if name in whole[0]}
    rows = [
        [
            swatches[series_of(row)],
            *(rate(row[name], digits) for name, (_, digits) in known.items()),
        ]
        for row in whole
    ]
    head = ["system", *(title for title, _ in known.values())]
    return f"<details><summary>more figures</summary>{table(head, rows)}</details>"


def rates_part(drawn: Sequence[Mapping]) -> str:
    """False alarms and misses by threshold, folded up; empty where nothing is drawn.

    Parameters
    ----------
    drawn : sequence of mappings
        Of curves.json, with ``name`` and ``rates``.
    """
    tables = []
    for curve in drawn:
        rows = [
            [f"{threshold:.4g}", f"{100 * false_alarm:.3g}", f"{100 * miss:.3g}"]
            for threshold, false_alarm, miss in curve.get("rates", ())
        ]
        numbers = table(["threshold", "FAR %", "FRR %"], rows)
        caption = f"<figcaption>{escape(curve['name'])}</figcaption>"
        tables.append(f"<figure>{caption}{numbers}</figure>")
    if not tables:
        return ""
    title = "false alarms (FAR) and misses (FRR) by threshold"
    return f'<details class="long"><summary>{title}</summary><div class="figures">{"".join(tables)}</div></details>'


def det_part(drawn: Sequence[Mapping]) -> str:
    """DET curves, and a list of them in which each can be switched off or pointed at; empty where nothing is drawn.

    Parameters
    ----------
    drawn : sequence of mappings
        Of curves.json, with ``name``, ``style`` and ``eer_percent``.
    """
    if not drawn:
        return ""
    keys = "".join(
        f'<label class="{curve["style"]}"><input type="checkbox" checked><span class="swatch"></span>{escape(curve["name"])}'
        f"<small>{curve['eer_percent']:.2f} %</small></label>"
        for curve in drawn
    )
    crowded = " crowded" if len(drawn) >= CROWD else ""
    return (
        "<h3>Detection error trade-off</h3>"
        f'<figure class="det{crowded}">{det_plot(drawn)}<figcaption>{keys}</figcaption></figure>'
    )


def scores_part(drawn: Sequence[Mapping]) -> str:
    """Histograms of the scores; empty where nothing is drawn.

    Parameters
    ----------
    drawn : sequence of mappings
        Of curves.json, with ``name``.
    """
    if not drawn:
        return ""
    classes = f"{swatch('target', 'target')} {swatch('nontarget', 'non-target')}"
    figures = [
        f"<figure><figcaption>{escape(curve['name'])}</figcaption>{histogram_plot(curve)}</figure>"
        for curve in drawn
    ]
    return "\n".join(
        ["<h3>Scores</h3>", f"<p>{classes}</p>", '<div class="figures">', *figures, "</div>"]
    )


def calibration_part(drawn: Sequence[Mapping]) -> str:
    """What scores say against what they should say; empty where no scores are declared log-likelihood ratios.

    Parameters
    ----------
    drawn : sequence of mappings
        Of curves.json, with ``name``.
    """
    figures = [
        f"<figure><figcaption>{escape(curve['name'])}</figcaption>{calibration_plot(curve, curve['style'])}</figure>"
        for curve in drawn
        if len(curve.get("said", ())) > 1
    ]
    if not figures:
        return ""
    text = (
        "<p>Log-likelihood ratios against those that the trials bear out (PAV): on the dashed line "
        "a score means what it says.</p>"
    )
    return "\n".join(["<h3>Calibration</h3>", text, '<div class="figures">', *figures, "</div>"])


def breakdown_part(
    of_series: Mapping[tuple[str, str], Mapping],
    series: Mapping[str, str],
    swatches: Mapping[str, str],
) -> str:
    """EER by subset of the trials; empty where there are no subsets.

    Parameters
    ----------
    of_series : mapping of (series, subset) to mapping
        Rows of results.json.
    series, swatches : mapping of str to str
        CSS class of each series, and HTML of its name.
    """
    subsets = list(dict.fromkeys(subset for _, subset in of_series if subset != "all"))
    if not subsets:
        return ""
    shown = chosen_series(of_series, list(series))
    known = [
        subset
        for subset in ["all", *subsets]
        if any(of_series[key, subset]["eer_percent"] is not None for key in shown)
    ]
    figure = breakdown_plot(
        [
            (subset, [(series[key], key, of_series[key, subset]) for key in shown])
            for subset in known
        ]
    )
    first = next(iter(series))
    cells = [
        [
            escape(subset),
            *(with_interval(of_series[key, subset], "eer_percent", 2) for key in series),
            *(
                f"{of_series[first, subset][count]:,}"
                for count in ("targets", "nontargets", "speakers")
            ),
        ]
        for subset in subsets
    ]
    numbers = table(["trials", *series, "targets", "non-targets", "speakers"], cells)
    return (
        f'<h3>EER % by subset of the trials</h3><figure class="wide">{figure}<figcaption>{" ".join(swatches[key] for key in shown)}'
        f"</figcaption></figure><details><summary>as numbers</summary>{numbers}</details>"
    )


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
