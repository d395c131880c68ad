"""Augmentation, measured on what comes out: ratios, energies, delays, pitches; and the same draw gives the same samples."""

import numpy as np
import pytest
import soundfile

from utils.archive import ArchiveWriter
from utils.audio import to_int16
from utils.augmentation import PEAK_SECONDS, Augmenter, add_noise, align_response, change_speed, reverberate
from utils.data_dir import write_map
from utils.errors import UserError

RATE, N = 16000, 32000
PEAK = round(PEAK_SECONDS * RATE)


def crop(seed=0, n=N):
    return np.random.default_rng(seed).uniform(-0.3, 0.3, n).astype(np.float32)


def energy_db(samples):
    return 10 * np.log10(np.sum(np.square(samples, dtype=np.float64)))


def room(delay=0, rt60_seconds=0.3, seed=0):
    """A direct sound after a delay, then a tail that falls by 60 dB in the reverberation time."""
    tail = np.random.default_rng(seed).normal(0, 0.1, 8000) * 10 ** (-3 * np.arange(8000) / RATE / rt60_seconds)
    return np.concatenate([np.zeros(delay), [1.0], tail]).astype(np.float32)


@pytest.fixture
def bank(tmp_path):
    """Three noises, of which one is shorter than a crop, and two rooms."""
    rng = np.random.default_rng(7)
    sounds = {"noise": {"hum": 0.1 * np.sin(np.arange(N // 4) / 5), "rain": rng.normal(0, 0.05, 2 * N), "song": rng.normal(0, 0.2, N)},
              "rirs": {"hall": align_response(room(500, 0.8, 1), RATE), "study": align_response(room(0, 0.2, 2), RATE)}}
    for kind, named in sounds.items():
        with ArchiveWriter(tmp_path / f"{kind}.ark", tmp_path / f"{kind}.scp") as writer:
            for name, samples in named.items():
                writer.write_wave(name, to_int16(samples), RATE)
        write_map(tmp_path / f"{kind}.num_samples", {name: len(samples) for name, samples in named.items()})
    write_map(tmp_path / "noise.utt2type", {"hum": "noise", "rain": "noise", "song": "music"})
    return tmp_path


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 7.5, 20.0])
def test_the_ratio_that_comes_out_is_the_one_that_was_asked_for(snr_db):
    mixture = add_noise(crop(0), crop(1) * 0.01, snr_db)
    measured = energy_db(crop(0)) - energy_db(mixture - crop(0))
    print(f"asked {snr_db} dB, measured {measured:.4f} dB")
    assert abs(measured - snr_db) < 0.01
    assert mixture.dtype == np.float32


@pytest.mark.parametrize(("samples", "noise"), [(np.zeros(N, np.float32), crop()), (crop(), np.zeros(N, np.float32))])
def test_silence_has_no_ratio_and_nothing_is_added(samples, noise):
    assert np.array_equal(add_noise(samples, noise, 10.0), samples)


@pytest.mark.parametrize("delay", [0, 10, PEAK, 3000])
def test_a_response_is_aligned_to_its_peak(delay):
    aligned = align_response(-room(delay), RATE)
    assert np.argmax(np.abs(aligned)) == PEAK
    assert aligned[PEAK] == -0.5
    assert np.allclose(aligned[PEAK:] * -2, room(delay)[delay:])


@pytest.mark.parametrize("delay", [0, 3000])
@pytest.mark.parametrize("rt60_seconds", [0.2, 0.8])
def test_a_room_adds_its_tail_and_neither_delay_nor_energy(delay, rt60_seconds):
    response = align_response(room(delay, rt60_seconds), RATE)
    wet = reverberate(crop(), response, PEAK)
    assert wet.shape == crop().shape
    assert wet.dtype == np.float32
    assert abs(energy_db(wet) - energy_db(crop())) < 0.001
    correlation = np.correlate(wet[2000:-2000], crop(), "valid")
    assert np.argmax(np.abs(correlation)) == 2000
    direct = np.convolve(crop(), response)[PEAK:PEAK + N]
    assert np.allclose(wet, direct * np.linalg.norm(crop()) / np.linalg.norm(direct), atol=1e-5)


def test_the_reverberation_time_that_comes_out_is_the_rooms():
    click = np.zeros(N, np.float32)
    click[100] = 1
    decay = np.cumsum(reverberate(click, align_response(room(700, 0.4), RATE), PEAK)[101:6000][::-1] ** 2)[::-1]
    level = 10 * np.log10(decay / decay[0])
    rt60_seconds = 3 * (np.argmax(level < -25) - np.argmax(level < -5)) / RATE
    print(f"RT60 of the room 0.4 s, measured {rt60_seconds:.3f} s")
    assert abs(rt60_seconds - 0.4) < 0.04


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
@pytest.mark.parametrize("num_samples", [N, 32001, 59049, 1000])
def test_speed_moves_the_pitch_and_gives_the_length_that_is_wanted(factor, num_samples):
    wanted = int(np.ceil(num_samples * factor))
    faster = change_speed(np.sin(2 * np.pi * 1000 * np.arange(wanted) / RATE).astype(np.float32), factor, num_samples)
    assert faster.shape == (num_samples,)
    hz = np.argmax(np.abs(np.fft.rfft(faster * np.hanning(num_samples)))) * RATE / num_samples
    assert abs(hz - 1000 * factor) <= RATE / num_samples


def test_the_same_seed_gives_the_same_samples_and_another_one_others(bank):
    augmenter = Augmenter(noise_probability=0.7, reverb_probability=0.7, speed_factors=(1.0, 0.9), bank=bank)
    def draw(*seed):
        return augmenter(crop(n=int(N * 0.9)), 0.9, N, np.random.default_rng(seed))
    first = [draw(1, k) for k in range(10)]
    assert all(np.array_equal(samples, draw(1, k)) for k, samples in reversed(list(enumerate(first))))
    assert len({samples.tobytes() for samples in first}) > 5


def test_things_happen_as_often_as_asked_within_the_range(bank):
    augmenter = Augmenter(noise_probability=0.5, noise_snr_db=(5.0, 10.0), bank=bank)
    ratios = []
    for draw in range(300):
        change = augmenter(crop(), 1.0, N, np.random.default_rng(draw)) - crop()
        if change.any():
            ratios.append(energy_db(crop()) - energy_db(change))
    print(f"{len(ratios)} of 300 noisy, {min(ratios):.2f} to {max(ratios):.2f} dB")
    assert 120 < len(ratios) < 180
    assert min(ratios) == pytest.approx(5, abs=0.2)
    assert max(ratios) == pytest.approx(10, abs=0.2)


def test_types_of_noise_have_ranges_of_their_own(bank):
    augmenter = Augmenter(noise_probability=1.0, noise_snr_db={"music": (3.0, 3.0), "noise": (12.0, 12.0)}, bank=bank)
    ratios = [round(energy_db(crop()) - energy_db(augmenter(crop(), 1.0, N, np.random.default_rng(draw)) - crop()), 1) for draw in range(100)]
    assert set(ratios) == {3.0, 12.0}
    assert 30 < ratios.count(3.0) < 70
    with pytest.raises(UserError, match="no noise of type babble in .*; there is music, noise"):
        Augmenter(noise_probability=1.0, noise_snr_db={"babble": (3.0, 3.0)}, bank=bank)


def test_a_noise_that_is_too_short_is_repeated_and_not_stretched(bank):
    for name in ("noise.scp", "noise.num_samples", "noise.utt2type"):
        (bank / name).write_text((bank / name).read_text().splitlines()[0] + "\n")
    added = Augmenter(noise_probability=1.0, bank=bank)(crop(), 1.0, N, np.random.default_rng(1)) - crop()
    assert np.allclose(added[:N // 4], added[N // 4:N // 2], atol=1e-6)
    assert abs(np.argmax(np.abs(np.fft.rfft(added))) - N / 5 / (2 * np.pi)) < 4


def test_a_mixture_beyond_full_scale_is_turned_down_as_a_whole(bank):
    loud = np.sign(crop())
    mixture = Augmenter(noise_probability=1.0, noise_snr_db=(0.0, 0.0), bank=bank)(loud, 1.0, N, np.random.default_rng(0))
    assert np.abs(mixture).max() == 1


def test_nothing_asked_for_changes_nothing_and_needs_no_bank():
    assert np.array_equal(Augmenter()(crop(), 1.0, N, np.random.default_rng(0)), crop())


@pytest.mark.parametrize(("options", "message"), [
    ({"noise_snr_db": (20.0, 5.0)}, "from 20.0 to 5.0, expected the lower bound first"),
    ({"noise_snr_db": {"music": (20.0, 5.0)}}, "from 20.0 to 5.0"),
    ({"noise_probability": 1.5}, "noise_probability: 1.5, expected a number from 0 to 1"),
    ({"reverb_probability": -0.1}, "reverb_probability"),
    ({"speed_factors": ()}, "speed_factors"), ({"speed_factors": (1.0, 1.0)}, "speed_factors"), ({"speed_factors": (90.0, 100.0)}, "speed_factors")])
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Augmenter(**options)


@pytest.mark.parametrize("options", [{"noise_probability": 0.5}, {"reverb_probability": 0.5}])
def test_a_bank_that_has_not_what_is_wanted_is_refused(bank, tmp_path, options):
    with pytest.raises(UserError, match="there is no bank: make it with steps.augment"):
        Augmenter(**options)
    for kind in ("noise", "rirs"):
        (bank / f"{kind}.scp").unlink()
    with pytest.raises(UserError, match=f"{bank} has none: make it with steps.augment"):
        Augmenter(**options, bank=bank)


def test_a_bank_of_another_rate_is_refused(bank):
    with pytest.raises(UserError, match="sound of 16000 Hz, expected 8000 Hz"):
        Augmenter(noise_probability=0.5, bank=bank, sample_rate_hz=8000)


def test_measured_rooms_and_noises_come_out_as_they_are(shared_data):
    rooms = {path.stem: soundfile.read(path, dtype="float32") for path in sorted((shared_data / "rirs").rglob("*.wav"))}
    noises = [soundfile.read(path, dtype="float32")[0] for path in sorted((shared_data / "noise").rglob("*.flac"))[::10]]
    assert rooms
    assert noises
    for response, rate in rooms.values():
        aligned = align_response(response, rate)
        assert (rate, np.argmax(np.abs(aligned))) == (RATE, PEAK)
        assert abs(energy_db(reverberate(crop(), aligned, PEAK)) - energy_db(crop())) < 0.001
    for noise in noises:
        assert abs(energy_db(crop()) - energy_db(add_noise(crop(), noise[:N], 12.0) - crop()) - 12.0) < 0.1
    click = np.zeros(N, np.float32)
    click[0] = 1
    decay = np.cumsum(reverberate(click, align_response(rooms["roomA_az000_L"][0], RATE), PEAK)[::-1] ** 2)[::-1]
    level = 10 * np.log10(decay / decay[0])
    rt60_seconds = 3 * (np.argmax(level < -25) - np.argmax(level < -5)) / RATE
    print(f"{len(rooms)} rooms, {len(noises)} noises; RT60 of Surrey's room A: {rt60_seconds:.2f} s (0.28 s in its description)")
    assert abs(rt60_seconds - 0.28) < 0.07
