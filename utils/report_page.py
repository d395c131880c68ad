"""The report as one HTML page: no script, no other file, light and dark."""

from collections.abc import Mapping, Sequence
from html import escape

from utils.report_plots import det_plot, histogram_plot, learning_plot

STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1c2430; --soft: #5b6675; --rule: #e1e5ea; --panel: #f6f8fa;
  --s0: #0072b2; --s1: #d55e00; --s2: #00875f; --s3: #b0518a; --s4: #2f9bd8; --s5: #b07d00; --s6: #6b57c8; --s7: #6f7782; }
@media (prefers-color-scheme: dark) {
  :root { --back: #11161d; --text: #e4e8ee; --soft: #9aa5b4; --rule: #2b333e; --panel: #181f28;
    --s0: #56b4e9; --s1: #ff8c42; --s2: #2fc99a; --s3: #e58bc0; --s4: #9bd3f5; --s5: #e6b33a; --s6: #a99bf0; --s7: #a3acb8; } }
body { margin: 2rem auto; max-width: 74rem; padding: 0 1.5rem; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; } h3 { font-size: 1rem; margin: 1rem 0 .2rem; }
p { color: var(--soft); margin: .2rem 0 .8rem; max-width: 60rem; } p.watermark { color: var(--s1); font-weight: 600; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
th, td { padding: .32rem .9rem .32rem 0; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } th:first-child, td:first-child, td.name { text-align: left; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .5em; vertical-align: -.05em; background: var(--c); }
.bar { display: inline-block; width: 7rem; height: .55rem; border-radius: .3rem; background: var(--rule); }
.bar i { display: block; height: 100%; border-radius: .3rem; background: var(--c); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem 1.6rem; align-items: start; }
.det { max-width: 38rem; }
figure { margin: 0; } figcaption { font-size: .9rem; font-weight: 600; } svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); } .grid { stroke: var(--rule); }
.equal { stroke: var(--soft); stroke-dasharray: 3 4; fill: none; }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; } .dot { fill: var(--c); stroke: var(--back); stroke-width: 1.5; }
.wave { fill: var(--s0); stroke: var(--s0); } .speech { fill: var(--s2); fill-opacity: .25; }
.scroll + p { margin-top: 1rem; } .scale { max-width: 30rem; }
.area { fill: var(--c); fill-opacity: .35; stroke: var(--c); stroke-width: 1; } .target { --c: var(--s0); } .nontarget { --c: var(--s1); }
details { background: var(--panel); border-radius: .5rem; padding: .6rem 1rem; } summary { cursor: pointer; }
pre { font-size: .85rem; overflow-x: auto; margin: .6rem 0 0; }
@media print { body { margin: 0; max-width: none; } figure, table { break-inside: avoid; } }
""" + "".join(f".series-{k} {{ --c: var(--s{k}); }}\n" for k in range(8))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table.

    Parameters
    ----------
    head : sequence of str
        Plain text.
    rows : sequence of sequences of str
        HTML of the cells.
    """
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return '<div class="scroll"><table>' + "\n".join(lines) + "</table></div>"


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


def results_section(name: str, rows: Sequence[Mapping], curves: Sequence[Mapping]) -> str:
    """One test set: table, breakdown, DET curves, histograms.

    Parameters
    ----------
    name : str
        Test set.
    rows, curves : sequences of mappings
        Of results.json and curves.json, those of this set.
    """
    whole = [row for row in rows if row["subset"] == "all"]
    series = {series_of(row): f"series-{number % 8}" for number, row in enumerate(whole)}
    swatch = {key: f'<span class="swatch {style}"></span>{escape(key)}' for key, style in series.items()}
    main = [[swatch[series_of(row)], rate(row["eer_percent"]),
             f'<span class="bar {series[series_of(row)]}"><i style="width:{min(100, 2 * row["eer_percent"]):.1f}%"></i></span>',
             rate(row["min_dcf_0.01"], 3), rate(row["min_dcf_0.05"], 3)] for row in whole]
    subsets = list(dict.fromkeys(row["subset"] for row in rows if row["subset"] != "all"))
    eer = {(series_of(row), row["subset"]): row for row in rows}
    parts = [f"<h2>{escape(name)}</h2>", f"<p>{whole[0]['targets']:,} target and {whole[0]['nontargets']:,} non-target trials</p>"]
    parts += [f'<p class="watermark">{escape(mark)}</p>' for mark in dict.fromkeys(mark for row in rows for mark in row["watermarks"])]
    parts.append(table(["system", "EER %", "of 50 % (chance)", "minDCF 0.01", "minDCF 0.05"], main))
    if subsets:
        cells = [[escape(subset), *(rate(eer[key, subset]["eer_percent"]) for key in series),
                  f"{eer[next(iter(series)), subset]['targets']:,}", f"{eer[next(iter(series)), subset]['nontargets']:,}"] for subset in subsets]
        parts += ["<h3>EER % by subset of the trials</h3>", table(["trials", *series, "targets", "non-targets"], cells)]
    drawn = [curve | {"name": series_of(curve), "eer_percent": eer[series_of(curve), "all"]["eer_percent"]} for curve in curves]
    legend = " &nbsp; ".join(swatch.values())
    parts += ["<h3>Detection error trade-off</h3>", f'<figure class="det">{det_plot(drawn)}<figcaption>{legend}</figcaption></figure>']
    classes = '<span class="swatch target"></span>target &nbsp; <span class="swatch nontarget"></span>non-target'
    parts.append(f'<h3>Scores</h3><p>{classes}</p><div class="figures">')
    parts += [f"<figure><figcaption>{escape(curve['name'])}</figcaption>{histogram_plot(curve)}</figure>" for curve in drawn]
    return "\n".join([*parts, "</div>"])


def series_of(row: Mapping) -> str:
    """Name of one curve: the system, and its back end where that is not the cosine.

    Parameters
    ----------
    row : mapping
        Of results.json or curves.json.
    """
    return row["system"] if row["backend"] == "cosine" else f"{row['system']}, {row['backend']}"


def learning_section(history: Sequence[Mapping]) -> str:
    """Learning curves; empty without a training log.

    Parameters
    ----------
    history : sequence of mappings
        Entries of log/history.jsonl.
    """
    wanted = [("loss", "training loss", "series-0", False), ("accuracy", "training accuracy", "series-2", True),
              ("dev_eer_percent", "EER on dev trials (%)", "series-1", True), ("learning_rate", "learning rate", "series-7", True)]
    drawn = [(title, learning_plot(history, key, title, style, zero)) for key, title, style, zero in wanted]
    figures = [f"<figure><figcaption>{title}</figcaption>{plot}</figure>" for title, plot in drawn if plot]
    return "\n".join(["<h2>Learning curve</h2>", '<div class="figures">', *figures, "</div>"]) if figures else ""


def page(title: str, subtitle: str, sections: Sequence[str]) -> str:
    """The whole document.

    Parameters
    ----------
    title, subtitle : str
        Plain text.
    sections : sequence of str
        HTML; empty ones are left out.
    """
    head = (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n<p>{escape(subtitle)}</p>\n")
    return head + "\n".join(filter(None, sections)) + "\n</body></html>\n"
