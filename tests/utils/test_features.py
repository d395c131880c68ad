"""Front ends against Kaldi's own output, two independent implementations, values worked out by hand, and batch mates."""

from pathlib import Path
from typing import get_args

import kaldi_native_fbank
import kaldiio
import librosa
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.errors import UserError
from utils.features import FRONT_ENDS, KaldiFbank, KaldiMfcc, SpecAugment, Spectrogram, make_front_end, make_spec_augment, normalise
from utils.features_base import Normalisation

GOLDEN = Path(__file__).parents[1] / "golden" / "kaldi"
NORMALISATIONS = get_args(Normalisation)


def features_of(front_end, samples):
    """Features (T, F) of one utterance."""
    features_BTF, _ = front_end(torch.as_tensor(samples, dtype=torch.float32)[None], torch.tensor([len(samples)]))
    return features_BTF[0]


def speechlike(num_samples, seed=0):
    """Low-pass noise with a little white noise: energies over the whole band, as recordings have."""
    noise = np.random.default_rng(seed).standard_normal((2, num_samples))
    return (0.05 * np.convolve(noise[0], 0.9 ** np.arange(50))[:num_samples] + 0.01 * noise[1]).astype(np.float32)


@pytest.mark.parametrize(("name", "front_end"), [
    ("fbank80", KaldiFbank(num_mel_bins=80)),
    ("fbank40_nosnip", KaldiFbank(num_mel_bins=40, snip_edges=False, high_freq_hz=-400)),
    ("mfcc30_voxceleb", KaldiMfcc(num_mel_bins=30, num_ceps=30, low_freq_hz=20, high_freq_hz=7600, snip_edges=False)),
])
def test_kaldi_agrees(name, front_end):
    checked = 0
    for key, expected_TF in kaldiio.load_ark(str(GOLDEN / f"{name}.txt")):
        samples, _ = soundfile.read(GOLDEN / "wav" / f"{key}.wav", dtype="float32")
        found_TF = features_of(front_end, samples).numpy()
        assert found_TF.shape == expected_TF.shape
        difference = np.abs(found_TF - expected_TF) / np.maximum(1, np.abs(expected_TF))
        print(f"{name} {key}: {found_TF.shape}, largest difference {difference.max():.1e}")
        assert difference.max() <= 1e-3
        checked += 1
    assert checked == 3


frame_options = st.fixed_dictionaries({
    "frame_length_ms": st.sampled_from([20.0, 25.0, 32.0]), "frame_shift_ms": st.sampled_from([5.0, 8.0, 10.0, 12.5]), "snip_edges": st.booleans(),
    "preemphasis": st.sampled_from([0.0, 0.5, 0.97]), "remove_dc_offset": st.booleans(), "use_energy": st.booleans(), "raw_energy": st.booleans(),
    "window": st.sampled_from(["povey", "hamming", "hanning", "rectangular"]), "sample_rate_hz": st.sampled_from([8000, 16000]),
    "low_freq_hz": st.sampled_from([0.0, 20.0, 60.0]), "high_freq_hz": st.sampled_from([0.0, -200.0, 3600.0]), "num_mel_bins": st.integers(12, 24),
    "energy_floor": st.sampled_from([0.0, 1e9]),
})


def oracle(kind, options, samples):
    """Features by kaldi-native-fbank."""
    theirs = {"fbank": kaldi_native_fbank.FbankOptions, "mfcc": kaldi_native_fbank.MfccOptions}[kind]()
    theirs.frame_opts.dither = 0
    for name, source in {"samp_freq": "sample_rate_hz", "frame_length_ms": "frame_length_ms", "frame_shift_ms": "frame_shift_ms",
                         "window_type": "window", "snip_edges": "snip_edges", "preemph_coeff": "preemphasis",
                         "remove_dc_offset": "remove_dc_offset"}.items():
        setattr(theirs.frame_opts, name, options[source])
    theirs.mel_opts.num_bins = options["num_mel_bins"]
    theirs.mel_opts.low_freq, theirs.mel_opts.high_freq = options["low_freq_hz"], options["high_freq_hz"]
    for name in ("use_energy", "raw_energy", "energy_floor", "use_power", "use_log_fbank", "num_ceps", "cepstral_lifter"):
        if name in options:
            setattr(theirs, name, options[name])
    computer = {"fbank": kaldi_native_fbank.OnlineFbank, "mfcc": kaldi_native_fbank.OnlineMfcc}[kind](theirs)
    computer.accept_waveform(options["sample_rate_hz"], (samples * 32768).tolist())
    computer.input_finished()
    return np.stack([computer.get_frame(k) for k in range(computer.num_frames_ready)])


def assert_close(found_TF, expected_TF):
    assert found_TF.shape == expected_TF.shape
    difference = np.abs(found_TF.numpy() - expected_TF) / np.maximum(1, np.abs(expected_TF))
    assert difference.max() <= 2e-3, f"largest difference {difference.max():.1e} at {np.unravel_index(difference.argmax(), difference.shape)}"


@settings(max_examples=40, deadline=None)
@given(frame_options, st.booleans(), st.booleans(), st.integers(600, 4000))
def test_fbank_agrees_with_an_independent_implementation(options, use_power, use_log_fbank, num_samples):
    options |= {"use_power": use_power, "use_log_fbank": use_log_fbank}
    samples = speechlike(num_samples, seed=num_samples)
    assert_close(features_of(KaldiFbank(**options), samples), oracle("fbank", options, samples))


@settings(max_examples=40, deadline=None)
@given(frame_options, st.integers(2, 12), st.sampled_from([0.0, 22.0, 30.0]), st.integers(600, 4000))
def test_mfcc_agrees_with_an_independent_implementation(options, num_ceps, cepstral_lifter, num_samples):
    options |= {"num_ceps": num_ceps, "cepstral_lifter": cepstral_lifter}
    samples = speechlike(num_samples, seed=num_samples)
    assert_close(features_of(KaldiMfcc(**options), samples), oracle("mfcc", options, samples))


@pytest.mark.filterwarnings("ignore:n_fft=")  # shorter than the window: the mirror is folded again
@settings(max_examples=20, deadline=None)
@given(st.integers(300, 4000), st.sampled_from([(512, 400, 160), (512, 512, 128), (400, 400, 200), (256, 201, 77)]))
def test_spectrogram_agrees_with_librosa(num_samples, sizes):
    fft_samples, window_samples, hop_samples = sizes
    samples = speechlike(num_samples, seed=num_samples)
    expected_FT = np.abs(librosa.stft(samples, n_fft=fft_samples, win_length=window_samples, hop_length=hop_samples, pad_mode="reflect"))
    front_end = Spectrogram(fft_samples=fft_samples, window_samples=window_samples, hop_samples=hop_samples)
    np.testing.assert_allclose(features_of(front_end, samples).numpy(), expected_FT.T, atol=1e-4)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("options", [{"name": "spectrogram"}, {"name": "kaldi_fbank"}, {"name": "kaldi_fbank", "snip_edges": False},
                                     {"name": "kaldi_mfcc"}], ids=lambda options: "-".join(map(str, options.values())))
def test_batch_mates_and_padding_change_nothing(options, normalisation):
    front_end = make_front_end(options | {"normalisation": normalisation})
    lengths_B = torch.tensor([8000, front_end.min_samples(2), 7919, 5001, 8000])
    utterances = [torch.from_numpy(speechlike(int(n), seed=row)) for row, n in enumerate(lengths_B)]
    waveforms_BS = torch.full((len(lengths_B), 9000), torch.nan)  # padding that must never be read
    for row, utterance in enumerate(utterances):
        waveforms_BS[row, :len(utterance)] = utterance
    together_BTF, num_frames_B = front_end(waveforms_BS, lengths_B)
    assert len(set(num_frames_B.tolist())) > 2
    for row, utterance in enumerate(utterances):
        alone_TF = features_of(front_end, utterance)
        assert alone_TF.shape == (num_frames_B[row], front_end.num_bins) == (front_end.num_frames(len(utterance)), front_end.num_bins)
        torch.testing.assert_close(together_BTF[row, :num_frames_B[row]], alone_TF, atol=1e-5, rtol=1e-5)
        assert (together_BTF[row, num_frames_B[row]:] == 0).all()


@pytest.mark.parametrize("options", [{"name": "spectrogram"}, {"name": "kaldi_fbank"}, {"name": "kaldi_mfcc"}], ids=lambda options: options["name"])
def test_min_samples_is_the_shortest_input_with_so_many_frames(options):
    front_end = make_front_end(options)
    for num_frames in (1, 2, 7):
        shortest = front_end.min_samples(num_frames)
        assert features_of(front_end, speechlike(shortest)).shape == (num_frames, front_end.num_bins)
        assert shortest == 1 or front_end.num_frames(shortest - 1) < num_frames


def test_features_stay_in_float32_under_autocast():
    samples = speechlike(4000)
    plain_TF = features_of(KaldiMfcc(), samples)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(features_of(KaldiMfcc(), samples), plain_TF)


def test_digital_silence_gives_kaldis_floor():
    assert features_of(KaldiFbank(), np.zeros(800)).unique().tolist() == pytest.approx([np.log(np.finfo(np.float32).eps)], rel=1e-6)
    assert features_of(Spectrogram(normalisation="frame"), np.zeros(800)).abs().max() == 0


@pytest.mark.parametrize(("kind", "expected_BTF"), [
    ("none", [[[1.0, 3.0], [5.0, 5.0]], [[2.0, 4.0], [0.0, 0.0]]]),
    ("frame", [[[-1.0, 1.0], [0.0, 0.0]], [[-1.0, 1.0], [0.0, 0.0]]]),
    ("utterance_mean", [[[-2.0, -1.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]),
    ("utterance_mean_variance", [[[-1.0, -1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]),
])
def test_normalisations_by_hand(kind, expected_BTF):
    features_BTF = torch.tensor([[[1.0, 3.0], [5.0, 5.0]], [[2.0, 4.0], [9.0, -9.0]]])  # the last frame is padding
    torch.testing.assert_close(normalise(features_BTF, torch.tensor([2, 1]), kind), torch.tensor(expected_BTF), atol=2e-5, rtol=0)


def test_spec_augment_depends_on_its_seed_alone():
    mask = SpecAugment(num_freq_masks=2, max_freq_bins=8, num_time_masks=2, max_time_frames=20)
    ones_BTF = torch.ones(3, 100, 40)
    masked_BTF = mask(ones_BTF, [7, 8, 7])
    assert torch.equal(masked_BTF[0], masked_BTF[2])
    assert not torch.equal(masked_BTF[0], masked_BTF[1])
    assert torch.equal(mask(ones_BTF[:1], torch.tensor([8]))[0], masked_BTF[1])


@settings(deadline=None)
@given(st.integers(0, 2**62), st.integers(0, 3), st.integers(0, 10), st.integers(0, 3), st.integers(0, 90))
def test_spec_augment_masks_whole_bands_no_wider_than_asked(seed, num_freq_masks, max_freq_bins, num_time_masks, max_time_frames):
    mask = SpecAugment(num_freq_masks=num_freq_masks, max_freq_bins=max_freq_bins, num_time_masks=num_time_masks, max_time_frames=max_time_frames)
    masked_TF = mask(torch.ones(1, 50, 40), [seed])[0]
    frames, bins = masked_TF.amax(dim=1), masked_TF.amax(dim=0)
    assert torch.equal(masked_TF, torch.outer(frames, bins))
    assert (bins == 0).sum() <= num_freq_masks * max_freq_bins or not frames.any()
    assert (frames == 0).sum() <= num_time_masks * max_time_frames or not bins.any()


def test_spec_augment_draws_every_width():
    mask = SpecAugment(num_freq_masks=1, max_freq_bins=4, num_time_masks=0)
    widths = (mask(torch.ones(300, 1, 40), range(300)) == 0).sum(dim=(1, 2)).bincount()
    print(f"widths 0 to 4, times drawn of 300: {widths.tolist()}")
    assert len(widths) == 5
    assert widths.min() > 30


@pytest.mark.parametrize(("options", "message"), [
    ({"name": "kaldi_fbank", "num_mel_bin": 40}, "front_end: unknown key 'num_mel_bin'; did you mean 'num_mel_bins'?"),
    ({"name": "kaldi_mfcc", "use_power": False}, "front_end: unknown key 'use_power'"),
    ({"name": "kaldi_mfcc", "num_ceps": 31}, "front_end: num_ceps is 31, expected 1 to num_mel_bins"),
    ({"name": "kaldi_fbank", "high_freq_hz": 8001}, "front_end: low_freq_hz 20.0 and high_freq_hz 8001.0 are no range within 0 to 8000 Hz"),
    ({"name": "kaldi_fbank", "num_mel_bins": 200}, "front_end: num_mel_bins is 200: too many"),
    ({"name": "kaldi_fbank", "preemphasis": 2}, "front_end: preemphasis is 2.0"),
    ({"name": "kaldi_fbank", "frame_shift_ms": 0}, "front_end: frame_length_ms 25.0 and frame_shift_ms 0.0"),
    ({"name": "spectrogram", "window_samples": 600}, "front_end: window_samples is 600"),
    ({"name": "spectrogram", "normalisation": "frames"}, "front_end: normalisation: found 'frames'"),
    ({"name": "fbank"}, "front_end: name: no 'fbank'"),
])
def test_impossible_front_ends_are_refused(options, message):
    with pytest.raises(UserError) as error:
        make_front_end(options)
    assert str(error.value).startswith(message)


def test_impossible_spec_augment_is_refused():
    assert make_spec_augment(None) is None
    with pytest.raises(UserError, match="^spec_augment: max_freq_bins is -1"):
        make_spec_augment({"max_freq_bins": -1})


def test_every_front_end_is_tried_here():
    assert set(FRONT_ENDS) == {"kaldi_fbank", "kaldi_mfcc", "spectrogram"}
