"""Normalisation of features: by hand, against a loop over frames, and batch mates."""

import kaldiio
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.utils.features.cases import GOLDEN, largest_difference
from utils.errors import UserError
from utils.features.normalisation import SlidingWindow, normalise
from utils.features.registry import make_front_end


@pytest.mark.parametrize(
    ("kind", "expected_BTF"),
    [
        ("none", [[[1.0, 3.0], [5.0, 5.0]], [[2.0, 4.0], [0.0, 0.0]]]),
        ("frame", [[[-1.0, 1.0], [0.0, 0.0]], [[-1.0, 1.0], [0.0, 0.0]]]),
        ("utterance_mean", [[[-2.0, -1.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]),
        ("utterance_mean_variance", [[[-1.0, -1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]),
        (SlidingWindow(window_frames=10), [[[-2.0, -1.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]),
        (
            SlidingWindow(window_frames=10, norm_variance=True),
            [[[-1.0, -1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]],
        ),
        (
            SlidingWindow(window_frames=1, norm_variance=True),
            [[[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]],
        ),
        (
            SlidingWindow(window_frames=3, centre=False, min_window_frames=1),
            [[[0.0, 0.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]],
        ),
    ],
)
def test_normalisations_by_hand(kind, expected_BTF):
    features_BTF = torch.tensor(
        [[[1.0, 3.0], [5.0, 5.0]], [[2.0, 4.0], [9.0, -9.0]]]
    )  # the last frame is padding
    torch.testing.assert_close(
        normalise(features_BTF, torch.tensor([2, 1]), kind),
        torch.tensor(expected_BTF),
        atol=2e-5,
        rtol=0,
    )


def test_sliding_mean_of_stored_features_is_kaldis():
    features, expected = (
        dict(kaldiio.load_ark(str(GOLDEN / "kaldi" / f"{name}.txt")))
        for name in ("mfcc30_voxceleb", "mfcc30_cmvn_sliding")
    )
    lengths_B = torch.tensor([len(rows_TF) for rows_TF in features.values()])
    padded_BTF = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(rows_TF.copy()) for rows_TF in features.values()], True, torch.nan
    )
    assert len(set(lengths_B.tolist())) > 1
    found_BTF = normalise(padded_BTF, lengths_B, SlidingWindow(window_frames=300, centre=True))
    for key, found_TF, length in zip(features, found_BTF, lengths_B, strict=True):
        difference = largest_difference(found_TF[:length], expected[key])
        print(f"{key}: {int(length)} frames, largest difference {difference:.1e}")
        assert difference <= 1e-3
        assert not found_TF[length:].any()


def slide(features_TF, window):
    """The rule frame by frame: the window is shifted inwards at the start, then at the end."""
    out_TF = np.zeros_like(features_TF, dtype=np.float64)
    for t in range(len(features_TF)):
        if window.centre:
            start = max(0, t - window.window_frames // 2)
            end = start + window.window_frames
        else:
            start, end = max(0, t - window.window_frames), max(t + 1, window.min_window_frames)
        if end > len(features_TF):
            start, end = max(0, start - (end - len(features_TF))), len(features_TF)
        rows = features_TF[start:end].astype(np.float64)
        out_TF[t] = features_TF[t] - rows.mean(axis=0)
        if window.norm_variance:
            out_TF[t] = (
                0 if len(rows) == 1 else out_TF[t] / np.sqrt(np.maximum(rows.var(axis=0), 1e-10))
            )
    return out_TF


windows = st.builds(
    SlidingWindow,
    window_frames=st.integers(1, 40),
    centre=st.booleans(),
    min_window_frames=st.integers(1, 40),
    norm_variance=st.booleans(),
)


@settings(max_examples=60)
@given(windows, st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_sliding_windows_of_a_padded_batch_are_those_of_a_loop_over_frames(window, lengths):
    rng = np.random.default_rng(len(lengths))
    features = [rng.normal(3, 2, (length, 3)).astype(np.float32) for length in lengths]
    padded_BTF = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(rows_TF) for rows_TF in features], True, torch.nan
    )
    for found_TF, rows_TF in zip(
        normalise(padded_BTF, torch.tensor(lengths), window), features, strict=True
    ):
        np.testing.assert_allclose(found_TF[: len(rows_TF)], slide(rows_TF, window), atol=2e-5)
        assert not found_TF[len(rows_TF) :].any()


def test_a_long_utterance_does_not_wear_out_the_running_sums():
    rows_TF = np.random.default_rng(0).normal(1000, 1, (50000, 1)).astype(np.float32)
    found_TF = normalise(
        torch.from_numpy(rows_TF)[None],
        torch.tensor([len(rows_TF)]),
        SlidingWindow(norm_variance=True),
    )[0]
    window_TF = rows_TF[-300:].astype(np.float64)
    assert found_TF[-1].item() == pytest.approx(
        ((rows_TF[-1] - window_TF.mean()) / window_TF.std()).item(), abs=1e-4
    )


def test_the_description_says_how_the_window_slides():
    around = make_front_end({"name": "kaldi_mfcc", "normalisation": "sliding"})
    assert around.extra_repr().endswith("normalisation sliding over 300 frames centred, mean")
    behind = {
        "name": "sliding",
        "window_frames": 200,
        "centre": False,
        "min_window_frames": 50,
        "norm_variance": True,
    }
    assert (
        make_front_end({"name": "kaldi_mfcc", "normalisation": behind})
        .extra_repr()
        .endswith(
            "normalisation sliding over 200 frames up to the frame, at least 50, mean and variance"
        )
    )


@pytest.mark.parametrize(
    ("normalisation", "message"),
    [
        ("frames", "front_end: normalisation: found 'frames'"),
        ({"name": "slide"}, "front_end: normalisation: name: no 'slide'; did you mean 'sliding'?"),
        (
            {"name": "sliding", "window": 300},
            "front_end: normalisation: unknown key 'window'; did you mean 'window_frames'?",
        ),
        (
            {"name": "sliding", "window_frames": 0},
            "front_end: normalisation: window_frames is 0, expected 1 or more",
        ),
        (
            {"name": "sliding", "centre": "yes"},
            "front_end: normalisation: centre: found 'yes' (text), expected true or false",
        ),
    ],
)
def test_impossible_normalisations_are_refused(normalisation, message):
    with pytest.raises(UserError) as error:
        make_front_end({"name": "spectrogram", "normalisation": normalisation})
    assert str(error.value).startswith(message)
