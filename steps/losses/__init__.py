"""Losses by name: each is called with (embeddings, labels) and gives the mean loss and the number of right answers."""

from torch import nn

from steps.losses.classification import AdditiveAngularMarginSoftmax, AdditiveMarginSoftmax, Softmax

LOSSES: dict[str, type[nn.Module]] = {"softmax": Softmax, "am_softmax": AdditiveMarginSoftmax, "aam_softmax": AdditiveAngularMarginSoftmax}
