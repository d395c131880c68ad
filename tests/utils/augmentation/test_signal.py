"""Speed, rooms and noise, measured on what comes out: ratios, energies, delays, pitches."""

import numpy as np
import pytest
import soundfile

from tests.measured_sounds import PEAK, RATE, N, crop, energy_db, room, rt60_seconds
from utils.augmentation.signal import (
    add_noise,
    align_response,
    change_speed,
    limit_peak,
    reverberate,
    room_spectrum,
)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 7.5, 20.0])
def test_the_ratio_that_comes_out_is_the_one_that_was_asked_for(snr_db):
    mixture = add_noise(crop(0), crop(1) * 0.01, snr_db)
    measured = energy_db(crop(0)) - energy_db(mixture - crop(0))
    print(f"asked {snr_db} dB, measured {measured:.4f} dB")
    assert abs(measured - snr_db) < 0.01
    assert mixture.dtype == np.float32


@pytest.mark.parametrize(
    ("samples", "noise"), [(np.zeros(N, np.float32), crop()), (crop(), np.zeros(N, np.float32))]
)
def test_silence_has_no_ratio_and_nothing_is_added(samples, noise):
    assert np.array_equal(add_noise(samples, noise, 10.0), samples)


@pytest.mark.parametrize("delay", [0, 10, PEAK, 3000])
def test_a_response_is_aligned_to_its_peak(delay):
    aligned = align_response(-room(delay), RATE)
    assert np.argmax(np.abs(aligned)) == PEAK
    assert aligned[PEAK] == -0.5
    assert np.allclose(aligned[PEAK:] * -2, room(delay)[delay:])


@pytest.mark.parametrize("delay", [0, 3000])
@pytest.mark.parametrize("rt60", [0.2, 0.8])
def test_a_room_adds_its_tail_and_neither_delay_nor_energy(delay, rt60):
    response = align_response(room(delay, rt60), RATE)
    wet = reverberate(crop(), response, PEAK)
    assert wet.shape == crop().shape
    assert wet.dtype == np.float32
    assert abs(energy_db(wet) - energy_db(crop())) < 0.001
    correlation = np.correlate(wet[2000:-2000], crop(), "valid")
    assert np.argmax(np.abs(correlation)) == 2000
    direct = np.convolve(crop(), response)[PEAK : PEAK + N]
    assert np.allclose(wet, direct * np.linalg.norm(crop()) / np.linalg.norm(direct), atol=1e-5)


@pytest.mark.parametrize("num_samples", [300, 4001, N])
def test_a_kept_spectrum_changes_no_bit_even_where_the_room_is_longer_than_the_sound(num_samples):
    response, samples = align_response(room(), RATE), crop(n=num_samples)
    kept = reverberate(samples, response, PEAK, room_spectrum(response, num_samples, PEAK))
    assert np.array_equal(kept, reverberate(samples, response, PEAK))


@pytest.mark.parametrize("rt60", [0.2, 0.4, 0.6])
def test_the_reverberation_time_that_comes_out_is_the_rooms(rt60):
    click = np.zeros(N, np.float32)
    click[100] = 1
    measured = rt60_seconds(
        reverberate(click, align_response(room(700, rt60, n=16000), RATE), PEAK)[101:]
    )
    print(f"RT60 of the room {rt60} s, measured {measured:.3f} s")
    assert abs(measured - rt60) < 0.05 * rt60


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
@pytest.mark.parametrize("num_samples", [N, 32001, 59049, 1000])
def test_speed_moves_the_pitch_and_gives_the_length_that_is_wanted(factor, num_samples):
    wanted = int(np.ceil(num_samples * factor))
    faster = change_speed(
        np.sin(2 * np.pi * 1000 * np.arange(wanted) / RATE).astype(np.float32), factor, num_samples
    )
    assert faster.shape == (num_samples,)
    hz = np.argmax(np.abs(np.fft.rfft(faster * np.hanning(num_samples)))) * RATE / num_samples
    assert abs(hz - 1000 * factor) <= RATE / num_samples


def test_only_what_exceeds_full_scale_is_turned_down_and_as_a_whole():
    assert np.array_equal(limit_peak(crop()), crop())
    assert np.allclose(limit_peak(crop() * 10), crop() / np.abs(crop()).max())


def test_measured_rooms_and_noises_come_out_as_they_are(shared_data):
    rooms = {
        path.stem: soundfile.read(path, dtype="float32")
        for path in sorted((shared_data / "rirs").rglob("*.wav"))
    }
    noises = [
        soundfile.read(path, dtype="float32")[0]
        for path in sorted((shared_data / "noise").rglob("*.flac"))[::10]
    ]
    assert rooms
    assert noises
    click = np.zeros(N, np.float32)
    click[0] = 1
    for response, rate in rooms.values():
        aligned = align_response(response, rate)
        assert (rate, np.argmax(np.abs(aligned))) == (RATE, PEAK)
        assert abs(energy_db(reverberate(crop(), aligned, PEAK)) - energy_db(crop())) < 0.001
        before, after = (
            rt60_seconds(aligned[PEAK:]),
            rt60_seconds(reverberate(click, aligned, PEAK)),
        )
        assert abs(before - after) <= 0.02 * before
    for noise in noises:
        assert (
            abs(energy_db(crop()) - energy_db(add_noise(crop(), noise[:N], 12.0) - crop()) - 12.0)
            < 0.1
        )
    surrey = rt60_seconds(reverberate(click, align_response(rooms["roomA_az000_L"][0], RATE), PEAK))
    print(
        f"{len(rooms)} rooms, {len(noises)} noises; RT60 of Surrey's room A: {surrey:.2f} s "
        "(0.28 s in its description)"
    )
    assert abs(surrey - 0.28) < 0.07
