"""Validation in training: the equal error rate on the dev trials, as cosine after subtraction of the dev mean gives it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.embeddings.inference import embed_utterances
from utils.embeddings.inputs import open_inputs
from utils.errors import UserError
from utils.metrics.rates import equal_error_rate
from utils.torch_device import rank_and_world, sum_over_processes
from utils.trials.checked import read_labelled_trials

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork
    from utils.features.base import FrontEnd


def dev_eer(
    dev_data: Path, front_end: "FrontEnd", cosine: Callable, root: Path | None = None
) -> "Callable[[EmbeddingNetwork], float]":
    """A function of the network: its EER in percent.

    Parameters
    ----------
    dev_data : path
        Data directory with trials.
    front_end : FrontEnd
        That of the network.
    cosine : callable
        Makes the back end.
    root : path or None
        Folder that relative paths in feats.scp start from.

    Raises
    ------
    UserError
        A trial names an utterance that is not there, or its class is missing or not that of its speakers.
    """
    enrol, test, is_target = read_labelled_trials(dev_data, say_notes=False)
    keys, reader = open_inputs(dev_data, front_end, root)
    place = {key: row for row, key in enumerate(keys)}
    for line, sides in enumerate(zip(enrol, test, strict=True), start=1):
        if absent := [key for key in sides if key not in place]:
            raise UserError(
                f"{dev_data}/trials:{line}: '{absent[0]}' is not in {dev_data}/wav.scp; validation wants every side of the dev trials"
            )
    enrol_rows = [place[key] for key in enrol]
    test_rows = [place[key] for key in test]

    def validate(network: "EmbeddingNetwork") -> float:
        embeddings = embed_utterances(network, reader, range(len(keys)), share=rank_and_world())
        embeddings = sum_over_processes(embeddings, next(network.parameters()).device)
        if not np.isfinite(embeddings).all():
            raise UserError(
                f"{dev_data}: the network's embeddings are not finite; lower optimizer.learning_rate, or train in fp32"
            )
        backend = cosine().fit(embeddings)
        unit = backend.transform(embeddings)
        # a row that is the mean itself has no direction: 0
        scores = np.nan_to_num(backend.score(unit[enrol_rows], unit[test_rows]))
        return 100 * equal_error_rate(scores[is_target], scores[~is_target])

    return validate
