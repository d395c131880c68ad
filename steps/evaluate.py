"""Error rates of one or several systems, with intervals.

python -m steps.evaluate exp/ghostvlad_cpu data/full --others "[exp/mfcc_stats, exp/channel_stats]" --train "[data/full/train]"
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.cli import run
from utils.errors import UserError
from utils.evaluation.about import about_system
from utils.evaluation.decisions import Thresholds, cheapest_thresholds, dev_last
from utils.evaluation.rows import Drawing, curves_of, drawing_of, rows_of
from utils.evaluation.sets import (
    TrialSet,
    inputs_of_sets,
    label_of,
    read_system,
    read_test_set,
    score_files,
    sets_without_error_rate,
)
from utils.files import write_json
from utils.metrics.rates import error_rates
from utils.receipts import Task
from utils.scoring.score_files import receipt_of
from utils.trials.leakage import refuse_leakage, speakers_of

FORMAT = 4
# (system, score file) -> name of the set that thresholds were chosen on, and these
Chosen = dict[tuple[str, str], tuple[str, Thresholds]]


def evaluate(
    experiment: Path,
    data: Path,
    *,
    others: list[Path] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    operating_points: str | None = None,
    train: list[Path] | None = None,
    dev: list[Path] | None = None,
    calibration: list[Path] | None = None,
    cohort: list[Path] | None = None,
    backend_training: list[Path] | None = None,
    allow_leakage: bool = False,
) -> dict:
    """Write ``results.json``, one row for each system, test set, back end and subset of trials, and what the report draws, ``curves.json``.

    A set whose trials have no class, or one only, has no error rate: that is said, here and by ``steps.report``, and the others are evaluated.

    Parameters
    ----------
    experiment : path
        Its ``scores/<set>/<backend>.scores`` are evaluated; the two files are written here.
    data : path
        Folder of data directories: every ``<data>/<set>/trials`` is evaluated, and the maps there name its subsets (``spk2gender``,
        ``utt2condition``, ``utt2dur``, ...).
    others : list of path, optional
        Experiments to compare with, which scored the same trials.
    replicates : int
        Draws of the test speakers for the intervals of whole lists (subsets: 200 at most); 0 for no intervals.
    seed : int
        Of the draws.
    operating_points : str, optional
        Further points of minDCF and actDCF, beside the priors 0.01 and 0.05, joined by commas: a prior of targets (``0.001``), or a prior and the
        costs of a miss and of a false alarm (``0.01:10:1``).
    train, dev, calibration, cohort, backend_training : list of path, optional
        Data directories whose speakers the systems learnt from, for the leakage guard.  A set named in ``dev`` or ``calibration`` and
        evaluated is no test: only ``train`` may not have its speakers.
    allow_leakage : bool
        Go on where speakers of a test were heard before; every result then says so.

    Returns
    -------
    dict
        Number of ``systems``, ``test_sets`` and ``rows``, and ``without_error_rate``: set -> why, where there is one.

    Raises
    ------
    UserError
        A system has no scores of a set; a trial has no score; no list has trials of both classes; a class is not that of the speakers; speakers
        leak; an option is out of range.
    """
    systems = [experiment, *(others or [])]
    drawing = drawing_of(replicates, seed, operating_points)
    if len({system.name for system in systems}) < len(systems):
        raise UserError(
            f"{experiment}: two systems have the name of the same folder: {', '.join(map(str, systems))}"
        )
    sets = sorted(trials.parent.name for trials in data.glob("*/trials"))
    files = {
        name: {system.name: score_files(system / "scores" / name) for system in systems}
        for name in sets
    }
    roles = {
        "train": train,
        "dev": dev,
        "calibration": calibration,
        "cohort": cohort,
        "backend": backend_training,
    }
    options: dict[str, list | int] = {
        "systems": [system.name for system in systems],
        "replicates": replicates,
        "seed": seed,
        "operating_points": list(drawing.points),
    }
    if allow_leakage:
        options["allow_leakage"] = True
    task = Task(
        home=experiment,
        name="evaluate",
        format=FORMAT,
        inputs=inputs_of_scores(files) | inputs_of_sets(data, sets) | inputs_of_roles(roles),
        gathers=[system / "scores" for system in systems],
        options=options,
    )
    if task.is_done():
        return task.counts
    if not sets:
        raise UserError(
            f"{data}: no <set>/trials in it, so that nothing is tested; run the stage that packs the data"
        )
    tuned = tuned_sets(data, sets, roles)
    watermarks = watermarks_of_leakage(data, sets, roles, allow_leakage)
    unrated = sets_without_error_rate(data, sets)
    rated = [name for name in sets if name not in unrated]
    files = {name: files[name] for name in rated}
    found = evaluated_sets(data, files, watermarks, tuned, drawing)
    about = {system.name: about_system(system) for system in systems}
    in_order = [found[name] for name in dev_last(rated, tuned)]
    rows = [row for one in in_order for row in one.rows]
    curves = [curve | {"about": about[curve["system"]]} for one in in_order for curve in one.curves]
    write_json(experiment / "results.json", rows)
    write_json(experiment / "curves.json", curves)
    counts = {"systems": len(systems), "test_sets": len(sets), "rows": len(rows)}
    told = {"without_error_rate": unrated} if unrated else {}
    written = [experiment / "results.json", experiment / "curves.json"]
    return task.finish(written, {**counts, **told})


def tuned_sets(
    data: Path, sets: Sequence[str], roles: Mapping[str, Sequence[Path] | None]
) -> list[str]:
    """Sets that are no test: those named in ``dev`` or ``calibration``.

    Parameters
    ----------
    data, sets, roles
        As for `watermarks_of_leakage`.
    """
    folders = {folder.resolve() for role in ("dev", "calibration") for folder in roles[role] or ()}
    return [name for name in sets if (data / name).resolve() in folders]


def watermarks_of_leakage(
    data: Path, sets: Sequence[str], roles: Mapping[str, Sequence[Path] | None], allow: bool
) -> list[str]:
    """What has to be said beside every figure, since speakers of a test were heard before.

    Parameters
    ----------
    data : path
        Folder of data directories.
    sets : sequence of str
        Those that are evaluated.
    roles : mapping of str to sequence of path or None
        Role -> its data directories.
    allow : bool
        Go on though speakers leak.

    Raises
    ------
    UserError
        They do, and may not.
    """
    learnt = {role: speakers_of(folders) for role, folders in roles.items() if folders}
    tuned = tuned_sets(data, sets, roles)
    speakers = {name: speakers_of([data / name]) for name in sets if name not in tuned}
    return refuse_leakage(speakers, learnt, allow=allow)


@dataclass(frozen=True)
class Evaluated:
    """Systems on one set.

    Attributes
    ----------
    rows, curves : lists of dict
        Of results.json and curves.json.
    chosen : dict
        (system, score file) -> name of the set, and the thresholds that cost least on it.
    """

    rows: list[dict]
    curves: list[dict]
    chosen: Chosen


def evaluated_sets(
    data: Path,
    files: Mapping[str, Mapping[str, Sequence[Path]]],
    watermarks: Sequence[str],
    tuned: Sequence[str],
    drawing: Drawing,
) -> dict[str, Evaluated]:
    """Evaluate every score file of every set; first the sets that choose thresholds for the others.

    Parameters
    ----------
    data : path
        Folder of data directories.
    files : mapping of str to mapping
        Set -> system -> its score files.
    watermarks : sequence of str
        What has to be said beside every figure.
    tuned : sequence of str
        Sets that are no test: their thresholds are for the others.
    drawing : Drawing
        How intervals are made.
    """
    chosen: Chosen = {}
    found = {}
    for name in sorted(files, key=lambda name: name not in tuned):
        tests = read_test_set(data / name, watermarks)
        choosing = name in tuned
        found[name] = evaluated_set(tests, data / name, files[name], drawing, chosen, choosing)
        chosen = found[name].chosen | chosen
    return found


def evaluated_set(
    tests: TrialSet,
    data: Path,
    files: Mapping[str, Sequence[Path]],
    drawing: Drawing,
    chosen: Chosen,
    choosing: bool,
) -> Evaluated:
    """Evaluate every score file of one set.

    Parameters
    ----------
    tests : TrialSet
        Its trials.
    data : path
        Its data directory.
    files : mapping of str to sequence of path
        System -> its score files.
    drawing : Drawing
        How intervals are made.
    chosen : dict
        Thresholds that another set chose, by (system, score file).
    choosing : bool
        This set chooses thresholds for the sets that follow.
    """
    from steps.backends import FAMILIES

    found = Evaluated([], [], {})
    for name, path in pairs_of(files):
        system = read_system(name, [path], [tests], [data], FAMILIES)
        scores, key = system.scores[0], (name, label_of(path, tests.name))
        found.rows.extend(rows_of(system, [tests], drawing)[0])
        if choosing:
            rates = error_rates(scores[tests.is_target], scores[~tests.is_target])
            thresholds = cheapest_thresholds(rates, drawing.points)
            found.chosen[key] = (tests.name, thresholds)
        drawn = curves_of(tests, scores, system.llr, drawing, chosen.get(key))
        found.curves.append(system.head | drawn)
    return found


def pairs_of(files: Mapping[str, Sequence[Path]]) -> list[tuple[str, Path]]:
    """Every score file with the name of its system.

    Parameters
    ----------
    files : mapping of str to sequence of path
        System -> its score files.
    """
    return [(system, path) for system, paths in files.items() for path in paths]


def inputs_of_scores(files: Mapping[str, Mapping[str, Sequence[Path]]]) -> dict[str, Path]:
    """Receipts of the score files.

    Parameters
    ----------
    files : mapping of str to mapping
        Test set -> system -> its score files.
    """
    return {
        f"{name}/{system}/{label_of(path, name)}": receipt_of(path)
        for name, of_systems in files.items()
        for system, path in pairs_of(of_systems)
    }


def inputs_of_roles(roles: Mapping[str, Sequence[Path] | None]) -> dict[str, Path]:
    """Lists of the speakers that the systems learnt from.

    Parameters
    ----------
    roles : mapping of str to sequence of path or None
        Role -> its data directories.
    """
    return {
        f"{role} {number}": folder / "utt2spk"
        for role, folders in roles.items()
        for number, folder in enumerate(folders or (), 1)
    }


if __name__ == "__main__":
    run(evaluate)
