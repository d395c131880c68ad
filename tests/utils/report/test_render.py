"""The page's HTML is in templates only, and all of them escape their values."""

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from steps import compare, report
from utils.report import render as module
from utils.report.render import TEMPLATES, drawing, render

FOLDER = Path(module.__file__).parent
NAMES = sorted(path.name for path in (FOLDER / "templates").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_template_compiles_and_marks_nothing_as_safe(name):
    text = (FOLDER / "templates" / name).read_text()
    TEMPLATES.get_template(name)
    assert not re.search(r"\|\s*safe\b|\{%\s*autoescape|url\(|https?:|@import|<script", text)


def test_html_is_in_templates_only():
    elements = re.compile(r"</?(div|p|h\d|table|t[hdr]|details|summary|span|b|ul|li|figure)\b")
    modules = [*FOLDER.glob("*.py"), Path(report.__file__), Path(compare.__file__)]
    assert len(modules) > 10
    assert [path.name for path in modules if elements.search(path.read_text())] == []


def test_text_is_escaped_and_a_drawing_is_not():
    assert "&lt;b&gt;" in render("configuration.html", text="<b>")
    figures = [("a & b", drawing("<svg></svg>")), ("<i>", "<svg>")]
    text = render("figures.html", figures=figures)
    assert isinstance(text, Markup)
    assert "a &amp; b</figcaption><svg></svg>" in text
    assert "&lt;i&gt;</figcaption>&lt;svg&gt;" in text


def test_a_missing_value_is_an_error():
    with pytest.raises(UndefinedError, match="'text' is undefined"):
        render("configuration.html")
