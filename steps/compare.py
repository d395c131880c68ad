r"""One page and one table for several experiments, with paired tests on the trials that they share.

    python -m steps.compare data/full/packed_16000 exp/compared \
      --experiments "[exp/ecapa, exp/resnet34]"
    python -m steps.compare data/fold1/packed_16000 data/fold2/packed_16000 exp/compared \
      --experiments "[exp/x, exp/x-fold2]" \
      --scorers "[cosine_calibrated, lda60_plda_calibrated, fused]" --sets "[test]"

Over one test, or over the folds of a corpus.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.cli import run
from utils.errors import UserError, WrongArguments
from utils.evaluation.about import about_system
from utils.evaluation.comparison import compare_pairs, is_clear, sentence
from utils.evaluation.decisions import dev_last
from utils.evaluation.results import markdown_table, read_leaks, text_table
from utils.evaluation.rows import (
    Drawing,
    Evaluated,
    Figures,
    make_curves,
    make_drawing,
    system_rows,
)
from utils.evaluation.sets import (
    System,
    TrialSet,
    pool_folds,
    read_system,
    read_test_set,
    score_files,
    score_label,
    set_inputs,
    sets_without_error_rate,
)
from utils.files import atomic_write, read_entries, write_json
from utils.pretrained import refuse_model
from utils.receipts import MODE, Task
from utils.report.comparison import differences_part
from utils.report.facts import facts_part
from utils.report.page import Section, page
from utils.report.render import NOTHING
from utils.report.results import comparison_cards, set_sections, sound_folders
from utils.report.trials import Players, Sounds
from utils.scoring.score_files import score_receipt

FORMAT = 3
SUBTITLE = (
    "Speaker verification systems on the same trials: error rates, their intervals, and which "
    "differences are more than chance."
)
Files = dict[tuple[str, str], list[Path]]  # (experiment of the first fold, label) -> of each fold
Named = tuple[str, Path]  # an experiment's name in results, and its folder
WRITTEN = ("results.json", "curves.json", "differences.json", "results.md", "report.html")
# of an experiment, of an evaluation in it, of a data directory, of a model
OF_OTHERS = (
    "begun.json",
    "config.yaml",
    "receipts/train.json",
    "receipts/evaluate.json",
    "utt2spk",
    "wav.scp",
    "feats.scp",
    "manifest.json",
)


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
    """Write results, curves, paired differences and a report of the scores of several experiments.

    The files are ``results.json``, ``curves.json``, ``differences.json``, ``results.md`` and
    ``report.html``.  Of several folds every figure is the mean over the folds, each scored by a
    system of its own; log-likelihood ratios, which mean the same in each fold, are also evaluated
    as one pooled list.

    Parameters
    ----------
    data : list of path
        Folder of data directories, one for each fold: every ``<data>/<set>/trials`` is evaluated.
    output : path
        Folder.
    experiments : list of path
        Each with ``scores/<set>/<scorer>.scores``; of several folds first those of the first fold,
        then as many, in the same order, of the second.
    sets : list of str, optional
        Names of the test sets; None: all.
    scorers : list of str, optional
        Names of the score files; None: all.
    replicates : int
        Draws of the test speakers, at least 2.
    seed : int
        Of the draws.
    operating_points : str, optional
        As for ``steps.evaluate``.
    players : bool
        Include sound of the worst trials in the report.

    Returns
    -------
    dict
        Number of ``systems``, ``folds``, ``test_sets`` and ``pairs``, and how many are ``clear``: p
        below 0.05 after correction.

    Raises
    ------
    UserError
        A system has no scores of a set or fold; a trial has no score; fewer than two systems or
        draws; a speaker is in two folds; ``output`` is an experiment, a model or data.
    """
    refuse_model(*experiments)
    refuse_output(output)
    drawing = make_drawing(replicates, seed, operating_points, least=2)
    available = sorted(trials.parent.name for trials in data[0].glob("*/trials"))
    names = sets or dev_last(available)
    files = {name: list_score_files(data, name, experiments, scorers) for name in names}
    options = {
        "experiments": [folder.name for folder in experiments],
        "replicates": replicates,
        "seed": seed,
        "operating_points": list(drawing.points),
    }
    if not players:
        options["players"] = False
    named = [(folder.name, folder) for folder in experiments]
    inputs = score_receipts(files) | fold_inputs(data, names) | evaluation_receipts(named)
    task = Task(home=output, name="compare", format=FORMAT, inputs=inputs, options=options)
    if not task.is_done():
        if not names:
            raise no_trials(data[0])
        each = len(experiments) // len(data)
        if sets is None:
            unrated = sets_without_error_rate(data[0], names)
            names = [name for name in names if name not in unrated]
        leaks = read_leaks(experiments, each)
        parts: list[Compared] = []
        for name in names:
            parts += compare_sets(data, name, files[name], leaks, drawing)
        sounds = {name: set_sounds(data, name) for name in names}
        page_players = Players()
        if not players:
            page_players = Players(0)
        write_comparison(output, named, parts, sounds, page_players)
        counts = {"systems": each, "folds": len(data), "test_sets": len(names)}
        counts |= count_pairs(parts)
        task.finish([output / name for name in WRITTEN], counts)
    if not MODE.checking:
        print_summary(output)
    return task.counts


def refuse_output(output: Path) -> None:
    """Refuse an output that is something else, whose files would be written over."""
    for name in OF_OTHERS:
        if (output / name).exists():
            raise WrongArguments(
                f"{output}: an experiment, a model or data ({name} is in it), expected a folder "
                "for the comparison alone; name a new one"
            )


def no_trials(data: Path) -> UserError:
    """The error about a folder without test sets."""
    return UserError(
        f"{data}: no <set>/trials in it, so that nothing is compared; "
        "name the folder of packed data directories"
    )


def print_summary(output: Path) -> None:
    """Print the results, the differences, and where the page is."""
    rows = read_entries(output / "results.json")
    if rows:
        print(text_table(rows))
    for entry in read_entries(output / "differences.json"):
        print(sentence(entry))
    print(f"report: {output / 'report.html'}")


def list_score_files(
    data: Sequence[Path], name: str, experiments: Sequence[Path], scorers: Sequence[str] | None
) -> Files:
    """Score files of one set: (experiment of the first fold, label) -> the file of each fold.

    UserError if the folds have different numbers of experiments, two experiments have one name, or
    a fold has other score files than the first.
    """
    each, rest = divmod(len(experiments), len(data))
    if rest or not each:
        raise WrongArguments(
            f"--experiments: {len(experiments)} for {len(data)} folds; name as many for every "
            "fold, those of the first fold first"
        )
    for fold in range(len(data)):
        folders = experiments[fold * each : (fold + 1) * each]
        if len({folder.name for folder in folders}) < each:
            listed = ", ".join(str(folder) for folder in folders)
            raise UserError(f"two systems have the same folder name: {listed}")
    files: Files = {}
    for number, folder in enumerate(experiments):
        labels = labelled(folder, name, scorers)
        system = experiments[number % each].name
        expected = [label for known, label in files if known == system]
        if number >= each and expected != list(labels):
            lone = min({*expected} ^ {*labels})
            raise UserError(
                f"{folder}/scores/{name}: '{lone}' was not scored in every fold; score it, or "
                "select with --scorers what is compared"
            )
        for label, path in labels.items():
            files.setdefault((system, label), []).append(path)
    return files


def labelled(experiment: Path, name: str, scorers: Sequence[str] | None) -> dict[str, Path]:
    """Score files of one experiment and set, by their labels.

    If there are none: one that does not exist, so that the task reports it as missing.
    """
    folder = experiment / "scores" / name
    paths = score_files(folder)
    if scorers is not None:
        paths = [path for path in paths if path.stem in (*scorers, "*")]
        if not paths:
            expected = next(iter(scorers), "*")
            paths = [folder / f"{expected}.scores"]
    return {score_label(path, name): path for path in paths}


def score_receipts(files: Mapping[str, Files]) -> dict[str, Path]:
    """Receipts of the score files of each set."""
    inputs = {}
    for name, systems in files.items():
        for (system, _), paths in systems.items():
            for fold, path in enumerate(paths, 1):
                label = f"fold {fold}/{name}/{system}/{score_label(path, name)}"
                inputs[label] = score_receipt(path)
    return inputs


def fold_inputs(data: Sequence[Path], names: Sequence[str]) -> dict[str, Path]:
    """Files of the test sets that results depend on."""
    inputs = {}
    for fold, folder in enumerate(data, 1):
        for label, path in set_inputs(folder, names).items():
            inputs[f"fold {fold}/{label}"] = path
    return inputs


def evaluation_receipts(named: Sequence[Named]) -> dict[str, Path]:
    """Receipts of the experiments' own evaluations, if they have one."""
    receipts: dict[str, Path] = {}
    for name, folder in named:
        receipt = folder / "receipts" / "evaluate.json"
        if receipt.exists():
            receipts[f"results {name}"] = receipt
    return receipts


@dataclass(frozen=True)
class Compared(Evaluated):
    """Systems on the same trials."""

    @property
    def test_set(self) -> str:
        """Name of the set in its rows; of folds with what was done with them."""
        return self.rows[0]["test_set"]


def compare_sets(
    data: Sequence[Path],
    name: str,
    files: Files,
    leaks: Mapping[tuple[str, str], list[str]],
    drawing: Drawing,
) -> list[Compared]:
    """Comparison on a set; of folds on their mean, and of log-likelihood ratios also pooled.

    UserError for fewer than two score files or speakers.
    """
    from steps.backends import FAMILIES

    sets, folds, systems = [], [], []
    for folder in data:
        sets.append(folder / name)
        folds.append(read_test_set(folder / name))
    for (experiment, _), paths in files.items():
        system = read_system(experiment, paths, folds, sets, FAMILIES)
        known = leaks.get((experiment, name), ())
        system.watermarks = list(dict.fromkeys([*system.watermarks, *known]))
        systems.append(system)
    if len(data) == 1:
        return [compare_systems(systems, folds, drawing, folds[0])]
    pooled = pool_folds(folds, f"{name}, {len(data)} folds pooled")
    for system in systems:
        system.head["test_set"] = f"{name}, mean of {len(data)} folds"
    parts = [compare_systems(systems, folds, drawing, None)]
    calibrated = [pool_system(system, pooled.name) for system in systems if system.llr]
    if len(calibrated) > 1:
        parts.append(compare_systems(calibrated, [pooled], drawing, pooled))
    return parts


def pool_system(system: System, test_set: str) -> System:
    """Log-likelihood ratios of all folds as scores of one list."""
    head = system.head | {"test_set": test_set}
    scores = [np.concatenate(system.scores)]
    return System(head, scores, True, system.watermarks, system.centred)


def compare_systems(
    systems: Sequence[System], folds: Sequence[TrialSet], drawing: Drawing, drawn: TrialSet | None
) -> Compared:
    """Rows, curves and differences of systems on the same trials.

    ``drawn`` are the trials whose curves are drawn; None: no curves.
    """
    rows: list[dict] = []
    curves: list[dict] = []
    wholes: list[tuple[dict, Figures]] = []
    for system in systems:
        own_rows, figures = system_rows(system, folds, drawing)
        rows += own_rows
        wholes.append((own_rows[0], figures))
        if drawn is not None:
            curves.append(system.head | make_curves(drawn, system.scores[0], system.llr, drawing))
    speakers = min((row["speakers"] for row, _ in wholes), default=0)
    if len(wholes) < 2 or speakers < 2:
        raise UserError(
            f"{folds[0].name}: {len(wholes)} systems and {speakers} speakers, expected at least "
            "two of each to compare"
        )
    return Compared(rows, curves, compare_pairs(wholes))


def set_sounds(data: Sequence[Path], name: str) -> Sounds:
    """Where the utterances of a set are, of all folds."""
    folders = []
    for folder in data:
        sound = sound_folders(folder).get(name)
        if sound:
            folders.append(sound)
    return Sounds(*folders)


def count_pairs(parts: Sequence[Compared]) -> dict[str, int]:
    """Number of ``pairs`` of systems, and of those whose difference is ``clear``."""
    differences = [entry for part in parts for entry in part.differences]
    return {"pairs": len(differences), "clear": sum(is_clear(entry) for entry in differences)}


def write_comparison(
    output: Path,
    named: Sequence[Named],
    parts: Sequence[Compared],
    sounds: Mapping[str, Sounds],
    players: Players,
    more: Sequence[Section] = (),
) -> None:
    """Write the files that `WRITTEN` names.

    ``sounds`` has the utterances of each set; the page begins with the sections ``more``.
    """
    rows: list[dict] = []
    curves: list[dict] = []
    differences: list[dict] = []
    comparisons, sounds_of_parts = {}, {}
    for part in parts:
        rows += part.rows
        curves += part.curves
        differences += part.differences
        comparisons[part.test_set] = differences_part(part.differences)
        name = part.test_set.partition(", ")[0]
        sounds_of_parts[part.test_set] = sounds[name]
    # of folds with systems of the same name, the first counts
    about = {name: about_system(folder) for name, folder in reversed(named)}
    for curve in curves:
        curve["about"] = about[curve["system"]]
    write_json(output / "results.json", rows)
    write_json(output / "curves.json", curves)
    write_json(output / "differences.json", differences)
    sections = [*more, *set_sections(rows, curves, sounds_of_parts, players, comparisons)]
    facts = NOTHING.join(facts_part(folder, name) for name, folder in named)
    systems = list(dict.fromkeys(row["system"] for row in rows))
    title = " · ".join(systems or [name for name, _ in named])
    texts = {
        "results.md": markdown_table(rows),
        "report.html": page(title, SUBTITLE, sections, facts + comparison_cards(rows, curves)),
    }
    for name, text in texts.items():
        with atomic_write(output / name) as file:
            file.write(text)


if __name__ == "__main__":
    run(compare)
