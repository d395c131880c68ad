"""HTML of the parts of the page, by the templates beside this module.

Values of a template are escaped, except `Markup`: the output of other templates, and drawings,
whose text utils/report/svg.py escapes.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from utils.evaluation.results import count, describe_speakers, rate, series_name

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
    "series": series_name,
    "count": count,
    "speakers": describe_speakers,
}


def render(template: str, **values: object) -> Markup:
    """The HTML of a file of templates/; a value that it uses and doesn't get is an error."""
    return Markup(TEMPLATES.get_template(template).render(**values))  # noqa: S704 - is escaped


def drawing(svg: str) -> Markup:
    """An ``<svg>`` element of `utils.report.svg.Plot` for a template; its text is escaped."""
    return Markup(svg)  # noqa: S704 - utils/report/svg.py escapes
