"""The report's part on differences between systems: a table of all pairs, and a list in words."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from utils.evaluation.comparison import EXPLANATION, is_clear, needed, probability, sentence
from utils.report.render import NOTHING, render


class _Cell(NamedTuple):
    """A pair in the table: the difference, whether it is clear, its interval, and the tooltip."""

    number: str
    clear: bool
    interval: str
    hint: str


def differences_part(differences: Sequence[Mapping]) -> Markup:
    """The entries of differences.json of one test set as HTML; empty if there are none."""
    if not differences:
        return NOTHING
    cells, sentences = {}, []
    names: dict[str, None] = {}
    for entry in differences:
        first, second = entry["first"], entry["second"]
        cells[first, second] = _cell(entry, 1)
        cells[second, first] = _cell(entry, -1)
        names |= {first: None, second: None}
        sentences.append(sentence(entry).partition(": ")[2])
    head, rows = ["EER points"], []
    for number, first in enumerate(names, 1):
        head.append(f"{number}.")  # names would be wider than the figures
        rows.append((first, [cells.get((first, second)) for second in names]))
    return render(
        "differences.html", explanation=EXPLANATION, head=head, rows=rows, sentences=sentences
    )


def _cell(entry: Mapping, sign: int) -> _Cell:
    """The cell of a pair; sign 1: first minus second, -1: second minus first."""
    eer = entry["eer_percent"]
    interval = ""
    if entry["no_interval"] is None:
        low, high = sorted((sign * eer["low"], sign * eer["high"]))
        interval = f"[{low:+.2f}, {high:+.2f}]"
    return _Cell(f"{sign * eer['difference']:+.2f}", is_clear(entry), interval, _hint(entry))


def _hint(entry: Mapping) -> str:
    """The tooltip of a pair: its corrected p-value, or why it has none."""
    if entry["no_interval"]:
        return f"no interval: {entry['no_interval']}"
    text = probability(entry["p_corrected"])
    if not is_clear(entry):
        text += needed(entry["eer_percent"])
    return text
