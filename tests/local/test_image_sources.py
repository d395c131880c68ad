"""The image-source method against countable images, physics, and the reverberation time."""

import numpy as np
import pytest
import soundfile

from local.image_sources import (
    SOUND_METRES_PER_SECOND,
    decay_seconds,
    image_sources,
    room_response,
    to_sample_rate,
    wall_reflection,
)

RATE = 16000
ROOM, SOURCE, MICROPHONE = (
    np.array([5.0, 4.0, 3.0]),
    np.array([1.0, 1.0, 1.5]),
    np.array([3.5, 2.7, 1.2]),
)


def in_a_room(metres, rt60_seconds, source=0.2, microphone=0.6, seed=0):
    room = np.array(metres, float)
    return room_response(
        room, source * room, microphone * room, rt60_seconds, RATE, np.random.default_rng(seed)
    )


def test_the_first_images_of_a_source_in_the_middle_of_a_cube_are_those_behind_its_six_walls():
    middle = np.array([1.0, 1.0, 1.0])
    metres, bounces = image_sources(2 * middle, middle, middle, 2.0)
    assert sorted(zip(metres, bounces.tolist(), strict=True)) == [(0.0, 0)] + [(2.0, 1)] * 6


def test_images_are_the_walls_mirrors():
    """Every image of one reflection, by mirroring the source in a wall's plane."""
    metres, bounces = image_sources(ROOM, SOURCE, MICROPHONE, 30.0)
    mirrored = []
    for axis in range(3):
        for plane in (0, ROOM[axis]):
            image = SOURCE.copy()
            image[axis] = 2 * plane - SOURCE[axis]
            mirrored.append(np.linalg.norm(image - MICROPHONE))
    assert np.sort(metres[bounces == 1]) == pytest.approx(np.sort(mirrored))
    assert metres[bounces == 0] == pytest.approx([np.linalg.norm(SOURCE - MICROPHONE)])


def test_there_is_one_image_per_room_in_the_mirrored_space():
    metres, _ = image_sources(ROOM, SOURCE, MICROPHONE, 100.0)
    assert len(metres) == pytest.approx(4 / 3 * np.pi * 100.0**3 / ROOM.prod(), rel=0.01)


@pytest.mark.parametrize("distance_metres", [0.5, 2.0, 3.43])
def test_the_direct_sound_is_1_and_comes_when_sound_has_travelled_the_distance(distance_metres):
    response = room_response(
        np.array([9.0, 8.0, 4.0]),
        np.array([4.0, 4, 2]),
        np.array([4.0 + distance_metres, 4, 2]),
        0.3,
        RATE,
        np.random.default_rng(0),
    )
    arrival = distance_metres / SOUND_METRES_PER_SECOND * RATE
    assert abs(np.argmax(np.abs(response)) - arrival) <= 0.5 + 1 / 16
    assert np.sum(response[: int(arrival) + 12]) == pytest.approx(1, abs=0.03), (
        "all of the pulse, wherever it lies between two samples"
    )
    assert np.abs(response[: int(arrival) - 12]).max(initial=0) < 1e-3


@pytest.mark.parametrize(
    ("metres", "rt60_seconds"),
    [((3, 4, 2.5), 0.2), ((6, 5, 3), 0.3), ((6, 5, 3), 0.6), ((9, 7, 3), 0.9), ((20, 15, 4), 0.8)],
)
def test_the_reverberation_time_is_the_one_asked_for_within_5_percent_and_the_decay_is_exponential(
    metres, rt60_seconds
):
    energy = in_a_room(metres, rt60_seconds).astype(float) ** 2
    measured = decay_seconds(energy, RATE)
    left_db = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum())
    slope = np.flatnonzero((left_db <= -5) & (left_db >= -35))
    off_db = np.abs(left_db[slope] - np.polyval(np.polyfit(slope, left_db[slope], 1), slope)).max()
    print(
        f"{metres} m: asked for {rt60_seconds} s, measured {measured:.3f} s; at most "
        f"{off_db:.1f} dB off a straight line"
    )
    assert measured == pytest.approx(rt60_seconds, rel=0.05)
    assert off_db < 3


def test_nothing_rumbles():
    """Pulses of one sign would sum to a pressure below all voices that hides the decay."""
    spectrum = np.abs(np.fft.rfft(in_a_room((6, 5, 3), 0.6), RATE)) ** 2
    assert spectrum[:30].mean() < spectrum[300:3000].mean()


def test_harder_walls_sound_longer():
    metres, bounces = image_sources(ROOM, SOURCE, MICROPHONE, 300.0)
    reflections = [wall_reflection(metres, bounces, seconds) for seconds in (0.2, 0.4, 0.8)]
    assert 0 < reflections[0] < reflections[1] < reflections[2] < 1


def test_no_walls_make_a_small_room_sound_for_a_minute():
    metres, bounces = image_sources(ROOM, SOURCE, MICROPHONE, 60.0)
    with pytest.raises(ValueError, match="no walls give this room a reverberation time of 60.0 s"):
        wall_reflection(metres, bounces, 60.0)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 2.0])
def test_the_reverberation_time_of_an_exponential_is_its_own(seconds):
    energy = 10 ** (-6 * np.arange(0, 1.2 * seconds, 0.001) / seconds)
    assert decay_seconds(energy, 1000) == pytest.approx(seconds, rel=1e-3)
    assert decay_seconds(np.array([1.0, 0.0]), 1000) == 0, "a pulse has no slope"


def test_a_real_room_measures_what_its_makers_say(shared_data):
    measured = [
        decay_seconds(soundfile.read(path)[0] ** 2, RATE)
        for path in sorted((shared_data / "rirs" / "surrey_room_a").glob("*.wav"))
    ]
    print(
        f"Surrey's room A, about 0.28 s: {min(measured):.3f} to {max(measured):.3f} s in "
        f"{len(measured)} directions"
    )
    assert np.mean(measured) == pytest.approx(0.29, abs=0.03)


def test_the_same_draws_are_the_same_room_and_others_move_its_reflections():
    assert np.array_equal(in_a_room((3, 4, 2.5), 0.2), in_a_room((3, 4, 2.5), 0.2))
    assert not np.array_equal(in_a_room((3, 4, 2.5), 0.2), in_a_room((3, 4, 2.5), 0.2, seed=1))


def test_a_pulse_on_a_sample_stays_where_it_is():
    pulses = np.zeros(8 * 100)
    pulses[8 * 50] = 1
    response = to_sample_rate(pulses)
    assert len(response) == 100
    assert np.argmax(response) == 50
    assert response[50] == pytest.approx(1, abs=0.05)
