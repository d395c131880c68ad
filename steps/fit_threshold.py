r"""A threshold for one's own recordings, with error rates that so few speakers can show.

python -m steps.fit_threshold models/campplus my_recordings my_threshold.json
python -m steps.fit_threshold models/campplus new_recordings check.json --check my_threshold.json
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.audio import Channel
from utils.cli import run
from utils.errors import UserError, WrongArguments
from utils.files import atomic_write

if TYPE_CHECKING:
    from steps.api import LoadedModel
    from utils.scoring.thresholds.files import Threshold
    from utils.scoring.thresholds.own_threshold import Settings
    from utils.scoring.thresholds.recordings import Embedded, PersonRecording

FORMAT = 1


def fit_threshold(
    model: Path,
    folder: Path,
    output: Path,
    *,
    p_target: float = 0.5,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
    enrol_files: int = 1,
    check: Path | None = None,
    also_8khz: bool = False,
    also_2s: bool = False,
    allow_broken: bool = False,
    channel: Channel = 0,
    device: Literal["cpu", "cuda"] = "cpu",
) -> dict:
    """Write ``threshold.json``: the lowest score that is accepted, and the errors to expect.

    All pairs of recordings are compared, and each is decided by a threshold that is fitted without
    its speakers.  Bounds of error rates are approximate, one-sided, 95 %.

    Parameters
    ----------
    model : path
        Model folder, experiment, or name of a published network.
    folder : path
        ``<speaker>/<files>``, ``<speaker>/<session>/<files>``, or a Kaldi data directory, with
        ``utt2session`` where there are sessions.
    output : path
        JSON file.
    p_target : float
        Prior probability that both sides are the same person, in (0, 1).
    c_miss : float
        Cost of rejecting the right person, positive.
    c_fa : float
        Cost of accepting another person, positive.
    enrol_files : int
        Recordings that a person is enrolled with: their scores are higher than those of one.
    check : path, optional
        A fitted threshold, which is tried on the recordings at its own prior, costs and number
        of enrolment files; none is fitted.
    also_8khz : bool
        Fit the same for all recordings at 8 kHz, as over a telephone.
    also_2s : bool
        Fit the same for 2 s from the middle of each recording.
    allow_broken : bool
        Leave out recordings that cannot be used, instead of stopping.
    channel : int or "mean"
        Channel to use of recordings with several.
    device : str
        ``cpu`` or ``cuda``.

    Returns
    -------
    dict
        What is written.

    Raises
    ------
    UserError
        No number can be given: no targets, fewer than five speakers, or a threshold that may be no
        better than a fixed answer.  A recording cannot be used; the threshold to check belongs to
        another model.
    """
    from steps.api import load_model
    from utils.scoring.thresholds.files import as_content
    from utils.scoring.thresholds.own_threshold import Settings, refuse_few
    from utils.scoring.thresholds.recordings import (
        as_labels,
        distinct,
        embed_usable,
        list_recordings,
    )
    from utils.scoring.thresholds.wording import embedded_lines

    settings = _settings(p_target, c_miss, c_fa, enrol_files)
    changes = [name for name, chosen in (("8 kHz", also_8khz), ("2 s", also_2s)) if chosen]
    if check is not None and (changes or settings != Settings()):
        raise WrongArguments(
            f"--check: prior, costs and --enrol-files are those of {check}, and nothing is fitted; "
            "leave the other options of a fit out"
        )
    loaded = load_model(model, device, channel)
    found = list_recordings(folder, loaded.finder)
    recordings = distinct(found)
    if len(found) > len(recordings):
        print(f"{len(found) - len(recordings)} recordings are copies of others, and are left out")
    try:
        if check is None:
            refuse_few(as_labels(recordings), settings)
        embedded = embed_usable(recordings, loaded, allow_broken)
        for line in embedded_lines(embedded):
            print(line)
        if check is not None:
            content = _check(check, loaded, recordings, embedded)
        else:
            content = as_content(_fit(loaded, recordings, embedded, settings, changes))
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None
    with atomic_write(output) as file:
        file.write(json.dumps(content, indent=1) + "\n")
    print(f"written: {output}")
    return content


def _settings(p_target: float, c_miss: float, c_fa: float, enrol_files: int) -> "Settings":
    """Options that are in range."""
    from utils.metrics.operating_points import effective_prior
    from utils.scoring.thresholds.own_threshold import Settings

    try:
        effective_prior(p_target, c_miss, c_fa)
    except ValueError as error:
        raise UserError(f"--p-target, --c-miss, --c-fa: {error}") from None
    if enrol_files < 1:
        raise UserError(f"--enrol-files: {enrol_files}, expected at least 1")
    return Settings(p_target, c_miss, c_fa, enrol_files)


def _fit(
    loaded: "LoadedModel",
    recordings: Sequence["PersonRecording"],
    embedded: "Embedded",
    settings: "Settings",
    changes: Sequence[str],
) -> "Threshold":
    """Fit a threshold, and one for each change of the recordings; print what there is to say."""
    from utils.scoring.thresholds.model_scores import with_scores_of
    from utils.scoring.thresholds.own_threshold import fit_own_threshold, make_threshold
    from utils.scoring.thresholds.wording import threshold_lines

    settings = with_scores_of(loaded.scoring, settings)
    own = fit_own_threshold(embedded.embeddings, settings)
    print("\n".join(threshold_lines(own, settings)))
    conditions = {name: _fit_changed(name, loaded, recordings, settings) for name in changes}
    threshold = make_threshold(own, settings, loaded.scoring.maker)
    digests = sorted(recording.digest for recording in recordings)
    return replace(threshold, conditions=conditions, recordings=digests)


def _fit_changed(
    name: str,
    loaded: "LoadedModel",
    recordings: Sequence["PersonRecording"],
    settings: "Settings",
) -> dict:
    """Threshold, errors and counts of changed recordings, or why there is no number."""
    from utils.scoring.thresholds.own_threshold import errors_entry, fit_own_threshold
    from utils.scoring.thresholds.recordings import CHANGES, embed_recordings
    from utils.scoring.thresholds.wording import error_lines

    embedded = embed_recordings(recordings, loaded, CHANGES[name])
    print(f"recordings at {name}, {len(embedded.faults)} of {len(recordings)} left out:")
    try:
        own = fit_own_threshold(embedded.embeddings, settings)
    except UserError as error:
        print(f"  {error}")
        return {"refused": str(error)}
    print(f"  threshold {own.fitted.threshold:.4f}")
    for line in error_lines(own.bounds):
        print(f"  {line}")
    return {
        "threshold": own.fitted.threshold,
        "errors": errors_entry(own.bounds),
        "counts": own.counts | {"left_out": len(embedded.faults)},
    }


def _check(
    path: Path,
    loaded: "LoadedModel",
    recordings: Sequence["PersonRecording"],
    embedded: "Embedded",
) -> dict:
    """Try a fitted threshold on other recordings; print and return the errors."""
    from utils.scoring.thresholds.files import read_threshold
    from utils.scoring.thresholds.model_scores import with_scores_of
    from utils.scoring.thresholds.own_threshold import Settings, errors_entry, try_threshold
    from utils.scoring.thresholds.wording import check_lines

    threshold = read_threshold(path, loaded.digest)
    loaded.scoring.refuse_other_scores(path, threshold)
    known = {recording.digest for recording in recordings} & {*threshold.recordings}
    if known:
        raise UserError(
            f"{len(known)} of {len(recordings)} recordings are those that {path} was fitted to, "
            "which prove nothing; give new ones"
        )
    bounds = try_threshold(
        threshold, embedded.embeddings, with_scores_of(loaded.scoring, Settings())
    )
    print("\n".join(check_lines(bounds, threshold.errors)))
    return {"format": FORMAT, "threshold": threshold.threshold, "errors": errors_entry(bounds)}


if __name__ == "__main__":
    run(fit_threshold)
