r"""In what two trainings differ, their learning curves in one picture, and what it changes.

python -m steps.compare_runs exp/ghostvlad exp/ghostvlad-margin0.3-0e88c7 exp/margin
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from steps.compare import (
    WRITTEN,
    Compared,
    Files,
    Named,
    compare_sets,
    count_pairs,
    evaluation_receipts,
    fold_inputs,
    no_trials,
    print_summary,
    refuse_output,
    score_receipts,
    set_sounds,
    write_comparison,
)
from steps.train import registries
from utils.cli import run
from utils.errors import UserError
from utils.evaluation.decisions import dev_last
from utils.evaluation.results import read_leaks
from utils.evaluation.rows import make_drawing
from utils.evaluation.sets import score_files, score_label, sets_without_error_rate
from utils.files import write_json
from utils.pretrained import refuse_model
from utils.receipts import MODE, Task, read_receipt
from utils.report.runs import (
    compare_two_runs,
    differences_text,
    phases_note,
    read_run,
    run_inputs,
    run_names,
    runs_section,
)
from utils.report.trials import Players
from utils.training.values import completed_sections

FORMAT = 2
NO_SCORES = "no test set was scored in both by a back end of the same name"
NO_DATA = (
    "No error rates: neither experiment was evaluated; run stages 4 to 7 of both, or name the "
    "folder of the test sets by --data."
)
OTHER_TRIALS = (
    "No error rates of {sets}: the experiments were evaluated on different trials; if both have "
    "scored the same ones, name their folder by --data."
)
NO_TRIALS = "No error rates: {paths} not there any more; name by --data where the test sets are."


def compare_runs(
    first: Path,
    second: Path,
    output: Path,
    *,
    data: Path | None = None,
    scorers: list[str] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    operating_points: str | None = None,
) -> dict:
    """Write in what two trainings differ, their learning curves and paired error rates.

    ``report.html`` shows all of it; ``runs.json`` has the differences: resolved values, lists by
    content, wherever their folders lie, and facts of the receipts.  The other files are those of
    ``steps.compare``.

    Parameters
    ----------
    first, second : path
        Experiments of ``steps.train``, whose folders may have the same name.  Error rates are
        compared on the test sets that both have scored, by the score files that both have.
    output : path
        Folder.
    data : path or None
        Folder of data directories with the trials; None: those that ``steps.evaluate`` read.
        Without trials that are the same for both there are no error rates, and a note says why.
    scorers : list of str, optional
        Names of the score files; None: all that both have.
    replicates : int
        Draws of the test speakers, at least 2.
    seed : int
        Of the draws.
    operating_points : str, optional
        As for ``steps.evaluate``.

    Returns
    -------
    dict
        Numbers of ``values`` and ``lists`` that differ, of ``test_sets`` and ``pairs``, and how
        many are ``clear``, as for ``steps.compare``.

    Raises
    ------
    UserError
        A training has not finished; both experiments are one; ``output`` is an experiment, a model
        or data; what ``data`` or ``scorers`` name was not scored in both.
    """
    experiments = [first, second]
    refuse_model(*experiments)
    refuse_output(output)
    names = run_names(first, second)
    named = list(zip(names, experiments, strict=True))
    inputs: dict[str, Path] = {}
    for name, folder in named:
        inputs |= run_inputs(folder, name)
    drawing = make_drawing(replicates, seed, operating_points, least=2)
    sets = find_test_sets(experiments, data)
    files = common_files(sets.folders, named, scorers)
    note = sets.note
    if sets.folders and not files:
        note = f"No error rates: {NO_SCORES}. {note}".strip()
    if scorers is not None:
        refuse_unscored(scorers, files, common_files(sets.folders, named), note)
    if data is not None and not files:
        raise UserError(f"{data}: {NO_SCORES}; score its trials in both, or leave --data out")
    inputs |= score_receipts(files) | evaluation_receipts(named)
    for name in files:
        inputs |= fold_inputs([sets.folders[name]], [name])
    options = {
        "experiments": list(names),
        "replicates": replicates,
        "seed": seed,
        "operating_points": list(drawing.points),
    }
    task = Task(output, "compare_runs", format=FORMAT, inputs=inputs, options=options)
    complete = partial(completed_sections, registries=registries)
    one, other = (read_run(folder, name, complete) for name, folder in named)
    found = compare_two_runs(one, other)
    notes = [text for text in (phases_note(one, other), note) if text]
    if not task.is_done():
        leaks = {}
        for name, folder in named:
            for (_, test_set), marks in read_leaks([folder], 1).items():
                leaks[name, test_set] = marks
        parts: list[Compared] = []
        sounds = {}
        for name, systems in files.items():
            parts += compare_sets([sets.folders[name]], name, systems, leaks, drawing)
            sounds[name] = set_sounds([sets.folders[name]], name)
        section = runs_section(one, other, found, notes)
        write_comparison(output, named, parts, sounds, Players(), [section])
        write_json(output / "runs.json", found.entries())
        counts = {"values": len(found.values), "lists": len(found.lists), "test_sets": len(files)}
        counts |= count_pairs(parts)
        task.finish([output / name for name in (*WRITTEN, "runs.json")], counts)
    if not MODE.checking:
        print(differences_text(found, names))
        for text in notes:
            print(text)
        print_summary(output)
    return task.counts


@dataclass(frozen=True)
class KnownSets:
    """Test sets that error rates may be compared on, and what to say of the others."""

    folders: Mapping[str, Path]  # name of a set -> the folder that it is in
    note: str = ""


def find_test_sets(experiments: Sequence[Path], data: Path | None) -> KnownSets:
    """The test sets of a folder; without one, those that `steps.evaluate` read for the experiments.

    Sets whose trials were not the same for both are left out, which the note says.  UserError if
    the folder has none.
    """
    if data is not None:
        found = sorted(trials.parent.name for trials in data.glob("*/trials"))
        if not found:
            raise no_trials(data)
        return KnownSets(dict.fromkeys(found, data))
    trials: dict[str, list[Mapping]] = {}  # set -> paths and contents in the experiments' receipts
    for experiment in experiments:
        receipt = read_receipt(experiment / "receipts" / "evaluate.json") or {"inputs": {}}
        for label, entry in receipt["inputs"].items():
            if label.endswith("/trials"):
                trials.setdefault(label.removesuffix("/trials"), []).append(entry)
    if not trials:
        return KnownSets({}, NO_DATA)
    folders, other, gone = {}, [], []
    for name, entries in trials.items():
        paths = [Path(entry["path"]) for entry in entries]
        present = [path.parents[1] for path in paths if path.exists()]
        if len({entry["content"] for entry in entries}) > 1:
            other.append(name)
        elif present:
            folders[name] = present[0]
        else:
            gone.append(str(paths[0]))
    notes = []
    if other:
        notes.append(OTHER_TRIALS.format(sets=", ".join(dev_last(sorted(other)))))
    if gone:
        notes.append(NO_TRIALS.format(paths=", ".join(gone)))
    return KnownSets(folders, " ".join(notes))


def common_files(
    folders: Mapping[str, Path],
    named: Sequence[Named],
    scorers: Sequence[str] | None = None,
) -> dict[str, Files]:
    """Score files that all experiments have of the same set and name; sets without are left out."""
    files: dict[str, Files] = {}
    for name in dev_last(sorted(folders)):
        scored = []
        for _, experiment in named:
            paths = [path for path in score_files(experiment / "scores" / name) if path.exists()]
            chosen = [path for path in paths if scorers is None or path.stem in scorers]
            scored.append({score_label(path, name): path for path in chosen})
        common = [label for label in scored[0] if label in scored[1]]
        if common and not sets_without_error_rate(folders[name], [name]):
            files[name] = {
                (system, label): [paths[label]]
                for (system, _), paths in zip(named, scored, strict=True)
                for label in common
            }
    return files


def refuse_unscored(
    scorers: Sequence[str],
    files: Mapping[str, Files],
    without_choice: Mapping[str, Files],
    note: str,
) -> None:
    """Refuse names of score files that no test set has in both experiments.

    ``without_choice`` are the files that could be chosen; without any, the note says why.
    """
    chosen = {path.stem for systems in files.values() for (path,) in systems.values()}
    missing = [name for name in scorers if name not in chosen]
    if not missing:
        return
    known = {path.stem for systems in without_choice.values() for (path,) in systems.values()}
    if not known:
        raise UserError(f"--scorers: {note}")
    raise UserError(
        f"--scorers: no test set was scored in both by '{missing[0]}'; in both there is "
        f"{', '.join(sorted(known))}"
    )


if __name__ == "__main__":
    run(compare_runs)
