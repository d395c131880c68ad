"""The report as one HTML page: no script, no other file, light and dark, on screen and on paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from utils.report.plots import learning_plot
from utils.report.render import NOTHING, drawing, render

COLOURS = 8  # of series; from then on they are dashed too


@dataclass(frozen=True)
class Section:
    """A part of the page with a title of its own, to which a link at the top leads.

    Attributes
    ----------
    title : str
        Plain text.
    body : Markup
        HTML.
    series : int
        How many series it tells apart.
    """

    title: str
    body: Markup
    series: int = 0

    @property
    def anchor(self) -> str:
        """Name of its place on the page."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.title)


def series_style(number: int) -> str:
    """CSS classes of a series: its colour, and dashes where the colours have been used up.

    Parameters
    ----------
    number : int
        From 0 on.
    """
    return f"series-{number}" + (" again" if number >= COLOURS else "")


def learning_section(history: Sequence[Mapping]) -> Section | None:
    """Learning curves; None without a training log.

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
    figures = [(title, drawing(plot)) for title, plot in drawn if plot]
    if not figures:
        return None
    return Section("Learning curve", render("figures.html", figures=figures))


def page(
    title: str, subtitle: str, sections: Sequence[Section | None], top: Markup = NOTHING
) -> str:
    """The whole document, with links to its sections.

    Parameters
    ----------
    title, subtitle : str
        Plain text.
    sections : sequence of Section or None
        Those that are None are left out.
    top : Markup
        HTML of what stands above them.
    """
    there = [section for section in sections if section]
    series = max(COLOURS, *(section.series for section in there), 0)
    return render(
        "page.html",
        title=title,
        subtitle=subtitle,
        sections=there,
        top=top,
        series=series,
        colours=COLOURS,
    )
