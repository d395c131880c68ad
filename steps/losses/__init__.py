"""Losses by name: each is called with (embeddings, labels) and gives the loss and the number of right answers.

What a trainer may find on a loss beside its weights: ``margin``, which a schedule may set between steps; ``batch_shape``, present where the rows of a
batch have to be N speakers x M utterances; ``gradient_scales``, factors of the gradients of the parameters named there, applied after clipping.
"""

from torch import nn

from steps.losses.parts import PARTS
from steps.losses.weighted_sum import WeightedSum

LOSSES: dict[str, type[nn.Module]] = PARTS | {"weighted_sum": WeightedSum}
