"""ResNet34 over filterbanks, with mean and standard deviation over frames.

The full size; features x frames x channels for 200 frames.  Every convolution is 3x3, has no bias
and is followed by batch normalisation; a block is two of them around a shortcut.

=========  =======================================  ========  ==========
stage      layers                                   channels  output
=========  =======================================  ========  ==========
conv       3x3, ReLU                                32        80x200x32
stage 1    3 blocks                                 32        80x200x32
stage 2    4 blocks, stride 2                       64        40x100x64
stage 3    6 blocks, stride 2                       128       20x50x128
stage 4    3 blocks, stride 2                       256       10x25x256
pooling    mean and standard deviation over frames            5120
embedding  linear                                             256
=========  =======================================  ========  ==========

Source: WeSpeaker's ResNet34 (Wang et al., "WeSpeaker: a research and production oriented speaker
embedding learning toolkit", ICASSP 2023), after He et al., "Deep residual learning for image
recognition", CVPR 2016.  Deviation: padded batches are masked, each utterance is computed as if
alone.

Shapes: ``B`` batch, ``C`` channels, ``F`` features, ``T`` frames, ``E`` embedding.
"""

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import check_sizes, real_frames
from steps.models.layers.maps import (
    BasicBlock,
    divide_rounding_up,
    masked,
    real_mask,
    to_channels_last,
)
from steps.models.layers.pooling import statistics_over_frames
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end, make_spec_augment

FRONT_END = {"name": "kaldi_fbank", "num_mel_bins": 80, "normalisation": "utterance_mean"}


class ResNet34(EmbeddingNetwork):
    """ResNet of basic blocks; the defaults are WeSpeaker's ResNet34.

    Parameters
    ----------
    channels : int
        Channels of the first convolution and stage; each further stage has twice as many.
    blocks : list of int
        Blocks of each stage; each but the first stage halves the features and the frames.
    embedding_dim : int
        Size of the embedding.
    front_end : dict
        A front end's name and options; None: Kaldi's filterbank of 80 less its mean over the
        utterance.
    spec_augment : dict
        Options of SpecAugment; None: none.
    """

    def __init__(
        self,
        *,
        channels: int = 32,
        blocks: tuple[int, ...] = (3, 4, 6, 3),
        embedding_dim: int = 256,
        front_end: dict | None = None,
        spec_augment: dict | None = None,
    ) -> None:
        check_sizes(channels=channels, blocks=blocks, embedding_dim=embedding_dim)
        if front_end is None:
            front_end = FRONT_END
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=make_spec_augment(spec_augment),
            embedding_dim=embedding_dim,
            min_frames=2 ** (len(blocks) - 1) + 1,  # two are left for the standard deviation
        )
        self.conv = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.blocks = nn.ModuleList()
        in_channels, height = channels, self.front_end.num_bins
        for stage, count in enumerate(blocks):
            out_channels = channels * 2**stage
            for block in range(count):
                stride = 1
                if stage > 0 and block == 0:
                    stride = 2
                self.blocks.append(BasicBlock(in_channels, out_channels, stride=stride))
                in_channels, height = out_channels, divide_rounding_up(height, stride)
        self.embedding = nn.Linear(2 * in_channels * height, embedding_dim)
        to_channels_last(self)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Filterbanks to embeddings, not length-normalised."""
        num_real_B = real_frames(num_frames_B, features_BTF, self.training)
        mask_BT = real_mask(num_real_B, features_BTF.shape[1])
        x_BCFT = self.conv(features_BTF.transpose(1, 2)[:, None])
        x_BCFT = masked(F.relu(self.norm(x_BCFT)), mask_BT)
        for block in self.blocks:
            assert isinstance(block, BasicBlock)
            if num_real_B is not None and block.stride > 1:
                num_real_B = (num_real_B + block.stride - 1) // block.stride
                max_frames = divide_rounding_up(x_BCFT.shape[3], block.stride)
                mask_BT = real_mask(num_real_B, max_frames)
            x_BCFT = block(x_BCFT, mask_BT)
        x_BNT = x_BCFT.flatten(1, 2)
        statistics_BN = statistics_over_frames(x_BNT, num_real_B, variance_offset=1e-7)
        return self.embedding(statistics_BN).float()
