"""RawNet2: sinc filters over the waveform, blocks with feature map scaling, and a GRU.

The full size; leaky ReLU of 0.3 everywhere.

=============  ============================================================  ========  ======
part           layers                                                        channels  frames
=============  ============================================================  ========  ======
waveform_norm  mean 0 and deviation 1 over the samples; a gain and an        1         59,049
               offset for each sample
sinc           128 filters of 251 samples; modulus; max pooling 3; norm,     128       19,599
               leaky ReLU
blocks 0-1     norm, leaky ReLU (not in block 0), convolution 3, norm,       128       2,177
               leaky ReLU, convolution 3; shortcut; max pooling 3;
               feature map scaling
blocks 2-5     the same; a 1x1 convolution on the shortcut of block 2        256       26
embedding      norm, leaky ReLU; GRU of 1024, last state; linear             1024
=============  ============================================================  ========  ======

Source: Jung et al., "Improved RawNet with feature map scaling for text-independent speaker
verification using raw waveforms", Interspeech 2020; https://github.com/Jungjee/RawNet,
python/RawNet2.  Of the two definitions published there, ``model_RawNet2.py`` is the default.  With
``unused_first_norms`` the network is that of ``Pre-trained_model/model_RawNet2_original_code.py``,
which skips the first norm of each block; the published weights belong to it.  In training the
published code scales embeddings to length 10 before the last layer: the loss's option
``embedding_norm``.

Deviations: none in what is computed with the published length.  The gain and offset of each sample
tie the network to that length.  With ``fixed_samples: null`` it has none of them and takes
utterances of any length: 6,996,480 parameters.  (A single gain would be cancelled by the norm after
the filters, which hardly pass an offset.)  Its padded batches are masked: each utterance is
computed as if alone.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import (
    FeatureMapScaling,
    check_sizes,
    frozen_parameters,
    max_pool,
    mean_over_frames,
    real_frames,
    variance_over_frames,
)
from steps.models.layers.rawnet import (
    LEAK,
    GruEmbedding,
    PreActivationBlock,
    channel_pairs,
    initialise,
    through_blocks,
)
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end
from utils.features.sinc import SincBank

FRONT_END = {"name": "waveform", "scale": "peak"}


class RawNet2(EmbeddingNetwork):
    """RawNet2; the defaults are the published network, 7,114,578 parameters.

    118,098 of them are gains and offsets of samples.

    Parameters
    ----------
    fixed_samples : int or None
        Length of all utterances; None: any length, without gains and offsets of samples.
    sinc_filters : int
        Number of sinc filters.
    sinc_samples : int
        Length of the sinc filters.
    block_channels : list of int
        Channels of each block.
    gru_states : int
        Size of the GRU's state.
    embedding_dim : int
        Size of the embedding.
    unused_first_norms : bool
        Whether the first norm of each block exists but is unused, as in the code that the published
        weights were trained with.
    front_end : dict
        A front end's name and options, one feature per sample; None: the waveform divided by its
        largest magnitude.
    """

    def __init__(
        self,
        *,
        fixed_samples: int | None = 59049,
        sinc_filters: int = 128,
        sinc_samples: int = 251,
        block_channels: tuple[int, ...] = (128, 128, 256, 256, 256, 256),
        gru_states: int = 1024,
        embedding_dim: int = 1024,
        unused_first_norms: bool = False,
        front_end: dict | None = None,
    ) -> None:
        check_sizes(
            sinc_filters=sinc_filters,
            sinc_samples=sinc_samples,
            block_channels=block_channels,
            gru_states=gru_states,
            embedding_dim=embedding_dim,
        )
        min_samples = sinc_samples - 1 + 3 ** (1 + len(block_channels))
        if fixed_samples is not None:
            if fixed_samples < min_samples:
                raise ValueError(
                    f"fixed_samples is {fixed_samples}; {len(block_channels)} blocks after filters "
                    f"of {sinc_samples} need {min_samples} or more"
                )
            min_samples = fixed_samples
        if front_end is None:
            front_end = FRONT_END
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=None,
            embedding_dim=embedding_dim,
            min_frames=min_samples,
        )
        self.fixed_samples = fixed_samples
        if fixed_samples is not None:
            self.batching = "fixed_samples"
        self.waveform_norm = WaveformNorm(fixed_samples)
        self.sinc = SincBank(
            num_filters=sinc_filters,
            kernel_samples=sinc_samples,
            sample_rate_hz=self.sample_rate_hz,
        )
        self.norm = nn.BatchNorm1d(sinc_filters)
        self.blocks = nn.ModuleList()
        first_norm: Literal["used", "none", "unused"] = "none"  # of block 0
        for before, after in channel_pairs(sinc_filters, block_channels):
            block = PreActivationBlock(
                before, after, first_norm=first_norm, scaling=FeatureMapScaling(after)
            )
            self.blocks.append(block)
            first_norm = "used"
            if unused_first_norms:
                first_norm = "unused"
        self.embedding = GruEmbedding(block_channels[-1], gru_states, embedding_dim)
        self.without_gradient = frozen_parameters(self)
        self.apply(initialise)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Waveforms to embeddings, not length-normalised.

        Raises ValueError for utterances that are not of the fixed length.
        """
        if self.fixed_samples is not None and bool((num_frames_B != self.fixed_samples).any()):
            raise ValueError(
                f"utterances of {int(num_frames_B.min())} to {int(num_frames_B.max())} samples; "
                f"this network takes {self.fixed_samples}"
            )
        num_real_B = real_frames(num_frames_B, features_BTF, self.training)
        x_BS = self.waveform_norm(features_BTF[..., 0], num_real_B)
        if num_real_B is not None:
            num_real_B = self.sinc.num_frames(num_real_B)
        x_BCT, num_real_B = max_pool(self.sinc(x_BS).abs(), num_real_B, 3)
        x_BCT = F.leaky_relu(self.norm(x_BCT), LEAK)
        x_BCT, num_real_B = through_blocks(self.blocks, x_BCT, num_real_B)
        return self.embedding(x_BCT, num_real_B)


class WaveformNorm(nn.Module):
    """Mean 0 and standard deviation 1 over an utterance's samples; in float32 under autocast.

    With a fixed length, a gain and an offset for each sample follow.
    """

    def __init__(self, fixed_samples: int | None) -> None:
        super().__init__()
        self.fixed_samples = fixed_samples
        if fixed_samples is not None:
            self.gain_S = nn.Parameter(torch.ones(fixed_samples))
            self.offset_S = nn.Parameter(torch.zeros(fixed_samples))

    def forward(self, x_BS: torch.Tensor, num_samples_B: torch.Tensor | None) -> torch.Tensor:
        """The normalised waveforms, of as many samples."""
        with torch.autocast(x_BS.device.type, enabled=False):
            x_B1S = x_BS[:, None].double()  # float32 sums would depend on the padding's length
            mean_B11 = mean_over_frames(x_B1S, num_samples_B)
            deviation_B11 = variance_over_frames(x_B1S, num_samples_B).sqrt() + 1e-6
            x_BS = ((x_B1S - mean_B11) / deviation_B11)[:, 0].float()
            if self.fixed_samples is not None:
                x_BS = x_BS * self.gain_S + self.offset_S
            return x_BS
