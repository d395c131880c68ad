"""One page for several experiments, with paired tests on the trials that they share.

    python -m steps.compare data/full/packed_16000 exp/compared --experiments "[exp/ecapa, exp/resnet34]"
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import combinations
from pathlib import Path

import numpy as np

from utils.bootstrap import drawn_weights, sort_trials, speaker_rows, weighted_figures
from utils.cli import run
from utils.errors import UserError
from utils.evaluation import Drawing, TrialSet, inputs_of_sets, label_of, priors, read_test_set, rows_and_curves, score_files
from utils.files import atomic_write
from utils.intervals import paired_difference
from utils.receipts import MODE, Task
from utils.report_page import page, series_of, table
from utils.report_results import sections_of_sets
from utils.report_trials import Players
from utils.result_rows import read_entries, text_table, write_json
from utils.scores import receipt_of, scores_of_trials

FORMAT = 1
SUBTITLE = "Speaker verification systems on the same trials: error rates, their intervals, and which differences are more than chance."
SIGNIFICANT = 0.05
EXPLANATION = ("Row minus column, in points of EER, with its 95 % interval: both systems get the same draws of the speakers.  In bold: p below 0.05 "
               "after Holm's correction for all pairs.  Where a difference is not clear, the number of speakers that would show one of its size.")


def compare(data: Path, output: Path, *, experiments: list[Path], replicates: int = 1000, seed: int = 0, p_targets: list[float] | None = None,
            players: bool = True) -> dict:
    """Write ``results.json``, ``curves.json``, ``differences.json`` and ``report.html`` about all back ends of several experiments.

    Parameters
    ----------
    data : path
        Folder of data directories: every ``<data>/<set>/trials`` is evaluated.
    output : path
        Folder.
    experiments : list of path
        Each with ``scores/<set>/<backend>.scores``; all scored the same trials.
    replicates : int
        Draws of the test speakers, at least 2.
    seed : int
        Of the draws.
    p_targets : list of float, optional
        Further priors of minDCF and actDCF, beside 0.01 and 0.05.
    players : bool
        Put sound of the worst trials into the page.

    Returns
    -------
    dict
        Number of ``systems``, ``test_sets`` and ``pairs``, and how many are ``clear``: p below 0.05 after correction.

    Raises
    ------
    UserError
        A system has no scores of a set; a trial has no score; fewer than two systems or draws.
    """
    if replicates < 2:
        raise UserError(f"--replicates: {replicates}, expected at least 2 draws: a comparison has an interval")
    drawing = Drawing(replicates, seed, priors(p_targets, replicates))
    if len({folder.name for folder in experiments}) < len(experiments):
        raise UserError(f"two systems have the name of the same folder: {', '.join(map(str, experiments))}")
    sets = sorted(trials.parent.name for trials in data.glob("*/trials"))
    files = {name: {folder.name: score_files(folder / "scores" / name) for folder in experiments} for name in sets}
    inputs = {f"{name}/{system}/{label_of(file, name)}": receipt_of(file) for name in sets for system, found in files[name].items() for file in found}
    options = {"systems": [folder.name for folder in experiments], "replicates": replicates, "seed": seed, "p_targets": drawing.p_targets,
               **({} if players else {"players": False})}
    task = Task(home=output, name="compare", format=FORMAT, inputs=inputs | inputs_of_sets(data, sets), options=options)
    if not task.is_done():
        if not sets:
            raise UserError(f"{data}: no <set>/trials in it, so that nothing is compared; name the folder of packed data directories")
        rows, curves, differences = [], [], []
        for name in sets:
            tests = read_test_set(data / name)
            found = rows_and_curves(tests, data / name, files[name], drawing)
            rows, curves = rows + found[0], curves + found[1]
            differences += differences_of(tests, data / name, found[0], files[name], drawing)
        compared = {name: differences_part([one for one in differences if one["test_set"] == name]) for name in sets}
        sections = sections_of_sets(rows, curves, data, Players() if players else Players(0), compared)
        for file, entries in (("results.json", rows), ("curves.json", curves), ("differences.json", differences)):
            write_json(output / file, entries)
        with atomic_write(output / "report.html") as file:
            file.write(page(" · ".join(folder.name for folder in experiments), SUBTITLE, sections))
        clear = sum(one["p_corrected"] < SIGNIFICANT for one in differences)
        counts = {"systems": len(experiments), "test_sets": len(sets), "pairs": len(differences), "clear": clear}
        task.finish([output / name for name in ("results.json", "curves.json", "differences.json", "report.html")], counts)
    if not MODE.checking:
        print(text_table(read_entries(output / "results.json")))
        print("\n".join(map(sentence, read_entries(output / "differences.json"))))
        print(f"report: {output / 'report.html'}")
    return task.counts


def differences_of(tests: TrialSet, data: Path, rows: Sequence[Mapping], files: Mapping[str, Sequence[Path]], drawing: Drawing) -> list[dict]:
    """Every pair of score files of one set.

    Parameters
    ----------
    tests : TrialSet
        The trials.
    data : path
        Its data directory.
    rows : sequence of mappings
        Of results.json, in the order of the files.
    files : mapping of str to sequence of path
        System -> its score files.
    drawing : Drawing
        Draws of the speakers, the same for all.

    Raises
    ------
    UserError
        There is one score file only, or one speaker.
    """
    whole = [row for row in rows if row["subset"] == "all"]
    size, left, right = speaker_rows(*tests.speakers, tests.is_target)
    if len(whole) < 2 or size < 2:
        raise UserError(f"{data}: {len(whole)} systems and {size} speakers, expected at least two of each to compare")
    weights = drawn_weights(size, drawing.replicates, drawing.seed)
    drawn = []
    for path in (path for paths in files.values() for path in paths):
        scores = scores_of_trials(path, tests.enrol, tests.test, data / "trials")
        drawn.append(weighted_figures(sort_trials(scores, tests.is_target, left, right), weights, drawing.p_targets))
    found = []
    for one, other in combinations(range(len(whole)), 2):
        entry = {"test_set": tests.name, "first": series_of(whole[one]), "second": series_of(whole[other]), "speakers": size}
        for figure in drawn[one]:
            difference = paired_difference(whole[one][figure] - whole[other][figure], drawn[one][figure] - drawn[other][figure], size)
            entry |= {figure: difference.rounded(6)}
        found.append(entry)
    corrected = holm([entry["eer_percent"]["p"] for entry in found])
    return [entry | {"p_corrected": round(p, 6)} for entry, p in zip(found, corrected, strict=True)]


def holm(p_values: Sequence[float]) -> list[float]:
    """Probabilities corrected for the number of tests made.

    Parameters
    ----------
    p_values : sequence of float
        One for each test.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    raised = np.maximum.accumulate(np.asarray(p_values)[order] * np.arange(len(order), 0, -1)).clip(max=1)
    corrected = np.empty(len(order))
    corrected[order] = raised
    return corrected.tolist()


def sentence(entry: Mapping) -> str:
    """A pair in words.

    Parameters
    ----------
    entry : mapping
        Of differences.json.
    """
    found = entry["eer_percent"]
    clear = "" if entry["p_corrected"] < SIGNIFICANT else "; inconclusive" + needed(found)
    return (f"{entry['test_set']}: {entry['first']} - {entry['second']}: EER {found['difference']:+.2f} points, 95 % interval {found['low']:+.2f} to "
            f"{found['high']:+.2f}, {probability(entry['p_corrected'])}{clear}")


def probability(p: float) -> str:
    """A probability in words.

    Parameters
    ----------
    p : float
        In [0, 1].
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def needed(found: Mapping) -> str:
    """How many speakers would do, as the end of a sentence.

    Parameters
    ----------
    found : mapping
        Of a `Difference`.
    """
    return f", would need about {found['speakers_needed']:,} speakers" if found["speakers_needed"] else ", no difference"


def differences_part(differences: Sequence[Mapping]) -> str:
    """The comparison as a part of the page.

    Parameters
    ----------
    differences : sequence of mappings
        Of differences.json, those of one set.
    """
    names = list(dict.fromkeys(name for one in differences for name in (one["first"], one["second"])))
    cells = {}
    for one in differences:
        found, clear = one["eer_percent"], one["p_corrected"] < SIGNIFICANT
        hint = probability(one["p_corrected"]) + ("" if clear else needed(found))
        for first, second, sign in ((one["first"], one["second"], 1), (one["second"], one["first"], -1)):
            low, high = sorted((sign * found["low"], sign * found["high"]))
            number = f"{sign * found['difference']:+.2f}"
            shown = f"<b>{number}</b>" if clear else number
            cells[first, second] = f'<span title="{escape(hint)}">{shown}<small>[{low:+.2f}, {high:+.2f}]</small></span>'
    rows = [[escape(first), *(cells.get((first, second), "") for second in names)] for first in names]
    listed = "".join(f"<li>{escape(sentence(one).partition(': ')[2])}</li>" for one in differences)
    return (f"<h3>Differences</h3><p>{escape(EXPLANATION)}</p>{table(['EER points', *names], rows)}"
            f"<details><summary>in words</summary><ul>{listed}</ul></details>")


if __name__ == "__main__":
    run(compare)
