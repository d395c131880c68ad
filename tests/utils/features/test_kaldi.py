"""Kaldi's front ends against Kaldi's output, and each option against kaldi-native-fbank."""

import kaldi_native_fbank
import kaldiio
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.utils.features.cases import GOLDEN, compute_features, largest_difference, speechlike
from utils.features.kaldi import KaldiFbank, KaldiMfcc

CLASSES = {"fbank": KaldiFbank, "mfcc": KaldiMfcc}
DEFAULTS = {
    "sample_rate_hz": 16000,
    "frame_length_ms": 25.0,
    "frame_shift_ms": 10.0,
    "snip_edges": True,
    "preemphasis": 0.97,
    "remove_dc_offset": True,
    "window": "povey",
    "blackman_coefficient": 0.42,
    "round_to_power_of_two": True,
    "num_mel_bins": 23,
    "low_freq_hz": 20.0,
    "high_freq_hz": 0.0,
    "use_energy": False,
}
THEIR_NAMES = {
    "sample_rate_hz": "samp_freq",
    "window": "window_type",
    "preemphasis": "preemph_coeff",
    "blackman_coefficient": "blackman_coeff",
    "num_mel_bins": "num_bins",
    "low_freq_hz": "low_freq",
    "high_freq_hz": "high_freq",
}
VARIATIONS = [
    {},
    {"use_energy": True},
    {"use_energy": True, "raw_energy": False},
    {"use_energy": True, "energy_floor": 1e9},
    {"use_energy": True, "htk_compat": True},
    {"htk_compat": True},
    {"preemphasis": 0.0},
    {"preemphasis": 1.0},
    {"remove_dc_offset": False},
    {"window": "hamming"},
    {"window": "hanning"},
    {"window": "sine"},
    {"window": "rectangular"},
    {"window": "blackman"},
    {"window": "blackman", "blackman_coefficient": 0.4},
    {"round_to_power_of_two": False},
    {"low_freq_hz": 0.0},
    {"high_freq_hz": 3800.0},
    {"high_freq_hz": -400.0},
    {"snip_edges": False},
    {"snip_edges": False, "frame_shift_ms": 30.0},
    {"frame_length_ms": 32.0},
    {"frame_shift_ms": 12.5},
    {"num_mel_bins": 40},
    {"sample_rate_hz": 8000},
    {"sample_rate_hz": 44100},
]
ONLY = {
    "fbank": [
        {"use_power": False},
        {"use_log_fbank": False},
        {"use_power": False, "use_log_fbank": False},
    ],
    "mfcc": [
        {"num_ceps": 13},
        {"num_ceps": 23},
        {"cepstral_lifter": 0.0},
        {"cepstral_lifter": 30.0},
    ],
}


@pytest.mark.parametrize(
    ("name", "front_end"),
    [
        ("fbank80", KaldiFbank(num_mel_bins=80)),
        ("fbank40_nosnip", KaldiFbank(num_mel_bins=40, snip_edges=False, high_freq_hz=-400)),
        (
            "mfcc30_voxceleb",
            KaldiMfcc(
                num_mel_bins=30, num_ceps=30, low_freq_hz=20, high_freq_hz=7600, snip_edges=False
            ),
        ),
        ("mfcc30_cmvn_sliding", KaldiMfcc(normalisation="sliding")),
    ],
)
def test_kaldi_agrees(name, front_end):
    checked = 0
    for key, expected_TF in kaldiio.load_ark(str(GOLDEN / "kaldi" / f"{name}.txt")):
        samples, _ = soundfile.read(GOLDEN / "kaldi" / "wav" / f"{key}.wav", dtype="float32")
        difference = largest_difference(compute_features(front_end, samples), expected_TF)
        print(f"{name} {key}: {expected_TF.shape}, largest difference {difference:.1e}")
        assert difference <= 1e-3
        checked += 1
    assert checked == 3


def oracle(kind, options, samples, dither=0.0):
    """Features by kaldi-native-fbank."""
    theirs = {"fbank": kaldi_native_fbank.FbankOptions, "mfcc": kaldi_native_fbank.MfccOptions}[
        kind
    ]()
    theirs.frame_opts.dither = dither
    for name, value in options.items():
        name = THEIR_NAMES.get(name, name)
        part = next(
            part for part in (theirs.frame_opts, theirs.mel_opts, theirs) if hasattr(part, name)
        )
        setattr(part, name, value)
    computer = {"fbank": kaldi_native_fbank.OnlineFbank, "mfcc": kaldi_native_fbank.OnlineMfcc}[
        kind
    ](theirs)
    computer.accept_waveform(options["sample_rate_hz"], (samples * 32768).tolist())
    computer.input_finished()
    return np.stack([computer.get_frame(k) for k in range(computer.num_frames_ready)])


@pytest.mark.parametrize(
    ("kind", "varied"),
    [(kind, varied) for kind in CLASSES for varied in VARIATIONS + ONLY[kind]],
    ids=lambda value: (
        value
        if isinstance(value, str)
        else "-".join(f"{k}={v}" for k, v in value.items()) or "defaults"
    ),
)
def test_each_option_is_kaldis(kind, varied):
    options = DEFAULTS | ({"num_ceps": 13} if kind == "mfcc" else {}) | varied
    samples = speechlike(6000, seed=len(str(varied))) + 0.01  # a little DC
    difference = largest_difference(
        compute_features(CLASSES[kind](**options), samples), oracle(kind, options, samples)
    )
    print(f"{kind} {varied or 'defaults'}: largest difference {difference:.1e}")
    assert difference <= 1e-3


frame_options = st.fixed_dictionaries(
    {
        "frame_length_ms": st.sampled_from([20.0, 25.0, 32.0]),
        "frame_shift_ms": st.sampled_from([5.0, 8.0, 10.0, 12.5, 40.0]),
        "snip_edges": st.booleans(),
        "preemphasis": st.sampled_from([0.0, 0.5, 0.97]),
        "remove_dc_offset": st.booleans(),
        "use_energy": st.booleans(),
        "raw_energy": st.booleans(),
        "window": st.sampled_from(
            ["povey", "hamming", "hanning", "sine", "blackman", "rectangular"]
        ),
        "sample_rate_hz": st.sampled_from([8000, 16000]),
        "low_freq_hz": st.sampled_from([0.0, 20.0, 60.0]),
        "num_mel_bins": st.integers(12, 24),
        "high_freq_hz": st.sampled_from([0.0, -200.0, 3600.0]),
        "energy_floor": st.sampled_from([0.0, 1e9]),
        "htk_compat": st.booleans(),
        "round_to_power_of_two": st.booleans(),
        "blackman_coefficient": st.sampled_from([0.42, 0.3]),
    }
)


@settings(max_examples=40)
@given(frame_options, st.booleans(), st.booleans(), st.integers(600, 4000))
def test_any_options_of_the_filterbank_are_kaldis(options, use_power, use_log_fbank, num_samples):
    options |= {"use_power": use_power, "use_log_fbank": use_log_fbank}
    samples = speechlike(num_samples, seed=num_samples)
    assert (
        largest_difference(
            compute_features(KaldiFbank(**options), samples), oracle("fbank", options, samples)
        )
        <= 2e-3
    )


@settings(max_examples=40)
@given(
    frame_options, st.integers(2, 12), st.sampled_from([0.0, 22.0, 30.0]), st.integers(600, 4000)
)
def test_any_options_of_the_cepstra_are_kaldis(options, num_ceps, cepstral_lifter, num_samples):
    options |= {"num_ceps": num_ceps, "cepstral_lifter": cepstral_lifter}
    samples = speechlike(num_samples, seed=num_samples)
    assert (
        largest_difference(
            compute_features(KaldiMfcc(**options), samples), oracle("mfcc", options, samples)
        )
        <= 2e-3
    )


def test_dither_is_as_loud_as_kaldis_and_follows_its_seed():
    silence = np.zeros(160000, np.float32)
    front_end = KaldiFbank(**DEFAULTS, dither=1.0, dither_seed=3)
    found_TF = compute_features(front_end, silence)
    expected_TF = oracle("fbank", DEFAULTS, silence, dither=1.0)
    difference_F = np.abs(found_TF.numpy().mean(axis=0) - expected_TF.mean(axis=0))
    print(
        f"mean log energies of dithered silence differ by {difference_F.max():.3f}, "
        f"of {expected_TF.mean():.2f}"
    )
    assert difference_F.max() < 0.3
    assert abs(found_TF.numpy().mean() - expected_TF.mean()) < 0.05
    assert compute_features(front_end, silence).equal(found_TF)
    assert not compute_features(KaldiFbank(**DEFAULTS, dither=1.0, dither_seed=4), silence).equal(
        found_TF
    )


def test_full_scale_is_what_a_sample_of_one_is_worth():
    samples = speechlike(4000)
    plain_TF, scaled_TF = (
        compute_features(KaldiFbank(full_scale=1.0), samples * 32768),
        compute_features(KaldiFbank(), samples),
    )
    assert largest_difference(plain_TF, scaled_TF) < 1e-5


def test_digital_silence_gives_kaldis_floor():
    assert compute_features(KaldiFbank(), np.zeros(800)).unique().tolist() == pytest.approx(
        [np.log(np.finfo(np.float32).eps)], rel=1e-6
    )
