"""Draws are a pure function of seed, epoch and global index, whoever makes them."""

from collections import Counter

import numpy as np
import pytest
import torch

from tests.voices import RATE, make_packed
from utils.augmentation.augmenter import Augmenter
from utils.data_dir import read_map
from utils.embeddings.inference import open_packed
from utils.training.sampling import CropDataset, RankBatchSampler

CROP = 4800


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Reader and labels of 3 speakers with 5 utterances each."""
    data = make_packed(
        tmp_path_factory.mktemp("packed") / "train", {"a": 100, "b": 140, "c": 190}, utterances=5
    )
    keys, reader = open_packed(data, RATE)
    speakers = list(read_map(data / "utt2spk").values())
    assert len(keys) == 15
    return reader, ["abc".index(speaker) for speaker in speakers]


def dataset_of(packed, seed=1, crop_samples=CROP, **augmentation):
    return CropDataset(*packed, crop_samples, Augmenter(**augmentation), seed)


def loaded(dataset, world=1, num_workers=0, first_step=0, last_step=10, batch_size=6):
    """What the loaders of all ranks deliver: draw -> crop, label, seed."""
    draws = {}
    for rank in range(world):
        dealt = RankBatchSampler(batch_size, rank, world, first_step, last_step)
        loader = torch.utils.data.DataLoader(dataset, batch_sampler=dealt, num_workers=num_workers)
        assert len(loader) == last_step - first_step
        for indices, (crops, labels, seeds) in zip(dealt, loader, strict=True):
            assert len(indices) == batch_size // world
            for row, draw in enumerate(indices):
                assert draw not in draws
                draws[draw] = crops[row].numpy().tobytes(), int(labels[row]), int(seeds[row])
    return draws


@pytest.mark.parametrize(
    ("world", "num_workers", "first_step"),
    [(1, 2, 0), (2, 0, 0), (3, 0, 0), (6, 0, 0), (2, 1, 0), (1, 0, 7)],
)
def test_workers_ranks_and_resumption_only_deal_the_draws_out(
    packed, world, num_workers, first_step
):
    alone = loaded(dataset_of(packed, speed_factors=(1.0, 0.9)))
    dealt = loaded(dataset_of(packed, speed_factors=(1.0, 0.9)), world, num_workers, first_step)
    assert sorted(dealt) == list(range(first_step * 6, 60))
    assert all(dealt[draw] == alone[draw] for draw in dealt)


def test_draws_in_any_order_are_the_same(packed):
    one, other = dataset_of(packed), dataset_of(packed)
    backwards = {draw: other[draw] for draw in reversed(range(45))}
    for draw in range(45):
        assert np.array_equal(one[draw][0], backwards[draw][0])
        assert one[draw][1:] == backwards[draw][1:]


def test_each_utterance_comes_once_per_epoch_and_in_another_order(packed):
    dataset = dataset_of(packed)
    epochs = [dataset.order(epoch).tolist() for epoch in range(4)]
    assert all(sorted(epoch) == list(range(15)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    for epoch in range(3):
        assert Counter(dataset[draw][1] for draw in range(15 * epoch, 15 * (epoch + 1))) == {
            0: 5,
            1: 5,
            2: 5,
        }


def test_an_utterance_drawn_twice_gives_another_crop_and_another_seed(packed):
    dataset = dataset_of(packed)
    longest = int(dataset.reader.num_samples.argmax())
    draws = [15 * epoch + dataset.order(epoch).tolist().index(longest) for epoch in range(4)]
    crops = [dataset[draw] for draw in draws]
    assert len({crop.tobytes() for crop, _, _ in crops}) == 4
    assert len({seed for _, _, seed in crops}) == 4
    whole = dataset.reader.read(longest)
    for crop, _, _ in crops:
        windows = np.lib.stride_tricks.sliding_window_view(whole, CROP)
        assert (windows == crop).all(axis=1).any(), "a crop is a part of its utterance"


def test_the_seed_decides(packed):
    one, same, other = (loaded(dataset_of(packed, seed=seed), last_step=2) for seed in (1, 1, 2))
    assert one == same
    assert all(one[draw] != other[draw] for draw in one)


def test_a_short_utterance_is_repeated(packed):
    dataset = dataset_of(packed, crop_samples=2 * RATE)
    shortest = int(dataset.reader.num_samples.argmin())
    crop, _, _ = dataset[dataset.order(0).tolist().index(shortest)]
    samples = dataset.reader.read(shortest)
    assert crop.shape == (2 * RATE,)
    assert crop.dtype == np.float32
    assert np.array_equal(crop, np.resize(samples, 2 * RATE))


def test_each_speed_has_classes_of_its_own(packed):
    dataset = dataset_of(packed, speed_factors=(1.0, 0.9, 1.1))
    assert (dataset.num_speakers, dataset.num_classes) == (3, 9)
    _, labels = packed
    seen = set()
    for draw in range(90):
        epoch, position = divmod(draw, 15)
        crop, label, _ = dataset[draw]
        speed, speaker = divmod(label, 3)
        assert crop.shape == (CROP,)
        assert speaker == labels[dataset.order(epoch)[position]]
        seen.add(speed)
    assert seen == {0, 1, 2}
    plain = dataset_of(packed)
    assert {plain[draw][1] for draw in range(15)} == {0, 1, 2}


def test_a_faster_voice_is_higher(packed):
    dataset = dataset_of(packed, crop_samples=RATE, speed_factors=(1.0, 2.0))

    def centre_hz(crop):
        power = np.abs(np.fft.rfft(crop)) ** 2
        return (power * np.fft.rfftfreq(len(crop), 1 / RATE)).sum() / power.sum()

    by_class = {label: centre_hz(crop) for crop, label, _ in map(dataset.__getitem__, range(45))}
    for speaker in range(3):
        ratio = by_class[speaker + 3] / by_class[speaker]
        print(f"speaker {speaker}: {ratio:.2f} times as high")
        assert 1.7 < ratio < 2.3


def test_a_batch_that_the_ranks_cannot_share_is_refused():
    with pytest.raises(ValueError, match="batch_size 7 is not a multiple of the 2 processes"):
        RankBatchSampler(7, 0, 2, 0, 1)


def test_a_faster_voice_is_the_same_speaker_where_that_is_asked_for(packed):
    plain, dataset = (
        dataset_of(packed, speed_factors=(1.0, 2.0), speed_is_new_speaker=new)
        for new in (True, False)
    )
    assert (dataset.num_classes, plain.num_classes) == (3, 6)
    for draw in range(45):
        (crop, label, seed), (other_crop, other_label, other_seed) = dataset[draw], plain[draw]
        assert np.array_equal(crop, other_crop)
        assert (label, seed) == (other_label % 3, other_seed)
