"""GE2E's LSTM with projections over log-mel filterbanks: d-vectors.

Layers of the published code's size; features of a frame for 160 frames.  A layer has cells whose outputs a matrix without bias projects; the
projection is what the next layer and the next frame see.

==========  ============================================================  =======  ==========
layer       what                                                          cells    output
==========  ============================================================  =======  ==========
lstm 1      40 + 64 inputs, one bias per gate; projection                 128      160x64
lstm 2      64 + 64 inputs, likewise                                      128      160x64
lstm 3      64 + 64 inputs, likewise                                      128      160x64
last        the last frame of each utterance                                       64
embedding   divided by the square root of the sum of squares + 1e-6                64
==========  ============================================================  =======  ==========

Source: github.com/Janghyun1230/Speaker_Verification (TensorFlow 1) and its paper, Wan et al., "Generalized end-to-end loss for speaker verification",
ICASSP 2018, whose network for any text has 768 cells and projections of 256: 4,654,080 parameters.  First weights are that code's: each layer's
matrix of inputs and projections uniform after Glorot, biases zero.  TensorFlow adds 1 to the forget gate when it runs; here the 1 is part of the
bias, so that a bias of a published file gets it when it is brought in.  The scalars w and b belong to the loss.

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

# true of torch's own loop, which is what then runs; nothing can be done about it
warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")


class Ge2eLstm(EmbeddingNetwork):
    """Stacked LSTM with projections; the defaults are the published code's network of 210,432 parameters.

    Parameters
    ----------
    cells, embedding_dim : int
        Cells of a layer; size of its projection and of the embedding, smaller than ``cells``.
    layers : int
        Layers.
    window_frames : int or None
        In evaluation, utterances of more frames are embedded as the mean of their windows' embeddings, as the paper does with 160 frames: each half
        a window after the one before, the last one ending with the utterance.  None: an utterance is one window.
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
        super().__init__(
            front_end=make_front_end(FRONT_END if front_end is None else front_end),
            spec_augment=make_spec_augment(spec_augment),
            embedding_dim=embedding_dim,
            min_frames=1,
        )
        self.window_frames = window_frames
        self.lstm = OneBiasLstm(self.front_end.num_bins, cells, layers, embedding_dim)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Features to embeddings.

        Parameters
        ----------
        features_BTF : (B, T, F) float tensor
            Anything finite may stand in the padding.
        num_frames_B : (B,) int tensor
            Frames of each utterance.

        Returns
        -------
        (B, E) float32 tensor
            Of length 1; the mean of several windows is shorter.
        """
        num_frames_B = num_frames_B.to(features_BTF.device)
        if (
            self.training
            or self.window_frames is None
            or features_BTF.shape[1] <= self.window_frames
        ):
            return self._of_last_frames(features_BTF, num_frames_B)
        utterance_W, first_W = windows(num_frames_B, self.window_frames, self.window_frames // 2)
        frame_WT = first_W[:, None] + torch.arange(self.window_frames, device=first_W.device)
        windows_WTF = features_BTF[
            utterance_W[:, None], frame_WT.clamp(max=features_BTF.shape[1] - 1)
        ]
        embedding_WE = self._of_last_frames(
            windows_WTF, num_frames_B[utterance_W].clamp(max=self.window_frames)
        )
        sum_BE = embedding_WE.new_zeros(len(num_frames_B), self.embedding_dim).index_add(
            0, utterance_W, embedding_WE
        )
        return sum_BE / utterance_W.bincount(minlength=len(num_frames_B))[:, None]

    def _of_last_frames(self, features_BTF, num_frames_B):
        output_BTE, _ = self.lstm(features_BTF)
        return to_length(last_frame(output_BTE, num_frames_B).float(), offset=NORM_OFFSET)


def windows(
    num_frames_B: torch.Tensor, window_frames: int, hop_frames: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows over each utterance, the last one ending with it.

    Parameters
    ----------
    num_frames_B : (B,) int tensor
        Frames of each utterance.
    window_frames, hop_frames : int
        Length and distance of windows.

    Returns
    -------
    utterance_W, first_W : (W,) int64 tensors
        Row and first frame of each window; an utterance shorter than a window has one.
    """
    last_B = (num_frames_B - window_frames).clamp(min=0)  # where the last one begins
    count_B = (last_B + hop_frames - 1) // hop_frames + 1
    utterance_W = torch.arange(len(num_frames_B), device=num_frames_B.device).repeat_interleave(
        count_B
    )
    number_W = (
        torch.arange(len(utterance_W), device=num_frames_B.device)
        - (count_B.cumsum(0) - count_B)[utterance_W]
    )
    return utterance_W, torch.minimum(number_W * hop_frames, last_B[utterance_W])


class OneBiasLstm(nn.LSTM):
    """torch's LSTM with projections and one bias per gate, (B, T, features) to (B, T, projection): its second biases are zeros and no parameters.

    Parameters
    ----------
    features, cells, layers, projection : int
        Inputs of the first layer; cells of each; layers; outputs of each.
    """

    def __init__(self, features: int, cells: int, layers: int, projection: int) -> None:
        super().__init__(features, cells, layers, batch_first=True, proj_size=projection)
        for layer in range(layers):
            name = f"bias_hh_l{layer}"
            zeros = torch.zeros_like(getattr(self, name))
            delattr(self, name)
            self.register_buffer(name, zeros, persistent=False)
        self._init_flat_weights()  # the list that torch computes with; it is made anew in the same way when the module moves

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """First weights as published."""
        for layer in range(self.num_layers):
            of_inputs = getattr(self, f"weight_ih_l{layer}")
            of_projections = getattr(self, f"weight_hh_l{layer}")
            # TensorFlow has both in one matrix
            limit = (6 / (of_inputs.shape[1] + of_projections.shape[1] + len(of_inputs))) ** 0.5
            for weight in (of_inputs, of_projections):
                nn.init.uniform_(weight, -limit, limit)
            nn.init.xavier_uniform_(getattr(self, f"weight_hr_l{layer}"))
            bias = getattr(self, f"bias_ih_l{layer}")
            bias.zero_()
            bias[self.hidden_size : 2 * self.hidden_size] = 1.0  # the forget gate, second of four
