"""Losses that stand alone or as a part of a weighted sum, by name."""

from torch import nn

from steps.losses.center import Center
from steps.losses.classification import AdditiveAngularMarginSoftmax, AdditiveMarginSoftmax, Softmax
from steps.losses.ge2e import GeneralizedEndToEnd
from steps.losses.prototypical import AngularPrototypical, Prototypical
from steps.losses.triplet import Triplet

PARTS: dict[str, type[nn.Module]] = {
    "softmax": Softmax,
    "am_softmax": AdditiveMarginSoftmax,
    "aam_softmax": AdditiveAngularMarginSoftmax,
    "center": Center,
    "triplet": Triplet,
    "ge2e": GeneralizedEndToEnd,
    "prototypical": Prototypical,
    "angular_prototypical": AngularPrototypical,
}
