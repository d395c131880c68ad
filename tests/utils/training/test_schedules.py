"""Learning rates and margins against values worked out by hand."""

import math

import pytest

from utils.config import build
from utils.errors import UserError
from utils.training.schedules import (
    SCHEDULES,
    Cosine,
    CosineRestarts,
    Exponential,
    Moment,
    Schedule,
    StepDecay,
    TimeDecay,
    VggRestart,
)


def at(fraction):
    """So far through the training."""
    return Moment(round(fraction * 10**6), 10**6)


def rates(schedule, steps, total=1000, steps_per_epoch=10):
    return [schedule.rate(Moment(step, total, steps_per_epoch)) for step in steps]


@pytest.mark.parametrize(
    ("progress", "rate"),
    [
        (0, 0),
        (0.05, 0.5),
        (0.1, 1),
        (0.55, 0.505),
        (0.1 + 0.9 / 3, 0.01 + 0.99 * 0.75),
        (0.1 + 0.9 * 2 / 3, 0.01 + 0.99 * 0.25),
        (1, 0.01),
    ],
)
def test_cosine_rises_linearly_and_falls_as_half_a_cosine(progress, rate):
    assert Cosine(warmup_fraction=0.1, final_fraction=0.01).rate(at(progress)) == pytest.approx(
        rate, abs=1e-6
    )


def test_cosine_without_warm_up_begins_at_the_peak():
    schedule = Cosine(warmup_fraction=0, final_fraction=0)
    assert schedule.rate(at(0)) == 1
    assert schedule.rate(at(0.5)) == pytest.approx(0.5)
    assert schedule.rate(at(0.25)) == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_the_margin_rises_linearly():
    schedule = Cosine(margin_warmup_fraction=0.4)
    assert [schedule.margin(at(progress)) for progress in (0, 0.1, 0.4, 0.9)] == pytest.approx(
        [0, 0.25, 1, 1]
    )
    assert Cosine().margin(at(0)) == 1
    assert VggRestart().margin(at(0)) == 1


# Xie et al.: 128 epochs in their README; for 56 epochs the milestones are 14, 22, 28, 42, 50, 56
@pytest.mark.parametrize(
    ("epochs", "spans"),
    [
        (
            128,
            [
                (0, 1, 0.1),
                (2, 31, 1),
                (32, 50, 0.1),
                (51, 63, 0.01),
                (64, 95, 1),
                (96, 114, 0.1),
                (115, 127, 0.01),
            ],
        ),
        (
            56,
            [
                (0, 1, 0.1),
                (2, 13, 1),
                (14, 21, 0.1),
                (22, 27, 0.01),
                (28, 41, 1),
                (42, 49, 0.1),
                (50, 55, 0.01),
            ],
        ),
    ],
)
def test_vgg_restart_has_the_published_milestones(epochs, spans):
    assert spans[-1][1] == epochs - 1
    schedule = VggRestart(epochs=epochs)
    for first, last, factor in spans:
        for epoch in range(first, last + 1):
            assert schedule.rate(Moment(1000 * epoch, 1000 * epochs)) == factor, (
                f"first step of epoch {epoch}"
            )
            assert schedule.rate(Moment(1000 * epoch + 999, 1000 * epochs)) == factor, (
                f"last step of epoch {epoch}"
            )


@pytest.mark.parametrize("steps_per_epoch", [7, 133, 6823])
def test_vgg_restart_changes_at_the_first_step_of_an_epoch(steps_per_epoch):
    schedule, total = VggRestart(epochs=128), 128 * steps_per_epoch
    for epoch in (2, 32, 51, 64, 96, 115):
        first = epoch * steps_per_epoch
        assert schedule.rate(Moment(first, total)) == schedule.rate(Moment(first + 3, total))
        assert schedule.rate(Moment(first - 1, total)) != schedule.rate(Moment(first, total))


@pytest.mark.parametrize(
    ("warmup", "length"),
    [({"warmup_fraction": 0.1}, 100), ({"warmup_epochs": 4}, 40), ({"warmup_steps": 40}, 40)],
)
@pytest.mark.parametrize("kind", [Schedule, Cosine, Exponential, StepDecay, TimeDecay])
def test_every_schedule_warms_up_by_fraction_epochs_or_steps(kind, warmup, length):
    needed = {
        StepDecay: {"every_steps": 10**6},
        TimeDecay: {"decay_per_step": 1e-9},
        Exponential: {"final_fraction": 1.0},
    }.get(kind, {})
    schedule = kind(**needed, **warmup, warmup_from=0.2)
    assert rates(schedule, [0, length // 4, length // 2, length]) == pytest.approx(
        [0.2, 0.4, 0.6, 1.0], rel=1e-6
    )


def test_constant_stays():
    assert rates(Schedule(), [0, 1, 999]) == [1, 1, 1]


def test_time_decay_is_that_of_keras():
    assert rates(TimeDecay(decay_per_step=1e-4), [0, 1, 10000, 30000], 10**6) == pytest.approx(
        [1, 1 / 1.0001, 1 / 2, 1 / 4]
    )


def test_step_decay_halves_every_so_many_steps_or_epochs():
    assert rates(StepDecay(every_steps=100), [0, 99, 100, 199, 200, 900]) == [
        1,
        1,
        0.5,
        0.5,
        0.25,
        2**-9,
    ]
    assert rates(StepDecay(every_epochs=10, factor=0.75), [0, 99, 100, 200]) == [
        1,
        1,
        0.75,
        0.75**2,
    ]
    for steps_per_epoch in (7, 133 / 3, 6823 / 7):  # an epoch need not be a whole number of steps
        schedule, tenth = StepDecay(every_epochs=10), math.ceil(10 * steps_per_epoch - 1e-9)
        assert rates(schedule, [tenth - 1, tenth], 10**6, steps_per_epoch) == [1, 0.5]


def test_exponential_falls_by_the_same_factor():
    assert rates(Exponential(final_fraction=0.01), [0, 250, 500, 1000]) == pytest.approx(
        [1, 0.01**0.25, 0.1, 0.01]
    )


def test_cosine_restarts_warm_up_in_each_cycle_and_fall_from_lower_peaks():
    """MR-RawNet's: 3e-6 to 5e-4 in one epoch, 60 epochs a cycle, the second one to half of it."""
    schedule = CosineRestarts(
        cycle_epochs=60, warmup_epochs=1, peak_factor=0.5, final_fraction=0.006
    )
    found = rates(schedule, [0, 5, 10, 10 + 295, 600, 605, 610, 610 + 295], 1200)
    assert found == pytest.approx([0.006, 0.503, 1, 0.503, 0.006, 0.253, 0.5, 0.253])
    growing = CosineRestarts(cycle_steps=100, cycle_growth=2)
    assert rates(growing, [0, 50, 100, 200, 300, 500], 700) == pytest.approx(
        [1, 0.5, 1, 0.5, 1, 0.5]
    )


def test_restarts_may_be_triangles():
    schedule = CosineRestarts(
        cycle_steps=100, warmup_steps=50, peak_factor=0.5, fall="linear", final_fraction=0.1
    )
    assert rates(schedule, [0, 25, 50, 75, 100, 150, 175], 200) == pytest.approx(
        [0.1, 0.55, 1, 0.55, 0.1, 0.5, 0.3]
    )


def test_cosine_restarts_begin_at_the_first_step_of_an_epoch():
    for steps_per_epoch in (7, 133 / 3, 6823 / 7):
        schedule, first = CosineRestarts(cycle_epochs=3), math.ceil(3 * steps_per_epoch - 1e-9)
        before, begun = rates(schedule, [first - 1, first], 10**6, steps_per_epoch)
        assert before < 0.1
        assert begun > 0.99


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"margin_warmup_fraction": 0.5}, [0, 0.4, 1, 1]),
        ({"margin_start_fraction": 0.2, "margin_warmup_fraction": 0.4}, [0, 0, 0.75, 1]),
        ({"margin_start_epochs": 20, "margin_warmup_epochs": 20}, [0, 0, 1, 1]),
        ({"margin_start_steps": 100, "margin_warmup_steps": 800}, [0, 0.125, 0.5, 1]),
        ({"margin_warmup_steps": 400, "margin_growth": "exponential"}, [0, 1 - 0.001**0.5, 1, 1]),
    ],
)
def test_the_margin_rises_between_fractions_epochs_or_steps(options, expected):
    for schedule in (Schedule(**options), Cosine(**options), StepDecay(every_steps=5, **options)):
        assert [
            schedule.margin(Moment(step, 1000, 10)) for step in (0, 200, 500, 900)
        ] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"name": "cosine", "warmup_fraction": 1.5},
            "warmup_fraction is 1.5, expected a fraction from 0 to 1",
        ),
        ({"name": "cosine", "warmup_fraction": 1}, "warmup_fraction is 1"),
        ({"name": "cosine", "final_fraction": -0.1}, "final_fraction is -0.1"),
        ({"name": "vgg_restart", "epochs": 9}, "epochs is 9"),
        (
            {"name": "vgg_restart", "epochs": 20, "warmup_epochs": 6},
            "warmup_epochs is 6, expected from 0 to 5",
        ),
        (
            {"name": "cosine", "warmup_epochs": 1, "warmup_steps": 3},
            "warmup_epochs and warmup_steps: expected one of the two at most",
        ),
        (
            {"name": "constant", "margin_warmup_steps": -1},
            "margin_warmup_steps is -1, expected 0 or more",
        ),
        ({"name": "time_decay"}, "key 'decay_per_step' is missing"),
        ({"name": "time_decay", "decay_per_step": 0}, "decay_per_step is 0.0"),
        ({"name": "step_decay"}, "every_epochs and every_steps: expected one of the two"),
        ({"name": "step_decay", "every_steps": 0}, "every_steps is 0, expected more than 0"),
        ({"name": "step_decay", "every_epochs": 1, "factor": 2}, "factor is 2.0"),
        ({"name": "exponential", "final_fraction": 0}, "final_fraction is 0.0"),
        ({"name": "cosine_restarts"}, "cycle_epochs and cycle_steps: expected one of the two"),
        (
            {"name": "cosine_restarts", "cycle_epochs": 0},
            "cycle_epochs is 0.0, expected more than 0",
        ),
        (
            {"name": "cosine_restarts", "cycle_epochs": 3, "cycle_growth": 0.5},
            "cycle_growth is 0.5, expected 1 or more",
        ),
        ({"name": "vgg_restart", "warmup_factor": 2}, "warmup_factor is 2.0"),
    ],
)
def test_impossible_values_are_refused(options, message):
    with pytest.raises(UserError, match=f"x.yaml: schedule: {message}"):
        build(SCHEDULES, options, "x.yaml: schedule")
