"""Kaldi's energy-based decisions, against what compute-vad itself wrote, and the rule by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.speechlike import silence, vowels
from utils.archive import iterate_archive
from utils.audio import read_audio
from utils.vad.energy import EnergyVad, energy_decisions, log_energies
from utils.vad.registry import make_vad

GOLDEN = ROOT / "tests" / "golden" / "kaldi"
KALDIS = {
    "energy_threshold": 5.5,
    "energy_mean_scale": 0.5,
    "frames_context": 2,
    "proportion_threshold": 0.12,
}


@pytest.fixture(scope="module")
def golden():
    """Utterance -> (samples, rate, first column of Kaldi's MFCC, Kaldi's decisions)."""
    decisions, features = (
        dict(iterate_archive(GOLDEN / name)) for name in ("vad.txt", "mfcc30_voxceleb.txt")
    )
    return {
        key: (*read_audio(GOLDEN / "wav" / f"{key}.wav"), features[key][:, 0], decisions[key] == 1)
        for key in decisions
    }


def test_decisions_are_kaldis_from_the_sound(golden):
    detector, _ = make_vad(ROOT / "conf" / "vad" / "energy.yaml")
    assert golden.keys() == {"w0", "w1", "w2"}
    for key, (samples, rate, _, expected) in golden.items():
        found = detector.decisions(samples, rate)
        print(
            f"{key}: {len(expected)} frames, {expected.mean():.0%} speech, "
            f"{(found != expected).sum()} differ"
        )
        assert 0 < expected.mean() < 1
        assert np.array_equal(found, expected)
        assert np.array_equal(EnergyVad().decisions(samples, rate), expected)


def test_decisions_are_kaldis_from_its_own_features(golden):
    for _, _, log_energy, expected in golden.values():
        assert np.array_equal(energy_decisions(log_energy, **KALDIS), expected)


def test_log_energies_are_kaldis(golden):
    difference = max(
        np.abs(log_energies(samples, rate) - log_energy).max()
        for samples, rate, log_energy, _ in golden.values()
    )
    print(f"largest difference of log energies: {difference:.1e}")
    assert difference < 1e-4


@pytest.mark.parametrize(
    ("options", "differs"),
    [
        ({"energy_threshold": 12.0}, True),
        ({"energy_mean_scale": 1.2}, True),
        ({"frames_context": 0}, True),
        ({"proportion_threshold": 0.9}, True),
        ({}, False),
    ],
)
def test_each_option_changes_kaldis_decisions(golden, options, differs):
    assert (
        any(
            not np.array_equal(EnergyVad(**options).decisions(samples, rate), expected)
            for samples, rate, _, expected in golden.values()
        )
        == differs
    )


@pytest.mark.parametrize(
    ("context", "proportion", "expected"),
    [
        (0, 0.5, "..##..#..."),
        (1, 0.12, ".#######.."),
        (1, 0.6, "..##......"),
        (2, 0.12, "#########."),
        (1, 0.34, "..##......"),
    ],
)
def test_the_rule_counts_loud_frames_around_each_frame(context, proportion, expected):
    loud = np.array([0, 0, 9, 9, 0, 0, 9, 0, 0, 0.0])
    decisions = energy_decisions(
        loud,
        energy_threshold=5,
        energy_mean_scale=0,
        frames_context=context,
        proportion_threshold=proportion,
    )
    assert "".join("#" if speech else "." for speech in decisions) == expected


@given(
    st.lists(st.floats(-16, 25), max_size=60),
    st.integers(0, 5),
    st.floats(0.01, 0.99),
    st.floats(0, 2),
)
def test_the_rule_is_that_of_a_loop_over_frames(log_energy, context, proportion, scale):
    log_energy = np.array(log_energy)
    threshold = 5.5 + scale * log_energy.mean() if len(log_energy) else 0
    expected = []
    for frame in range(len(log_energy)):
        around = log_energy[max(0, frame - context) : frame + context + 1]
        expected.append(
            np.float32((around > threshold).sum())
            >= np.float32(len(around)) * np.float32(proportion)
        )
    found = energy_decisions(
        log_energy,
        energy_threshold=5.5,
        energy_mean_scale=scale,
        frames_context=context,
        proportion_threshold=proportion,
    )
    assert found.tolist() == expected


def test_at_rates_above_16_khz_the_threshold_means_the_same():
    stretches = []
    for rate in (16000, 44100, 48000):
        sound = np.concatenate([silence(1, rate), vowels(1, rate), silence(1, rate)])
        stretches.append(
            EnergyVad(energy_mean_scale=0.0, energy_threshold=18.0).decisions(sound, rate)
        )
    print("frames of speech:", [speech.sum() for speech in stretches])
    assert all(np.abs(speech.astype(int) - stretches[0]).sum() <= 2 for speech in stretches)
    assert 80 < stretches[0].sum() < 110


def test_blocks_of_a_minute_leave_no_seam():
    sound = np.concatenate([vowels(61), silence(61)])
    assert np.array_equal(
        log_energies(sound, 16000)[:5990], log_energies(sound[: 60 * 16000], 16000)[:5990]
    )
