"""ECAPA-TDNN over filterbanks: Res2Net blocks with squeeze and excitation, attentive statistics.

The published sizes, for T frames; every convolution over frames but the last is followed by ReLU
and then batch normalisation.

=========  =======================================================================  =======  ======
layer      what                                                                     512      1024
=========  =======================================================================  =======  ======
first      convolution of 5 frames                                                  512      1024
blocks     3 times, dilation 2, 3 and 4: 1x1; 7 convolutions of 3 frames over 8     512      1024
           groups of channels, each adding the previous result; 1x1; squeeze and
           excitation through 128; around a shortcut
frames     1x1 over the three blocks' outputs, ReLU                                 1536     1536
pooling    weights: frame, mean and deviation -> 128, tanh -> 1536, softmax over    3072     3072
           frames; weighted mean and standard deviation; batch normalisation
embedding  linear                                                                   192      192
=========  =======================================================================  =======  ======

Source: Desplanques et al., "ECAPA-TDNN: emphasized channel attention, propagation and aggregation
in TDNN based speaker verification", Interspeech 2020, as in WeSpeaker's ECAPA_TDNN_GLOB_c512 and
_c1024: no ReLU and norm before the tanh, no norm after the embedding, and the input of a block is
the output of the previous one, not the sum of all before it.

SpeechBrain's network of 20,767,552 parameters (Ravanelli et al., "SpeechBrain: a general-purpose
speech toolkit", 2021) differs in ``padding``, ``frames_norm``, ``attention_norm``, the variances,
its front end and 3,072 channels of a frame; which group of channels a block leaves as it is makes
no difference but for the order of the weights.

Deviations: WeSpeaker's variances are at least 1e-7, where it adds 1e-7 to some.  Padded
batches are masked: each utterance is computed as if alone.

Shapes: ``B`` batch, ``C`` channels, ``T`` frames, ``F`` features, ``E`` embedding.
"""

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.conv import ConvReluNorm, Padding, SqueezeExcitation
from steps.models.layers.frames import check_sizes, real_frames
from steps.models.layers.pooling import AttentiveStatistics
from steps.models.layers.res2 import Res2Convs
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end, make_spec_augment

FRONT_END = {"name": "kaldi_fbank", "num_mel_bins": 80, "normalisation": "utterance_mean"}
FIRST_KERNEL = 5


class EcapaTdnn(EmbeddingNetwork):
    """ECAPA-TDNN; the defaults are WeSpeaker's network of 512 channels.

    Parameters
    ----------
    channels : int
        Channels of the first convolution and the blocks.
    groups : int
        Groups of a block's channels.
    dilations : list of int
        One per block.
    squeeze_channels : int
        Hidden size of squeeze and excitation.
    attention_channels : int
        Hidden size of the attention.
    frame_channels : int
        Channels of a frame before pooling.
    embedding_dim : int
        Size of the embedding.
    global_context : bool
        Whether the attention sees mean and deviation over the utterance beside each frame.
    padding : str
        What a convolution sees beyond the ends of an utterance: ``zeros``, or the utterance
        mirrored (``reflect``), which takes utterances longer than any dilation.
    frames_norm : bool
        Whether batch normalisation follows the ReLU before pooling.
    attention_norm : bool
        Whether ReLU and batch normalisation precede the attention's tanh.
    least_variance : float
        Floor of variances over frames.
    unbiased : bool
        Whether the deviation that the attention sees is the unbiased one.
    front_end : dict
        A front end's name and options; None: Kaldi's filterbank of 80 less its mean over the
        utterance.
    spec_augment : dict
        Options of SpecAugment; None: none.
    """

    def __init__(
        self,
        *,
        channels: int = 512,
        groups: int = 8,
        dilations: tuple[int, ...] = (2, 3, 4),
        squeeze_channels: int = 128,
        attention_channels: int = 128,
        frame_channels: int = 1536,
        embedding_dim: int = 192,
        global_context: bool = True,
        padding: Padding = "zeros",
        frames_norm: bool = False,
        attention_norm: bool = False,
        least_variance: float = 1e-7,
        unbiased: bool = True,
        front_end: dict | None = None,
        spec_augment: dict | None = None,
    ) -> None:
        check_sizes(
            channels=channels,
            groups=groups,
            dilations=dilations,
            squeeze_channels=squeeze_channels,
            attention_channels=attention_channels,
            frame_channels=frame_channels,
            embedding_dim=embedding_dim,
        )
        if least_variance <= 0:
            raise ValueError(f"least_variance is {least_variance}, expected more than 0")
        if front_end is None:
            front_end = FRONT_END
        min_frames = 2
        if padding == "reflect":
            min_frames = max(FIRST_KERNEL // 2, *dilations) + 1
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=make_spec_augment(spec_augment),
            embedding_dim=embedding_dim,
            min_frames=min_frames,
        )
        self.first = ConvReluNorm(self.front_end.num_bins, channels, FIRST_KERNEL, padding=padding)
        self.blocks = nn.ModuleList(
            SqueezeRes2Block(channels, groups, dilation, squeeze_channels, padding=padding)
            for dilation in dilations
        )
        self.frames = nn.Conv1d(len(dilations) * channels, frame_channels, 1)
        self.frames_norm: nn.Module = nn.Identity()
        if frames_norm:
            self.frames_norm = nn.BatchNorm1d(frame_channels)
        between: list[nn.Module] = [nn.Tanh()]
        if attention_norm:
            between = [nn.ReLU(), nn.BatchNorm1d(attention_channels), nn.Tanh()]
        self.pooling = AttentiveStatistics(
            frame_channels,
            attention_channels,
            between=between,
            context=global_context,
            least_variance=least_variance,
            largest_variance=None,
            unbiased=unbiased,
        )
        self.norm = nn.BatchNorm1d(2 * frame_channels)
        self.embedding = nn.Linear(2 * frame_channels, embedding_dim)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Filterbanks of 2 frames or more (mirrored: 5) to embeddings, not length-normalised."""
        num_real_B = real_frames(num_frames_B, features_BTF, self.training)
        x_BCT = self.first(features_BTF.transpose(1, 2), num_real_B)
        outputs = []
        for block in self.blocks:
            x_BCT = block(x_BCT, num_real_B)
            outputs.append(x_BCT)
        x_BCT = self.frames_norm(F.relu(self.frames(torch.cat(outputs, dim=1))))
        statistics_BN = self.pooling(x_BCT, num_real_B)
        return self.embedding(self.norm(statistics_BN)).float()


class SqueezeRes2Block(nn.Module):
    """1x1, Res2Net's convolutions, another 1x1, squeeze and excitation, around a shortcut."""

    def __init__(
        self,
        channels: int,
        groups: int,
        dilation: int,
        squeeze_channels: int,
        *,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        self.conv1 = ConvReluNorm(channels, channels)
        self.res2 = Res2Convs(channels, groups, dilation=dilation, padding=padding)
        self.conv3 = ConvReluNorm(channels, channels)
        self.scaling = SqueezeExcitation(channels, squeeze_channels)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """As many channels and frames."""
        y_BCT = self.conv1(x_BCT, num_frames_B)
        y_BCT = self.res2(y_BCT, num_frames_B)
        y_BCT = self.conv3(y_BCT, num_frames_B)
        return x_BCT + self.scaling(y_BCT, num_frames_B)
