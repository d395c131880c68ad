"""What a training logs besides its history."""

from utils.training.log import Pace


def test_the_pace_is_that_of_the_steps_since_the_last_reading():
    pace = Pace(batch_size=12)
    pace.count_step(seconds=1.0, waited_seconds=0.5)
    pace.count_step(seconds=2.0, waited_seconds=0.25)
    assert pace.read() == {"data_wait_fraction": 0.25, "crops_per_second": 8.0}
    pace.count_step(seconds=0.5, waited_seconds=0.5)
    assert pace.read() == {"data_wait_fraction": 1.0, "crops_per_second": 24.0}
