"""RawNet2: sinc filters over the waveform, pre-activation blocks with feature map scaling, GRU, 1024-d embedding.

Layers of the full size; leaky ReLU of 0.3 everywhere.

=============  ======================================================================================  ========  ======
part           layers                                                                                  channels  frames
=============  ======================================================================================  ========  ======
waveform_norm  mean 0 and deviation 1 over the samples; a gain and an offset for each sample           1         59,049
sinc           128 filters of 251 samples; modulus; max pooling 3; norm, leaky ReLU                    128       19,599
blocks 0-1     norm, leaky ReLU (not in block 0), convolution 3, norm, leaky ReLU, convolution 3;      128       2,177
               shortcut; max pooling 3; feature map scaling
blocks 2-5     the same; a 1x1 convolution on the shortcut of block 2                                  256       26
embedding      norm, leaky ReLU; GRU of 1024, state after the last frame; linear                       1024
=============  ======================================================================================  ========  ======

Source: Jung et al., "Improved RawNet with feature map scaling for text-independent speaker verification using raw waveforms", Interspeech 2020;
https://github.com/Jungjee/RawNet, python/RawNet2.  Of the two definitions published there, ``model_RawNet2.py`` is the default; with
``unused_first_norms`` the network is that of ``Pre-trained_model/model_RawNet2_original_code.py``, to which the published weights belong: there the
first norm of each block is skipped.  In training embeddings are brought to length 10 before the last layer: the loss' option ``embedding_norm``.
Deviations: none in what is computed with the published length.  The gains and offsets of each sample are why the network takes utterances of that
length only; with ``fixed_samples: null`` it has none (a single gain would be undone by the norm behind the filters, which hardly pass an offset),
utterances may be of any length, and batches may be padded, masked so that each utterance is computed as if alone: 6,996,480 parameters.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import (
    FeatureMapScaling,
    check_sizes,
    max_pool,
    mean_over_frames,
    real_frames,
    unused,
    variance_over_frames,
)
from steps.models.layers.rawnet import (
    LEAK,
    GruEmbedding,
    PreActivationBlock,
    initialise,
    through_blocks,
)
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end
from utils.features.sinc import SincBank

FRONT_END = {"name": "waveform", "scale": "peak"}


class RawNet2(EmbeddingNetwork):
    """RawNet2; the defaults are the published network of 7,114,578 parameters, of which 118,098 are gains and offsets of samples.

    Parameters
    ----------
    fixed_samples : int or None
        Length of all utterances; None: any length, without gains and offsets of samples.
    sinc_filters, sinc_samples : int
        Number and length of the sinc filters.
    block_channels : list of int
        Channels of each block.
    gru_states, embedding_dim : int
        Size of the GRU's state and of the embedding.
    unused_first_norms : bool
        Whether the first norm of each block is there and not used, as in the code that the published weights were trained with.
    front_end : dict
        A front end's name and options, one feature per sample; None: the waveform divided by its largest magnitude.

    Attributes
    ----------
    fixed_samples : int or None
        As given; then ``batching`` is ``fixed_samples``, else ``masked``.
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
        fewest = sinc_samples - 1 + 3 ** (1 + len(block_channels))
        if fixed_samples is not None and fixed_samples < fewest:
            raise ValueError(
                f"fixed_samples is {fixed_samples}; {len(block_channels)} blocks after filters of {sinc_samples} need {fewest} or more"
            )
        super().__init__(
            front_end=make_front_end(FRONT_END if front_end is None else front_end),
            spec_augment=None,
            embedding_dim=embedding_dim,
            min_frames=fixed_samples or fewest,
        )
        self.fixed_samples = fixed_samples
        self.batching = "masked" if fixed_samples is None else "fixed_samples"
        self.waveform_norm = WaveformNorm(fixed_samples)
        self.sinc = SincBank(
            num_filters=sinc_filters,
            kernel_samples=sinc_samples,
            sample_rate_hz=self.sample_rate_hz,
        )
        self.norm = nn.BatchNorm1d(sinc_filters)
        first_norm: Literal["used", "unused"] = "unused" if unused_first_norms else "used"
        self.blocks = nn.ModuleList(
            PreActivationBlock(
                before,
                after,
                first_norm=first_norm if number else "none",
                scaling=FeatureMapScaling(after),
            )
            for number, (before, after) in enumerate(
                zip((sinc_filters, *block_channels), block_channels, strict=False)
            )
        )
        self.embedding = GruEmbedding(block_channels[-1], gru_states, embedding_dim)
        self.without_gradient = unused(self)
        self.apply(initialise)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Waveforms to embeddings.

        Parameters
        ----------
        features_BTF : (B, T, 1) float tensor
            The samples.
        num_frames_B : (B,) int tensor
            Samples of each utterance; all the same in training.

        Returns
        -------
        (B, E) float32 tensor
            Not length-normalised.

        Raises
        ------
        ValueError
            Utterances that are not of the fixed length.
        """
        if self.fixed_samples is not None and bool((num_frames_B != self.fixed_samples).any()):
            raise ValueError(
                f"utterances of {int(num_frames_B.min())} to {int(num_frames_B.max())} samples; this network takes {self.fixed_samples}"
            )
        num_samples_B = real_frames(
            num_frames_B, features_BTF.shape[1], features_BTF.device, self.training
        )
        x_BS = self.waveform_norm(features_BTF[..., 0], num_samples_B)
        num_real_B = None if num_samples_B is None else self.sinc.num_frames(num_samples_B)
        x_BCT, num_real_B = max_pool(self.sinc(x_BS).abs(), num_real_B, 3)
        return self.embedding(
            *through_blocks(self.blocks, F.leaky_relu(self.norm(x_BCT), LEAK), num_real_B)
        )


class WaveformNorm(nn.Module):
    """Mean 0 and standard deviation 1 over an utterance's samples; then, with a fixed length, a gain and an offset for each; float32 under autocast.

    Parameters
    ----------
    fixed_samples : int or None
        Length of all utterances.
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
            x_B1S = x_BS[:, None].double()  # float32 sums would differ with the padding's length
            mean_B11 = mean_over_frames(x_B1S, num_samples_B)
            deviation_B11 = variance_over_frames(x_B1S, num_samples_B).sqrt() + 1e-6
            x_BS = ((x_B1S - mean_B11) / deviation_B11)[:, 0].float()
            return x_BS if self.fixed_samples is None else x_BS * self.gain_S + self.offset_S
