"""Rooms, noises and babble from a bank, measured on what they add."""

import numpy as np
import pytest
import soundfile

from tests.measured_sounds import RATE, N, crop, energy_db, make_bank, rt60_seconds, tone
from utils.augmentation.bank import Bank
from utils.augmentation.noise import Babble, Noise, Reverb


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """Three noises (one shorter than a crop), five speakers (tones of 300-1100 Hz), two rooms."""
    return Bank(make_bank(tmp_path_factory.mktemp("bank")), RATE)


@pytest.fixture
def real_bank(shared_data, tmp_path):
    """Ten of the shared noises."""
    noises = {
        path.stem: soundfile.read(path, dtype="float32")[0]
        for path in sorted((shared_data / "noise").rglob("*.flac"))[::7][:10]
    }
    return Bank(make_bank(tmp_path, noises, {}), RATE)


def opened(transform, bank):
    transform.open(bank)
    return transform


def added(transform, seed, samples=None):
    samples = crop() if samples is None else samples
    return (
        transform.apply(samples, transform.draw(np.random.default_rng(seed), len(samples)))
        - samples
    )


def test_noise_comes_at_ratios_that_fill_the_range(bank):
    noise = opened(Noise(snr_db=(5.0, 10.0)), bank)
    ratios = [energy_db(crop()) - energy_db(added(noise, seed)) for seed in range(200)]
    print(f"{min(ratios):.2f} to {max(ratios):.2f} dB")
    assert min(ratios) == pytest.approx(5, abs=0.2)
    assert max(ratios) == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize(
    "options",
    [
        {"snr_db": {"music": (3.0, 3.0), "noise": (12.0, 12.0)}},
        {"types": ("noise", "music"), "snr_db": (3.0, 12.0)},
    ],
)
def test_a_type_is_drawn_first_and_has_its_range(bank, options):
    noise = opened(Noise(**options), bank)
    drawn = [noise.draw(np.random.default_rng(seed), N) for seed in range(200)]
    types = [bank.noise_types[number] for number, _, _ in drawn]
    assert abs(types.count("music") - 100) < 30
    assert set(types) == {"music", "noise"}
    if isinstance(options["snr_db"], dict):
        assert {(kind, snr_db) for kind, (_, _, snr_db) in zip(types, drawn, strict=True)} == {
            ("music", 3.0),
            ("noise", 12.0),
        }
    ratios = [energy_db(crop()) - energy_db(added(noise, seed)) for seed in range(20)]
    assert np.allclose(ratios, [snr_db for _, _, snr_db in drawn[:20]], atol=0.05)


def test_shared_noises_come_at_the_ratio_that_was_drawn(real_bank):
    noise = opened(Noise(snr_db=(0.0, 20.0)), real_bank)
    for seed in range(30):
        _, _, asked = noise.draw(np.random.default_rng(seed), N)
        assert energy_db(crop()) - energy_db(added(noise, seed)) == pytest.approx(asked, abs=0.05)


def test_a_noise_that_is_too_short_is_repeated_from_a_random_place_and_not_stretched(tmp_path):
    bank = Bank(make_bank(tmp_path, {"hum": 0.1 * np.sin(np.arange(N // 4) / 5)}, {}), RATE)
    noise, starts = opened(Noise(), bank), set()
    for seed in range(5):
        change = added(noise, seed)
        assert np.allclose(change[: N // 4], change[N // 4 : N // 2], atol=1e-6)
        assert abs(np.argmax(np.abs(np.fft.rfft(change))) - N / 5 / (2 * np.pi)) < 4
        starts.add(noise.draw(np.random.default_rng(seed), N)[1])
    assert len(starts) == 5
    assert max(starts) < N // 4


@pytest.mark.parametrize("num_samples", [1, 7, 8])
def test_a_window_is_the_noise_from_its_start_on_whatever_the_lengths(tmp_path, num_samples):
    ramp = np.arange(8) / 64
    bank = Bank(make_bank(tmp_path, {"ramp": ramp}, {}), RATE)
    for start in range(8):
        assert np.allclose(
            bank.noise(0, start, num_samples),
            np.take(ramp, np.arange(start, start + num_samples), mode="wrap"),
            atol=1e-4,
        )


def test_recorded_level_is_addition_in_the_complex_spectrogram(bank):
    """The GE2E seed adds STFTs of noise and speech: addition in time, as the STFT is linear."""
    noise, window = (
        opened(Noise(snr_db="recorded", types=("noise", "music")), bank),
        np.hanning(400),
    )

    def stft(samples):
        return np.fft.rfft(
            np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), 400)[::160]
            * window,
            512,
        )

    for seed in range(5):
        number, start, _ = noise.draw(np.random.default_rng(seed), N)
        there, here = (
            stft(crop()) + stft(bank.noise(number, start, N)),
            stft(crop() + added(noise, seed)),
        )
        assert np.abs(there - here).max() <= 1e-4
        assert np.allclose(added(noise, seed), bank.noise(number, start, N), atol=1e-6)


def test_gain_makes_a_recorded_noise_louder(bank):
    plain, louder = (opened(Noise(snr_db="recorded", gain=gain), bank) for gain in (1.0, 2.5))
    assert np.allclose(added(louder, 3), 2.5 * added(plain, 3), atol=1e-6)


def test_babble_is_as_many_speakers_as_drawn_each_as_loud_and_together_at_the_ratio(bank):
    babble, seen = opened(Babble(num_speakers=(3, 5), snr_db=(13.0, 20.0)), bank), set()
    for seed in range(40):
        drawn = babble.draw(np.random.default_rng(seed), N)
        change = added(babble, seed)
        power = np.abs(np.fft.rfft(change * np.hanning(N))) ** 2
        lines = [
            power[2 * hz - 4 : 2 * hz + 5].sum() for hz in range(300, 1101, 200)
        ]  # the speakers are tones, 0.5 Hz a bin
        speaking = np.array(lines) > 1e-3 * max(lines)
        assert speaking.sum() == len(drawn) // 3
        assert len(set(drawn[::3])) == len(drawn) // 3
        assert np.ptp(10 * np.log10(np.array(lines)[speaking])) < 0.1
        assert energy_db(crop()) - energy_db(change) == pytest.approx(drawn[2], abs=0.05)
        assert 13 <= drawn[2] <= 20
        seen.add(int(speaking.sum()))
    assert seen == {3, 4, 5}


def test_each_speaker_of_babble_has_a_ratio_of_its_own_where_that_is_asked_for(bank):
    babble = opened(Babble(num_speakers=(3, 3), snr_db=(5.0, 20.0), level="each"), bank)
    for seed in range(20):
        drawn, change = babble.draw(np.random.default_rng(seed), N), added(babble, seed)
        assert len(set(drawn[2::3])) == 3
        for number, snr_db in zip(drawn[::3], drawn[2::3], strict=True):
            hz = 300 + 200 * (int(number) - 3)
            amplitude = (
                2 * np.abs(np.dot(change, np.exp(-2j * np.pi * hz * np.arange(N) / RATE))) / N
            )
            assert energy_db(crop()) - energy_db(
                amplitude * np.sin(np.arange(N) / 9)
            ) == pytest.approx(snr_db, abs=0.1)


def test_babble_of_too_few_speakers_has_some_speak_twice(tmp_path):
    bank = Bank(make_bank(tmp_path, {"only": 0.1 * tone(440, 2 * N)}, {}), RATE)
    babble = opened(Babble(num_speakers=(4, 4), snr_db=(10.0, 10.0)), bank)
    drawn = babble.draw(np.random.default_rng(0), N)
    assert drawn[::3] == (0, 0, 0, 0)
    assert len(set(drawn[1::3])) > 1
    assert energy_db(crop()) - energy_db(added(babble, 0)) == pytest.approx(10, abs=0.05)


def test_silent_speakers_and_silent_crops_change_nothing(tmp_path):
    bank = Bank(make_bank(tmp_path, {"quiet": np.zeros(N)}, {}), RATE)
    for level in ("sum", "each"):
        assert not added(opened(Babble(level=level), bank), 0).any()
        assert not added(opened(Babble(level=level), bank), 0, np.zeros(N, np.float32)).any()


def test_both_rooms_are_used_and_have_their_reverberation_times(bank):
    reverb, click = opened(Reverb(), bank), np.zeros(N, np.float32)
    click[0] = 1
    found = {}
    for seed in range(20):
        drawn = reverb.draw(np.random.default_rng(seed), N)
        found[drawn[0]] = rt60_seconds(reverb.apply(click, drawn))
    print(
        f"RT60 of hall and study: {found[0]:.2f} s of 0.8 s (its response is cut at 0.5 s), "
        f"{found[1]:.2f} s of 0.2 s"
    )
    assert found[1] == pytest.approx(0.2, rel=0.05)
    assert 0.5 < found[0] <= 0.85


def test_kept_spectra_stay_within_their_memory_and_change_nothing(bank, monkeypatch):
    reverb = opened(Reverb(), bank)
    first = [reverb.apply(crop(n=n), (room,)) for n in (N, 5000) for room in (0, 1)]
    monkeypatch.setattr("utils.augmentation.bank.MAX_SPECTRA_BYTES", 200_000)
    for _ in range(2):
        again = [reverb.apply(crop(n=n), (room,)) for n in (N, 5000) for room in (0, 1)]
        assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    reverb.apply(crop(n=7000), (0,))
    assert (
        sum(spectrum.nbytes for spectrum in bank._spectra.values())
        == bank._spectra_bytes
        <= 200_000
    )
