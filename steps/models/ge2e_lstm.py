"""GE2E's LSTM with projections over log-mel filterbanks: d-vectors.

The published code's size; features of a frame for 160 frames.  A matrix without bias projects the
outputs of a layer's cells; the next layer and the next frame see the projection.

=========  ============================================================  =======  ==========
layer      what                                                          cells    output
=========  ============================================================  =======  ==========
lstm 1     40 + 64 inputs, one bias per gate; projection                 128      160x64
lstm 2     64 + 64 inputs, likewise                                      128      160x64
lstm 3     64 + 64 inputs, likewise                                      128      160x64
last       the last frame of each utterance                                       64
embedding  divided by the square root of the sum of squares + 1e-6                64
=========  ============================================================  =======  ==========

Sources: github.com/Janghyun1230/Speaker_Verification (TensorFlow 1) and Wan et al., "Generalized
end-to-end loss for speaker verification", ICASSP 2018.  The paper's text-independent network has
768 cells and projections of 256: 4,654,080 parameters.  First weights are the published code's:
each layer's matrix of inputs and projections uniform after Glorot, biases zero.  TensorFlow adds 1
to the forget gate at run time; here the 1 is part of the bias, and importing published weights adds
it.  The scalars w and b belong to the loss.

Shapes: ``B`` batch, ``T`` frames, ``F`` features, ``W`` windows of all utterances, ``E`` embedding.
"""

import warnings

import torch
from torch import nn

from steps.models.layers.frames import check_sizes, to_length
from steps.models.layers.rawnet import last_frame
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end, make_spec_augment

FRONT_END = {"name": "librosa_log_mel"}
NORM_OFFSET = 1e-6

# torch then runs its own loop, which is right: nothing to act on
warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")


class Ge2eLstm(EmbeddingNetwork):
    """Stacked LSTM with projections; the defaults are the published code's, 210,432 parameters.

    Parameters
    ----------
    cells : int
        Cells of a layer.
    embedding_dim : int
        Size of a layer's projection and of the embedding, smaller than ``cells``.
    layers : int
        Number of layers.
    window_frames : int or None
        In evaluation, the embedding of an utterance with more frames is the mean over its windows,
        as in the paper with 160 frames.  A window starts half a window after the previous one; the
        last one ends with the utterance.  None: an utterance is one window.
    front_end : dict
        A front end's name and options; None: 40 log-mel filters at 8 kHz, as published.
    spec_augment : dict
        Options of SpecAugment; None (as published): none.
    """

    def __init__(
        self,
        *,
        cells: int = 128,
        embedding_dim: int = 64,
        layers: int = 3,
        window_frames: int | None = None,
        front_end: dict | None = None,
        spec_augment: dict | None = None,
    ) -> None:
        check_sizes(cells=cells, embedding_dim=embedding_dim, layers=layers)
        if embedding_dim >= cells:
            raise ValueError(
                f"embedding_dim is {embedding_dim}, expected less than cells ({cells})"
            )
        if window_frames is not None and window_frames < 2:
            raise ValueError(f"window_frames is {window_frames}, expected 2 or more")
        if front_end is None:
            front_end = FRONT_END
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=make_spec_augment(spec_augment),
            embedding_dim=embedding_dim,
            min_frames=1,
        )
        self.window_frames = window_frames
        self.lstm = OneBiasLstm(self.front_end.num_bins, cells, layers, embedding_dim)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Filterbanks to embeddings of length 1; the mean over several windows is shorter."""
        num_frames_B = num_frames_B.to(features_BTF.device)
        size = self.window_frames
        if self.training or size is None or features_BTF.shape[1] <= size:
            return self._embed(features_BTF, num_frames_B)
        utterance_W, first_W = windows(num_frames_B, size, size // 2)
        frame_WT = first_W[:, None] + torch.arange(size, device=first_W.device)
        frame_WT = frame_WT.clamp(max=features_BTF.shape[1] - 1)
        windows_WTF = features_BTF[utterance_W[:, None], frame_WT]
        num_frames_W = num_frames_B[utterance_W].clamp(max=size)
        embedding_WE = self._embed(windows_WTF, num_frames_W)
        sum_BE = embedding_WE.new_zeros(len(num_frames_B), self.embedding_dim)
        sum_BE = sum_BE.index_add(0, utterance_W, embedding_WE)
        return sum_BE / utterance_W.bincount(minlength=len(num_frames_B))[:, None]

    def _embed(self, features_BTF, num_frames_B):
        output_BTE, _ = self.lstm(features_BTF)
        return to_length(last_frame(output_BTE, num_frames_B).float(), offset=NORM_OFFSET)


def windows(
    num_frames_B: torch.Tensor, window_frames: int, hop_frames: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Utterance and first frame of each window, both (W,) int64.

    The last window of an utterance ends with it; an utterance shorter than a window has one.
    """
    last_B = (num_frames_B - window_frames).clamp(min=0)  # first frame of the last window
    count_B = (last_B + hop_frames - 1) // hop_frames + 1
    utterance_B = torch.arange(len(num_frames_B), device=num_frames_B.device)
    utterance_W = utterance_B.repeat_interleave(count_B)
    windows_before_B = count_B.cumsum(0) - count_B
    number_W = torch.arange(len(utterance_W), device=num_frames_B.device)
    number_W = number_W - windows_before_B[utterance_W]
    return utterance_W, torch.minimum(number_W * hop_frames, last_B[utterance_W])


class OneBiasLstm(nn.LSTM):
    """torch's LSTM with projections, but one bias per gate: the second biases are constant zeros.

    (B, T, features) to (B, T, projection).
    """

    def __init__(self, features: int, cells: int, layers: int, projection: int) -> None:
        super().__init__(features, cells, layers, batch_first=True, proj_size=projection)
        for layer in range(layers):
            name = f"bias_hh_l{layer}"
            zeros = torch.zeros_like(getattr(self, name))
            delattr(self, name)
            self.register_buffer(name, zeros, persistent=False)
        # torch's list of weights; torch makes it in the same way whenever the module moves
        self._init_flat_weights()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """First weights as published."""
        for layer in range(self.num_layers):
            input_weight = getattr(self, f"weight_ih_l{layer}")
            recurrent_weight = getattr(self, f"weight_hh_l{layer}")
            # TensorFlow has both in one matrix
            inputs = input_weight.shape[1] + recurrent_weight.shape[1]
            limit = (6 / (inputs + len(input_weight))) ** 0.5
            for weight in (input_weight, recurrent_weight):
                nn.init.uniform_(weight, -limit, limit)
            nn.init.xavier_uniform_(getattr(self, f"weight_hr_l{layer}"))
            bias = getattr(self, f"bias_ih_l{layer}")
            bias.zero_()
            bias[self.hidden_size : 2 * self.hidden_size] = 1.0  # the forget gate, second of four
