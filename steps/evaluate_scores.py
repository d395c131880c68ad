"""Error rates of scores that were made elsewhere: score files and a list of trials are enough.

    python -m steps.evaluate_scores egs/sre16/v2/exp/scores/eval.scores data/eval/trials results/eval
    python -m steps.evaluate_scores a.scores b.txt c.npy veri_test.txt results/o --utt2spk utt2spk

A score file has ``<enrol> <test> <score>`` on each line, as Kaldi's, or has its columns in another order, a class among them, or is one
number for each trial in the list's order (text, or ``.npy``).  Trials are ``<enrol> <test> target|nontarget`` or ``1|0 <enrol> <test>``.
"""

from pathlib import Path

from utils.cli import run
from utils.errors import UserError
from utils.evaluation.comparison import sentence
from utils.evaluation.foreign import evaluated, foreign_system, foreign_test_set
from utils.evaluation.results import markdown_table, text_table
from utils.evaluation.rows import Evaluated, drawing_of
from utils.files import atomic_write, read_entries, write_json
from utils.receipts import MODE, Task
from utils.report.comparison import differences_part
from utils.report.page import page
from utils.report.results import cards, sections_of_sets
from utils.report.trials import Players
from utils.scoring.foreign_scores import refuse_no_files, system_names
from utils.scoring.score_files import input_of
from utils.trials.foreign import read_foreign_trials, speakers_of_trials

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
    """Write error rates, DET curves and a page about score files of anybody: no experiment is needed.

    Parameters
    ----------
    scores : list of path
        Score file of each system, on the same trials; a system is called by its file.
    trials : path
        ``<enrol> <test> target|nontarget``, or VoxCeleb's ``1|0 <enrol> <test>``, on each line.
    output : path
        Folder for ``results.json``, ``curves.json``, ``differences.json``, ``results.md`` and ``report.html``.
    utt2spk : path, optional
        ``<utterance> <speaker>`` on each line: gives intervals and, of several systems, paired tests.
    enroll_spk2utt : path, optional
        ``<model> <utterance> ...``: enrolment sides that are models of several utterances, for ``utt2spk``.
    llr : bool
        The scores are log-likelihood ratios (natural logarithms), so that actual costs and Cllr have a meaning.  Cosines are none.
    columns : str, optional
        Columns of the score files, where they cannot be told apart: ``enrol``, ``test``, ``score`` and ``class`` in their order, ``_`` for any other.
    replicates : int
        Draws of the speakers for the intervals; 0 for no intervals.
    seed : int
        Of the draws.
    operating_points : str, optional
        As for ``steps.evaluate``.

    Returns
    -------
    dict
        Number of ``systems`` and ``trials``, and of ``speakers`` (None where they are not known).

    Raises
    ------
    UserError
        A trial has no score, or two; a score is not a finite number; classes, speakers or columns contradict each other; two systems have one name.
    """
    drawing = drawing_of(replicates, seed, operating_points)
    named = list(zip(system_names(scores), scores, strict=True))
    lists = {"utt2spk": utt2spk, "enroll_spk2utt": enroll_spk2utt}
    given = {name: path for name, path in lists.items() if path}
    refuse_no_files([*scores, trials, *given.values()])
    refuse_other_results(output)
    if enroll_spk2utt and not utt2spk:
        raise UserError(
            "--enroll-spk2utt: says whose voices models are together with --utt2spk only"
        )
    files = {f"scores {name}": input_of(path) for name, path in named}
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
        speakers = speakers_of_trials(listed, utt2spk, enroll_spk2utt) if utt2spk else None
        tests = foreign_test_set(listed, speakers)
        has_speakers = speakers is not None and speakers.are_known
        read = [foreign_system(name, path, listed, llr, columns) for name, path in named]
        notes = [note for _, said in read for note in said]
        if speakers and not has_speakers:
            notes += [*speakers.notes, "no intervals: it is not known whose all voices are"]
        systems = [system for system, _ in read]
        found = evaluated(systems, tests, drawing, has_speakers=has_speakers)
        write_results(output, tests.name, found)
        counts = {
            "systems": len(systems),
            "trials": len(listed.enrol),
            "speakers": len(tests.speaker_names) if has_speakers else None,
            "notes": notes,
        }
        task.finish([output / name for name in WRITTEN], counts)
    if not MODE.checking:
        tell(output, task.counts, utt2spk)
    return task.counts


def refuse_other_results(output: Path) -> None:
    """Refuse a folder that holds other results.

    Parameters
    ----------
    output : path
        The folder that is written to.

    Raises
    ------
    UserError
        It does, or is a file.
    """
    if output.is_file():
        raise UserError(
            f"{output}: a file, expected the folder of the results, which is named last: SCORES... TRIALS FOLDER"
        )
    for step in ("evaluate", "compare"):
        if (output / "receipts" / f"{step}.json").exists():
            raise UserError(f"{output}: holds the results of steps.{step}; name another folder")


def write_results(output: Path, title: str, found: Evaluated) -> None:
    """Write the files that `WRITTEN` names.

    Parameters
    ----------
    output : path
        Folder.
    title : str
        Of the page.
    found : Evaluated
        What they say.
    """
    write_json(output / "results.json", found.rows)
    write_json(output / "curves.json", found.curves)
    write_json(output / "differences.json", found.differences)
    told = {title: differences_part(found.differences)}
    sections = sections_of_sets(found.rows, found.curves, {}, Players(0), told)
    texts = {
        "results.md": markdown_table(found.rows),
        "report.html": page(title, SUBTITLE, sections, cards(found.rows)),
    }
    for name, text in texts.items():
        with atomic_write(output / name) as file:
            file.write(text)


def tell(output: Path, counts: dict, utt2spk: Path | None) -> None:
    """Print the results.

    Parameters
    ----------
    output : path
        Folder.
    counts : dict
        Of the receipt.
    utt2spk : path or None
        Whether speakers were named.
    """
    print(text_table(read_entries(output / "results.json")))
    differences = read_entries(output / "differences.json")
    lines = [*counts["notes"], *map(sentence, differences)]
    if not utt2spk:
        lines.append("no intervals: --utt2spk FILE says whose voices the utterances are")
    print("\n".join([*lines, f"report: {output / 'report.html'}"]))


if __name__ == "__main__":
    run(evaluate_scores)
