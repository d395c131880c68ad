"""From what a part of the page says to its HTML: the templates beside this module.

Whatever is put into a template is escaped, but for `Markup`: what another template made, and the
drawings of utils/report/svg.py, which escapes by itself.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from utils.evaluation.results import count, rate, series_of, speakers_of

NOTHING = Markup()
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters |= {
    "rate": rate,
    "series": series_of,
    "count": count,
    "speakers": speakers_of,
}


def render(template: str, **values: object) -> Markup:
    """The HTML of a part.

    Parameters
    ----------
    template : str
        Name of a file of templates/.
    **values : object
        What it asks for; one that is missing is an error.
    """
    return Markup(TEMPLATES.get_template(template).render(**values))  # noqa: S704 - is escaped


def drawing(svg: str) -> Markup:
    """A drawing of ours, for a template: its words are escaped already.

    Parameters
    ----------
    svg : str
        An ``<svg>`` element of `utils.report.svg.Plot`, or a file that was made of one.
    """
    return Markup(svg)  # noqa: S704 - utils/report/svg.py escapes
