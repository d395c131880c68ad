"""The report's part on differences between systems: a table of all pairs, and each pair in words."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from utils.evaluation.comparison import EXPLANATION, is_clear, needed, probability, sentence
from utils.report.render import NOTHING, render


class Cell(NamedTuple):
    """A pair in the table: the difference, whether it is clear, its interval, and what the pointer shows."""

    number: str
    clear: bool
    interval: str
    hint: str


def differences_part(differences: Sequence[Mapping]) -> Markup:
    """The comparison as a part of the page; empty without a pair.

    Parameters
    ----------
    differences : sequence of mappings
        Of differences.json, those of one set.
    """
    if not differences:
        return NOTHING
    names = list(
        dict.fromkeys(name for one in differences for name in (one["first"], one["second"]))
    )
    cells = {}
    for one in differences:
        cells[one["first"], one["second"]] = cell_of(one, 1)
        cells[one["second"], one["first"]] = cell_of(one, -1)
    rows = [(first, [cells.get((first, second)) for second in names]) for first in names]
    # numbers for the columns: names would be wider than the figures
    head = ["EER points", *(f"{number}." for number in range(1, len(names) + 1))]
    sentences = [sentence(one).partition(": ")[2] for one in differences]
    return render(
        "differences.html", explanation=EXPLANATION, head=head, rows=rows, sentences=sentences
    )


def cell_of(one: Mapping, sign: int) -> Cell:
    """A pair as its cell shows it.

    Parameters
    ----------
    one : mapping
        Of differences.json.
    sign : int
        1, or -1: second minus first.
    """
    found = one["eer_percent"]
    interval = ""
    if one["no_interval"] is None:
        low, high = sorted((sign * found["low"], sign * found["high"]))
        interval = f"[{low:+.2f}, {high:+.2f}]"
    return Cell(f"{sign * found['difference']:+.2f}", is_clear(one), interval, hint_of(one))


def hint_of(one: Mapping) -> str:
    """What stands behind a cell: how likely chance is, or why that is not known.

    Parameters
    ----------
    one : mapping
        Of differences.json.
    """
    if one["no_interval"]:
        return f"no interval: {one['no_interval']}"
    return probability(one["p_corrected"]) + ("" if is_clear(one) else needed(one["eer_percent"]))
