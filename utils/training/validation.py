"""Validation in training: the equal error rate on the dev trials, as the cosine gives it, after subtraction of a mean of training utterances
where the recipe's back end subtracts one.  Never of the mean of the dev utterances: a list that is tested on centres nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.data_dir.derive import drawn_utterances
from utils.embeddings.inference import embed_utterances
from utils.embeddings.inputs import open_inputs
from utils.errors import UserError
from utils.metrics.rates import equal_error_rate
from utils.torch_device import rank_and_world, sum_over_processes
from utils.trials.checked import read_labelled_trials

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork
    from utils.features.base import FrontEnd
    from utils.features.reader import FeatureReader
    from utils.packed.reader import PackedReader


@dataclass(frozen=True)
class Centre:
    """Training utterances whose mean is taken away.

    Attributes
    ----------
    reader : PackedReader or FeatureReader
        What the network takes, of the training set.
    rows : sequence of int
        Utterances of the reader.
    """

    reader: "PackedReader | FeatureReader"
    rows: Sequence[int]


def drawn_centre(keys: Sequence[str], reader: "PackedReader | FeatureReader", seed: int) -> Centre:
    """A draw of the training utterances.

    Parameters
    ----------
    keys : sequence of str
        All of them, in the reader's order.
    reader : PackedReader or FeatureReader
        Of the training set.
    seed : int
        Of the draw.
    """
    place = {key: row for row, key in enumerate(keys)}
    return Centre(reader, [place[key] for key in drawn_utterances(keys, seed)])


class DevTrials:
    """A function of the network: how well it tells the dev speakers apart.

    Parameters
    ----------
    dev_data : path
        Data directory with trials.
    front_end : FrontEnd
        That of the network.
    cosine : callable
        Makes the back end.
    centre : Centre or None
        Whose mean is taken away; None: none is.
    root : path or None
        Folder that relative paths in feats.scp start from.

    Raises
    ------
    UserError
        A trial names an utterance that is not there, or its class is missing or not that of its speakers.
    """

    def __init__(
        self,
        dev_data: Path,
        front_end: "FrontEnd",
        cosine: Callable,
        centre: Centre | None,
        root: Path | None = None,
    ):
        self.dev_data, self.cosine, self.centre = dev_data, cosine, centre
        enrol, test, self.is_target = read_labelled_trials(dev_data, say_notes=False)
        keys, self.reader = open_inputs(dev_data, front_end, root)
        self.rows = range(len(keys))
        place = {key: row for row, key in enumerate(keys)}
        for line, sides in enumerate(zip(enrol, test, strict=True), start=1):
            if absent := [key for key in sides if key not in place]:
                raise UserError(
                    f"{dev_data}/trials:{line}: '{absent[0]}' is not in {dev_data}/wav.scp; validation wants every side of the dev trials"
                )
        self.enrol_rows = [place[key] for key in enrol]
        self.test_rows = [place[key] for key in test]

    def __call__(self, network: "EmbeddingNetwork") -> dict[str, float]:
        """Entries of the training's history; called in all processes at once.

        Parameters
        ----------
        network : EmbeddingNetwork
            As it is now.

        Returns
        -------
        dict
            ``dev_eer_percent``, and ``dev_centred_by``: of how many training utterances the mean was taken away.

        Raises
        ------
        UserError
            An embedding is not finite.
        """
        backend = self.cosine(subtract_mean=self.centre is not None)
        if self.centre is not None:
            backend.fit(self._embeddings(network, self.centre.reader, self.centre.rows))
        unit = backend.transform(self._embeddings(network, self.reader, self.rows))
        # a row that is the mean itself has no direction: 0
        scores = np.nan_to_num(backend.score(unit[self.enrol_rows], unit[self.test_rows]))
        eer = equal_error_rate(scores[self.is_target], scores[~self.is_target])
        num_centring = len(self.centre.rows) if self.centre else 0
        return {"dev_eer_percent": 100 * eer, "dev_centred_by": num_centring}

    def _embeddings(
        self,
        network: "EmbeddingNetwork",
        reader: "PackedReader | FeatureReader",
        rows: Sequence[int],
    ) -> np.ndarray:
        """One for each of the utterances; every process embeds its share."""
        part = embed_utterances(network, reader, rows, share=rank_and_world())
        embeddings = sum_over_processes(part, next(network.parameters()).device)
        if not np.isfinite(embeddings).all():
            raise UserError(
                f"{self.dev_data}: the network's embeddings are not finite; lower optimizer.learning_rate, or train in fp32"
            )
        return embeddings
