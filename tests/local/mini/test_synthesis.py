"""Generated speakers differ as people do; channels carry no information about them."""

import numpy as np
import pytest

from local.mini import channels
from local.mini.espeak import Espeak
from local.mini.sentences import make_sentence
from local.mini.synthesis import SAMPLE_RATE_HZ, SPEECH_RMS, make_speakers, synthesise

TEXT = "The clever gardener remembered seven yellow lanterns."
MARGIN = int(0.2 * SAMPLE_RATE_HZ)


@pytest.fixture(scope="module")
def espeak():
    with Espeak() as running:
        yield running


@pytest.fixture(scope="module")
def said(espeak):
    """Speaker -> three sessions of one text."""
    return {
        speaker: [synthesise(espeak, speaker, TEXT, seed) for seed in range(3)]
        for speaker in make_speakers(12, seed=3)
    }


def pitch_hz(samples):
    """Median over voiced frames of 40 ms of the lag where the autocorrelation is highest."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 640)[::320]
    frames = frames[np.sqrt(np.mean(frames**2, 1)) > SPEECH_RMS]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(640), 2048)) ** 2
    lags = np.arange(SAMPLE_RATE_HZ // 350, SAMPLE_RATE_HZ // 65)
    return SAMPLE_RATE_HZ / np.median(lags[np.argmax(np.fft.irfft(spectra)[:, lags], 1)])


def centre_hz(samples):
    """Centre of the log spectrum's upper part, 0.8 to 4 kHz: rises with the formants."""
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    band = (hz > 800) & (hz < 4000)
    return np.sum(hz[band] * spectrum[band]) / np.sum(spectrum[band])


def test_pitch_differs_more_between_speakers_than_between_sessions_and_women_speak_higher(said):
    pitch = np.array([[pitch_hz(samples) for samples in sessions] for sessions in said.values()])
    women = np.array([speaker.sex == "f" for speaker in said])
    print(
        f"median pitch in Hz: women {np.median(pitch[women]):.0f}, "
        f"men {np.median(pitch[~women]):.0f}"
    )
    assert np.median(pitch[women]) > 1.4 * np.median(pitch[~women])
    for sex in (women, ~women):
        log_pitch = np.log(pitch[sex])
        assert log_pitch.mean(1).std() > 1.2 * log_pitch.std(1).mean()


def test_formants_differ_more_between_speakers_than_between_sessions(said):
    centre = np.log([[centre_hz(samples) for samples in sessions] for sessions in said.values()])
    print(
        f"spread of the spectrum's centre: {centre.mean(1).std():.3f} between speakers, "
        f"{centre.std(1).mean():.3f} between sessions"
    )
    assert centre.mean(1).std() > 2 * centre.std(1).mean()


def test_speaking_rates_differ(said):
    seconds = (
        np.array([np.mean([len(samples) for samples in sessions]) for sessions in said.values()])
        / SAMPLE_RATE_HZ
    )
    assert seconds.max() > 1.25 * seconds.min()


def test_speech_has_the_level_that_is_promised_and_no_silence_at_its_ends(said):
    for sessions in said.values():
        for samples in sessions:
            assert samples.dtype == np.float32
            assert np.sqrt(np.mean(samples**2)) == pytest.approx(SPEECH_RMS, rel=1e-3)
            assert np.abs(samples[:160]).max() > 0.01 * np.abs(samples).max() * 0.99


def test_what_was_said_before_changes_nothing_and_the_seed_does(espeak, said):
    speaker, sessions = next(iter(said.items()))
    assert np.array_equal(synthesise(espeak, speaker, TEXT, 0), sessions[0])
    with Espeak() as fresh:
        assert np.array_equal(synthesise(fresh, speaker, TEXT, 1), sessions[1])
    assert len({samples.tobytes() for samples in sessions}) == 3


def test_a_speaker_does_not_depend_on_how_many_are_made():
    few, many = make_speakers(3, seed=5), make_speakers(10, seed=5)
    assert many[:3] == few
    assert make_speakers(1, seed=5, first=7) == many[6:7]
    assert make_speakers(3, seed=6) != few


def test_sentences_differ_and_are_made_of_words():
    rng = np.random.default_rng(0)
    sentences = [make_sentence(rng) for _ in range(300)]
    assert len(set(sentences)) == 300
    assert all(
        sentence.isascii() and "_" not in sentence and 7 <= len(sentence.split()) <= 20
        for sentence in sentences
    )


@pytest.mark.parametrize("condition", channels.CONDITIONS)
def test_the_channel_does_not_look_at_the_speech(said, condition):
    """Before and after the speech, two speakers sound the same in the same channel."""
    (first, *_), (second, *_) = list(said.values())[:2]
    num_samples = min(len(first), len(second))
    drawn = channels.CONDITIONS[condition]
    waves = [
        channels.record(speech[:num_samples], drawn, np.random.default_rng(1)).astype(int)
        for speech in (first, second)
    ]
    loud = np.abs(waves[0] - waves[1]).max()
    before, after = (
        np.abs(waves[0] - waves[1])[part] for part in (slice(MARGIN), slice(-MARGIN, None))
    )
    assert before.max() <= 1
    assert np.sqrt(np.mean(after**2)) < 0.5 * np.std(waves[0][-MARGIN:])
    assert loud > 100 * max(1, before.max())


def test_two_channels_differ():
    speech = SPEECH_RMS * np.ones(16000, np.float32)
    noises = [
        channels.record(speech, channels.CONDITIONS["far"], np.random.default_rng(seed))[:MARGIN]
        for seed in (1, 2)
    ]
    assert not np.array_equal(*noises)


@pytest.mark.parametrize("rt60_seconds", [0.2, 0.6])
def test_a_room_echoes_as_long_and_as_loud_as_asked(rt60_seconds):
    response = channels.room_response(rt60_seconds, 3.0, np.random.default_rng(0))
    echo = response[1:].astype(float)
    assert 10 * np.log10(response[0] ** 2 / np.sum(echo**2)) == pytest.approx(3.0, abs=0.01)
    decay_db = 10 * np.log10(np.cumsum(echo[::-1] ** 2)[::-1] / np.sum(echo**2))
    seconds_of_20_db = (np.argmax(decay_db < -25) - np.argmax(decay_db < -5)) / SAMPLE_RATE_HZ
    assert 3 * seconds_of_20_db == pytest.approx(rt60_seconds, rel=0.35)


def test_noise_babble_and_music_have_unit_level_and_no_two_are_alike(said):
    voices = [sessions[0] for sessions in said.values()][:4]
    for make in (
        channels.make_noise,
        channels.make_music,
        lambda n, rng: channels.make_babble(voices, n, rng),
    ):
        first, second = (make(32000, np.random.default_rng(seed)) for seed in (1, 2))
        assert np.sqrt(np.mean(first**2)) == pytest.approx(1, rel=1e-3)
        assert len(first) == 32000
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.3


def test_a_filter_passes_its_band_and_keeps_what_lies_outside_away():
    seconds = np.arange(16000) / SAMPLE_RATE_HZ
    levels = [
        np.std(
            channels.filtered(np.sin(2 * np.pi * hz * seconds), np.zeros(8), 300, 3400)[2000:-2000]
        )
        / 0.5**0.5
        for hz in (75, 1000, 6800)
    ]
    assert levels[1] == pytest.approx(1, abs=0.01)
    assert max(levels[0], levels[2]) < 0.03
