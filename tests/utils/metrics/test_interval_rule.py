"""The rule that says where an interval is shown is what the bench's table says."""

import re
from itertools import pairwise

import pytest

from tests.conftest import ROOT
from utils.metrics.interval_rule import (
    ANY,
    EERS_PERCENT,
    NEEDED,
    NONE,
    few_speakers,
    least_speakers,
    speakers_needed,
    why_no_interval,
)

LEAST_COVERAGE = 88.0


def tables():
    """Tables of the page by title: figure -> (speakers, EER) -> cell."""
    text = (ROOT / "tests" / "bench" / "cost_intervals.md").read_text()
    found = {}
    for part in text.split("\n## ")[1:]:
        head, _, *rows = [line for line in part.splitlines() if line.startswith("|")]
        names = [cell.strip() for cell in head.strip("|").split("|")]
        cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
        found[part.partition("\n")[0]] = {
            name: {(int(row[0]), float(row[1])): row[column] for row in cells}
            for column, name in enumerate(names)
            if column >= 2
        }
    return found


TABLES = tables()
FIGURES = TABLES["Intervals of a figure"]
SPEAKERS = sorted({speakers for speakers, _ in FIGURES["eer"]})


def name_of(measure, prior):
    return measure if prior == ANY and measure in ("eer", "cllr") else f"{measure} {prior:g}"


def test_the_numbers_are_those_of_the_bench():
    assert SPEAKERS == [5, 10, 20, 40, 100, 400]
    named = {name_of(measure, prior) for measure, rows in NEEDED.items() for prior in rows}
    assert named == FIGURES.keys()
    for measure, rows in NEEDED.items():
        for prior, needed in rows.items():
            cells = FIGURES[name_of(measure, prior)]
            assert len(needed) == len(EERS_PERCENT)
            for eer, number in zip(EERS_PERCENT, needed, strict=True):
                held = [float(cells[speakers, eer]) >= LEAST_COVERAGE for speakers in SPEAKERS]
                enough = [speakers for place, speakers in enumerate(SPEAKERS) if all(held[place:])]
                assert number == (enough[0] if enough else NONE), (measure, prior, eer)


def test_intervals_that_are_shown_hold_the_truth():
    """By the EER of the list, as for users, not the true one: a little lower at the rule's edge."""
    shown = next(table for title, table in TABLES.items() if title.startswith("Intervals that"))
    for figure, cells in shown.items():
        for cell, text in cells.items():
            found = re.fullmatch(r"([\d.]+) \((\d+)\)", text)
            if found and int(found[2]) >= 50:
                assert float(found[1]) >= LEAST_COVERAGE - 8, (figure, cell)


def test_between_what_was_tried_the_larger_number_counts():
    for measure, rows in NEEDED.items():
        for prior in rows:
            for low, high in pairwise(EERS_PERCENT):
                both = [speakers_needed(measure, eer, prior) for eer in (low, high)]
                expected = None if None in both else max(both)
                assert speakers_needed(measure, (low + high) / 2, prior) == expected
    between = [speakers_needed("min", 5.0, prior) for prior in (0.01, 0.05)]
    assert speakers_needed("min", 5.0, 0.03) == (None if None in between else max(between))


@pytest.mark.parametrize("measure", ["min", "act"])
@pytest.mark.parametrize("prior", [1e-6, 0.0005, 0.999])
def test_a_prior_that_was_not_tried_has_no_interval(measure, prior):
    assert speakers_needed(measure, 5.0, prior) is None
    assert why_no_interval(measure, 10_000, 5.0, prior)


@pytest.mark.parametrize("speakers", [2, 3, 4])
@pytest.mark.parametrize(
    ("measure", "prior"), [("eer", None), ("cllr", None), ("min", 0.5), ("act", 0.05)]
)
@pytest.mark.parametrize("eer", [0.0, 3.0, 20.83, 50.0])
def test_fewer_speakers_than_were_tried_have_no_interval(speakers, measure, prior, eer):
    assert why_no_interval(measure, speakers, eer, prior)


def test_what_few_speakers_cannot_tell_is_said_in_a_few_words():
    said = few_speakers(2)
    assert said.startswith("2 speakers: no interval of EER (")
    assert "minDCF 0.01" in said
    assert len(said) < 90
    assert few_speakers(400) == ""
    assert f"EER (needs {least_speakers('eer')})" in said
