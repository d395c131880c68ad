"""Features of trials, from scores and quality measures; the file ``calibration.json``.

Scores and measures are aligned by the names of the trials' sides.
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
from utils.scoring.score_files import number_or_nan, read_scores, score_input, scores_of_trials
from utils.scoring.systems import Scored, name_systems, named_as_before

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
    """Files that features of trials are read from: name -> score file, name -> quality measure."""

    systems: Mapping[str, Path]
    measures: Mapping[str, Path]

    def score_inputs(self) -> dict[str, Path]:
        """Scores as inputs of a step."""
        return {f"scores {name}": score_input(path) for name, path in self.systems.items()}

    def measure_inputs(self) -> dict[str, Path]:
        """Quality measures as inputs of a step."""
        return {f"measure {name}": path for name, path in self.measures.items()}


def feature_files(
    scores: Sequence[Path], measures: Sequence[Path] | None, receipt: Path
) -> FeatureFiles:
    """Score files and quality measures by name; systems keep the names that the receipt has.

    UserError if a score file is given twice, or two measures have one name.
    """
    systems = named_as_before(name_systems(scores), receipt)
    return FeatureFiles(systems, name_measures(measures or []))


def name_measures(paths: Sequence[Path]) -> dict[str, Path]:
    """Files of quality measures by name, ``dur`` for utt2dur; UserError if two have one name."""
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
    """A quality measure of N sides, (N,) float64; of ``utt2dur`` the logarithm.

    The value of a model that the file does not name is the mean over its utterances.  UserError if
    a side has no value, one that is not a finite number, or a duration that is not positive.
    """
    is_duration = path.name == "utt2dur"
    texts = read_map(path)
    value_by_side: dict[str, float] = {}
    for side in dict.fromkeys(sides):
        utterances: Sequence[str] = [side]
        if side not in texts:
            utterances = models.get(side, [side])
        values = [_read_value(path, utterance, texts, is_duration) for utterance in utterances]
        value_by_side[side] = math.fsum(values) / len(values)
    return np.array([value_by_side[side] for side in sides])


def _read_value(path: Path, utterance: str, texts: Mapping[str, str], is_duration: bool) -> float:
    """The measure of one utterance, from its text in the file; of a duration the logarithm."""
    text = texts.get(utterance)
    if text is None:
        shown, value = "no value", math.nan
    else:
        shown, value = f"'{text}'", number_or_nan(text)
    if is_duration and value > 0:
        value = math.log(value)
    elif is_duration:
        value = math.nan
    if not math.isfinite(value):
        expected = "a finite number"
        if is_duration:
            expected = "a positive number"
        raise UserError(
            f"{path}: {shown} for '{utterance}', a side of the trials; expected {expected}"
        )
    return value


def same_pairs(systems: Mapping[str, Path]) -> tuple[list[str], list[str]]:
    """Trials that all systems scored, in the order of the first; UserError if lists differ."""
    first, *others = systems.values()
    enrol, test, _ = read_scores(first)
    pairs = set(zip(enrol, test, strict=True))
    for path in others:
        other_enrol, other_test, _ = read_scores(path)
        other_pairs = set(zip(other_enrol, other_test, strict=True))
        if other_pairs == pairs:
            continue
        unmatched = min(other_pairs ^ pairs)
        scored, lacking = first, path
        if unmatched in other_pairs:
            scored, lacking = path, first
        raise UserError(
            f"{scored}: trial '{' '.join(unmatched)}' has no score in {lacking}; "
            "score both systems on one list"
        )
    return enrol, test


def trial_features(
    files: FeatureFiles,
    combine: Sequence[str],
    sides: tuple[Sequence[str], Sequence[str]],
    models: Mapping[str, Sequence[str]],
    trials: Path,
) -> tuple[list[str], np.ndarray]:
    """Names of F features and their values for N trials, (N, F) float64.

    ``sides`` are the enrolment and the test side of each trial, ``models`` the utterances of each
    speaker model, and ``trials`` the file of the trials, for messages.
    """
    enrol, test = sides
    names = list(files.systems)
    columns = []
    for path in files.systems.values():
        scores = scores_of_trials(path, enrol, test, trials)
        columns.append(scores[:, None])
    for name, path in files.measures.items():
        values = read_measure(path, [*enrol, *test], models)
        columns.append(quality_features(values[: len(enrol)], values[len(enrol) :], combine))
        names += [f"{name}_{part}" for part in combine]
    return names, np.concatenate(columns, axis=1)


def joined_facts(systems: Collection[Scored]) -> tuple[str, list[str]]:
    """Protocols joined by ``+``, and all watermarks, of score files with their receipts."""
    protocols, watermarks = set(), set()
    for scored in systems:
        protocols.add(scored.protocol)
        watermarks.update(scored.watermarks)
    return "+".join(sorted(protocols)), sorted(watermarks)


def score_folders(calibration: Path) -> list[Path]:
    """Folders of scores that a calibration knows.

    Those of its own experiment (``exp/<experiment>/calibration/[<protocol>/]<name>``), and those of
    the experiments whose scores it was trained on.
    """
    known = [folder / "scores" for folder in list(calibration.absolute().parents)[1:3]]
    receipt = read_receipt(calibration / "receipts" / "calibrate.json")
    if receipt:
        for name, entry in receipt["inputs"].items():
            if name.startswith("scores "):
                known += _scores_folder(Path(entry["path"]))
    return [folder for folder in dict.fromkeys(known) if folder.is_dir()]


def _scores_folder(path: Path) -> list[Path]:
    """The closest folder above a path that is called ``scores``; empty if there is none."""
    for folder in path.absolute().parents:
        if folder.name == "scores":
            return [folder]
    return []


def read_calibration(folder: Path) -> dict:
    """``calibration.json`` of ``steps.calibrate``; UserError if it is missing or damaged."""
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
