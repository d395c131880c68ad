r"""Error rates of one or several systems, with intervals.

    python -m steps.evaluate exp/ghostvlad_cpu data/full --train "[data/full/train]" \
      --others "[exp/mfcc_stats, exp/channel_stats]"
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.cli import run
from utils.errors import UserError
from utils.evaluation.about import about_system
from utils.evaluation.decisions import Thresholds, cheapest_thresholds, dev_last
from utils.evaluation.rows import Drawing, make_curves, make_drawing, system_rows
from utils.evaluation.sets import (
    TrialSet,
    read_system,
    read_test_set,
    score_files,
    score_label,
    set_inputs,
    sets_without_error_rate,
)
from utils.evaluation.training_data import doubts, known_speakers, trained_on
from utils.files import write_json
from utils.metrics.rates import error_rates
from utils.pretrained import refuse_model
from utils.pretrained.training_data import TrainedOn
from utils.receipts import Task
from utils.scoring.score_files import score_receipt
from utils.trials.leakage import read_speakers, refuse_leakage

FORMAT = 4
# (system, score file) -> name of the set that thresholds were chosen on, and the thresholds
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
    public_corpus: bool = True,
    allow_leakage: bool = False,
) -> dict:
    """Write ``results.json``, one row for each system, test set, back end and subset of trials.

    Also ``curves.json``, which the report draws.  A set whose trials have no class, or only one,
    has no error rate: this is printed, here and by ``steps.report``, and the others are evaluated.

    Parameters
    ----------
    experiment : path
        Its ``scores/<set>/<backend>.scores`` are evaluated; the two files are written here.
    data : path
        Folder of data directories: every ``<data>/<set>/trials`` is evaluated, and the maps there
        name its subsets (``spk2gender``, ``utt2condition``, ``utt2dur``, ...).
    others : list of path, optional
        Experiments to compare with, which scored the same trials.
    replicates : int
        Draws of the test speakers for the intervals of whole lists (subsets: 200 at most); 0 for no
        intervals.
    seed : int
        Seed of the draws.
    operating_points : str, optional
        Further points of minDCF and actDCF, beside the priors 0.01 and 0.05, joined by commas: a
        prior of targets (``0.001``), or a prior and the costs of a miss and of a false alarm
        (``0.01:10:1``).
    train, dev, calibration, cohort, backend_training : list of path, optional
        Data directories of speakers that the systems were trained on, for the leakage check.  A
        set named in ``dev`` or ``calibration`` and evaluated is not a test: of the others, only
        ``train`` may not have its speakers.
    public_corpus : bool
        The test speakers are of a corpus that has been published.  A network from elsewhere whose
        training speakers are not known may be trained on it: every result is then marked.
    allow_leakage : bool
        Go on if test speakers were in training; every result is then marked.

    Returns
    -------
    dict
        Number of ``systems``, ``test_sets`` and ``rows``, and ``without_error_rate``: set ->
        reason, if there is one.

    Raises
    ------
    UserError
        A system has no scores of a set; a trial has no score; a class is not that of the
        speakers; speakers leak; an option is out of range.
    """
    systems = [experiment, *(others or [])]
    refuse_model(*systems)
    drawing = make_drawing(replicates, seed, operating_points)
    if len({system.name for system in systems}) < len(systems):
        listed = ", ".join(str(system) for system in systems)
        raise UserError(f"{experiment}: two systems have the same folder name: {listed}")
    sets = sorted(trials.parent.name for trials in data.glob("*/trials"))
    files = {}
    for name in sets:
        files[name] = {system.name: score_files(system / "scores" / name) for system in systems}
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
    if not public_corpus:
        options["public_corpus"] = False
    task = Task(
        home=experiment,
        name="evaluate",
        format=FORMAT,
        inputs=score_receipts(files) | set_inputs(data, sets) | role_inputs(roles),
        scanned_folders=[system / "scores" for system in systems],
        options=options,
    )
    if task.is_done():
        return task.counts
    if not sets:
        raise UserError(
            f"{data}: no <set>/trials in it, so that nothing is tested; "
            "run the stage that packs the data"
        )
    tuned = tuned_sets(data, sets, roles)
    networks = read_networks(systems, files)
    leaks = leakage_watermarks(data, sets, roles, networks, allow_leakage)
    watermarks = {name: leaks + doubts(networks, data / name, public_corpus) for name in sets}
    unrated = sets_without_error_rate(data, sets)
    files = {name: files[name] for name in sets if name not in unrated}
    results = evaluate_sets(data, files, watermarks, tuned, drawing)
    about = {system.name: about_system(system) for system in systems}
    in_order = [results[name] for name in dev_last(list(files), tuned)]
    num_rows = write_results(experiment, in_order, about)
    counts: dict = {"systems": len(systems), "test_sets": len(sets), "rows": num_rows}
    if unrated:
        counts["without_error_rate"] = unrated
    return task.finish([experiment / "results.json", experiment / "curves.json"], counts)


def tuned_sets(
    data: Path, sets: Sequence[str], roles: Mapping[str, Sequence[Path] | None]
) -> list[str]:
    """Sets that are not for testing: those named in ``dev`` or ``calibration``."""
    folders = [*(roles["dev"] or ()), *(roles["calibration"] or ())]
    resolved = {folder.resolve() for folder in folders}
    return [name for name in sets if (data / name).resolve() in resolved]


def read_networks(
    systems: Sequence[Path], files: Mapping[str, Mapping[str, Sequence[Path]]]
) -> dict[str, TrainedOn]:
    """What the networks of each system were trained on, where these are from elsewhere.

    ``files`` are the score files of each set and system.
    """
    networks = {}
    for system in systems:
        scores: list[Path] = []
        for of_systems in files.values():
            scores += of_systems[system.name]
        networks[system.name] = trained_on(system, scores)
    return networks


def leakage_watermarks(
    data: Path,
    sets: Sequence[str],
    roles: Mapping[str, Sequence[Path] | None],
    networks: Mapping[str, TrainedOn],
    allow: bool,
) -> list[str]:
    """Warnings about test speakers that were in training; UserError if that is not allowed.

    ``roles`` maps each role to its data directories; ``networks`` have what those from
    elsewhere were trained on.
    """
    learned = {role: read_speakers(folders) for role, folders in roles.items() if folders}
    tuned = tuned_sets(data, sets, roles)
    speakers = {name: read_speakers([data / name]) for name in sets if name not in tuned}
    everyone = set().union(*speakers.values(), *learned.values())
    learned["train"] = learned.get("train", set()) | known_speakers(networks, everyone)
    return refuse_leakage(speakers, learned, allow=allow)


@dataclass(frozen=True)
class Evaluated:
    """Systems on one set: entries of results.json and curves.json, and thresholds chosen on it."""

    rows: list[dict]
    curves: list[dict]
    chosen: Chosen


def write_results(experiment: Path, results: Sequence[Evaluated], about: Mapping[str, str]) -> int:
    """Write results.json and curves.json, these with a line ``about`` each system.

    Returns the number of rows.
    """
    rows: list[dict] = []
    curves: list[dict] = []
    for of_set in results:
        rows += of_set.rows
        for curve in of_set.curves:
            curves.append(curve | {"about": about[curve["system"]]})
    write_json(experiment / "results.json", rows)
    write_json(experiment / "curves.json", curves)
    return len(rows)


def evaluate_sets(
    data: Path,
    files: Mapping[str, Mapping[str, Sequence[Path]]],
    watermarks: Mapping[str, Sequence[str]],
    tuned: Sequence[str],
    drawing: Drawing,
) -> dict[str, Evaluated]:
    """Evaluate every score file of every set; first the sets that thresholds are chosen on.

    ``files`` are those of each set and system, ``watermarks`` those of each set; ``tuned`` are sets
    that are not for testing.
    """
    chosen: Chosen = {}
    results = {}
    for name in sorted(files, key=lambda name: name not in tuned):
        tests = read_test_set(data / name, watermarks[name])
        choosing = name in tuned
        results[name] = evaluate_set(tests, data / name, files[name], drawing, chosen, choosing)
        chosen = results[name].chosen | chosen
    return results


def evaluate_set(
    tests: TrialSet,
    data: Path,
    files: Mapping[str, Sequence[Path]],
    drawing: Drawing,
    chosen: Chosen,
    choosing: bool,
) -> Evaluated:
    """Evaluate every score file of one set.

    ``chosen`` are thresholds that another set chose; ``choosing``: this set chooses for others.
    """
    from steps.backends import FAMILIES

    results = Evaluated([], [], {})
    for name, path in system_files(files):
        system = read_system(name, [path], [tests], [data], FAMILIES)
        scores, key = system.scores[0], (name, score_label(path, tests.name))
        rows, _ = system_rows(system, [tests], drawing)
        results.rows.extend(rows)
        if choosing:
            rates = error_rates(scores[tests.is_target], scores[~tests.is_target])
            thresholds = cheapest_thresholds(rates, drawing.points)
            results.chosen[key] = (tests.name, thresholds)
        curves = make_curves(tests, scores, system.llr, drawing, chosen.get(key))
        results.curves.append(system.head | curves)
    return results


def system_files(files: Mapping[str, Sequence[Path]]) -> list[tuple[str, Path]]:
    """Every score file with the name of its system."""
    pairs = []
    for system, paths in files.items():
        pairs += [(system, path) for path in paths]
    return pairs


def score_receipts(files: Mapping[str, Mapping[str, Sequence[Path]]]) -> dict[str, Path]:
    """Receipts of the score files."""
    inputs = {}
    for name, of_systems in files.items():
        for system, path in system_files(of_systems):
            label = f"{name}/{system}/{score_label(path, name)}"
            inputs[label] = score_receipt(path)
    return inputs


def role_inputs(roles: Mapping[str, Sequence[Path] | None]) -> dict[str, Path]:
    """Lists of the speakers that the systems were trained on."""
    inputs = {}
    for role, folders in roles.items():
        for number, folder in enumerate(folders or (), 1):
            inputs[f"{role} {number}"] = folder / "utt2spk"
    return inputs


if __name__ == "__main__":
    run(evaluate)
