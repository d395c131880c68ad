"""Scores and quality measures of trials as features, aligned by the trials' names, and
``calibration.json``, which says what to make of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.data_dir import read_map
from utils.errors import UserError
from utils.files import read_json_object
from utils.receipts.contents import read_receipt
from utils.scoring.calibration import quality_features
from utils.scoring.score_files import (
    input_of,
    number_or_nan,
    read_scores,
    receipt_of,
    scores_of_trials,
)

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


def feature_files(scores: Sequence[Path], measures: Sequence[Path] | None) -> FeatureFiles:
    """Score files and quality measures by name.

    Parameters
    ----------
    scores : sequence of path
        As for `systems_of`.
    measures : sequence of path or None
        As for `measures_of`; None: none.

    Raises
    ------
    UserError
        Two have one name.
    """
    return FeatureFiles(systems_of(scores), measures_of(measures or []))


def systems_of(paths: Sequence[Path]) -> dict[str, Path]:
    """Score files by the name of the system that made them, in the order of names: results do not depend on the order given.

    ``exp/<experiment>/scores/<set>/[<protocol>/]<backend>.scores`` is ``<experiment>/[<protocol>/]<backend>``: the same for each set.
    Any other path is called by its file alone.

    Parameters
    ----------
    paths : sequence of path
        Score files.

    Raises
    ------
    UserError
        Two have one name.
    """
    named: dict[str, Path] = {}
    for path in paths:
        name = _name_of_system(path)
        if name in named:
            raise UserError(
                f"{path}: a second system '{name}', the first is {named[name]}; systems differ by experiment, protocol or back end"
            )
        named[name] = path
    return dict(sorted(named.items()))


def _name_of_system(scores: Path) -> str:
    """Experiment, protocol and back end of a score file, as far as its path tells."""
    parts = scores.absolute().with_suffix("").parts
    if "scores" not in parts[:-1]:
        return scores.stem
    at = len(parts) - 1 - parts[::-1].index("scores")
    if not 0 < at < len(parts) - 2:
        return scores.stem
    return "/".join([parts[at - 1], *parts[at + 2 :]])


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


def made_with(scores: Path) -> dict | None:
    """What a system is, so that calibration is only applied to what it was trained for; None of scores without a receipt.

    Parameters
    ----------
    scores : path
        Score file.
    """
    receipt = read_receipt(receipt_of(scores))
    if receipt is None:
        return None
    inputs = {
        label: receipt["inputs"][label]["content"]
        for label in ("backend", "calibration", "cohort")
        if label in receipt["inputs"]
    }
    options = {name: value for name, value in receipt["options"].items() if name != "allow_leakage"}
    return {"options": options, **inputs}


def facts_of(systems: Mapping[str, Path]) -> tuple[str, list[str]]:
    """Protocol and watermarks of score files.

    Parameters
    ----------
    systems : mapping of str to path
        From `systems_of`.

    Returns
    -------
    protocol, watermarks : str, list of str
        Names joined by ``+`` where there are several; each watermark once.
    """
    receipts = [read_receipt(receipt_of(path)) for path in systems.values()]
    counts = [receipt["counts"] if receipt else {} for receipt in receipts]
    protocols = sorted({found.get("protocol", "whole") for found in counts})
    watermarks = sorted({mark for found in counts for mark in found.get("watermarks", [])})
    return "+".join(protocols), watermarks


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
