"""GE2E's LSTM with a linear layer over mel power: the d-vectors of Resemblyzer.

The published size; features of a frame for 160 frames.

=========  ============================================================  =======  ==========
layer      what                                                          cells    output
=========  ============================================================  =======  ==========
lstm 1-3   40 inputs, then 256; two biases per gate; no projection       256      160x256
last       the last frame of each utterance                                       256
embedding  linear, ReLU, length 1                                                 256
=========  ============================================================  =======  ==========

Source: github.com/resemble-ai/Resemblyzer, after Wan et al., "Generalized end-to-end loss for
speaker verification", ICASSP 2018.  An utterance is one window here.  The published encoder scales
and trims a file and takes the mean over windows of 160 frames before and after the network: that
belongs to a test protocol.

Shapes: ``B`` batch, ``T`` frames, ``F`` features, ``E`` embedding.
"""

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import check_sizes, real_frames, to_length
from steps.models.layers.rawnet import last_frame
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end, make_spec_augment

FRONT_END = {
    "name": "librosa_log_mel",
    "sample_rate_hz": 16000,
    "fft_samples": 400,
    "window_samples": 400,
    "hop_samples": 160,
    "use_log": False,
    "edge": "zeros",
}
NORM_OFFSET = 1e-12  # for embeddings of zeros


class Resemblyzer(EmbeddingNetwork):
    """Stacked LSTM and a linear layer; the defaults are Resemblyzer's, 1,423,616 parameters.

    Parameters
    ----------
    cells : int
        Cells of a layer.
    embedding_dim : int
        Size of the embedding.
    layers : int
        Number of layers.
    front_end : dict
        A front end's name and options; None: the power of 40 mel filters at 16 kHz, as published.
    spec_augment : dict
        Options of SpecAugment; None (as published): none.
    """

    def __init__(
        self,
        *,
        cells: int = 256,
        embedding_dim: int = 256,
        layers: int = 3,
        front_end: dict | None = None,
        spec_augment: dict | None = None,
    ) -> None:
        check_sizes(cells=cells, embedding_dim=embedding_dim, layers=layers)
        if front_end is None:
            front_end = FRONT_END
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=make_spec_augment(spec_augment),
            embedding_dim=embedding_dim,
            min_frames=1,
        )
        self.lstm = nn.LSTM(self.front_end.num_bins, cells, layers, batch_first=True)
        self.linear = nn.Linear(cells, embedding_dim)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Filterbanks to embeddings of length 1, without negative values."""
        output_BTC, _ = self.lstm(features_BTF)
        num_real_B = real_frames(num_frames_B, features_BTF, training=False)
        embedding_BE = F.relu(self.linear(last_frame(output_BTC, num_real_B)))
        return to_length(embedding_BE.float(), offset=NORM_OFFSET)
