"""The report as one HTML page: no script, no other file, light and dark, on screen and on paper."""

import re
from collections.abc import Mapping, Sequence
from html import escape, unescape

from utils.report.plots import learning_plot

# systems that a page tells apart: by colour, then by dashes too; more share a style
SERIES, COLOURS = 24, 8

STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1c2430; --soft: #5b6675; --rule: #e1e5ea; --panel: #f6f8fa;
  --s0: #0072b2; --s1: #d55e00; --s2: #00875f; --s3: #b0518a; --s4: #2f9bd8; --s5: #b07d00; --s6: #6b57c8; --s7: #6f7782; }
@media screen and (prefers-color-scheme: dark) {
  :root { --back: #11161d; --text: #e4e8ee; --soft: #9aa5b4; --rule: #2b333e; --panel: #181f28;
    --s0: #56b4e9; --s1: #ff8c42; --s2: #2fc99a; --s3: #e58bc0; --s4: #9bd3f5; --s5: #e6b33a; --s6: #a99bf0; --s7: #a3acb8; } }
body { margin: 2.4rem auto 4rem; max-width: 74rem; padding: 0 1.5rem;
  background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; letter-spacing: -.01em; } h2 { font-size: 1.25rem; margin: 2.8rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.8rem 0 .3rem; } p { color: var(--soft); margin: .2rem 0 .8rem; max-width: 60rem; }
p.watermark { color: var(--s1); font-weight: 600; border-left: 3px solid var(--s1); padding-left: .7rem; }
nav { margin: .8rem 0 0; font-size: .93rem; } nav a { color: var(--soft); margin-right: 1.2rem; text-underline-offset: .2em; }
.cards { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.4rem 0 0; }
.card { background: var(--panel); border-radius: .6rem; padding: .7rem 1.3rem .8rem; } .card p { margin: 0; font-size: .88rem; }
.card b { display: block; font-size: 2.1rem; line-height: 1.2; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.card b small { font-size: 1rem; font-weight: 400; letter-spacing: 0; color: var(--soft); margin-left: .3em; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
th, td { padding: .32rem .9rem .32rem 0; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } th:first-child, td:first-child, td.name { text-align: left; }
td small { color: var(--soft); font-size: .85em; margin-left: .35em; } td audio { height: 1.6rem; width: 9rem; vertical-align: middle; }
.left td, .left th { text-align: left; } .left td small { margin: 0; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .5em; vertical-align: -.05em; background: var(--c); }
.again .swatch { background: none; box-shadow: inset 0 0 0 .2em var(--c); }
.key { white-space: nowrap; margin-right: 1.2em; }
.bar { display: inline-block; width: 7rem; height: .55rem; border-radius: .3rem; background: var(--rule); }
.bar i { display: block; height: 100%; border-radius: .3rem; background: var(--c); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem 1.6rem; align-items: start; }
.det { display: grid; grid-template-columns: minmax(0, 38rem) minmax(0, 1fr); gap: 1.5rem; align-items: center; } .wide { max-width: 52rem; }
.det label { display: flex; gap: .5em; align-items: baseline; padding: .18rem .5rem; border-radius: .4rem; cursor: pointer; }
.det label:hover { background: var(--panel); } .det label small { margin-left: auto; color: var(--soft); font-variant-numeric: tabular-nums; }
.det input { accent-color: var(--c); margin: 0; } @media (max-width: 52rem) { .det { display: block; } }
figure { margin: 0; } figcaption { font-size: .9rem; font-weight: 600; } svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); } svg text.label { fill: var(--text); } .grid { stroke: var(--rule); }
.equal { stroke: var(--soft); stroke-dasharray: 3 4; fill: none; }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; } .dot { fill: var(--c); stroke: var(--back); stroke-width: 1.5; }
.line.again { stroke-dasharray: 7 3; } .dot.again { fill: var(--back); stroke: var(--c); stroke-width: 2; }
.band { fill: var(--c); fill-opacity: .13; stroke: none; } .crowded .band { fill-opacity: .05; }
.det:has(label:hover) .line { opacity: .25; } .det:has(label:hover) .band { fill-opacity: .02; }
.whisker { stroke: var(--c); stroke-width: 2; stroke-linecap: round; fill: none; opacity: .75; }
.wave { fill: var(--s0); stroke: var(--s0); } .speech { fill: var(--s2); fill-opacity: .25; }
.scroll + p { margin-top: 1rem; } .scale { max-width: 30rem; }
.area { fill: var(--c); fill-opacity: .35; stroke: var(--c); stroke-width: 1; } .target { --c: var(--s0); } .nontarget { --c: var(--s1); }
details { background: var(--panel); border-radius: .5rem; padding: .6rem 1rem; margin: .8rem 0; } summary { cursor: pointer; color: var(--soft); }
details .figures { grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); margin-top: .6rem; }
pre { font-size: .85rem; overflow-x: auto; margin: .6rem 0 0; }
ul.ledger { margin: .3rem 0; padding-left: 1.2rem; font-variant-numeric: tabular-nums; }
@media print { body { margin: 0; max-width: none; font-size: 12px; } figure, tr, .card { break-inside: avoid; } h2, h3 { break-after: avoid; }
  nav { display: none; } * { print-color-adjust: exact; } pre { white-space: pre-wrap; } .scroll { overflow: visible; }
  .det input { display: none; }
  .det { grid-template-columns: minmax(0, 28rem) minmax(0, 1fr); } audio, details.long { display: none; }
  details::details-content { content-visibility: visible; } }
""" + "".join(
    f".series-{k} {{ --c: var(--s{k % COLOURS}); }} .det:has(.series-{k} input:not(:checked)) svg .series-{k} {{ display: none; }}\n"
    f".det:has(label.series-{k}:hover) .line.series-{k} {{ opacity: 1; }} .det:has(label.series-{k}:hover) .band.series-{k} "
    "{ fill-opacity: .3; }\n"
    for k in range(SERIES)
)


def series_style(number: int) -> str:
    """CSS classes of a series: its colour, and dashes where the colours have been used up.

    Parameters
    ----------
    number : int
        From 0 on.
    """
    return f"series-{number % SERIES}" + (" again" if number >= COLOURS else "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], style: str = "") -> str:
    """An HTML table.

    Parameters
    ----------
    head : sequence of str
        Plain text.
    rows : sequence of sequences of str
        HTML of the cells.
    style : str
        CSS classes.
    """
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return f'<div class="scroll {style}"><table>' + "\n".join(lines) + "</table></div>"


def learning_section(history: Sequence[Mapping]) -> str:
    """Learning curves; empty without a training log.

    Parameters
    ----------
    history : sequence of mappings
        Entries of log/history.jsonl.
    """
    wanted = [
        ("loss", "training loss", "series-0", False),
        ("accuracy", "training accuracy", "series-2", True),
        ("dev_eer_percent", "EER on dev trials (%)", "series-1", True),
        ("learning_rate", "learning rate", "series-7", True),
    ]
    drawn = [
        (title, learning_plot(history, key, title, style, zero))
        for key, title, style, zero in wanted
    ]
    figures = [
        f"<figure><figcaption>{title}</figcaption>{plot}</figure>" for title, plot in drawn if plot
    ]
    if not figures:
        return ""
    return "\n".join(["<h2>Learning curve</h2>", '<div class="figures">', *figures, "</div>"])


def anchor(name: str) -> str:
    """Name of a place on the page, from a title.

    Parameters
    ----------
    name : str
        Plain text.
    """
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def page(title: str, subtitle: str, sections: Sequence[str], top: str = "") -> str:
    """The whole document, with links to its sections.

    Parameters
    ----------
    title, subtitle : str
        Plain text.
    sections : sequence of str
        HTML; empty ones are left out.
    top : str
        HTML of what stands above them.
    """
    head = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n<p>{escape(subtitle)}</p>\n"
    )
    body = "\n".join(filter(None, sections))
    names = re.findall("<h2>(.*?)</h2>", body)
    links = "".join(f'<a href="#{anchor(unescape(name))}">{name}</a>' for name in names)
    body = re.sub(
        "<h2>(.*?)</h2>",
        lambda found: f'<h2 id="{anchor(unescape(found[1]))}">{found[1]}</h2>',
        body,
    )
    navigation = f"<nav>{links}</nav>\n" if len(names) > 1 else ""
    return f"{head}{navigation}{top}{body}\n</body></html>\n"
