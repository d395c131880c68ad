"""Learning rate and margin as pure functions of the training step: no state to save, so a resumed run cannot part from an undisturbed one."""

import math
from collections.abc import Callable


class Cosine:
    """Linear warm-up from zero, then half a cosine down to a fraction of the peak.

    Parameters
    ----------
    warmup_fraction : float
        Part of the steps that is warm-up, in [0, 1).
    final_fraction : float
        Learning rate at the last step, as a fraction of the peak, in [0, 1].
    margin_warmup_fraction : float
        Part of the steps over which a margin loss' margin rises linearly from 0, in [0, 1].
    """

    def __init__(self, *, warmup_fraction: float = 0.05, final_fraction: float = 0.01, margin_warmup_fraction: float = 0.0):
        check_fractions(warmup_fraction=warmup_fraction, final_fraction=final_fraction, margin_warmup_fraction=margin_warmup_fraction)
        if warmup_fraction == 1:
            raise ValueError("warmup_fraction is 1: nothing is left to train at the peak")
        self.warmup_fraction, self.final_fraction, self.margin_warmup_fraction = warmup_fraction, final_fraction, margin_warmup_fraction

    def rate(self, progress: float) -> float:
        """Factor of the peak learning rate.

        Parameters
        ----------
        progress : float
            Steps done over all steps, in [0, 1).
        """
        if progress < self.warmup_fraction:
            return progress / self.warmup_fraction
        done = (progress - self.warmup_fraction) / (1 - self.warmup_fraction)
        return self.final_fraction + (1 - self.final_fraction) * 0.5 * (1 + math.cos(math.pi * done))

    def margin(self, progress: float) -> float:
        """Factor of the loss' margin.

        Parameters
        ----------
        progress : float
            Steps done over all steps, in [0, 1).
        """
        return min(1.0, progress / self.margin_warmup_fraction) if self.margin_warmup_fraction else 1.0


class VggRestart:
    """Xie et al.'s steps: a short warm-up, then 1, 0.1 and 0.01 of the peak, falling at 0.5 and 0.8 of the first half; the second half repeats them.

    Parameters
    ----------
    warmup_factor : float
        Part of the peak in the warm-up, in [0, 1] (``warmup_ratio`` of the published command).
    warmup_epochs : int
        Length of the warm-up, 0 or more.
    epochs : int
        Number of epochs that the milestones are rounded to, as the published code does.

    References
    ----------
    Xie et al., "Utterance-level aggregation for speaker recognition in the wild", ICASSP 2019; its training code.
    """

    def __init__(self, *, warmup_factor: float = 0.1, warmup_epochs: int = 2, epochs: int = 128):
        check_fractions(warmup_factor=warmup_factor)
        if epochs < 10:
            raise ValueError(f"epochs is {epochs}; the milestones of this schedule need 10 or more")
        half = epochs // 2
        first, second = int(0.5 * half), int(0.8 * half)
        if not 0 <= warmup_epochs <= first:
            raise ValueError(f"warmup_epochs is {warmup_epochs}, expected from 0 to {first}, where the rate falls first")
        self.epochs = epochs
        self.milestones = [(warmup_epochs, warmup_factor), (first, 1.0), (second, 0.1), (half, 0.01), (half + first, 1.0), (half + second, 0.1),
                           (epochs, 0.01)]

    def rate(self, progress: float) -> float:
        """Factor of the peak learning rate.

        Parameters
        ----------
        progress : float
            Steps done over all steps, in [0, 1).
        """
        epoch = progress * self.epochs + 1e-9  # the division in progress may leave the first step of an epoch just before it
        return next((factor for end, factor in self.milestones if epoch < end), self.milestones[-1][1])

    def margin(self, progress: float) -> float:
        """Factor of the loss' margin: always whole.

        Parameters
        ----------
        progress : float
            Makes no difference.
        """
        return 1.0


SCHEDULES: dict[str, Callable] = {"cosine": Cosine, "vgg_restart": VggRestart}


def check_fractions(**fractions: float) -> None:
    """Refuse what is not in [0, 1].

    Parameters
    ----------
    **fractions : float
        Name -> value.

    Raises
    ------
    ValueError
        Names the first value outside.
    """
    for name, value in fractions.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}, expected a fraction from 0 to 1")
