"""Scores and quality measures of trials as features, aligned by the trials' names, and
``calibration.json``, which says what to make of them.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.data_dir import read_map
from utils.errors import UserError
from utils.files import read_json_object
from utils.receipts.contents import read_receipt
from utils.scoring.calibration import quality_features
from utils.scoring.score_files import input_of, number_or_nan, read_scores, scores_of_trials
from utils.scoring.systems import Scored, named_as_before, systems_of

PARTS = {
    "systems",
    "measures",
    "combine",
    "weights",
    "offset",
    "p_target",
    "speakers",
    "made_with",
    "watermarks",
}


@dataclass(frozen=True)
class FeatureFiles:
    """Where the features of trials are from.

    Attributes
    ----------
    systems, measures : mappings of str to path
        From `systems_of` and `measures_of`.
    """

    systems: Mapping[str, Path]
    measures: Mapping[str, Path]

    def score_inputs(self) -> dict[str, Path]:
        """What the scores are, as inputs of a step."""
        return {f"scores {name}": input_of(path) for name, path in self.systems.items()}

    def measure_inputs(self) -> dict[str, Path]:
        """The quality measures, as inputs of a step."""
        return {f"measure {name}": path for name, path in self.measures.items()}


def feature_files(
    scores: Sequence[Path], measures: Sequence[Path] | None, receipt: Path
) -> FeatureFiles:
    """Score files and quality measures by name.

    Parameters
    ----------
    scores : sequence of path
        As for `systems_of`.
    measures : sequence of path or None
        As for `measures_of`; None: none.
    receipt : path
        Of the work that is done with them, where it is done already: it keeps its names.

    Raises
    ------
    UserError
        A score file is there twice, or two measures have one name.
    """
    systems = named_as_before(systems_of(scores), receipt)
    return FeatureFiles(systems, measures_of(measures or []))


def measures_of(paths: Sequence[Path]) -> dict[str, Path]:
    """Files of quality measures by name: ``utt2dur`` is ``dur``.

    Parameters
    ----------
    paths : sequence of path
        ``<utterance> <value>`` on each line.

    Raises
    ------
    UserError
        Two have one name.
    """
    named: dict[str, Path] = {}
    for path in paths:
        name = path.name.removeprefix("utt2")
        if name in named:
            raise UserError(f"{path}: a second measure '{name}', the first is {named[name]}")
        named[name] = path
    return dict(sorted(named.items()))


def read_measure(
    path: Path, sides: Sequence[str], models: Mapping[str, Sequence[str]]
) -> np.ndarray:
    """A quality measure of given sides.

    Parameters
    ----------
    path : path
        ``<utterance> <value>`` on each line; of ``utt2dur`` the logarithm is taken.
    sides : sequence of N str
        Utterances; a model that the file does not name has the mean of its utterances.
    models : mapping of str to sequence of str
        Model -> utterances.

    Returns
    -------
    (N,) float64 array

    Raises
    ------
    UserError
        A side has no value, or one that is not a finite number, or a duration that is not positive.
    """
    is_duration = path.name == "utt2dur"
    text_of = read_map(path)
    value_of: dict[str, float] = {}
    for side in dict.fromkeys(sides):
        values = []
        for utterance in [side] if side in text_of else models.get(side, [side]):
            text = text_of.get(utterance)
            value = number_or_nan(text) if text is not None else math.nan
            if not math.isfinite(value) or (is_duration and value <= 0):
                found = "no value" if text is None else f"'{text}'"
                kind = "positive" if is_duration else "finite"
                raise UserError(
                    f"{path}: {found} for '{utterance}', a side of the trials; expected a {kind} number"
                )
            values.append(math.log(value) if is_duration else value)
        value_of[side] = math.fsum(values) / len(values)
    return np.array([value_of[side] for side in sides])


def same_pairs(systems: Mapping[str, Path]) -> tuple[list[str], list[str]]:
    """Trials that several systems scored, in the order of the first one.

    Parameters
    ----------
    systems : mapping of str to path
        From `systems_of`.

    Raises
    ------
    UserError
        They did not score the same trials.
    """
    first, *others = systems.values()
    enrol, test, _ = read_scores(first)
    pairs = set(zip(enrol, test, strict=True))
    for path in others:
        here = set(zip(*read_scores(path)[:2], strict=True))
        if here != pairs:
            lone = min(here ^ pairs)
            where, other = (path, first) if lone in here else (first, path)
            raise UserError(
                f"{where}: trial '{lone[0]} {lone[1]}' has no score in {other}; score both systems on one list"
            )
    return enrol, test


def trial_features(
    files: FeatureFiles,
    combine: Sequence[str],
    sides: tuple[Sequence[str], Sequence[str]],
    models: Mapping[str, Sequence[str]],
    trials: Path,
) -> tuple[list[str], np.ndarray]:
    """Features of trials, and their names.

    Parameters
    ----------
    files : FeatureFiles
        From `feature_files`.
    combine : sequence of str
        As for `quality_features`.
    sides : pair of sequences of N str
        Enrolment and test side of each trial.
    models : mapping of str to sequence of str
        Model -> utterances.
    trials : path
        Where the trials are from, for messages.

    Returns
    -------
    names, features : list of F str, (N, F) float64 array
    """
    enrol, test = sides
    names = list(files.systems)
    columns = [
        scores_of_trials(path, enrol, test, trials)[:, None] for path in files.systems.values()
    ]
    for name, path in files.measures.items():
        values = read_measure(path, [*enrol, *test], models)
        columns.append(quality_features(values[: len(enrol)], values[len(enrol) :], combine))
        names += [f"{name}_{part}" for part in combine]
    return names, np.concatenate(columns, axis=1)


def facts_of(systems: Collection[Scored]) -> tuple[str, list[str]]:
    """Protocol and watermarks of score files.

    Parameters
    ----------
    systems : collection of Scored
        With their receipts.

    Returns
    -------
    protocol, watermarks : str, list of str
        Names joined by ``+`` where there are several; each watermark once.
    """
    protocols = sorted({scored.protocol for scored in systems})
    watermarks = sorted({mark for scored in systems for mark in scored.watermarks})
    return "+".join(protocols), watermarks


def score_folders(calibration: Path) -> list[Path]:
    """Folders of scores that a calibration knows: of its own experiment, and of those whose scores it was trained on.

    Parameters
    ----------
    calibration : path
        ``exp/<experiment>/calibration/[<protocol>/]<name>``, or any other folder.
    """
    trained = read_receipt(calibration / "receipts" / "calibrate.json")
    recorded = trained["inputs"] if trained else {}
    sources = [
        Path(entry["path"]) for name, entry in recorded.items() if name.startswith("scores ")
    ]
    known = [folder / "scores" for folder in list(calibration.absolute().parents)[1:3]]
    for source in sources:
        known += [folder for folder in source.absolute().parents if folder.name == "scores"][:1]
    return [folder for folder in dict.fromkeys(known) if folder.is_dir()]


def read_calibration(folder: Path) -> dict:
    """What ``steps.calibrate`` wrote.

    Parameters
    ----------
    folder : path
        Its output.

    Raises
    ------
    UserError
        It is no calibration.
    """
    path = folder / "calibration.json"
    try:
        return read_json_object(
            path,
            dict.fromkeys(PARTS, object),
            "a calibration",
            "train it again with steps.calibrate",
        )
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; train it with steps.calibrate") from None
