"""Detectors on synthetic audio with known speech, and refusals; Kaldi's rule: test_energy.py."""

import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.speechlike import RATE, silence, vowels
from utils.audio import read_audio
from utils.config import build, read_yaml, signature_parameters
from utils.errors import UserError
from utils.vad.base import num_frames, runs
from utils.vad.registry import DEFAULT_VAD, VADS, make_vad

CONFIGS = sorted((ROOT / "conf" / "vad").glob("*.yaml"))
RATES = [8000, 11025, 16000, 44100, 48000]


def detector(name, **options):
    if name == "silero":
        pytest.importorskip(
            "silero_vad", reason="optional: pip install -r requirements-optional.txt"
        )
    return build(VADS, {"name": name, **options}, "test")


def speech_between_silences(rate):
    return np.concatenate([silence(1, rate), vowels(2, rate), silence(1, rate)])


# WebRTC ends speech late, Silero does not take the tail of a synthetic vowel for speech, librosa
# works in blocks of 2048 samples: up to 0.26 s
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("name", "early", "late", "found"),
    [
        ("webrtc", 10, 30, 0.95),
        ("energy", 5, 5, 0.95),
        ("silero", 15, 30, 0.5),
        ("librosa_trim", 15, 15, 0.95),
        ("librosa_split", 15, 15, 0.5),
    ],
)
def test_speech_between_silences_is_found(name, rate, early, late, found):
    decisions = detector(name).decisions(speech_between_silences(rate), rate)
    assert decisions.shape == (400,)
    inside, outside = (
        decisions[100:300].mean(),
        np.concatenate([decisions[: 100 - early], decisions[300 + late :]]),
    )
    print(
        f"{name}, {rate} Hz: {inside:.0%} of the speech, {outside.mean():.0%} of the "
        f"silence; stretches {runs(decisions).tolist()}"
    )
    assert inside >= found
    assert not outside.any()


@pytest.mark.slow
@pytest.mark.parametrize("name", VADS)
@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("seconds", [0, 0.004, 0.02, 0.5, 1.007])
def test_silence_and_sound_of_any_length_have_one_decision_per_frame(name, rate, seconds):
    num_samples = round(seconds * rate)
    judge = detector(name)
    assert not judge.decisions(np.zeros(num_samples, np.float32), rate).any()
    assert len(judge.decisions(np.zeros(num_samples, np.float32), rate)) == num_frames(
        num_samples, rate
    )
    assert len(judge.decisions(vowels(2, rate)[:num_samples], rate)) == num_frames(
        num_samples, rate
    )


@pytest.mark.parametrize("name", VADS)
def test_the_same_sound_gets_the_same_decisions_whatever_came_before(name):
    first, other = speech_between_silences(RATE), vowels(1.3)
    judge = detector(name)
    alone = judge.decisions(first, RATE)
    judge.decisions(other, RATE)
    assert np.array_equal(judge.decisions(first, RATE), alone)
    assert np.array_equal(detector(name).decisions(first, RATE), alone)


@pytest.mark.parametrize("name", ["webrtc", "energy", "librosa_trim", "librosa_split"])
def test_the_common_options_tidy_the_decisions_of_every_detector(name):
    sound, tidied = (
        speech_between_silences(RATE),
        {"min_silence_seconds": 0.0, "min_speech_seconds": 0.0},
    )
    start, end = runs(detector(name, **tidied, padding_seconds=0.0).decisions(sound, RATE))[
        [0, -1], [0, 1]
    ]
    wider = runs(detector(name, **tidied, padding_seconds=0.1).decisions(sound, RATE))
    assert (wider[0, 0], wider[-1, 1]) == (start - 10, end + 10)
    assert not detector(name, min_speech_seconds=3.9).decisions(sound, RATE).any()


def test_more_aggressive_means_less_speech():
    kept = [
        detector(
            "webrtc",
            aggressiveness=level,
            min_silence_seconds=0.0,
            min_speech_seconds=0.0,
            padding_seconds=0.0,
        )
        .decisions(np.concatenate([silence(1), vowels(2)]), RATE)
        .mean()
        for level in range(4)
    ]
    print("speech by aggressiveness:", kept)
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > kept[3]


@pytest.mark.parametrize("top_db", [14.0, 20.0, 40.0])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_librosas_own_boundaries_are_kept_to_the_nearest_frame(top_db, rate):
    import librosa

    sound = np.concatenate(
        [
            silence(0.7, rate),
            vowels(1.1, rate),
            silence(0.4, rate),
            0.5 * vowels(0.9, rate),
            silence(0.5, rate),
        ]
    )
    expected = np.round(librosa.effects.split(sound, top_db=top_db) * 100 / rate)
    found = runs(detector("librosa_split", top_db=top_db).decisions(sound, rate))
    assert found.tolist() == expected.tolist()
    ends = runs(detector("librosa_trim", top_db=top_db).decisions(sound, rate))
    assert (
        ends.tolist()
        == [np.round(librosa.effects.trim(sound, top_db=top_db)[1] * 100 / rate).tolist()]
        == [[expected[0, 0], expected[-1, 1]]]
    )


def test_a_rate_for_librosa_makes_its_frames_longer():
    sound = np.concatenate([silence(1), vowels(1), silence(1)])
    start_of = [
        runs(detector("librosa_trim", top_db=40.0, **options).decisions(sound, RATE))[0, 0]
        for options in ({}, {"sample_rate_hz": 8000})
    ]
    print("speech from frame 100 on is found from", start_of)
    assert start_of[1] < start_of[0] < 100


def test_silero_takes_noise_for_none_and_webrtc_for_speech():
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE).astype(np.float32)
    assert detector("webrtc").decisions(noise, RATE).mean() > 0.5
    assert detector("silero").decisions(noise, RATE).mean() < 0.1


@pytest.mark.parametrize("name", VADS)
@pytest.mark.slow
def test_of_real_speech_most_is_kept_and_silero_alone_knows_noise(shared_data, name):
    spoken = sorted((shared_data / "speechocean762_train" / "WAVE").glob("*/*"))[::80]
    noises = sorted(
        path
        for kind in ("rain", "helicopter", "sea_waves")
        for path in (shared_data / "noise" / kind).iterdir()
    )[::4]
    judge = detector(name)
    speech, noise = (
        np.concatenate([judge.decisions(*read_audio(path)) for path in paths]).mean()
        for paths in (spoken, noises)
    )
    print(f"{name}: {speech:.0%} of {len(spoken)} utterances, {noise:.0%} of {len(noises)} noises")
    assert 0.5 < speech < 0.95
    assert noise < 0.05 if name == "silero" else noise > 0.5


def test_silero_obeys_its_options():
    sound = np.concatenate([speech_between_silences(RATE), speech_between_silences(RATE)])
    assert not detector("silero", min_speech_seconds=20.0).decisions(sound, RATE).any()
    assert (
        detector("silero", threshold=0.05).decisions(sound, RATE).sum()
        > detector("silero", threshold=0.9).decisions(sound, RATE).sum()
    )
    narrow, wide = (
        runs(detector("silero", padding_seconds=padding).decisions(sound, RATE))
        for padding in (0.0, 0.1)
    )
    assert wide[0, 0] == narrow[0, 0] - 10


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_yaml_builds_the_detector_of_its_name_and_states_every_option(path):
    options = read_yaml(path)
    assert options["name"] == path.stem
    judge, resolved = make_vad(path)
    assert type(judge) is VADS[path.stem]
    assert options.keys() == resolved.keys() == {"name", *signature_parameters(VADS[path.stem])}
    text = path.read_text()
    assert text.startswith("# ")
    assert all("# " in line for line in text.splitlines() if line and not line.startswith("name:"))


def test_every_detector_has_a_yaml():
    assert [path.stem for path in CONFIGS] == sorted(VADS)


def test_without_a_yaml_the_detector_is_webrtcs_as_in_its_yaml():
    assert make_vad(None)[1] == make_vad(ROOT / "conf" / "vad" / "webrtc.yaml")[1]
    assert DEFAULT_VAD == {"name": "webrtc"}


REFUSED = [
    ("name: silerro", "name: no 'silerro'; did you mean 'silero'?"),
    ("aggressiveness: 2", "expected a mapping with a 'name'"),
    (
        "name: webrtc\naggressivness: 2",
        "unknown key 'aggressivness'; did you mean 'aggressiveness'?",
    ),
    (
        "name: webrtc\naggressiveness: 4",
        "aggressiveness: found 4 (a whole number), expected one of 0, 1, 2, 3",
    ),
    (
        "name: webrtc\nwindow_ms: 25",
        "window_ms: found 25 (a whole number), expected one of 10, 20, 30",
    ),
    ("name: webrtc\npadding_seconds: -0.1", "padding_seconds: -0.1, expected 0 or more"),
    (
        "name: energy\nproportion_threshold: 1.0",
        "proportion_threshold: 1.0, expected a number between 0 and 1",
    ),
    ("name: energy\nframes_context: -1", "frames_context: -1, expected 0 or more"),
    ("name: energy\nenergy_mean_scale: -0.5", "energy_mean_scale: -0.5, expected 0 or more"),
    ("name: silero\nthreshold: 1.5", "threshold: 1.5, expected 0 to 1"),
    ("name: librosa_trim\ntop_db: 0", "top_db: 0.0, expected a positive number of dB"),
    ("name: librosa_split\nhop_length: 0", "hop_length: 0, expected 1 or more"),
    ("name: librosa_split\ntop_db: loud", "top_db: found 'loud' (text), expected a number"),
]


@pytest.mark.parametrize(("text", "complaint"), REFUSED)
def test_a_yaml_that_asks_for_what_there_is_not_is_refused_in_one_line(tmp_path, text, complaint):
    (tmp_path / "vad.yaml").write_text(text)
    with pytest.raises(UserError) as refused:
        make_vad(tmp_path / "vad.yaml")
    assert str(refused.value).startswith(f"{tmp_path}/vad.yaml: ")
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "module", "install"),
    [
        ("webrtc", "webrtcvad", "webrtcvad-wheels"),
        ("silero", "silero_vad", "silero-vad==6.2.3"),
        ("librosa_trim", "librosa.effects", "librosa"),
    ],
)
def test_a_missing_package_is_named_with_what_to_install(monkeypatch, name, module, install):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        UserError,
        match=f"needs the package {module}, which cannot be imported .*; pip install "
        f"{install}, or choose another",
    ):
        build(VADS, {"name": name}, "test").decisions(vowels(1), RATE)


def test_the_requirement_of_silero_is_the_pinned_one():
    from utils.vad.silero import SILERO_REQUIREMENT

    lines = (ROOT / "requirements-optional.txt").read_text().splitlines()
    assert SILERO_REQUIREMENT in [line.partition("#")[0].strip() for line in lines]
