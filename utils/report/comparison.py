"""The report's part on differences between systems: a table of all pairs, and each pair in words."""

from collections.abc import Mapping, Sequence
from html import escape

from utils.evaluation.comparison import EXPLANATION, is_clear, needed, probability, sentence
from utils.report.page import table


def differences_part(differences: Sequence[Mapping]) -> str:
    """The comparison as a part of the page; empty without a pair.

    Parameters
    ----------
    differences : sequence of mappings
        Of differences.json, those of one set.
    """
    if not differences:
        return ""
    names = list(
        dict.fromkeys(name for one in differences for name in (one["first"], one["second"]))
    )
    cells = {}
    for one in differences:
        found, clear = one["eer_percent"], is_clear(one)
        hint = hint_of(one)
        for first, second, sign in (
            (one["first"], one["second"], 1),
            (one["second"], one["first"], -1),
        ):
            number = f"{sign * found['difference']:+.2f}"
            shown = f"<b>{number}</b>" if clear else number
            ends = ""
            if one["no_interval"] is None:
                low, high = sorted((sign * found["low"], sign * found["high"]))
                ends = f"<small>[{low:+.2f}, {high:+.2f}]</small>"
            cells[first, second] = f'<span title="{escape(hint)}">{shown}{ends}</span>'
    rows = [
        [f"{number}. {escape(first)}", *(cells.get((first, second), "") for second in names)]
        for number, first in enumerate(names, 1)
    ]
    # numbers for the columns: names would be wider than the figures
    head = ["EER points", *(f"{number}." for number in range(1, len(names) + 1))]
    listed = "".join(f"<li>{escape(sentence(one).partition(': ')[2])}</li>" for one in differences)
    return (
        f"<h3>Differences</h3><p>{escape(EXPLANATION)}</p>{table(head, rows)}"
        f"<details><summary>in words</summary><ul>{listed}</ul></details>"
    )


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
