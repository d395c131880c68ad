"""Crops of random length, short crops, and speeds in batches of speakers x utterances."""

import numpy as np
import pytest
import torch

from tests.voices import RATE, make_packed
from utils.augmentation.augmenter import Augmenter
from utils.embeddings.inference import open_packed
from utils.training.draw_order import SpeakersByUtterances
from utils.training.sampling import CropDataset, RankBatchSampler, ShortCrops


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Reader and labels of 4 speakers with 6 utterances each."""
    data = make_packed(
        tmp_path_factory.mktemp("packed") / "train",
        {"a": 100, "b": 140, "c": 190, "d": 230},
        utterances=6,
    )
    keys, reader = open_packed(data, RATE)
    return reader, ["abcd".index(key[0]) for key in keys]


def dataset_of(packed, crop_samples=4800, seed=1, augment=None, **options):
    return CropDataset(*packed, crop_samples, augment or Augmenter(), seed, **options)


def composed(packed, **options):
    order = SpeakersByUtterances(packed[1], 1, speakers=2, utterances=3)
    return dataset_of(packed, order=order, batch_size=6, **options)


def test_a_batch_has_one_length_and_batches_have_many(packed):
    dataset = composed(packed, crop_samples=range(3200, 6401, 160))
    lengths = [
        {len(dataset[draw][0]) for draw in range(6 * step, 6 * step + 6)} for step in range(40)
    ]
    assert all(len(batch) == 1 for batch in lengths)
    found = {length for batch in lengths for length in batch}
    print(f"{len(found)} lengths in 40 batches, from {min(found)} to {max(found)}")
    assert found <= set(range(3200, 6401, 160))
    assert len(found) > 12
    assert (min(found) < 3700, max(found) > 5900) == (True, True)


@pytest.mark.parametrize(("world", "num_workers", "first_step"), [(1, 2, 0), (2, 0, 0), (3, 0, 3)])
def test_workers_ranks_and_resumption_change_nothing_of_composed_batches(
    packed, world, num_workers, first_step
):
    options = {
        "crop_samples": range(3200, 6401, 160),
        "short_crops": ShortCrops(0.5, range(800, 2401, 160)),
        "augment": Augmenter(speed_factors=(1.0, 0.9)),
    }
    alone = composed(packed, **options)
    for rank in range(world):
        dealt = RankBatchSampler(6, rank, world, first_step, 12)
        loader = torch.utils.data.DataLoader(
            composed(packed, **options), batch_sampler=dealt, num_workers=num_workers
        )
        for indices, (crops, labels, seeds) in zip(dealt, loader, strict=True):
            for row, draw in enumerate(indices):
                crop, label, seed = alone[draw]
                assert np.array_equal(crops[row].numpy(), crop)
                assert (int(labels[row]), int(seeds[row])) == (label, seed)


def test_a_short_crop_repeats_its_beginning(packed):
    dataset = dataset_of(packed, short_crops=ShortCrops(0.5, range(1600, 3201, 160)))
    plain, repeating = 0, []
    for draw in range(96):
        crop, _, _ = dataset[draw]
        assert crop.shape == (4800,)
        whole = dataset.reader.read(int(dataset.order(draw // 24)[draw % 24]))
        if len(whole) < 4800:
            continue
        periods = [
            period
            for period in range(1600, 3201, 160)
            if np.array_equal(crop, np.resize(crop[:period], 4800))
        ]
        plain += not periods
        repeating += periods[:1]
    print(
        f"{plain} plain, {len(repeating)} repeating, periods {min(repeating)} to {max(repeating)}"
    )
    assert 0.3 < len(repeating) / (plain + len(repeating)) < 0.7
    assert len(set(repeating)) > 5


def test_rows_of_a_speaker_share_their_speed_where_another_speed_is_another_speaker(packed):
    dataset, mixed = (
        composed(packed, augment=Augmenter(speed_factors=(1.0, 0.9, 1.1), speed_is_new_speaker=new))
        for new in (True, False)
    )
    for step in range(24):
        labels = [dataset[draw][1] for draw in range(6 * step, 6 * step + 6)]
        assert len(set(labels)) == 2
        assert labels == sorted(labels, key=labels.index), "two speakers with three rows each"
    assert len({dataset[draw][1] for draw in range(144)}) == 12
    assert {mixed[draw][1] for draw in range(144)} == {0, 1, 2, 3}


def test_the_seed_decides_lengths(packed):
    datasets = (dataset_of(packed, range(100, 1000), seed=seed, batch_size=4) for seed in (1, 1, 2))
    one, same, other = ([dataset.length(draw) for draw in range(0, 80, 4)] for dataset in datasets)
    assert one == same
    assert one != other
