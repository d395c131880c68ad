"""Test protocols: starts of pieces, properties of any length, and refusals."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.voices import RATE, make_packed
from utils.config import build
from utils.embeddings.inference import embed_utterances, open_packed
from utils.embeddings.protocols import PROTOCOLS, natural_protocol, read_protocol, ready_made
from utils.errors import UserError
from utils.features.kaldi import KaldiFbank
from utils.features.precomputed import Precomputed

ROOT = Path(__file__).parents[3]
lengths = st.integers(1, 400_000)


class Statistics(torch.nn.Module):
    """Mean, root mean square, first sample and length of an input, which show any wrong sample."""

    embedding_dim, sample_rate_hz = 4, RATE

    def __init__(self, batching="masked", min_samples=1000):
        super().__init__()
        self.batching, self.min_samples, self.calls = batching, min_samples, []
        self.front_end = KaldiFbank()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, waveforms_BS, lengths_B):
        self.calls.append(lengths_B.tolist())
        return self.scale * torch.stack(
            [statistics(row[:n]) for row, n in zip(waveforms_BS, lengths_B, strict=True)]
        )


def statistics(samples):
    samples = torch.as_tensor(samples)
    return torch.stack(
        [
            samples.mean(),
            samples.square().mean().sqrt(),
            samples[0],
            torch.tensor(len(samples) / RATE),
        ]
    )


def protocol(**options):
    return build(PROTOCOLS, options, "test")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Fifteen utterances of 0.3 to 1.1 s."""
    data = make_packed(
        tmp_path_factory.mktemp("packed") / "dev", {"a": 100, "b": 140, "c": 190}, utterances=5
    )
    return open_packed(data, RATE)[1]


def places(num_samples, utterance="a", network=None, **options):
    return protocol(**options).pieces(num_samples, network or Statistics(), utterance)


@pytest.mark.parametrize(
    ("num_samples", "starts"),
    [
        (59_048, [0]),
        (59_049, [0]),  # one window; the shorter one is repeated
        (59_050, [0, 1]),  # the last one ends with the utterance
        (106_287, [0, 47_238]),
        (
            106_288,
            [0, 47_239, 47_239],
        ),  # 59,049 + 47,239: windows fit exactly, and the published count is 3
        (106_289, [0, 47_239, 47_240]),
        (160_000, [0, 47_239, 94_478, 100_951]),
    ],
)
def test_windows_of_rawnet2_by_hand(num_samples, starts):
    chosen, _ = read_protocol("windows_59049")
    assert chosen.pieces(num_samples, Statistics(), "a") == (59_049, starts)


@given(lengths)
def test_windows_of_rawnet2_are_as_many_as_published(num_samples):
    _, starts = read_protocol("windows_59049")[0].pieces(num_samples, Statistics(), "a")
    assert len(starts) == (int((num_samples - 11_810) / 47_239) + 1 if num_samples > 59_049 else 1)


@given(lengths, st.integers(1, 50_000), st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.booleans())
def test_windows_cover_the_utterance_in_order_and_none_is_there_for_nothing(
    num_samples, window, overlap, twice
):
    size, starts = places(
        num_samples,
        name="windows",
        window_samples=window,
        overlap=overlap,
        count_exact_end_twice=twice,
    )
    assert size == window
    assert starts == sorted(starts)
    assert starts[0] == 0
    if num_samples <= window:
        assert starts == [0]
        return
    assert starts[-1] + size == num_samples
    steps = np.diff(starts)
    assert (steps <= size).all(), "no sample is left out"
    assert (steps[:-1] == max(1, round(window * (1 - overlap)))).sum() >= len(steps) - 2, (
        "all steps but the last are equal"
    )
    assert twice or (steps > 0).all()


@given(lengths, st.integers(1, 50_000), st.integers(2, 12))
def test_even_crops_reach_from_end_to_end_at_equal_distances(num_samples, crop, number):
    size, starts = places(num_samples, name="crops", crop_samples=crop, num_crops=number)
    assert size == crop
    if num_samples <= crop:
        assert starts == [0]
        return
    assert len(starts) == number
    assert (starts[0], starts[-1] + size) == (0, num_samples)
    assert np.ptp(np.diff(starts)) <= 1
    published = np.linspace(0, num_samples - crop, num=number).astype(
        int
    )  # rounding may put it one sample before a whole number
    assert np.abs(published - starts).max() <= 1


def test_even_crops_by_hand():
    assert places(10, name="crops", crop_samples=4, num_crops=4) == (4, [0, 2, 4, 6])
    assert places(64_000 + 9, name="crops", crop_seconds=4.0) == (64_000, list(range(10)))


@given(lengths, st.integers(1, 80_000))
def test_one_crop_lies_around_the_centre(num_samples, crop):
    size, (start,) = places(num_samples, name="crops", crop_samples=crop, num_crops=1)
    assert size == crop
    before, after = start, num_samples - crop - start
    assert (before, start) == (0, 0) if num_samples <= crop else 0 <= after - before <= 1


@given(lengths, st.integers(0, 5))
def test_random_crops_depend_on_seed_and_name_alone(num_samples, seed):
    options = {
        "name": "crops",
        "num_crops": 8,
        "crop_samples": 5000,
        "placing": "random",
        "seed": seed,
    }
    size, starts = places(num_samples, "id1-a", **options)
    assert (size, starts) == places(num_samples, "id1-a", **options)
    assert all(0 <= start <= max(0, num_samples - size) for start in starts)
    if num_samples > 20_000:
        assert len(starts) == 8
        assert starts != places(num_samples, "id1-b", **options)[1]
        assert starts != places(num_samples, "id1-a", **options | {"seed": 9})[1]


def test_lengths_in_frames_are_the_fewest_samples_with_so_many_and_steps_whole_frames():
    network = Statistics()  # windows of 400 samples every 160
    assert places(10**5, name="windows", window_frames=160, network=network)[0] == 400 + 159 * 160
    starts = read_protocol("windows_160_frames")[0].pieces(400 + 400 * 160, network, "a")[1]
    assert [start / 160 for start in starts] == [0, 80, 160, 240, 241]
    exact = read_protocol("windows_160_frames")[0].pieces(400 + 319 * 160, network, "a")[1]
    assert [start / 160 for start in exact] == [0, 80, 160], "GE2E's windows count once"
    stored = SimpleNamespace(
        front_end=Precomputed(num_bins=80, description="x"), sample_rate_hz=100
    )
    assert protocol(name="windows", window_frames=160).pieces(320, stored, "a") == (
        160,
        [0, 80, 160],
    )
    assert protocol(name="crops", crop_seconds=1.5, num_crops=2).pieces(320, stored, "a") == (
        150,
        [0, 170],
    )


def slow(reader, index, pieces_of, normalise=False):
    """Embeddings of the pieces of one utterance, one after the other."""
    samples = reader.read(index)
    rows = np.stack([statistics(piece.copy()).numpy() for piece in pieces_of(samples)])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True) if normalise else rows


def four_crops(samples):
    if len(samples) < 8000:
        return [np.tile(samples, 8)[:8000]] * 4
    return [
        samples[start : start + 8000]
        for start in ((len(samples) - 8000) * k // 3 for k in range(4))
    ]


def half_windows(samples):
    if len(samples) <= 6000:
        return [np.tile(samples, 6)[:6000]]
    starts = [*range(0, len(samples) - 6000, 3000), len(samples) - 6000]
    return [samples[start : start + 6000] for start in starts]


def reversed_after(samples):
    return [np.concatenate([samples, samples[::-1]])]


CASES = [
    ({"name": "crops", "num_crops": 4, "crop_samples": 8000}, four_crops, False),
    ({"name": "crops", "num_crops": 4, "crop_samples": 8000, "keep": "rows"}, four_crops, False),
    (
        {
            "name": "crops",
            "num_crops": 4,
            "crop_samples": 8000,
            "keep": "rows",
            "length_normalise": True,
        },
        four_crops,
        True,
    ),
    ({"name": "windows", "window_samples": 6000}, half_windows, False),
    ({"name": "windows", "window_samples": 6000, "length_normalise": True}, half_windows, True),
    ({"name": "whole", "append_reversed": True}, reversed_after, False),
    (
        {"name": "whole", "multiple_samples": 640},
        lambda samples: [samples[: len(samples) // 640 * 640]],
        False,
    ),
]


@pytest.mark.parametrize("batching", ["masked", "equal_length"])
@pytest.mark.parametrize(
    ("options", "pieces_of", "normalise"),
    CASES,
    ids=lambda value: str(value.get("name")) if isinstance(value, dict) else None,
)
def test_embeddings_are_those_of_a_loop_over_pieces(
    reader, batching, options, pieces_of, normalise
):
    chosen, order = protocol(**options), [4, 0, 13, 7, 7, 2]
    assert reader.num_samples[order].min() < 6000 < 8000 < reader.num_samples[order].max(), (
        "short and long ones"
    )
    embeddings = embed_utterances(Statistics(batching), reader, order, protocol=chosen)
    for embedding, index in zip(embeddings, order, strict=True):
        rows = slow(reader, index, pieces_of, normalise)
        assert embedding == pytest.approx(
            rows if chosen.keep == "rows" else rows.mean(axis=0), rel=1e-5, abs=1e-6
        )
    assert embeddings.shape == ((6, 4, 4) if chosen.keep == "rows" else (6, 4))


@pytest.mark.parametrize("options", [case[0] for case in CASES])
def test_batch_mates_change_nothing_and_shares_of_processes_add_up(reader, options, monkeypatch):
    chosen = protocol(**options)
    whole = embed_utterances(Statistics(), reader, range(15), protocol=chosen)
    alone = np.concatenate(
        [embed_utterances(Statistics(), reader, [index], protocol=chosen) for index in range(15)]
    )
    assert whole == pytest.approx(alone, rel=1e-6, abs=1e-7)
    monkeypatch.setattr("utils.embeddings.inference.BATCH_SECONDS", 2.0)
    shares = sum(
        embed_utterances(Statistics(), reader, range(15), share=(rank, 3), protocol=chosen)
        for rank in range(3)
    )
    assert shares == pytest.approx(whole, rel=1e-5, abs=1e-6)


def test_pieces_that_are_drawn_are_those_of_the_utterances_name(reader):
    chosen = protocol(name="crops", num_crops=3, crop_samples=2000, placing="random", keep="rows")
    keys = [f"key-{index}" for index in range(15)]
    embeddings = embed_utterances(
        Statistics(), reader, [3, 9], protocol=chosen, keys=[keys[3], keys[9]]
    )
    for embedding, index in zip(embeddings, [3, 9], strict=True):
        _, starts = chosen.pieces(int(reader.num_samples[index]), Statistics(), keys[index])
        assert embedding == pytest.approx(
            slow(reader, index, lambda samples, at=starts: [samples[s : s + 2000] for s in at]),
            rel=1e-5,
            abs=1e-7,
        )


def test_a_network_of_one_length_is_tested_by_windows_of_it(reader):
    network = Statistics("fixed_samples", 6000)
    embeddings = embed_utterances(network, reader, range(15))
    assert {length for call in network.calls for length in call} == {6000}
    windows = protocol(name="windows", window_samples=6000, overlap=0.2)
    assert np.array_equal(
        embeddings, embed_utterances(network, reader, range(15), protocol=windows)
    )
    assert (natural_protocol(network).name, str(natural_protocol(network))) == (
        "windows",
        str(windows),
    )
    assert natural_protocol(Statistics()).name == "whole"


def test_what_a_network_does_not_take_is_refused_by_name(reader):
    def embed(network, **options):
        chosen = protocol(**options)
        chosen.name = "mine"
        embed_utterances(network, reader, [0], protocol=chosen)

    fixed = Statistics("fixed_samples", 6000)
    with pytest.raises(
        UserError,
        match="protocol 'mine' gives whole utterances, Statistics has batching 'fixed_samples' "
        "and takes 6,000",
    ):
        embed(fixed, name="whole")
    with pytest.raises(
        UserError,
        match="protocol 'mine' gives pieces of 8,000 samples, Statistics has batching "
        "'fixed_samples' and takes 6,000",
    ):
        embed(fixed, name="crops", crop_seconds=0.5)
    with pytest.raises(
        UserError,
        match="protocol 'mine' gives pieces of 800 samples, Statistics takes 1,000 or more; "
        "choose longer ones",
    ):
        embed(Statistics(), name="crops", crop_seconds=0.05)
    features = Statistics()
    features.front_end = Precomputed(num_bins=80, description="x")
    with pytest.raises(
        UserError,
        match="protocol 'mine' appends the reversed waveform, Statistics reads stored features",
    ):
        embed(features, name="whole", append_reversed=True)
    with pytest.raises(
        UserError,
        match="a protocol of 9000 samples is for audio, Statistics reads stored features; "
        "give seconds or frames",
    ):
        embed(features, name="crops", crop_samples=9000)
    embed(fixed, name="crops", crop_samples=6000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"name": "crops"},
            "crop_seconds, crop_samples, crop_frames: 0 of them are given, expected exactly one",
        ),
        (
            {"name": "crops", "crop_seconds": 4, "crop_frames": 32},
            "2 of them are given, expected exactly one",
        ),
        ({"name": "crops", "crop_seconds": 0}, "crop_seconds is 0.0, expected more than 0"),
        (
            {"name": "crops", "crop_seconds": 4, "num_crops": 0},
            "num_crops is 0, expected 1 or more",
        ),
        ({"name": "crops", "crop_seconds": 4, "seed": -1}, "seed is -1, expected 0 or more"),
        (
            {"name": "crops", "crop_seconds": 4, "placing": "odd"},
            "placing: found 'odd' .text., expected one of even, random",
        ),
        (
            {"name": "windows", "window_samples": 4, "overlap": 1.0},
            "overlap is 1.0, expected a part in",
        ),
        ({"name": "whole", "multiple_samples": 0}, "multiple_samples is 0, expected 1 or more"),
        (
            {"name": "whole", "append_reverse": True},
            "unknown key 'append_reverse'; did you mean 'append_reversed'",
        ),
        ({"name": "halves"}, "name: no 'halves'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        protocol(**options)


@pytest.mark.parametrize("name", ready_made())
def test_protocols_of_the_project_are_built_and_say_what_they_do(name):
    chosen, options = read_protocol(name)
    assert options["protocol"] == chosen.name == name
    assert read_protocol(str(ROOT / "conf" / "protocols" / f"{name}.yaml"))[1] == options
    size, starts = chosen.pieces(200_000, Statistics(), "a")
    print(f"{name}: {chosen}: {len(starts)} of {size} samples")
    assert len(str(chosen).splitlines()) == 1
    assert all(start + size <= 200_000 for start in starts)


def test_a_protocol_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(
        UserError,
        match="--protocol: no 'crops_10x5s', expected one of centre_1s, .*windows_59049, "
        "or the path of a YAML",
    ):
        read_protocol("crops_10x5s")
