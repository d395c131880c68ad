"""A data directory of simulated rooms: its lists agree with its responses; the bank takes it."""

from pathlib import Path

import numpy as np
import pytest

from local.image_sources import SOUND_METRES_PER_SECOND, decay_seconds
from local.simulate_rooms import RT60_TOLERANCE, simulate_rooms
from steps.augment import augment
from utils.archive import read_scp, read_wave
from utils.data_dir import read_map, validate_data_dir
from utils.errors import UserError

RATE = 16000


@pytest.fixture(scope="module")
def rooms(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rooms") / "rirs"
    simulate_rooms(
        folder,
        rooms=6,
        responses_per_room=3,
        large_metres=(30, 40),
        rt60_seconds=(0.15, 1.0),
        seed=3,
    )
    return folder


def responses(folder: Path) -> dict[str, np.ndarray]:
    return {
        key: np.asarray(read_wave(entry)[0], float).ravel()
        for key, entry in read_scp(folder / "wav.scp").items()
    }


@pytest.mark.slow
def test_it_is_a_data_directory_of_sizes_that_take_turns(rooms):
    validate_data_dir(rooms, audio=True)
    utt2spk = read_map(rooms / "utt2spk")
    assert sorted(set(utt2spk.values())) == [
        "large-1",
        "large-2",
        "medium-1",
        "medium-2",
        "small-1",
        "small-2",
    ]
    assert len(utt2spk) == 18
    assert all(key == f"{utt2spk[key]}-{key[-1]}" for key in utt2spk)


@pytest.mark.slow
def test_dimensions_reverberation_times_and_distances_are_those_asked_for(rooms):
    ranges = {"small": (2, 10), "medium": (10, 30), "large": (30, 40)}
    for key, shape in read_map(rooms / "utt2room").items():
        length, width, height = map(float, shape.split("x"))
        low, high = ranges[key.split("-")[0]]
        assert low <= min(length, width) <= max(length, width) <= high
        assert 2 <= height <= 5
    assert all(0.15 <= float(seconds) <= 1.0 for seconds in read_map(rooms / "utt2rt60").values())
    assert all(0.5 <= float(metres) <= 5.0 for metres in read_map(rooms / "utt2distance").values())


@pytest.mark.slow
def test_responses_measure_the_reverberation_time_that_their_map_says(rooms):
    asked, errors = read_map(rooms / "utt2rt60"), []
    for key, response in responses(rooms).items():
        errors.append(decay_seconds(response**2, RATE) / float(asked[key]) - 1)
    print(
        f"measured reverberation times are off by {100 * np.mean(errors):.1f} % on the "
        f"average, {100 * np.abs(errors).max():.1f} % at most"
    )
    assert np.abs(errors).max() <= RT60_TOLERANCE + 0.005, (
        "16 bits change it by less than half a percent"
    )


def test_the_direct_sound_comes_at_its_distance(rooms):
    distance = read_map(rooms / "utt2distance")
    for key, response in responses(rooms).items():
        first = np.flatnonzero(np.abs(response) > 0.4 * np.abs(response).max())[0]
        assert abs(first - float(distance[key]) / SOUND_METRES_PER_SECOND * RATE) < 2, key


def test_same_seed_same_bytes_and_another_seed_other_rooms(tmp_path):
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        simulate_rooms(
            tmp_path / name, rooms=2, responses_per_room=1, rt60_seconds=(0.1, 0.7), seed=seed
        )
    one, same, other = (
        {
            path.name: path.read_bytes()
            for path in (tmp_path / name).iterdir()
            if path.is_file() and path.name != "wav.scp"
        }
        for name in ("one", "same", "other")
    )
    assert one == same
    assert one["rirs.ark"] != other["rirs.ark"]
    assert one["utt2room"] != other["utt2room"]


def test_more_rooms_leave_the_rooms_that_were_there_as_they_were(tmp_path):
    for name, rooms, each in (("few", 2, 1), ("more", 4, 2)):
        simulate_rooms(
            tmp_path / name, rooms=rooms, responses_per_room=each, rt60_seconds=(0.1, 0.7)
        )
    few, more = responses(tmp_path / "few"), responses(tmp_path / "more")
    assert set(few) < set(more)
    assert all(np.array_equal(few[key], more[key]) for key in few)


def test_the_bank_takes_them(rooms, tmp_path):
    assert augment(tmp_path / "bank", rirs=rooms)["rirs"]["went_on"] == 18


def test_what_is_done_is_not_done_again(rooms):
    before = (rooms / "rirs.ark").stat().st_mtime_ns
    counts = simulate_rooms(
        rooms,
        rooms=6,
        responses_per_room=3,
        large_metres=(30, 40),
        rt60_seconds=(0.15, 1.0),
        seed=3,
    )
    assert counts == {"responses": 18, "rooms": 6}
    assert (rooms / "rirs.ark").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"rooms": 0}, "--rooms: 0, expected 1 or more"),
        ({"responses_per_room": 0}, "--responses-per-room: 0, expected"),
        ({"sample_rate_hz": 0}, "--sample-rate-hz: 0, expected"),
        ({"seed": -1}, "--seed is -1"),
        ({"small_metres": None, "medium_metres": None}, "there are 0 sizes of rooms"),
        (
            {"small_metres": (10, 2)},
            "--small-metres: from 10 to 2, expected two positive numbers, the lower one first",
        ),
        ({"rt60_seconds": (0.0, 0.5)}, "--rt60-seconds: from 0.0 to 0.5"),
        (
            {"rt60_seconds": (5.0, 6.0)},
            r"no medium room \(10.0 to 30.0 m\) has a reverberation time of 5.0 to 6.0 s",
        ),
        ({"distance_metres": (50, 60)}, "positions 50 m apart"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_made(tmp_path, options, complaint):
    with pytest.raises(UserError, match=complaint):
        simulate_rooms(tmp_path / "rirs", **options)
    assert not (tmp_path / "rirs" / "wav.scp").exists()
