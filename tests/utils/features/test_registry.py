"""What every front end promises, tried on all of FRONT_ENDS; SpecAugment; and refusals."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.utils.features.cases import compute_features, speechlike
from utils.config import signature_parameters
from utils.errors import UserError
from utils.features.base import CACHED_FRAMES, FramedFrontEnd
from utils.features.registry import FRONT_ENDS, SpecAugment, make_front_end, make_spec_augment

STORED = {"name": "precomputed", "num_bins": 30, "description": "mfcc of a made-up Kaldi"}
CASES = [
    {"name": "kaldi_fbank"},
    {"name": "kaldi_fbank", "snip_edges": False},
    {"name": "kaldi_fbank", "dither": 1.0},
    {"name": "kaldi_mfcc"},
    {"name": "spectrogram"},
    {"name": "spectrogram", "use_power": True, "use_log": True},
    {"name": "librosa_log_mel"},
    {"name": "librosa_log_mel", "use_log": False, "edge": "zeros"},
    {"name": "speechbrain_fbank"},
    {"name": "psf_fbank"},
    {"name": "waveform"},
    {"name": "waveform", "scale": "peak", "preemphasis": 0.97},
    {
        "name": "waveform",
        "preemphasis": 0.97,
        "preemphasis_edge": "mirror",
        "instance_norm": "trained",
    },
    STORED,
]
NORMALISATIONS = [
    "none",
    "frame",
    "utterance_mean",
    "utterance_mean_variance",
    "sliding",
    {
        "name": "sliding",
        "window_frames": 20,
        "centre": False,
        "min_window_frames": 7,
        "norm_variance": True,
    },
]


def named(options):
    return "-".join(map(str, options.values())) if isinstance(options, dict) else options


def input_of(front_end, num_samples, seed=0):
    """Samples of an utterance, or its frames where those are what the front end takes."""
    if isinstance(front_end, FRONT_ENDS["precomputed"]):
        return torch.from_numpy(speechlike(num_samples * front_end.num_bins, seed)).reshape(
            num_samples, front_end.num_bins
        )
    return torch.from_numpy(speechlike(num_samples, seed))


def test_every_front_end_is_tried_here():
    assert {options["name"] for options in CASES} == set(FRONT_ENDS)


@pytest.mark.slow
@pytest.mark.parametrize("normalisation", NORMALISATIONS, ids=named)
@pytest.mark.parametrize("options", CASES, ids=named)
def test_batch_mates_and_padding_change_nothing(options, normalisation):
    front_end = make_front_end(options | {"normalisation": normalisation})
    lengths_B = torch.tensor([8000, front_end.min_samples(2), 7919, 5001, 8000])
    utterances = [input_of(front_end, int(n), seed=row) for row, n in enumerate(lengths_B)]
    padded = torch.full(
        (len(lengths_B), 9000, *utterances[0].shape[1:]), torch.nan
    )  # padding that must never be read
    for row, utterance in enumerate(utterances):
        padded[row, : len(utterance)] = utterance
    together_BTF, num_frames_B = front_end(padded, lengths_B)
    assert len(set(num_frames_B.tolist())) > 2
    for row, utterance in enumerate(utterances):
        alone_TF = compute_features(front_end, utterance)
        assert (
            alone_TF.shape
            == (num_frames_B[row], front_end.num_bins)
            == (front_end.num_frames(len(utterance)), front_end.num_bins)
        )
        torch.testing.assert_close(
            together_BTF[row, : num_frames_B[row]], alone_TF, atol=1e-5, rtol=1e-5
        )
        assert (together_BTF[row, num_frames_B[row] :] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [options for options in CASES if issubclass(FRONT_ENDS[options["name"]], FramedFrontEnd)],
    ids=named,
)
def test_a_batch_at_once_as_on_a_gpu_is_the_same_as_utterance_by_utterance_in_pieces(
    options, monkeypatch
):
    front_end = make_front_end(options)
    for lengths in ([50000, 50000], [50000, front_end.min_samples(1), 31111, 49999]):
        lengths_B = torch.tensor(lengths)
        padded_BS = torch.stack(
            [input_of(front_end, 50001, seed=row) for row in range(len(lengths))]
        )
        padded_BS = padded_BS.masked_fill(torch.arange(50001) >= lengths_B[:, None], torch.nan)
        one_by_one_BTF, num_frames_B = front_end(padded_BS, lengths_B)
        assert num_frames_B.max() > CACHED_FRAMES
        with monkeypatch.context() as patch:
            patch.setattr(
                FramedFrontEnd,
                "_features",
                lambda self, *batch: self._features_of_frames(self._frames(*batch)),
            )
            at_once_BTF, _ = front_end(padded_BS, lengths_B)
        torch.testing.assert_close(at_once_BTF, one_by_one_BTF, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", CASES, ids=named)
def test_min_samples_is_the_shortest_input_with_so_many_frames(options):
    front_end = make_front_end(options)
    for num_frames in (1, 2, 7):
        shortest = front_end.min_samples(num_frames)
        assert compute_features(front_end, input_of(front_end, shortest)).shape == (
            num_frames,
            front_end.num_bins,
        )
        assert shortest == 1 or front_end.num_frames(shortest - 1) < num_frames


@pytest.mark.parametrize("options", CASES, ids=named)
def test_features_stay_in_float32_under_autocast(options):
    front_end = make_front_end(options)
    samples = input_of(front_end, 4000)
    plain_TF = compute_features(front_end, samples)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(compute_features(front_end, samples), plain_TF)
    assert plain_TF.dtype == torch.float32


@pytest.mark.parametrize("options", CASES, ids=named)
def test_state_is_restored_and_gradients_reach_what_is_learnt(options):
    front_end, other = make_front_end(options), make_front_end(options)
    samples = input_of(front_end, 4000)
    with torch.no_grad():
        for parameter in front_end.parameters():
            parameter.add_(0.5)
    other.load_state_dict(front_end.state_dict())
    assert torch.equal(compute_features(other, samples), compute_features(front_end, samples))
    learnt = list(front_end.parameters())
    assert bool(learnt) == ("instance_norm" in options)
    if learnt:
        front_end(samples[None], torch.tensor([4000]))[0].square().sum().backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in learnt)


OTHER_VALUES = {
    "num_mel_bins": 35,
    "sample_rate_hz": 18000,
    "low_freq_hz": 50.0,
    "high_freq_hz": -300.0,
    "frame_length_ms": 24.0,
    "frame_shift_ms": 11.0,
    "dither": 0.5,
    "dither_seed": 2,
    "preemphasis": 0.5,
    "window": "hamming",
    "blackman_coefficient": 0.4,
    "energy_floor": 1.0,
    "full_scale": 1.0,
    "num_ceps": 20,
    "cepstral_lifter": 20.0,
    "fft_samples": 1024,
    "window_samples": 300,
    "hop_samples": 120,
    "log_offset": 1e-3,
    "edge": "zeros",
    "range_db": 60.0,
    "scale": "int16",
    "preemphasis_edge": "mirror",
    "instance_norm": "fixed",
    "frames_per_second": 125,
    "num_bins": 20,
    "description": "other",
    "normalisation": "sliding",
}


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_every_option_shows_in_the_description(name):
    plain = STORED if name == "precomputed" else {"name": name}
    described = str(make_front_end(plain))
    print(described)
    for option, parameter in signature_parameters(FRONT_ENDS[name]).items():
        changed = str(
            make_front_end(plain | {option: OTHER_VALUES.get(option, not parameter.default)})
        )
        assert changed != described, option
    defaults = {
        option: parameter.default
        for option, parameter in signature_parameters(FRONT_ENDS[name]).items()
        if option not in plain
    }
    assert str(make_front_end(plain | defaults)) == described, (
        "written out or not, a default is the same"
    )


def test_stored_features_are_described_as_declared_and_must_have_the_declared_size():
    front_end = make_front_end(
        STORED | {"frames_per_second": 100, "normalisation": "utterance_mean"}
    )
    assert (
        str(front_end)
        == "Precomputed(30 features, 100 frames per second, mfcc of a made-up Kaldi, "
        "normalisation utterance_mean)"
    )
    assert (front_end.sample_rate_hz, front_end.hop_samples, front_end.num_frames(123)) == (
        100,
        1,
        123,
    )
    with pytest.raises(
        ValueError,
        match=r"found features of shape \(1, 50, 20\), expected \(utterances, frames, 30\)",
    ):
        front_end(torch.zeros(1, 50, 20), torch.tensor([50]))


def test_spec_augment_depends_on_its_seed_alone():
    mask = SpecAugment(num_freq_masks=2, max_freq_bins=8, num_time_masks=2, max_time_frames=20)
    ones_BTF = torch.ones(3, 100, 40)
    masked_BTF = mask(ones_BTF, [7, 8, 7])
    assert torch.equal(masked_BTF[0], masked_BTF[2])
    assert not torch.equal(masked_BTF[0], masked_BTF[1])
    assert torch.equal(mask(ones_BTF[:1], torch.tensor([8]))[0], masked_BTF[1])


@given(
    st.integers(0, 2**62),
    st.integers(0, 3),
    st.integers(0, 10),
    st.integers(0, 3),
    st.integers(0, 90),
)
def test_spec_augment_masks_whole_bands_no_wider_than_asked(
    seed, num_freq_masks, max_freq_bins, num_time_masks, max_time_frames
):
    mask = SpecAugment(
        num_freq_masks=num_freq_masks,
        max_freq_bins=max_freq_bins,
        num_time_masks=num_time_masks,
        max_time_frames=max_time_frames,
    )
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"name": "kaldi_fbank", "num_mel_bin": 40},
            "front_end: unknown key 'num_mel_bin'; did you mean 'num_mel_bins'?",
        ),
        ({"name": "kaldi_mfcc", "use_power": False}, "front_end: unknown key 'use_power'"),
        (
            {"name": "kaldi_mfcc", "num_ceps": 31},
            "front_end: num_ceps is 31, expected 1 to num_mel_bins",
        ),
        (
            {"name": "kaldi_fbank", "high_freq_hz": 8001},
            "front_end: low_freq_hz 20.0 and high_freq_hz 8001.0 are not a range within 0 to 8000",
        ),
        (
            {"name": "kaldi_mfcc", "sample_rate_hz": 8000},
            "front_end: low_freq_hz 20.0 and high_freq_hz 7600.0 are not a range within 0 to 4000",
        ),
        ({"name": "kaldi_fbank", "num_mel_bins": 200}, "front_end: num_mel_bins is 200: too many"),
        ({"name": "kaldi_fbank", "preemphasis": 2}, "front_end: preemphasis is 2.0"),
        (
            {"name": "kaldi_fbank", "frame_shift_ms": 0},
            "front_end: frame_length_ms 25.0 and frame_shift_ms 0.0",
        ),
        ({"name": "kaldi_fbank", "dither": -1}, "front_end: dither -1.0"),
        ({"name": "kaldi_fbank", "window": "hann"}, "front_end: window: found 'hann'"),
        ({"name": "spectrogram", "window_samples": 600}, "front_end: window_samples is 600"),
        ({"name": "spectrogram", "hop_samples": 0}, "front_end: hop_samples is 0"),
        ({"name": "spectrogram", "log_offset": 0}, "front_end: log_offset is 0.0"),
        (
            {"name": "librosa_log_mel", "num_mel_bins": 300},
            "front_end: num_mel_bins is 300: too many",
        ),
        (
            {"name": "librosa_log_mel", "high_freq_hz": 5000},
            "front_end: low_freq_hz 0.0 and high_freq_hz 5000.0 are not a range within 0 to 4000",
        ),
        (
            {"name": "psf_fbank", "sample_rate_hz": 48000},
            "front_end: frames of 1200 samples every 480, expected 2 to fft_samples (512)",
        ),
        (
            {"name": "psf_fbank", "low_freq_hz": 9000},
            "front_end: low_freq_hz 9000.0 and high_freq_hz 0.0 are not a range",
        ),
        (
            {"name": "waveform", "sample_rate_hz": 0},
            "front_end: sample_rate_hz is 0, expected 1 or more",
        ),
        ({"name": "waveform", "preemphasis": -1}, "front_end: preemphasis is -1.0"),
        (
            {"name": "waveform", "scale": "int8"},
            "front_end: scale: found 'int8' (text), expected one of unit, int16, peak",
        ),
        ({"name": "precomputed", "num_bins": 30}, "front_end: key 'description' is missing"),
        (STORED | {"description": " "}, "front_end: description is ' ', expected one line"),
        (STORED | {"num_bins": 0}, "front_end: num_bins is 0"),
        (STORED | {"frames_per_second": 0}, "front_end: frames_per_second is 0"),
        ({"name": "fbank"}, "front_end: name: no 'fbank'"),
    ],
)
def test_impossible_front_ends_are_refused(options, message):
    with pytest.raises(UserError) as error:
        make_front_end(options)
    assert str(error.value).startswith(message)


def test_impossible_spec_augment_is_refused():
    assert make_spec_augment(None) is None
    with pytest.raises(UserError, match="^spec_augment: max_freq_bins is -1"):
        make_spec_augment({"max_freq_bins": -1})
