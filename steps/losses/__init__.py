"""Losses by name.  Each takes (embeddings, labels) and gives the loss and the number correct.

Attributes of a loss that a trainer may use beside its weights: ``margin``, which a schedule may set
between steps; ``batch_shape``, present if the rows of a batch have to be N speakers x M utterances;
``gradient_scales``, factors of the gradients of named parameters, applied after clipping.
"""

from torch import nn

from steps.losses.parts import PARTS
from steps.losses.weighted_sum import WeightedSum

LOSSES: dict[str, type[nn.Module]] = PARTS | {"weighted_sum": WeightedSum}
