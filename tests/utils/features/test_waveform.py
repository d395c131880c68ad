"""Raw waveform front ends and sinc banks, against slow computations from the formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.utils.features.cases import compute_features, speechlike
from utils.features.sinc import AnalyticSincBank, SincBank
from utils.features.waveform import Waveform

RAWNET3 = {"preemphasis": 0.97, "preemphasis_edge": "mirror", "instance_norm": "trained"}


@given(st.integers(2, 500))
def test_each_system_gets_its_scaling_and_pre_emphasis(num_samples):
    x = speechlike(num_samples, seed=num_samples)
    emphasised = x[1:] - np.float32(0.97) * x[:-1]
    mirrored = np.concatenate([x[:1] - np.float32(0.97) * x[1:2], emphasised]).astype(np.float64)
    for options, expected in [
        ({}, x),
        ({"scale": "int16", "preemphasis": 0.97}, emphasised * 32768),
        ({"scale": "peak"}, x / np.abs(x).max()),
        ({"preemphasis": 0.97}, emphasised),
        (RAWNET3, (mirrored - mirrored.mean()) / np.sqrt(mirrored.var() + 1e-4)),
    ]:
        found = compute_features(Waveform(**options), x).numpy()[:, 0]
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-6 * max(1, np.abs(expected).max()))


def test_silence_stays_silence():
    for options in ({"scale": "peak"}, RAWNET3):
        assert not compute_features(Waveform(**options), np.zeros(100)).any()


def test_gain_and_offset_are_learnt_only_where_the_system_learns_them():
    for kind, learns in [("trained", True), ("fixed", False)]:
        front_end = Waveform(instance_norm=kind)
        assert [tuple(parameter.shape) for parameter in front_end.parameters()] == [(1,), (1,)]
        features_BTF, _ = front_end(
            torch.from_numpy(speechlike(100))[None].requires_grad_(), torch.tensor([100])
        )
        features_BTF.square().sum().backward()
        assert all((parameter.grad is not None) == learns for parameter in front_end.parameters())
    assert not list(Waveform().parameters())


BANKS = {
    "rawnet2": (SincBank, {}),
    "rawnet3": (AnalyticSincBank, {"stride_samples": 10}),
    "mr_rawnet": (
        AnalyticSincBank,
        {"kernel_samples": 51, "stride_samples": 20, "padding_samples": 25},
    ),
    "telephone": (
        AnalyticSincBank,
        {"num_filters": 40, "kernel_samples": 101, "sample_rate_hz": 8000},
    ),
}


def slow_filter(low_hz, high_hz, bank, odd):
    """One filter: ideal band-pass, half a Hamming window mirrored, over twice the band's width."""
    half = bank.kernel_samples // 2
    points = (
        np.hamming(bank.kernel_samples)[:half]
        if isinstance(bank, AnalyticSincBank)
        else [
            0.54
            - 0.46
            * np.cos(
                2 * np.pi * k * (bank.kernel_samples / 2 - 1) / (half - 1) / bank.kernel_samples
            )
            for k in range(half)
        ]
    )
    taps = np.zeros(bank.kernel_samples)
    for k in range(half):
        t = 2 * np.pi * (k - half) / bank.sample_rate_hz
        wave = (
            (np.cos(low_hz * t) - np.cos(high_hz * t))
            if odd
            else (np.sin(high_hz * t) - np.sin(low_hz * t))
        )
        taps[k] = wave / (t / 2) * points[k] / (2 * (high_hz - low_hz))
        taps[-1 - k] = -taps[k] if odd else taps[k]
    taps[half] = 0 if odd else 1
    return taps


@pytest.mark.parametrize("name", BANKS)
def test_filters_are_what_the_formula_says(name):
    kind, options = BANKS[name]
    torch.manual_seed(0)
    bank = kind(**options)
    # negative ones count by their magnitude; cut-off frequencies stop at half the sample rate
    with torch.no_grad():
        bank.low_hz.mul_(2 * torch.rand_like(bank.low_hz) - 1)
        bank.band_hz.mul_(torch.randn_like(bank.band_hz)).mul_(30)
    low_K1, high_K1 = (cut_off.detach().double().numpy() for cut_off in bank.cut_offs_hz())
    assert high_K1.max() == bank.sample_rate_hz / 2
    assert (high_K1 > low_K1).all()
    bands_K2 = np.hstack([low_K1, high_K1])
    expected = [
        slow_filter(low, high, bank, odd)
        for odd in range(bank.filters_per_band)
        for low, high in bands_K2
    ]
    np.testing.assert_allclose(bank.filters().detach().numpy(), expected, atol=1e-4)


def test_sinc_banks_begin_mel_spaced_with_the_published_number_of_parameters():
    rawnet2, rawnet3 = SincBank(), AnalyticSincBank()
    for bank, num_filters in [
        (rawnet2, 128),
        (rawnet3, 256),
        (AnalyticSincBank(kernel_samples=401), 256),
    ]:
        assert bank.filters().shape == (num_filters, bank.kernel_samples)
        assert {name: tuple(parameter.shape) for name, parameter in bank.named_parameters()} == {
            "low_hz": (128, 1),
            "band_hz": (128, 1),
        }
        edges_hz = (
            torch.cat([bank.low_hz[:, 0], bank.low_hz[-1] + bank.band_hz[-1]])
            .detach()
            .double()
            .numpy()
        )
        assert edges_hz[[0, -1]] == pytest.approx([30, 7900], rel=1e-5)
        mels = np.log10(1 + edges_hz / 700)
        np.testing.assert_allclose(np.diff(mels), np.diff(mels).mean(), rtol=1e-3)
        assert bank.cut_offs_hz()[0][0].item() == pytest.approx(80)


@pytest.mark.parametrize(
    ("name", "num_samples", "num_frames"),
    [("rawnet2", 59049, 58799), ("rawnet3", 48000, 4775), ("mr_rawnet", 48000, 2400)],
)
def test_frames_are_as_published(name, num_samples, num_frames):
    kind, options = BANKS[name]
    bank = kind(**options)
    assert bank.num_frames(num_samples) == num_frames
    assert bank(torch.zeros(1, num_samples)).shape == (1, bank.num_filters, num_frames)


def test_a_tone_comes_out_of_the_bands_around_it():
    time_S = torch.arange(16000) / 16000
    for bank in (SincBank(), AnalyticSincBank()):
        loudness_K = (
            bank(torch.cos(2 * torch.pi * 1000 * time_S)[None])[0].square().mean(dim=1)[:128]
        )
        low_K1, high_K1 = bank.cut_offs_hz()
        loudest = int(loudness_K.argmax())
        print(
            f"{bank}: a tone of 1000 Hz is loudest from {low_K1[loudest].item():.0f} "
            f"to {high_K1[loudest].item():.0f} Hz"
        )
        assert low_K1[loudest] - 50 < 1000 < high_K1[loudest] + 50


def test_pairs_of_filters_are_in_quadrature():
    time_S = torch.arange(16000) / 16000
    even_KT, odd_KT = (
        AnalyticSincBank(kernel_samples=401)(torch.cos(2 * torch.pi * 1000 * time_S)[None])[0]
        .detach()
        .split(128)
    )
    loudest = int(even_KT.square().mean(dim=1).argmax())
    modulus_T = (even_KT[loudest].square() + odd_KT[loudest].square()).sqrt()
    assert modulus_T.std() < 0.02 * modulus_T.mean()


@pytest.mark.parametrize("name", BANKS)
def test_gradients_reach_the_cut_off_frequencies_and_state_is_restored(name):
    kind, options = BANKS[name]
    bank, other = kind(**options), kind(**options)
    waveforms_BS = torch.from_numpy(speechlike(2000))[None]
    before_BCT = bank(waveforms_BS)
    before_BCT.square().sum().backward()
    assert all((parameter.grad != 0).any() for parameter in bank.parameters())
    with torch.no_grad():
        bank.low_hz.add_(10)
    other.load_state_dict(bank.state_dict())
    assert torch.equal(other(waveforms_BS), bank(waveforms_BS))
    assert not torch.equal(other(waveforms_BS), before_BCT)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(other(waveforms_BS), bank(waveforms_BS))
        assert other(waveforms_BS).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_samples": 250}, "kernel_samples is 250, expected an odd number"),
        ({"num_filters": 0}, "num_filters is 0"),
        ({"stride_samples": 0}, "stride_samples is 0"),
        ({"sample_rate_hz": 200}, "sample_rate_hz 200 leaves no band"),
    ],
)
def test_impossible_banks_are_refused(options, message):
    for kind in (SincBank, AnalyticSincBank):
        with pytest.raises(ValueError, match=message):
            kind(**options)
    with pytest.raises(ValueError, match="num_filters is 5, expected a positive multiple of 2"):
        AnalyticSincBank(num_filters=5)
