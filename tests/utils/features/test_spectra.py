"""Front ends of three toolkits against their output and slow references."""

import itertools

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.models import campplus, resemblyzer
from tests.utils.features.cases import GOLDEN, compute_features, speechlike
from utils.features.registry import make_front_end
from utils.features.spectra import LibrosaLogMel, PsfFbank, Spectrogram, SpeechbrainFbank


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:n_fft=")  # shorter than the window: the mirror is folded again
@settings(max_examples=20)
@given(
    st.integers(300, 4000),
    st.sampled_from([(512, 400, 160), (512, 512, 128), (400, 400, 200), (256, 201, 77)]),
    st.booleans(),
)
def test_spectrogram_agrees_with_librosa(num_samples, sizes, use_power):
    fft_samples, window_samples, hop_samples = sizes
    samples = speechlike(num_samples, seed=num_samples)
    expected_FT = np.abs(
        librosa.stft(
            samples,
            n_fft=fft_samples,
            win_length=window_samples,
            hop_length=hop_samples,
            pad_mode="reflect",
        )
    )
    front_end = Spectrogram(
        fft_samples=fft_samples,
        window_samples=window_samples,
        hop_samples=hop_samples,
        use_power=use_power,
    )
    expected_FT = expected_FT**2 if use_power else expected_FT
    np.testing.assert_allclose(
        compute_features(front_end, samples).numpy(), expected_FT.T, atol=1e-4, rtol=1e-5
    )
    logarithmic = Spectrogram(
        fft_samples=fft_samples,
        window_samples=window_samples,
        hop_samples=hop_samples,
        use_power=use_power,
        use_log=True,
        log_offset=0.01,
    )
    np.testing.assert_allclose(
        compute_features(logarithmic, samples).numpy(), np.log(expected_FT.T + 0.01), atol=1e-3
    )


@pytest.mark.filterwarnings("ignore:n_fft=")
@settings(max_examples=20)
@given(
    st.integers(100, 8000),
    st.sampled_from(
        [
            (8000, 512, 200, 80, 40, 0.0, 0.0),
            (16000, 512, 400, 160, 64, 50.0, 7600.0),
            (22050, 1024, 1024, 256, 80, 0.0, -1000.0),
        ]
    ),
)
@pytest.mark.slow
def test_log_mel_agrees_with_librosa(num_samples, options):
    rate_hz, fft_samples, window_samples, hop_samples, num_mel_bins, low_hz, high_hz = options
    samples = speechlike(num_samples, seed=num_samples)
    expected_MT = np.log10(
        1e-6
        + librosa.feature.melspectrogram(
            y=samples,
            sr=rate_hz,
            n_fft=fft_samples,
            win_length=window_samples,
            hop_length=hop_samples,
            n_mels=num_mel_bins,
            fmin=low_hz,
            fmax=high_hz if high_hz > 0 else rate_hz / 2 + high_hz,
            pad_mode="reflect",
            power=2,
        )
    )
    front_end = LibrosaLogMel(
        sample_rate_hz=rate_hz,
        fft_samples=fft_samples,
        window_samples=window_samples,
        hop_samples=hop_samples,
        num_mel_bins=num_mel_bins,
        low_freq_hz=low_hz,
        high_freq_hz=high_hz,
    )
    np.testing.assert_allclose(
        compute_features(front_end, samples).numpy(), expected_MT.T, atol=1e-4
    )


def test_the_defaults_of_the_log_mel_are_those_of_ge2e():
    samples = speechlike(8000)
    power_FT = (
        np.abs(librosa.stft(samples, n_fft=512, win_length=200, hop_length=80, pad_mode="reflect"))
        ** 2
    )
    expected_MT = np.log10(librosa.filters.mel(sr=8000, n_fft=512, n_mels=40) @ power_FT + 1e-6)
    np.testing.assert_allclose(
        compute_features(LibrosaLogMel(), samples).numpy(), expected_MT.T, atol=1e-4
    )


def test_resemblyzers_mel_power_is_that_of_librosa():
    samples = speechlike(8000)
    expected_MT = librosa.feature.melspectrogram(
        y=samples, sr=16000, n_fft=400, hop_length=160, n_mels=40, pad_mode="constant"
    )
    front_end = make_front_end(resemblyzer.FRONT_END)
    found_TM = compute_features(front_end, samples).numpy()
    np.testing.assert_allclose(found_TM, expected_MT.T, rtol=1e-4, atol=1e-7)


def slow_speechbrain_decibels(samples, num_filters, low_hz, high_hz, range_db):
    """SpeechBrain's filterbank in double precision, by filter and bin, from its description."""
    padded = np.concatenate([np.zeros(200), samples, np.zeros(200)])
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
    mels = np.linspace(
        2595 * np.log10(1 + low_hz / 700), 2595 * np.log10(1 + high_hz / 700), num_filters + 2
    )
    centres = 700 * (10 ** (mels / 2595) - 1)
    out = np.zeros((len(samples) // 160 + 1, num_filters))
    for t in range(len(out)):
        power = np.abs(np.fft.rfft(padded[t * 160 : t * 160 + 400] * window)) ** 2
        for m in range(num_filters):
            width = centres[m + 1] - centres[m]
            energy = 0.0
            for k in range(201):
                energy += power[k] * max(0, 1 - abs(40 * k - centres[m + 1]) / width)
            out[t, m] = 10 * np.log10(max(energy, 1e-10))
    return out.clip(min=out.max() - range_db)


@pytest.mark.parametrize(
    "options",
    [{}, {"num_mel_bins": 24, "low_freq_hz": 50.0, "high_freq_hz": 7600.0, "range_db": 30.0}],
    ids=str,
)
def test_speechbrains_decibels_agree_with_a_slow_computation(options):
    samples = speechlike(1000)
    samples[600:] = 0.0  # silence, which the floor lifts
    found_TM = compute_features(SpeechbrainFbank(**options), samples).numpy()
    expected_TM = slow_speechbrain_decibels(
        samples,
        options.get("num_mel_bins", 80),
        options.get("low_freq_hz", 0.0),
        options.get("high_freq_hz", 8000.0),
        options.get("range_db", 80.0),
    )
    assert (found_TM == found_TM.min()).sum() > 10
    np.testing.assert_allclose(found_TM, expected_TM, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"name": "speechbrain_fbank", "normalisation": "utterance_mean"}, "ecapa_features"),
        (campplus.FRONT_END, "cam_features"),
    ],
)
def test_features_of_real_speech_are_those_of_the_toolkits(shared_data, options, name):
    golden = np.load(GOLDEN / "pretrained" / "vectors.npz")
    samples, _ = soundfile.read(shared_data / golden["files"][0], dtype="float32")
    found_TF = compute_features(make_front_end(options), samples).numpy()
    largest = np.abs(found_TF - golden[name]).max()
    print(f"{name}: largest difference {largest:.1e}")
    assert largest < 1e-3


def slow_decibels(samples, options):
    """python_speech_features' filterbank in double precision, by filter and frame."""
    rate_hz, fft_samples, num_filters, length, shift, low_hz, high_hz, preemphasis = options
    emphasised = [float(samples[0])] + [
        float(now) - preemphasis * float(before) for before, now in itertools.pairwise(samples)
    ]
    num_frames = 1 if len(samples) <= length else 1 + int(np.ceil((len(samples) - length) / shift))
    emphasised = np.array(emphasised + [0.0] * (length + num_frames * shift))
    mels = [
        2595 * np.log10(1 + low_hz / 700)
        + k
        * (2595 * np.log10(1 + high_hz / 700) - 2595 * np.log10(1 + low_hz / 700))
        / (num_filters + 1)
        for k in range(num_filters + 2)
    ]
    corners = [int((fft_samples + 1) * 700 * (10 ** (mel / 2595) - 1) / rate_hz) for mel in mels]
    out = np.zeros((num_frames, num_filters))
    for t in range(num_frames):
        power = (
            np.abs(np.fft.rfft(emphasised[t * shift : t * shift + length], fft_samples)) ** 2
            / fft_samples
        )
        for m, (left, centre, right) in enumerate(
            zip(corners, corners[1:], corners[2:], strict=False)
        ):
            energy = sum(power[k] * (k - left) / (centre - left) for k in range(left, centre))
            energy += sum(power[k] * (right - k) / (right - centre) for k in range(centre, right))
            out[t, m] = 20 * np.log10(max(energy, 1e-5))
    return out


@settings(max_examples=20)
@given(
    st.integers(2, 3000),
    st.sampled_from(
        [
            (16000, 512, 64, 400, 160, 0.0, 8000.0, 0.97),
            (8000, 256, 26, 200, 80, 100.0, 3800.0, 0.5),
            (16000, 512, 24, 320, 320, 20.0, 7600.0, 0.0),
        ]
    ),
)
def test_decibels_agree_with_a_slow_computation(num_samples, options):
    rate_hz, fft_samples, num_filters, length, shift, low_hz, high_hz, preemphasis = options
    samples = speechlike(num_samples, seed=num_samples)
    front_end = PsfFbank(
        num_mel_bins=num_filters,
        sample_rate_hz=rate_hz,
        frame_length_ms=1000 * length / rate_hz,
        preemphasis=preemphasis,
        frame_shift_ms=1000 * shift / rate_hz,
        fft_samples=fft_samples,
        low_freq_hz=low_hz,
        high_freq_hz=high_hz,
    )
    np.testing.assert_allclose(
        compute_features(front_end, samples).numpy(), slow_decibels(samples, options), atol=2e-3
    )


def test_decibels_are_those_that_python_speech_features_gave():
    samples = (0.1 * np.random.default_rng(7).standard_normal(2000)).astype(
        np.float32
    )  # as the golden file says
    difference = np.abs(
        compute_features(PsfFbank(), samples).numpy() - np.loadtxt(GOLDEN / "psf_fbank.txt")
    ).max()
    print(f"largest difference {difference:.1e} dB")
    assert difference <= 1e-3


def test_digital_silence_is_finite():
    silence = np.zeros(4000)
    assert compute_features(PsfFbank(), silence).unique().tolist() == [-100.0]
    assert compute_features(SpeechbrainFbank(), silence).unique().tolist() == [-100.0]
    assert compute_features(LibrosaLogMel(), silence).unique().tolist() == [-6.0]
    assert compute_features(Spectrogram(normalisation="frame"), silence).abs().max() == 0
