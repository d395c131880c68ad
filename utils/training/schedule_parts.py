"""What schedules count in: how far a training is, and lengths that are given as a part of it, in epochs or in steps."""

from typing import NamedTuple


class Moment(NamedTuple):
    """How far a training is.

    Attributes
    ----------
    step : int
        Steps done, from 0 on.
    total_steps : int
        Length of the training.
    steps_per_epoch : float
        Need not be whole.
    """

    step: int
    total_steps: int
    steps_per_epoch: float = 1.0

    @property
    def fraction(self) -> float:
        """Steps done over all steps, in [0, 1]."""
        return self.step / self.total_steps


class Span:
    """A length of training.

    Parameters
    ----------
    name : str
        Of the options, for messages: ``warmup`` for ``warmup_fraction``.
    fraction : float
        Part of all steps, in [0, 1].
    epochs, steps : float or None, int or None
        In place of the fraction, 0 or more; one of the two.
    """

    def __init__(self, name: str, fraction: float, epochs: float | None, steps: int | None):
        check_fractions(**{f"{name}_fraction": fraction})
        if epochs is not None and steps is not None:
            raise ValueError(f"{name}_epochs and {name}_steps: expected one of the two at most")
        for unit, value in (("epochs", epochs), ("steps", steps)):
            if value is not None and value < 0:
                raise ValueError(f"{name}_{unit} is {value}, expected 0 or more")
        self.part, self.num_epochs, self.num_steps = fraction, epochs, steps

    def steps(self, at: Moment) -> float:
        """The length in steps.

        Parameters
        ----------
        at : Moment
            Of this training.
        """
        if self.num_steps is not None:
            return self.num_steps
        return self.part * at.total_steps if self.num_epochs is None else self.num_epochs * at.steps_per_epoch

    def fraction(self, at: Moment) -> float:
        """The length as a part of the whole training.

        Parameters
        ----------
        at : Moment
            Of this training.
        """
        given = self.num_epochs is None and self.num_steps is None
        return self.part if given else self.steps(at) / at.total_steps


def interval(name: str, epochs: float | None, steps: int | None) -> Span:
    """A length that repeats itself, which has to be given.

    Parameters
    ----------
    name : str
        Of the options, for messages.
    epochs, steps : float or None, int or None
        One of the two, above 0.

    Raises
    ------
    ValueError
        None, both, or not above 0.
    """
    if (epochs is None) == (steps is None):
        raise ValueError(f"{name}_epochs and {name}_steps: expected one of the two")
    unit, value = ("epochs", epochs) if steps is None else ("steps", steps)
    if value <= 0:
        raise ValueError(f"{name}_{unit} is {value}, expected more than 0")
    return Span(name, 0.0, epochs, steps)


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
