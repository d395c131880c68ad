"""The report as one HTML page: no script, no other file, light and dark, on screen and paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from utils.report.plots import learning_plot
from utils.report.render import NOTHING, drawing, render

COLOURS = 8  # of series; further series repeat the colours with dashes
# key of log/history.jsonl, title, CSS class, and whether the axis starts at 0
LEARNING_CURVES = (
    ("loss", "training loss", "series-0", False),
    ("accuracy", "training accuracy", "series-2", True),
    ("dev_eer_percent", "EER on dev trials (%)", "series-1", True),
    ("learning_rate", "learning rate", "series-7", True),
)


@dataclass(frozen=True)
class Section:
    """A part of the page with a title, a link to it at the top, and the number of its series."""

    title: str
    body: Markup
    series: int = 0

    @property
    def anchor(self) -> str:
        """Its id in the page."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.title)


def series_style(number: int) -> str:
    """CSS classes of a series, counted from 0: its colour, and dashes if colours repeat."""
    style = f"series-{number}"
    if number >= COLOURS:
        style += " again"
    return style


def learning_section(history: Sequence[Mapping]) -> Section | None:
    """Learning curves from log/history.jsonl; None without entries."""
    figures = []
    for key, title, style, zero in LEARNING_CURVES:
        plot = learning_plot([("", style, history)], key, title, zero)
        if plot:
            figures.append((title, drawing(plot)))
    if not figures:
        return None
    return Section("Learning curve", render("figures.html", figures=figures))


def page(
    title: str, subtitle: str, sections: Sequence[Section | None], top: Markup = NOTHING
) -> str:
    """The whole document: title, subtitle, links to the sections, ``top``, the sections."""
    known = [section for section in sections if section]
    series = max(COLOURS, *(section.series for section in known), 0)
    return render(
        "page.html",
        title=title,
        subtitle=subtitle,
        sections=known,
        top=top,
        series=series,
        colours=COLOURS,
    )
