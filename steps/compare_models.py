r"""Which model is better on one's own recordings: error rates on the same trials, and differences.

python -m steps.compare_models my_recordings models/campplus models/ecapa
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from utils.audio import Channel
from utils.cli import run
from utils.errors import WrongArguments

if TYPE_CHECKING:
    from steps.api import LoadedModel
    from utils.evaluation.rows import Figures
    from utils.scoring.thresholds.own_threshold import Embeddings
    from utils.scoring.thresholds.recordings import PersonRecording
    from utils.scoring.thresholds.trials import Trials

FORMAT = 1


def compare_models(
    folder: Path,
    models: list[Path],
    *,
    enrol_files: int = 1,
    replicates: int = 1000,
    seed: int = 0,
    allow_broken: bool = False,
    channel: Channel = 0,
    device: Literal["cpu", "cuda"] = "cpu",
) -> list[dict]:
    """Print the equal error rate of each model on the same trials, and the paired differences.

    All pairs of recordings are compared as ``steps.fit_threshold`` does: across sessions where
    there are any, by cosine that is centred from 20 speakers on, or by the back end and the norm
    that a model has.

    Parameters
    ----------
    folder : path
        ``<speaker>/<files>``, ``<speaker>/<session>/<files>``, or a Kaldi data directory.
    models : list of path
        At least two model folders, experiments or names of published networks.
    enrol_files : int
        Recordings that a person is enrolled with.
    replicates : int
        Draws of the speakers, for intervals, at least 2.
    seed : int
        Of the draws.
    allow_broken : bool
        Leave out recordings that one of the models cannot use, instead of stopping.
    channel : int or "mean"
        Channel to use of recordings with several.
    device : str
        ``cpu`` or ``cuda``.

    Returns
    -------
    list of dict
        A difference of each pair of models, as in differences.json of ``steps.compare``.

    Raises
    ------
    UserError
        Fewer than two models, or one twice; no targets; a recording cannot be used.
    """
    from steps.api import load_model
    from utils.evaluation.comparison import compare_pairs, sentence
    from utils.evaluation.rows import make_drawing
    from utils.scoring.thresholds.own_threshold import session_marks, trials_of
    from utils.scoring.thresholds.recordings import as_labels, distinct, list_recordings

    if len(models) < 2 or len({*models}) < len(models):
        raise WrongArguments(
            f"{len(models)} models, expected two or more different ones to compare"
        )
    drawing = make_drawing(replicates, seed, None, least=2)
    loaded = [load_model(model, device, channel) for model in models]
    recordings = distinct(list_recordings(folder, loaded[0].finder))
    vectors, used = _embed_all(recordings, loaded, allow_broken)
    embeddings = as_labels(used)
    trials = trials_of(embeddings, enrol_files)
    wholes: list[tuple[dict, Figures]] = []
    for path, model, vectors_FE in zip(models, loaded, vectors, strict=True):
        scores = _scores(model, vectors_FE, embeddings, trials)
        figures = _figures(scores, trials, drawing.replicates, seed)
        row = {"system": str(path), "backend": "cosine", "protocol": "whole"}
        wholes.append((row | {"test_set": folder.name} | figures.values, figures))
        print(_line(row["system"], figures))
    differences = compare_pairs(wholes)
    for entry in differences:
        print(sentence(entry))
    for mark in session_marks(*embeddings.numbers()):
        print(f"note: {mark}")
    return differences


def _embed_all(
    recordings: Sequence["PersonRecording"], loaded: Sequence["LoadedModel"], allow_broken: bool
) -> tuple[list[np.ndarray], list["PersonRecording"]]:
    """Vectors (F, E) by each model of the recordings that all models can use, and these."""
    from utils.scoring.thresholds.recordings import embed_usable
    from utils.scoring.thresholds.wording import embedded_lines

    every = []
    for model in loaded:
        embedded = embed_usable(recordings, model, allow_broken)
        for line in embedded_lines(embedded):
            print(line)
        every.append(embedded)
    common = [one for one in recordings if all(one in embedded.used for embedded in every)]
    vectors = []
    for embedded in every:
        row_of = {recording: row for row, recording in enumerate(embedded.used)}
        vectors.append(embedded.embeddings.vectors[[row_of[one] for one in common]])
    return vectors, common


def _scores(
    model: "LoadedModel", vectors_FE: np.ndarray, labels: "Embeddings", trials: "Trials"
) -> np.ndarray:
    """Scores (T,) of the trials by one model."""
    from utils.scoring.thresholds.model_scores import with_scores_of
    from utils.scoring.thresholds.own_threshold import Settings, make_scores

    settings = with_scores_of(model.scoring, Settings())
    speakers, _ = labels.numbers()
    return make_scores(vectors_FE, speakers, trials, settings).without()


def _figures(scores: np.ndarray, trials: "Trials", replicates: int, seed: int) -> "Figures":
    """Error rates with draws of the speakers."""
    from utils.evaluation.rows import Part, mean_figures
    from utils.metrics.operating_points import USUAL

    part = Part(scores, trials.is_target, trials.first, trials.second, seed)
    return mean_figures([part], False, replicates, USUAL, {})


def _line(name: str, figures: "Figures") -> str:
    """The equal error rate of a model with its interval."""
    values = figures.values
    ends = values["eer_percent_interval"]
    interval = f"no interval: {values['no_interval'].get('eer_percent', '')}"
    if ends is not None:
        interval = f"95 % interval {ends[0]:.2f} to {ends[1]:.2f}"
    return (
        f"{name}: EER {values['eer_percent']:.2f} %, {interval} ({values['speakers']} speakers, "
        f"{values['targets']:,} target and {values['nontargets']:,} nontarget trials)"
    )


if __name__ == "__main__":
    run(compare_models)
