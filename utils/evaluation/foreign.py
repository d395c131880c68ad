"""Test sets and systems that were made elsewhere: a list of trials, score files, and nothing else that has to be there."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.evaluation.comparison import differences_of
from utils.evaluation.rows import Drawing, Evaluated, Figures, curves_of, rows_of
from utils.evaluation.sets import System, TrialSet
from utils.scoring.foreign_scores import read_foreign_scores
from utils.scoring.systems import read_scored
from utils.trials.foreign import TrialList, TrialSpeakers

LIST_OF_A_FOLDER = "trials"  # a list of this name is called by its folder


def name_of_list(trials: Path) -> str:
    """What a test set is called.

    Parameters
    ----------
    trials : path
        ``veri_test.txt`` is ``veri_test``, ``data/eval/trials`` is ``eval``.
    """
    return (trials.parent.name or trials.stem) if trials.name == LIST_OF_A_FOLDER else trials.stem


def foreign_test_set(trials: TrialList, speakers: TrialSpeakers | None) -> TrialSet:
    """A test set of which the speakers are known, or not.

    Parameters
    ----------
    trials : TrialList
        Its list.
    speakers : TrialSpeakers or None
        Of both sides; None, or own names of all utterances: no intervals can be drawn.
    """
    nobody = np.zeros(len(trials.enrol), np.int32)
    sides, names = (nobody, nobody), [""]
    if speakers and speakers.are_known:
        names = sorted({*speakers.enrol, *speakers.test})
        place = {speaker: number for number, speaker in enumerate(names)}
        enrol, test = (
            np.array([place[speaker] for speaker in column], np.int32)
            for column in (speakers.enrol, speakers.test)
        )
        sides = (enrol, test)
    return TrialSet(
        name=name_of_list(trials.path),
        enrol=trials.enrol,
        test=trials.test,
        speakers=sides,
        speaker_names=names,
        is_target=trials.is_target,
        subsets={"all": np.ones(len(trials.enrol), bool)},
        watermarks=[],
    )


def foreign_system(
    name: str, path: Path, trials: TrialList, llr: bool, columns: str | None
) -> tuple[System, list[str]]:
    """Scores of one system, and what is worth saying about their file.

    Parameters
    ----------
    name : str
        Of the system.
    path : path
        Score file; one that a step here wrote has a receipt, which says what its scores are.
    trials : TrialList
        The list.
    llr : bool
        Scores without a receipt are log-likelihood ratios.
    columns : str or None
        As for `read_foreign_scores`.

    Raises
    ------
    UserError
        As `read_foreign_scores`; or the receipt says that its scores are no log-likelihood ratios.
    """
    found = read_foreign_scores(path, trials, columns)
    receipt = read_scored(path).receipt
    counts = receipt["counts"] if receipt else {}
    if llr and receipt and not counts.get("llr"):
        raise UserError(
            f"{path}: --llr, but the step that wrote these scores made no log-likelihood ratios of them; leave --llr out, "
            "or calibrate them: steps.calibrate, steps.apply_calibration"
        )
    marks = list(counts.get("watermarks", []))
    if llr and not receipt and np.abs(found.values).max() <= 1:
        marks.append(
            "--llr, but all scores lie between -1 and 1, as cosines do: if they are, actual costs and Cllr mean nothing"
        )
    head = {
        "system": name,
        "test_set": name_of_list(trials.path),
        "protocol": counts.get("protocol", ""),
        "backend": "",
    }
    return System(head, [found.values], bool(counts.get("llr", llr)), marks), found.notes


def evaluated(
    systems: Sequence[System], tests: TrialSet, drawing: Drawing, *, has_speakers: bool
) -> Evaluated:
    """Rows, curves, and differences of all pairs of systems where speakers are known.

    Parameters
    ----------
    systems : sequence of System
        From `foreign_system`.
    tests : TrialSet
        From `foreign_test_set`.
    drawing : Drawing
        How intervals are made.
    has_speakers : bool
        The set's speakers are known.
    """
    rows: list[dict] = []
    curves: list[dict] = []
    wholes: list[tuple[dict, Figures]] = []
    for system in systems:
        found, figures = rows_of(system, [tests], drawing)
        if not has_speakers:
            found = [row | {"speakers": None} for row in found]
        rows += found
        wholes.append((found[0], figures))
        curves.append(system.head | curves_of(tests, system.scores[0], system.llr, drawing))
    comparable = has_speakers and len(systems) > 1 and all(figures.draws for _, figures in wholes)
    differences = differences_of(wholes) if comparable else []
    return Evaluated(rows, curves, differences)
