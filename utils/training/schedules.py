"""Schedules of learning rate and margin, for the section `schedule` of a training YAML.

`Moment` is the progress of a training, `Span` a length of it; `SCHEDULES` has the schedules by
name.  They are pure functions of the step: there is no state to save, so a resumed run equals an
uninterrupted one.
"""

import math
from typing import Any, Literal, NamedTuple


class Moment(NamedTuple):
    """The progress of a training."""

    step: int  # steps done
    total_steps: int
    steps_per_epoch: float = 1.0  # need not be whole

    @property
    def fraction(self) -> float:
        """Steps done over all steps, in [0, 1]."""
        return self.step / self.total_steps


class Span:
    """A length of training: a fraction of all steps, or epochs, or steps.

    ``name`` is the prefix of the options in messages: ``warmup`` of ``warmup_fraction``.
    """

    def __init__(self, name: str, fraction: float, epochs: float | None, steps: int | None):
        _check_fractions(**{f"{name}_fraction": fraction})
        if epochs is not None and steps is not None:
            raise ValueError(f"{name}_epochs and {name}_steps: expected one of the two at most")
        for unit, value in (("epochs", epochs), ("steps", steps)):
            if value is not None and value < 0:
                raise ValueError(f"{name}_{unit} is {value}, expected 0 or more")
        self.part, self.num_epochs, self.num_steps = fraction, epochs, steps

    def steps(self, at: Moment) -> float:
        """The length in steps."""
        if self.num_steps is not None:
            return self.num_steps
        if self.num_epochs is not None:
            return self.num_epochs * at.steps_per_epoch
        return self.part * at.total_steps

    def fraction(self, at: Moment) -> float:
        """The length as a fraction of the whole training."""
        if self.num_epochs is None and self.num_steps is None:
            return self.part
        return self.steps(at) / at.total_steps


class Schedule:
    """A constant learning rate after a linear warm-up, and a margin that may rise; base class.

    Parameters
    ----------
    warmup_fraction, warmup_epochs, warmup_steps : float, float or None, int or None
        Length of the warm-up: a fraction of all steps, in [0, 1); or epochs, or steps.
    warmup_from : float
        Fraction of the rate at which the warm-up begins, in [0, 1].
    margin_start_fraction, margin_start_epochs, margin_start_steps : as of the warm-up
        When the margin of a margin loss begins to rise from 0.
    margin_warmup_fraction, margin_warmup_epochs, margin_warmup_steps : as of the warm-up
        How long it rises; 0: it is full from the first step, whatever the start.
    margin_growth : {"linear", "exponential"}
        ``exponential``: the distance to the full margin falls to a thousandth over the rise,
        fastest at first.
    """

    def __init__(
        self,
        *,
        warmup_fraction: float = 0.0,
        warmup_epochs: float | None = None,
        warmup_steps: int | None = None,
        warmup_from: float = 0.0,
        margin_start_fraction: float = 0.0,
        margin_start_epochs: float | None = None,
        margin_start_steps: int | None = None,
        margin_warmup_fraction: float = 0.0,
        margin_warmup_epochs: float | None = None,
        margin_warmup_steps: int | None = None,
        margin_growth: Literal["linear", "exponential"] = "linear",
    ):
        _check_fractions(warmup_from=warmup_from)
        self.warmup = Span("warmup", warmup_fraction, warmup_epochs, warmup_steps)
        if warmup_fraction == 1:
            raise ValueError("warmup_fraction is 1: nothing is left to train at the peak")
        self.margin_start = Span(
            "margin_start", margin_start_fraction, margin_start_epochs, margin_start_steps
        )
        self.margin_warmup = Span(
            "margin_warmup", margin_warmup_fraction, margin_warmup_epochs, margin_warmup_steps
        )
        self.warmup_from, self.margin_growth = warmup_from, margin_growth

    def rate(self, at: Moment) -> float:
        """Factor of the peak learning rate."""
        warm = self.warmup.fraction(at)
        if at.fraction < warm:
            risen = self.warmup_from + (1 - self.warmup_from) * (at.fraction / warm)
            return risen * self.decay(at)
        return self.decay(at)

    def decay(self, at: Moment) -> float:
        """The factor without the warm-up: 1."""
        return 1.0

    def margin(self, at: Moment) -> float:
        """Factor of the margin of the loss."""
        length = self.margin_warmup.fraction(at)
        if not length:
            return 1.0
        done = min(1.0, max(0.0, at.fraction - self.margin_start.fraction(at)) / length)
        if self.margin_growth == "linear" or done in (0, 1):
            return done
        return 1 - 0.001**done


class Cosine(Schedule):
    """Linear warm-up, then half a cosine down to a fraction of the peak.

    Parameters
    ----------
    warmup_fraction : float
        See `Schedule`.
    final_fraction : float
        Learning rate at the last step, as a fraction of the peak, in [0, 1].
    **options
        See `Schedule`.
    """

    def __init__(
        self, *, warmup_fraction: float = 0.05, final_fraction: float = 0.01, **options: Any
    ):
        super().__init__(warmup_fraction=warmup_fraction, **options)
        _check_fractions(final_fraction=final_fraction)
        self.final_fraction = final_fraction

    def decay(self, at: Moment) -> float:
        """Half a cosine from the end of the warm-up to the last step."""
        warm = self.warmup.fraction(at)
        if at.fraction < warm:
            return 1.0
        done = (at.fraction - warm) / (1 - warm)
        return self.final_fraction + (1 - self.final_fraction) * _half_cosine(done)


class CosineRestarts(Schedule):
    """Cycles of a linear warm-up to a peak and a fall from it; all begin and end at one rate.

    Parameters
    ----------
    cycle_epochs, cycle_steps : float or None, int or None
        Length of the first cycle, its warm-up included: one of the two.
    cycle_growth : float
        Length of a cycle relative to the one before, both without warm-up; 1 or more.
    peak_factor : float
        Peak of a cycle relative to the one before, in [0, 1].
    final_fraction : float
        Where each cycle begins and ends, as a fraction of the first peak, in [0, 1].
    fall : {"cosine", "linear"}
        Half a cosine, or a straight line: with a warm-up of half the cycle, triangles.
    **options
        See `Schedule`; ``warmup_from`` has no effect.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017;
    warm-up and falling peaks as in the training of MR-RawNet.
    """

    def __init__(
        self,
        *,
        cycle_epochs: float | None = None,
        cycle_steps: int | None = None,
        cycle_growth: float = 1.0,
        peak_factor: float = 1.0,
        final_fraction: float = 0.0,
        fall: Literal["cosine", "linear"] = "cosine",
        **options: Any,
    ):
        super().__init__(**options)
        _check_fractions(peak_factor=peak_factor, final_fraction=final_fraction)
        if cycle_growth < 1:
            raise ValueError(f"cycle_growth is {cycle_growth}, expected 1 or more")
        self.cycle = _interval("cycle", cycle_epochs, cycle_steps)
        self.cycle_growth, self.peak_factor = cycle_growth, peak_factor
        self.final_fraction, self.fall = final_fraction, fall

    def rate(self, at: Moment) -> float:
        """Factor of the first peak."""
        length, warm = self.cycle.steps(at), self.warmup.steps(at)
        if warm >= length:
            raise ValueError(
                f"a cycle of {length:g} steps is not longer than its warm-up of {warm:g}"
            )
        begin, peak = 0.0, 1.0
        # the first step of a cycle may lie a rounding error before it
        while at.step - begin >= length - 1e-6:
            begin += length
            length = warm + (length - warm) * self.cycle_growth
            peak *= self.peak_factor
        done = max(0.0, at.step - begin)
        height = max(0.0, peak - self.final_fraction)
        if done < warm:
            return self.final_fraction + height * done / warm
        fallen = (done - warm) / (length - warm)
        left = 1 - fallen
        if self.fall == "cosine":
            left = _half_cosine(fallen)
        return self.final_fraction + height * left


class TimeDecay(Schedule):
    """1 / (1 + decay_per_step * steps), as in Keras' optimisers.

    Parameters
    ----------
    decay_per_step : float
        Above 0.
    **options
        See `Schedule`.
    """

    def __init__(self, *, decay_per_step: float, **options: Any):
        super().__init__(**options)
        if decay_per_step <= 0:
            raise ValueError(f"decay_per_step is {decay_per_step}, expected more than 0")
        self.decay_per_step = decay_per_step

    def decay(self, at: Moment) -> float:
        """By the steps done."""
        return 1 / (1 + self.decay_per_step * at.step)


class StepDecay(Schedule):
    """The rate is multiplied by a factor after every so many steps or epochs.

    Parameters
    ----------
    every_epochs, every_steps : float or None, int or None
        The interval, above 0: one of the two.
    factor : float
        In [0, 1].
    **options
        See `Schedule`.
    """

    def __init__(
        self,
        *,
        every_epochs: float | None = None,
        every_steps: int | None = None,
        factor: float = 0.5,
        **options: Any,
    ):
        super().__init__(**options)
        _check_fractions(factor=factor)
        self.every = _interval("every", every_epochs, every_steps)
        self.factor = factor

    def decay(self, at: Moment) -> float:
        """The factor to the power of the number of completed intervals."""
        return self.factor ** math.floor(at.step / self.every.steps(at) + 1e-9)


class Exponential(Schedule):
    """From 1 to a fraction of the peak, by the same factor in every step.

    Parameters
    ----------
    final_fraction : float
        Learning rate at the end, as a fraction of the peak, above 0 and at most 1.
    **options
        See `Schedule`; the rate falls during the warm-up, too.
    """

    def __init__(self, *, final_fraction: float = 0.001, **options: Any):
        super().__init__(**options)
        if not 0 < final_fraction <= 1:
            raise ValueError(f"final_fraction is {final_fraction}, expected above 0 and at most 1")
        self.final_fraction = final_fraction

    def decay(self, at: Moment) -> float:
        """The final fraction to the power of the share of steps done."""
        return self.final_fraction**at.fraction


class VggRestart(Schedule):
    """Xie et al.'s steps: a short warm-up, then 1, 0.1 and 0.01 of the peak, twice.

    The rate falls at 0.5 and 0.8 of the first half of the training; the second half repeats it.

    Parameters
    ----------
    warmup_factor : float
        Fraction of the peak in the warm-up, in [0, 1] (published option ``warmup_ratio``).
    warmup_epochs : int
        Length of the warm-up, 0 or more.
    epochs : int
        Number of epochs that the milestones are rounded to, as the published code does.

    References
    ----------
    Xie et al., "Utterance-level aggregation for speaker recognition in the wild", ICASSP 2019;
    its training code.
    """

    def __init__(self, *, warmup_factor: float = 0.1, warmup_epochs: int = 2, epochs: int = 128):
        super().__init__()
        _check_fractions(warmup_factor=warmup_factor)
        if epochs < 10:
            raise ValueError(f"epochs is {epochs}; the milestones of this schedule need 10 or more")
        half = epochs // 2
        first, second = int(0.5 * half), int(0.8 * half)
        if not 0 <= warmup_epochs <= first:
            raise ValueError(
                f"warmup_epochs is {warmup_epochs}, expected from 0 to {first}, "
                "where the rate falls first"
            )
        self.epochs = epochs
        self.milestones = [
            (warmup_epochs, warmup_factor),
            (first, 1.0),
            (second, 0.1),
            (half, 0.01),
            (half + first, 1.0),
            (half + second, 0.1),
            (epochs, 0.01),
        ]

    def decay(self, at: Moment) -> float:
        """The factor of the present part; milestones are the end and the factor of each part."""
        # the division in the fraction may leave the first step of an epoch just before it
        epoch = at.fraction * self.epochs + 1e-9
        for end, factor in self.milestones:
            if epoch < end:
                return factor
        return self.milestones[-1][1]


def _interval(name: str, epochs: float | None, steps: int | None) -> Span:
    """A required length above 0, in epochs or steps."""
    if (epochs is None) == (steps is None):
        raise ValueError(f"{name}_epochs and {name}_steps: expected one of the two")
    for unit, value in (("epochs", epochs), ("steps", steps)):
        if value is not None and value <= 0:
            raise ValueError(f"{name}_{unit} is {value}, expected more than 0")
    return Span(name, 0.0, epochs, steps)


def _half_cosine(done: float) -> float:
    """Half a cosine: from 1 to 0 as ``done`` goes from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * done))


def _check_fractions(**fractions: float) -> None:
    """Refuse values outside [0, 1]."""
    for name, value in fractions.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}, expected a fraction from 0 to 1")


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Schedule,
    "cosine": Cosine,
    "cosine_restarts": CosineRestarts,
    "exponential": Exponential,
    "step_decay": StepDecay,
    "time_decay": TimeDecay,
    "vgg_restart": VggRestart,
}
