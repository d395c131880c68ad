"""Learning rates and margins against values worked out by hand."""

import math

import pytest

from utils.config import build
from utils.errors import UserError
from utils.schedules import SCHEDULES, Cosine, VggRestart


@pytest.mark.parametrize(("progress", "rate"), [
    (0, 0), (0.05, 0.5), (0.1, 1), (0.55, 0.505), (0.1 + 0.9 / 3, 0.01 + 0.99 * 0.75), (0.1 + 0.9 * 2 / 3, 0.01 + 0.99 * 0.25), (1, 0.01),
])
def test_cosine_rises_linearly_and_falls_as_half_a_cosine(progress, rate):
    assert Cosine(warmup_fraction=0.1, final_fraction=0.01).rate(progress) == pytest.approx(rate, abs=1e-12)


def test_cosine_without_warm_up_begins_at_the_peak():
    schedule = Cosine(warmup_fraction=0, final_fraction=0)
    assert schedule.rate(0) == 1
    assert schedule.rate(0.5) == pytest.approx(0.5)
    assert schedule.rate(0.25) == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_the_margin_rises_linearly():
    schedule = Cosine(margin_warmup_fraction=0.4)
    assert [schedule.margin(progress) for progress in (0, 0.1, 0.4, 0.9)] == pytest.approx([0, 0.25, 1, 1])
    assert Cosine().margin(0) == 1
    assert VggRestart().margin(0) == 1


# Xie et al.: 128 epochs is the regime of their README; of 56 epochs the milestones are 14, 22, 28, 42, 50, 56
@pytest.mark.parametrize(("epochs", "spans"), [
    (128, [(0, 1, 0.1), (2, 31, 1), (32, 50, 0.1), (51, 63, 0.01), (64, 95, 1), (96, 114, 0.1), (115, 127, 0.01)]),
    (56, [(0, 1, 0.1), (2, 13, 1), (14, 21, 0.1), (22, 27, 0.01), (28, 41, 1), (42, 49, 0.1), (50, 55, 0.01)]),
])
def test_vgg_restart_has_the_published_milestones(epochs, spans):
    assert spans[-1][1] == epochs - 1
    schedule = VggRestart(epochs=epochs)
    for first, last, factor in spans:
        for epoch in range(first, last + 1):
            assert schedule.rate(epoch / epochs) == factor, f"first step of epoch {epoch}"
            assert schedule.rate((epoch + 0.999) / epochs) == factor, f"last step of epoch {epoch}"


@pytest.mark.parametrize("steps_per_epoch", [7, 133, 6823])
def test_vgg_restart_changes_at_the_first_step_of_an_epoch(steps_per_epoch):
    schedule, total = VggRestart(epochs=128), 128 * steps_per_epoch
    for epoch in (2, 32, 51, 64, 96, 115):
        first = epoch * steps_per_epoch
        assert schedule.rate(first / total) == schedule.rate((first + 3) / total)
        assert schedule.rate((first - 1) / total) != schedule.rate(first / total)


@pytest.mark.parametrize(("options", "message"), [
    ({"name": "cosine", "warmup_fraction": 1.5}, "warmup_fraction is 1.5, expected a fraction from 0 to 1"),
    ({"name": "cosine", "warmup_fraction": 1}, "warmup_fraction is 1"),
    ({"name": "cosine", "final_fraction": -0.1}, "final_fraction is -0.1"),
    ({"name": "vgg_restart", "epochs": 9}, "epochs is 9"),
    ({"name": "vgg_restart", "epochs": 20, "warmup_epochs": 6}, "warmup_epochs is 6, expected from 0 to 5"),
    ({"name": "vgg_restart", "warmup_factor": 2}, "warmup_factor is 2.0"),
])
def test_impossible_values_are_refused(options, message):
    with pytest.raises(UserError, match=f"x.yaml: schedule: {message}"):
        build(SCHEDULES, options, "x.yaml: schedule")
