"""Validation in training: the EER of the dev trials with the cosine back end.

Embeddings are centred by a mean of training utterances if the recipe's back end is; never by a
mean of the dev utterances, since a test list must not centre itself.
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
    """Training utterances whose mean embedding is subtracted: rows of a reader."""

    reader: "PackedReader | FeatureReader"
    rows: Sequence[int]


def draw_centre(keys: Sequence[str], reader: "PackedReader | FeatureReader", seed: int) -> Centre:
    """A random part of the training utterances; ``keys`` are all of them, in the reader's order."""
    row_by_key = {key: row for row, key in enumerate(keys)}
    return Centre(reader, [row_by_key[key] for key in drawn_utterances(keys, seed)])


class DevTrials:
    """Computes the EER of a network on the dev trials.

    ``cosine`` makes the back end; ``root`` is the folder of relative paths in feats.scp.
    UserError if a trial names a missing utterance, or has no class or a wrong one.
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
        enrol, test, self.is_target = read_labelled_trials(dev_data, print_notes=False)
        keys, self.reader = open_inputs(dev_data, front_end, root)
        self.rows = range(len(keys))
        row_by_key = {key: row for row, key in enumerate(keys)}
        for line, sides in enumerate(zip(enrol, test, strict=True), start=1):
            for key in sides:
                if key not in row_by_key:
                    raise UserError(
                        f"{dev_data}/trials:{line}: '{key}' is not in {dev_data}/wav.scp; "
                        "validation needs every side of the dev trials"
                    )
        self.enrol_rows = [row_by_key[key] for key in enrol]
        self.test_rows = [row_by_key[key] for key in test]

    def __call__(self, network: "EmbeddingNetwork") -> dict[str, float]:
        """Entries of the training's history; called in all processes at once.

        ``dev_eer_percent``, and ``dev_centred_by``: the number of training utterances whose mean
        was subtracted.  UserError if an embedding is not finite.
        """
        backend = self.cosine(subtract_mean=self.centre is not None)
        if self.centre is not None:
            backend.fit(self._embeddings(network, self.centre.reader, self.centre.rows))
        unit = backend.transform(self._embeddings(network, self.reader, self.rows))
        # an embedding equal to the mean has no direction: it scores 0
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
        """Embeddings of the utterances; every process computes its share."""
        part = embed_utterances(network, reader, rows, share=rank_and_world())
        embeddings = sum_over_processes(part, next(network.parameters()).device)
        if not np.isfinite(embeddings).all():
            raise UserError(
                f"{self.dev_data}: the network's embeddings are not finite; "
                "lower optimizer.learning_rate, or train in fp32"
            )
        return embeddings
