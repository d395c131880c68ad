r"""In what two trainings differ, their learning curves in one picture, and what it changes.

python -m steps.compare_runs exp/ghostvlad exp/ghostvlad-margin0.3-0e88c7 exp/margin
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from steps.compare import (
    WRITTEN,
    Compared,
    Files,
    compare_sets,
    count_pairs,
    evaluation_receipts,
    fold_inputs,
    list_score_files,
    print_summary,
    score_receipts,
    set_sounds,
    write_comparison,
)
from utils.cli import run
from utils.errors import UserError
from utils.evaluation.decisions import dev_last
from utils.evaluation.results import read_leaks
from utils.evaluation.rows import make_drawing
from utils.evaluation.sets import score_files, sets_without_error_rate
from utils.files import write_json
from utils.pretrained import refuse_model
from utils.receipts import MODE, Task, read_receipt
from utils.report.runs import (
    compare_two_runs,
    differences_text,
    read_run,
    run_inputs,
    runs_section,
)
from utils.report.trials import Players

FORMAT = 1
NO_SCORES = "No error rates: no test set was scored in both by a back end of the same name."
NO_DATA = (
    "No error rates: neither experiment was evaluated; run stages 4 to 7 of both, or name the "
    "folder of the test sets by --data."
)


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
    content, and facts of the receipts.  The other files are those of ``steps.compare``.

    Parameters
    ----------
    first, second : path
        Experiments of ``steps.train``.  Error rates are compared on the test sets that both have
        scored, by the score files that both have.
    output : path
        Folder.
    data : path or None
        Folder of data directories with the trials; None: the one that ``steps.evaluate`` read.
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
        A training has not finished, both were evaluated on different trials, or as
        ``steps.compare``.
    """
    experiments = [first, second]
    refuse_model(*experiments)
    if first.name == second.name:
        raise UserError(
            f"{first} and {second}: two experiments with the same folder name; copy one"
        )
    inputs = run_inputs(first) | run_inputs(second)
    drawing = make_drawing(replicates, seed, operating_points, least=2)
    if data is None:
        data = evaluated_data(experiments)
    files: dict[str, Files] = {}
    folders: list[Path] = []
    if data is not None:
        folders = [data]
        files = common_files(data, experiments, scorers)
        inputs |= score_receipts(files) | fold_inputs(folders, list(files))
        inputs |= evaluation_receipts(experiments)
    options = {
        "experiments": [first.name, second.name],
        "replicates": replicates,
        "seed": seed,
        "operating_points": list(drawing.points),
    }
    task = Task(output, "compare_runs", format=FORMAT, inputs=inputs, options=options)
    one, other = read_run(first), read_run(second)
    found = compare_two_runs(one, other)
    if not task.is_done():
        leaks = read_leaks(experiments, 2)
        parts: list[Compared] = []
        for name, systems in files.items():
            parts += compare_sets(folders, name, systems, leaks, drawing)
        section = runs_section(one, other, found, _why_no_rates(data, files))
        sounds = {name: set_sounds(folders, name) for name in files}
        write_comparison(output, experiments, parts, sounds, Players(), [section])
        write_json(output / "runs.json", found.entries())
        counts = {"values": len(found.values), "lists": len(found.lists), "test_sets": len(files)}
        counts |= count_pairs(parts)
        task.finish([output / name for name in (*WRITTEN, "runs.json")], counts)
    if not MODE.checking:
        print(differences_text(found, (first.name, second.name)))
        if not files:
            print(_why_no_rates(data, files))
        print_summary(output)
    return task.counts


def _why_no_rates(data: Path | None, files: Mapping[str, Files]) -> str:
    """Why there are no error rates; empty if there are."""
    if files:
        return ""
    if data is None:
        return NO_DATA
    return NO_SCORES


def evaluated_data(experiments: Sequence[Path]) -> Path | None:
    """The folder of test sets that `steps.evaluate` read for the experiments; None without any.

    UserError: the trials of a set are not the same, or the folder is not there any more.
    """
    trials: dict[str, dict] = {}  # label -> path and content
    folders: list[Path] = []
    for experiment in experiments:
        receipt = read_receipt(experiment / "receipts" / "evaluate.json")
        if receipt is None:
            continue
        for label, entry in receipt["inputs"].items():
            if not label.endswith("/trials"):
                continue
            known = trials.setdefault(label, entry)
            if known["content"] != entry["content"]:
                raise UserError(
                    f"the experiments were evaluated on different trials ({known['path']}, "
                    f"{entry['path']}); name by --data the folder whose trials both have scored"
                )
            folders.append(Path(entry["path"]).parents[1])
    present = [folder for folder in folders if folder.is_dir()]
    if folders and not present:
        raise UserError(f"{folders[0]}: no such folder; name by --data where the test sets are")
    return next(iter(present), None)


def common_files(
    data: Path, experiments: Sequence[Path], scorers: Sequence[str] | None
) -> dict[str, Files]:
    """Score files that all experiments have of the same set and name; sets without are left out."""
    files = {}
    names = dev_last(sorted(trials.parent.name for trials in data.glob("*/trials")))
    unrated = sets_without_error_rate(data, names)
    for name in names:
        stems = [
            {path.stem for path in score_files(folder / "scores" / name)} for folder in experiments
        ]
        common = set.intersection(*stems) - {"*"}
        if scorers is not None:
            common &= set(scorers)
        if common and name not in unrated:
            files[name] = list_score_files([data], name, experiments, sorted(common))
    return files


if __name__ == "__main__":
    run(compare_runs)
