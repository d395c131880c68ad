"""Copies of utterances: names, and that each is a function of seed, number and utterance."""

import numpy as np
import pytest

from tests.banks import make_bank
from tests.voices import make_packed
from utils.augmentation.copies import (
    CopyMaker,
    copy_policies,
    transform_label,
    transform_names,
)
from utils.data_dir import read_map
from utils.errors import UserError
from utils.packed.reader import PackedReader

REVERSE, LOUDER = {"name": "reverse"}, {"name": "volume", "gain_db": [2, 2]}
KINDS = {
    "chain": [
        REVERSE,
        {
            "name": "one_of",
            "of": [{"name": "reverb"}, {"name": "noise", "types": ["music"]}, LOUDER],
        },
    ]
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    make_packed(folder / "train", {"a": 100, "b": 140}, utterances=5)
    make_bank(folder / "bank")
    return folder


def maker(folder, section, copies=1, seed=1, one_copy_per_transform=False):
    wav_scp = read_map(folder / "train" / "wav.scp")
    reader = PackedReader(wav_scp, read_map(folder / "train" / "utt2num_samples"))
    return CopyMaker(
        copy_policies(section, copies, "aug", one_copy_per_transform),
        "x.yaml",
        wav_scp,
        reader,
        folder / "bank",
        seed,
    )


def everything(maker, utterances):
    return {name: (copy, *maker.read(name)) for name, copy in maker.plan(utterances).items()}


@pytest.mark.parametrize(
    ("section", "copies", "each", "suffixes"),
    [
        ({}, 1, False, ["aug1"]),
        ({}, 3, False, ["aug1", "aug2", "aug3"]),
        (KINDS, 1, True, ["reverb", "music", "volume"]),
        (KINDS, 2, True, ["reverb1", "reverb2", "music1", "music2", "volume1", "volume2"]),
    ],
)
def test_how_copies_are_called(section, copies, each, suffixes):
    assert [suffix for suffix, _ in copy_policies(section, copies, "aug", each)] == suffixes


def test_one_copy_per_transform_puts_each_in_the_place_of_the_choice():
    chains = [section["chain"] for _, section in copy_policies(KINDS, 1, "aug", True)]
    assert chains == [
        [REVERSE, {"name": "reverb"}],
        [REVERSE, {"name": "noise", "types": ["music"]}],
        [REVERSE, LOUDER],
    ]


@pytest.mark.parametrize(
    ("transform", "label"),
    [
        ({"name": "babble"}, "babble"),
        ({"name": "noise", "types": ["rain"]}, "rain"),
        ({"name": "noise", "types": ["rain", "sea"]}, "noise"),
        ({"name": "noise", "snr_db": {"rain": [0, 1]}}, "rain"),
        ({"name": "noise", "snr_db": [0, 1]}, "noise"),
        ({"name": "noise", "snr_db": "recorded"}, "noise"),
    ],
)
def test_a_copy_is_called_by_its_transform_or_by_the_only_type_of_noise(transform, label):
    assert transform_label(transform) == label


@pytest.mark.parametrize(
    ("section", "options", "complaint"),
    [
        ({}, (0, "aug", False), "--copies: 0, expected 1 or more"),
        ({}, (1, "a b", False), "--suffix: 'a b', expected letters, digits and _"),
        ({}, (1, "aug", True), "has 0 one_of, expected one"),
        ({"chain": [KINDS["chain"][1]] * 2}, (1, "aug", True), "has 2 one_of, expected one"),
        (
            {"chain": [{"name": "one_of", "of": [LOUDER, LOUDER]}]},
            (1, "aug", True),
            "would be called volume, volume, expected different names",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(section, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        copy_policies(section, *options)


def test_transform_names_a_chain_are_those_inside_others_too():
    expected = {"all_of", "reverse", "one_of", "reverb", "noise", "volume", "codec"}
    assert (
        transform_names([{"name": "all_of", "of": KINDS["chain"]}, {"name": "codec"}]) == expected
    )


def test_a_copy_is_the_same_whichever_others_are_made(folder):
    section = {"speed_factors": [1.0, 0.9, 1.1], **KINDS}
    all_of_them = everything(maker(folder, section, copies=2), ["a-0", "a-1", "b-0"])
    alone = everything(maker(folder, section, copies=2), ["b-0"])
    first_only = everything(maker(folder, section), ["b-0"])
    assert set(first_only) < set(alone) < set(all_of_them)
    for some in (alone, first_only):
        for name, (copy, samples, rate) in some.items():
            assert (copy, rate) == (all_of_them[name][0], 16000)
            assert np.array_equal(samples, all_of_them[name][1])


def test_seed_number_and_utterance_change_what_is_drawn(folder):
    section = {"chain": [{"name": "volume", "gain_db": [-10, 0]}]}
    records = []
    for seed in (1, 2):
        made = maker(folder, section, copies=2, seed=seed)
        everything(made, ["a-0", "a-1"])
        records += made.records.values()
    assert len(set(records)) == 8


def test_another_speed_is_another_speaker_unless_told_otherwise(folder):
    section = {"speed_factors": [0.8, 1.0]}
    lengths = dict(
        zip(
            read_map(folder / "train" / "wav.scp"),
            maker(folder, section).reader.num_samples,
            strict=True,
        )
    )
    for new_speaker in (True, False):
        copies = everything(
            maker(folder, section | {"speed_is_new_speaker": new_speaker}), list(lengths)
        )
        assert {copy.speed_factor for copy, *_ in copies.values()} == {0.8, 1.0}
        for name, (copy, samples, _) in copies.items():
            slower = copy.speed_factor == 0.8
            assert abs(len(samples) - lengths[copy.original] / copy.speed_factor) <= 1
            assert name == ("sp0.8-" if slower and new_speaker else "") + copy.original + "-aug1"


def test_a_copy_with_the_name_of_an_utterance_is_refused(folder):
    made = maker(folder, {})
    made.index_by_key["a-0-aug1"] = 0
    with pytest.raises(
        UserError,
        match="'a-0-aug1' is the name of an utterance and of a copy of 'a-0'; give another "
        "--suffix",
    ):
        made.plan(["a-0"])


def test_what_exceeds_full_scale_is_turned_down_as_a_whole(folder):
    made = maker(folder, {"chain": [{"name": "volume", "gain_db": [60, 60]}]})
    made.plan(["a-0"])
    samples, _ = made.read("a-0-aug1")
    plain = made.reader.read(0)
    assert np.abs(samples).max() == pytest.approx(1)
    assert samples == pytest.approx(plain / np.abs(plain).max(), abs=1e-5)
