r"""One page and one table for several experiments, with paired tests on the trials that they share; over one test, or over the folds of a corpus.

    python -m steps.compare data/full/packed_16000 exp/compared --experiments "[exp/ecapa, exp/resnet34]"
    python -m steps.compare data/fold1/packed_16000 data/fold2/packed_16000 exp/compared --experiments "[exp/x, exp/x-fold2]" \
      --scorers "[cosine_calibrated, lda60_plda_calibrated, fused]" --sets "[test]"
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.cli import run
from utils.errors import UserError
from utils.evaluation.about import about_system
from utils.evaluation.comparison import differences_of, is_clear, sentence
from utils.evaluation.decisions import dev_last
from utils.evaluation.results import leaks_of, markdown_table, text_table
from utils.evaluation.rows import Drawing, Evaluated, Figures, curves_of, drawing_of, rows_of
from utils.evaluation.sets import (
    System,
    TrialSet,
    inputs_of_sets,
    label_of,
    pooled_set,
    read_system,
    read_test_set,
    score_files,
    sets_without_error_rate,
)
from utils.files import atomic_write, read_entries, write_json
from utils.receipts import MODE, Task
from utils.report.comparison import differences_part
from utils.report.page import page
from utils.report.results import sections_of_sets, sound_folders
from utils.report.trials import Players, Sounds
from utils.scoring.score_files import receipt_of

FORMAT = 3
SUBTITLE = "Speaker verification systems on the same trials: error rates, their intervals, and which differences are more than chance."
Files = dict[tuple[str, str], list[Path]]  # (experiment of the first fold, label) -> of each fold
WRITTEN = ("results.json", "curves.json", "differences.json", "results.md", "report.html")


def compare(
    data: list[Path],
    output: Path,
    *,
    experiments: list[Path],
    sets: list[str] | None = None,
    scorers: list[str] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    operating_points: str | None = None,
    players: bool = True,
) -> dict:
    """Write ``results.json``, ``curves.json``, ``differences.json``, ``results.md`` and ``report.html`` about the score files of several experiments.

    Of several folds every figure is the mean over the folds, of which each was scored by a system of its own; log-likelihood ratios, which
    mean the same in each, are also looked at as one pooled list.

    Parameters
    ----------
    data : list of path
        Folder of data directories, one for each fold: every ``<data>/<set>/trials`` is evaluated.
    output : path
        Folder.
    experiments : list of path
        Each with ``scores/<set>/<scorer>.scores``; of several folds first those of the first fold, then as many, in the same order, of the second.
    sets : list of str, optional
        Names of the test sets; None: all.
    scorers : list of str, optional
        Names of the score files; None: all that there are.
    replicates : int
        Draws of the test speakers, at least 2.
    seed : int
        Of the draws.
    operating_points : str, optional
        As for ``steps.evaluate``.
    players : bool
        Put sound of the worst trials into the page.

    Returns
    -------
    dict
        Number of ``systems``, ``folds``, ``test_sets`` and ``pairs``, and how many are ``clear``: p below 0.05 after correction.

    Raises
    ------
    UserError
        A system has no scores of a set or fold; a trial has no score; fewer than two systems or draws; a speaker is in two folds.
    """
    drawing = drawing_of(replicates, seed, operating_points, least=2)
    there = sorted(trials.parent.name for trials in data[0].glob("*/trials"))
    names = sets or dev_last(there)
    files = {name: files_of_systems(data, name, experiments, scorers) for name in names}
    options = {
        "experiments": [folder.name for folder in experiments],
        "replicates": replicates,
        "seed": seed,
        "operating_points": list(drawing.points),
        **({} if players else {"players": False}),
    }
    inputs = inputs_of_scores(files) | inputs_of_folds(data, names) | evaluations_of(experiments)
    task = Task(home=output, name="compare", format=FORMAT, inputs=inputs, options=options)
    if not task.is_done():
        if not names:
            raise UserError(
                f"{data[0]}: no <set>/trials in it, so that nothing is compared; name the folder of packed data directories"
            )
        each = len(experiments) // len(data)
        if sets is None:
            unrated = sets_without_error_rate(data[0], names)
            names = [name for name in names if name not in unrated]
        leaks = leaks_of(experiments, each)
        parts = [
            part
            for name in names
            for part in compared_sets(data, name, files[name], leaks, drawing)
        ]
        title = " · ".join(folder.name for folder in experiments[:each])
        about = {folder.name: about_system(folder) for folder in experiments[:each]}
        for curve in (curve for part in parts for curve in part.curves):
            curve["about"] = about[curve["system"]]
        sounds = {name: sounds_of(data, name) for name in names}
        write_comparison(output, title, parts, sounds, Players() if players else Players(0))
        differences = [entry for part in parts for entry in part.differences]
        counts = {
            "systems": each,
            "folds": len(data),
            "test_sets": len(names),
            "pairs": len(differences),
            "clear": sum(map(is_clear, differences)),
        }
        task.finish([output / name for name in WRITTEN], counts)
    if not MODE.checking:
        print(text_table(read_entries(output / "results.json")))
        print("\n".join(map(sentence, read_entries(output / "differences.json"))))
        print(f"report: {output / 'report.html'}")
    return task.counts


def files_of_systems(
    data: Sequence[Path], name: str, experiments: Sequence[Path], scorers: Sequence[str] | None
) -> Files:
    """Score files of one set: (experiment of the first fold, label) -> the file of each fold.

    Parameters
    ----------
    data : sequence of path
        Folder of data directories of each fold.
    name : str
        The set.
    experiments, scorers : sequence of path, sequence of str or None
        As for `compare`.

    Raises
    ------
    UserError
        Experiments do not share out among the folds, two have one name, or a fold has other score files than the first.
    """
    each, rest = divmod(len(experiments), len(data))
    if rest or not each:
        raise UserError(
            f"--experiments: {len(experiments)} for {len(data)} folds; name as many for every fold, those of the first fold first"
        )
    for fold in range(len(data)):
        folders = experiments[fold * each : (fold + 1) * each]
        if len({folder.name for folder in folders}) < each:
            raise UserError(
                f"two systems have the name of the same folder: {', '.join(map(str, folders))}"
            )
    found: Files = {}
    for number, folder in enumerate(experiments):
        labels = labelled(folder, name, scorers)
        system = experiments[number % each].name
        expected = [label for known, label in found if known == system]
        if number >= each and expected != list(labels):
            lone = min({*expected} ^ {*labels})
            raise UserError(
                f"{folder}/scores/{name}: '{lone}' was not scored in every fold; score it, or say by --scorers which are compared"
            )
        for label, path in labels.items():
            found.setdefault((system, label), []).append(path)
    return found


def labelled(experiment: Path, name: str, scorers: Sequence[str] | None) -> dict[str, Path]:
    """Score files of one experiment and set, by what they are called.

    Where there are none: one that does not exist, for which the task then asks.

    Parameters
    ----------
    experiment : path
        Its folder.
    name : str
        The set.
    scorers : sequence of str or None
        As for `compare`.
    """
    folder = experiment / "scores" / name
    paths = [
        path
        for path in score_files(folder)
        if scorers is None or path.stem in scorers or path.stem == "*"
    ]
    if not paths:
        first = scorers[0] if scorers else "*"
        paths = [folder / f"{first}.scores"]
    return {label_of(path, name): path for path in paths}


def inputs_of_scores(files: Mapping[str, Files]) -> dict[str, Path]:
    """Receipts of the score files.

    Parameters
    ----------
    files : mapping of str to mapping
        Test set -> from `files_of_systems`.
    """
    return {
        f"fold {fold}/{name}/{system}/{label_of(path, name)}": receipt_of(path)
        for name, systems in files.items()
        for (system, _), paths in systems.items()
        for fold, path in enumerate(paths, 1)
    }


def inputs_of_folds(data: Sequence[Path], names: Sequence[str]) -> dict[str, Path]:
    """Files of the test sets that results depend on.

    Parameters
    ----------
    data : sequence of path
        Folder of data directories of each fold.
    names : sequence of str
        The sets.
    """
    return {
        f"fold {fold}/{label}": path
        for fold, folder in enumerate(data, 1)
        for label, path in inputs_of_sets(folder, names).items()
    }


def evaluations_of(experiments: Sequence[Path]) -> dict[str, Path]:
    """Receipts of the experiments' own evaluations, where they have one.

    Parameters
    ----------
    experiments : sequence of path
        Their folders.
    """
    found: dict[str, Path] = {}
    for folder in experiments:
        receipt = folder / "receipts" / "evaluate.json"
        if receipt.exists():
            found[f"results {folder.name}"] = receipt
    return found


@dataclass(frozen=True)
class Compared(Evaluated):
    """Systems on the same trials."""

    @property
    def test_set(self) -> str:
        """What its rows call the set: its name, and of folds what became of them."""
        return self.rows[0]["test_set"]


def compared_sets(
    data: Sequence[Path],
    name: str,
    files: Files,
    leaks: Mapping[tuple[str, str], list[str]],
    drawing: Drawing,
) -> list[Compared]:
    """Comparison on a set; of folds on their mean, and of log-likelihood ratios also on one list.

    Parameters
    ----------
    data, name, files
        As for `files_of_systems`, and what it gives.
    leaks : mapping
        From `leaks_of`.
    drawing : Drawing
        Draws of the speakers, the same for all.

    Raises
    ------
    UserError
        There is one score file only, or one speaker.
    """
    from steps.backends import FAMILIES

    sets = [folder / name for folder in data]
    folds = [read_test_set(folder) for folder in sets]
    systems = [
        read_system(system, paths, folds, sets, FAMILIES) for (system, _), paths in files.items()
    ]
    for system in systems:
        known = leaks.get((system.head["system"], name), ())
        system.watermarks = list(dict.fromkeys([*system.watermarks, *known]))
    if len(data) == 1:
        return [compared_systems(systems, folds, drawing, folds[0])]
    pooled = pooled_set(folds, f"{name}, {len(data)} folds pooled")
    for system in systems:
        system.head["test_set"] = f"{name}, mean of {len(data)} folds"
    found = [compared_systems(systems, folds, drawing, None)]
    ratios = [pooled_system(system, pooled.name) for system in systems if system.llr]
    if len(ratios) > 1:
        found.append(compared_systems(ratios, [pooled], drawing, pooled))
    return found


def pooled_system(system: System, test_set: str) -> System:
    """A system's scores of all folds as those of one list.

    Parameters
    ----------
    system : System
        Whose scores are log-likelihood ratios, which mean the same in each fold.
    test_set : str
        Name of the list.
    """
    head = system.head | {"test_set": test_set}
    scores = [np.concatenate(system.scores)]
    return System(head, scores, True, system.watermarks, system.centred)


def compared_systems(
    systems: Sequence[System], folds: Sequence[TrialSet], drawing: Drawing, drawn: TrialSet | None
) -> Compared:
    """Rows, curves and differences of systems on the same trials.

    Parameters
    ----------
    systems : sequence of System
        At least two.
    folds : sequence of TrialSet
        Their trials.
    drawing : Drawing
        How intervals are made.
    drawn : TrialSet or None
        The trials whose curves are drawn; None: no curves.
    """
    rows: list[dict] = []
    curves: list[dict] = []
    wholes: list[tuple[dict, Figures]] = []
    for system in systems:
        found, figures = rows_of(system, folds, drawing)
        rows += found
        wholes.append((found[0], figures))
        if drawn is not None:
            curves.append(system.head | curves_of(drawn, system.scores[0], system.llr, drawing))
    speakers = min((row["speakers"] for row, _ in wholes), default=0)
    if len(wholes) < 2 or speakers < 2:
        raise UserError(
            f"{folds[0].name}: {len(wholes)} systems and {speakers} speakers, expected at least two of each to compare"
        )
    return Compared(rows, curves, differences_of(wholes))


def sounds_of(data: Sequence[Path], name: str) -> Sounds:
    """Where the utterances of a set lie, of all folds.

    Parameters
    ----------
    data : sequence of path
        Folder of data directories of each fold.
    name : str
        The set.
    """
    folders = (sound_folders(folder).get(name) for folder in data)
    return Sounds(*filter(None, folders))


def write_comparison(
    output: Path,
    title: str,
    parts: Sequence[Compared],
    sounds: Mapping[str, Sounds],
    players: Players,
) -> None:
    """Write the files that `WRITTEN` names.

    Parameters
    ----------
    output : path
        Folder.
    title : str
        Of the page.
    parts : sequence of Compared
        One or two for each set.
    sounds : mapping of str to Sounds
        Set -> where its utterances lie.
    players : Players
        Of the page.
    """
    rows = [row for part in parts for row in part.rows]
    curves = [curve for part in parts for curve in part.curves]
    write_json(output / "results.json", rows)
    write_json(output / "curves.json", curves)
    write_json(output / "differences.json", [entry for part in parts for entry in part.differences])
    told = {part.test_set: differences_part(part.differences) for part in parts}
    lie = {test_set: sounds[test_set.partition(", ")[0]] for test_set in told}
    sections = sections_of_sets(rows, curves, lie, players, told)
    texts = {"results.md": markdown_table(rows), "report.html": page(title, SUBTITLE, sections)}
    for name, text in texts.items():
        with atomic_write(output / name) as file:
            file.write(text)


if __name__ == "__main__":
    run(compare)
