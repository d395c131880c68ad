"""Error rates of scores made by other programs: score files and a list of trials are enough.

    python -m steps.evaluate_scores egs/sre16/v2/exp/scores/eval.scores data/eval/trials out/eval
    python -m steps.evaluate_scores a.scores b.txt c.npy veri_test.txt results/o --utt2spk utt2spk

A score file has ``<enrol> <test> <score>`` on each line, as Kaldi's, or these columns in another
order, perhaps with a class, or one number for each trial in the list's order (text, or ``.npy``).
Trials are ``<enrol> <test> target|nontarget`` or ``1|0 <enrol> <test>``.
"""

from pathlib import Path

from utils.cli import run
from utils.errors import UserError, WrongArguments
from utils.evaluation.comparison import sentence
from utils.evaluation.foreign import evaluated, foreign_system, foreign_test_set
from utils.evaluation.results import markdown_table, text_table
from utils.evaluation.rows import Evaluated, make_drawing
from utils.files import atomic_write, read_entries, write_json
from utils.receipts import MODE, Task
from utils.report.comparison import differences_part
from utils.report.page import page
from utils.report.results import cards, set_sections
from utils.report.trials import Players
from utils.scoring.foreign_scores import require_files, system_names
from utils.scoring.score_files import score_input
from utils.trials.foreign import TrialSpeakers, read_foreign_trials, speakers_of_trials

FORMAT = 1
SUBTITLE = "Speaker verification: error rates of scores that were made elsewhere."
WRITTEN = ("results.json", "curves.json", "differences.json", "results.md", "report.html")


def evaluate_scores(
    scores: list[Path],
    trials: Path,
    output: Path,
    *,
    utt2spk: Path | None = None,
    enroll_spk2utt: Path | None = None,
    llr: bool = False,
    columns: str | None = None,
    replicates: int = 1000,
    seed: int = 0,
    operating_points: str | None = None,
) -> dict:
    """Write error rates, DET curves and a report of any score files; no experiment is needed.

    Score files do not say what a network was trained on: whether it has heard the test speakers is
    not checked, unlike by ``steps.evaluate``.

    Parameters
    ----------
    scores : list of path
        Score file of each system, on the same trials; a system has the name of its file.
    trials : path
        ``<enrol> <test> target|nontarget``, or VoxCeleb's ``1|0 <enrol> <test>``, on each line.
    output : path
        Folder for ``results.json``, ``curves.json``, ``differences.json``, ``results.md`` and
        ``report.html``.
    utt2spk : path, optional
        ``<utterance> <speaker>`` on each line: for intervals and, of several systems, paired
        tests.
    enroll_spk2utt : path, optional
        ``<model> <utterance> ...``: speaker models, for enrolment sides of several utterances; with
        ``utt2spk``.
    llr : bool
        The scores are log-likelihood ratios (natural logarithms), so that actual costs and Cllr
        have a meaning.  Cosines are not.
    columns : str, optional
        Columns of the score files, if they cannot be detected: ``enrol``, ``test``, ``score`` and
        ``class`` in their order, ``_`` for any other.
    replicates : int
        Draws of the speakers for the intervals; 0 for no intervals.
    seed : int
        Seed of the draws.
    operating_points : str, optional
        As for ``steps.evaluate``.

    Returns
    -------
    dict
        Number of ``systems`` and ``trials``, and of ``speakers`` (None if they are not known).

    Raises
    ------
    UserError
        A trial has no score, or two; a score is not a finite number; classes, speakers or columns
        contradict each other; two systems have one name.
    """
    drawing = make_drawing(replicates, seed, operating_points)
    named = list(zip(system_names(scores), scores, strict=True))
    lists = {"utt2spk": utt2spk, "enroll_spk2utt": enroll_spk2utt}
    given = {name: path for name, path in lists.items() if path}
    require_files([*scores, trials, *given.values()])
    refuse_other_results(output)
    if enroll_spk2utt and not utt2spk:
        raise WrongArguments(
            "--enroll-spk2utt: has no effect without --utt2spk, the speakers of the utterances"
        )
    files = {f"scores {name}": score_input(path) for name, path in named}
    options = {
        "llr": llr,
        "columns": columns,
        "replicates": replicates,
        "seed": seed,
        "operating_points": list(drawing.points),
    }
    inputs = {**files, "trials": trials, **given}
    task = Task(output, "evaluate_scores", format=FORMAT, inputs=inputs, options=options)
    if not task.is_done():
        listed = read_foreign_trials(trials)
        speakers: TrialSpeakers | None = None
        if utt2spk:
            speakers = speakers_of_trials(listed, utt2spk, enroll_spk2utt)
        tests = foreign_test_set(listed, speakers)
        has_speakers = speakers is not None and speakers.are_known
        systems = []
        notes: list[str] = []
        for name, path in named:
            system, own_notes = foreign_system(name, path, listed, llr, columns)
            systems.append(system)
            notes += own_notes
        if speakers and not has_speakers:
            notes += [*speakers.notes, "no intervals: not all speakers are known"]
        results = evaluated(systems, tests, drawing, has_speakers=has_speakers)
        write_results(output, tests.name, results)
        counts = {
            "systems": len(systems),
            "trials": len(listed.enrol),
            "speakers": None,
            "notes": notes,
        }
        if has_speakers:
            counts["speakers"] = len(tests.speaker_names)
        task.finish([output / name for name in WRITTEN], counts)
    if not MODE.checking:
        print_results(output, task.counts, utt2spk)
    return task.counts


def refuse_other_results(output: Path) -> None:
    """UserError if the output is a file, or a folder with results of other steps."""
    if output.is_file():
        raise UserError(
            f"{output}: a file, expected the folder of the results, which is named last: "
            "SCORES... TRIALS FOLDER"
        )
    for step in ("evaluate", "compare"):
        if (output / "receipts" / f"{step}.json").exists():
            raise UserError(f"{output}: holds the results of steps.{step}; name another folder")


def write_results(output: Path, title: str, results: Evaluated) -> None:
    """Write the files that `WRITTEN` names."""
    write_json(output / "results.json", results.rows)
    write_json(output / "curves.json", results.curves)
    write_json(output / "differences.json", results.differences)
    comparisons = {title: differences_part(results.differences)}
    sections = set_sections(results.rows, results.curves, {}, Players(0), comparisons)
    texts = {
        "results.md": markdown_table(results.rows),
        "report.html": page(title, SUBTITLE, sections, cards(results.rows)),
    }
    for name, text in texts.items():
        with atomic_write(output / name) as file:
            file.write(text)


def print_results(output: Path, counts: dict, utt2spk: Path | None) -> None:
    """Print the results."""
    print(text_table(read_entries(output / "results.json")))
    differences = read_entries(output / "differences.json")
    lines = [*counts["notes"], *(sentence(entry) for entry in differences)]
    if not utt2spk:
        lines.append("no intervals: --utt2spk FILE names the speakers of the utterances")
    print("\n".join([*lines, f"report: {output / 'report.html'}"]))


if __name__ == "__main__":
    run(evaluate_scores)
