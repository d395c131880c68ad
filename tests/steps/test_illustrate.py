"""Pictures of a few utterances: their content, the choice of utterances, and refusals."""

import json
import re
from itertools import groupby

import numpy as np
import pytest

from steps.augment import augment
from steps.collect_vad import collect_vad
from steps.compute_vad import compute_vad
from steps.illustrate import LONGEST_SECONDS, choose_utterances, draw_crop, illustrate
from tests.voices import CONFIG, make_packed
from utils.archive import read_vector
from utils.augmentation.augmenter import Augmenter
from utils.data_dir import read_map
from utils.errors import UserError
from utils.vad.base import runs

VOICES = {"a": 100, "b": 140, "c": 190, "d": 250}
PLAIN = CONFIG.replace("augmentation: {speed_factors: [1.0, 1.1]}\n", "")
CHAIN = (
    "augmentation: {chain: [{name: noise, probability: 0.5, snr_db: [5, 5]}, "
    "{name: reverse, probability: 0.5}]}\n"
)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """4 speakers with decisions, packed, a bank, YAMLs with and without augmentation; read only."""
    folder = tmp_path_factory.mktemp("illustrate")
    for name in ("data", "packed"):
        make_packed(folder / name / "train", VOICES, utterances=6)
    compute_vad(folder / "data" / "train")
    collect_vad(folder / "data" / "train")
    make_packed(folder / "noise", {"n": 400, "o": 600}, utterances=3, seed=5)
    augment(folder / "bank", noise=folder / "noise")
    (folder / "plain.yaml").write_text(PLAIN)
    (folder / "noisy.yaml").write_text(PLAIN + CHAIN)
    return folder


def drawn(work, output, config="noisy.yaml", **options):
    """The entries of pictures.json."""
    illustrate(
        work / "data" / "train",
        work / "packed" / "train",
        work / config,
        output,
        bank=work / "bank",
        **options,
    )
    return json.loads((output / "pictures.json").read_text())


def test_there_are_three_pictures_of_each_utterance_and_the_shaded_stretches_are_the_decisions(
    work, tmp_path
):
    entries = drawn(work, tmp_path / "pictures", utterances=3)
    assert [entry["kind"] for entry in entries] == ["vad", "before", "after"] * 3
    assert sorted(path.name for path in (tmp_path / "pictures").glob("*.svg")) == sorted(
        entry["file"] for entry in entries
    )
    vad_scp, utt2spk = (
        read_map(work / "data" / "train" / "vad.scp"),
        read_map(work / "data" / "train" / "utt2spk"),
    )
    for entry in entries[::3]:
        decisions = read_vector(vad_scp[entry["utterance"]]) > 0
        shaded = re.findall(
            r"speech from ([\d.]+) to ([\d.]+) s",
            (tmp_path / "pictures" / entry["file"]).read_text(),
        )
        assert [[float(x) for x in pair] for pair in shaded] == pytest.approx(runs(decisions) / 100)
        assert len(shaded) > 0
        assert entry["caption"].startswith(f"{decisions.sum() / 100:.2f} of ")
        assert (entry["speaker"], entry["set"]) == (utt2spk[entry["utterance"]], "train")


def test_utterances_are_of_different_speakers_and_lengths(work, tmp_path):
    entries = drawn(work, tmp_path / "pictures")
    chosen = {entry["utterance"]: entry["speaker"] for entry in entries}
    assert sorted(chosen.values()) == ["a", "b", "c", "d"]
    lengths = read_map(work / "packed" / "train" / "utt2num_samples")
    places = [sorted(lengths, key=lambda name: int(lengths[name])).index(name) for name in chosen]
    assert [place // 6 for place in places] == [0, 1, 2, 3], (
        "one of each quarter of the 24 utterances by length"
    )


def test_the_caption_says_what_was_drawn_and_nothing_where_there_is_no_augmentation(work, tmp_path):
    entries = drawn(work, tmp_path / "noisy")
    after = [entry["caption"] for entry in entries if entry["kind"] == "after"]
    assert len(after) == 4
    assert set(after) <= {"noise at 5.0 dB", "backwards", "noise at 5.0 dB, backwards"}
    assert len(set(after)) > 1
    before = [entry["caption"] for entry in entries if entry["kind"] == "before"]
    assert all(
        re.fullmatch(r"0\.\d\d s from 0\.\d\d s on, as packed", caption) for caption in before
    )
    assert [entry["kind"] for entry in drawn(work, tmp_path / "plain", "plain.yaml")] == [
        "vad",
        "before",
    ] * 4


def test_the_caption_tells_of_the_draw_that_is_shown(work, tmp_path, monkeypatch):
    sounds = []
    monkeypatch.setattr(
        "utils.report.pictures.spectrogram",
        lambda samples, rate: sounds.append(samples) or np.zeros((1, 1)),
    )
    (tmp_path / "config.yaml").write_text(
        PLAIN + "augmentation: {chain: [{name: volume, gain_db: [-20, -3]}]}\n"
    )
    entries = drawn(work, tmp_path / "pictures", tmp_path / "config.yaml")
    captions = [entry["caption"] for entry in entries if entry["kind"] == "after"]
    assert len(captions) == len(sounds) / 2 == 4
    for caption, before, after in zip(captions, sounds[::2], sounds[1::2], strict=True):
        assert (
            caption == f"volume {20 * np.log10(np.abs(after).max() / np.abs(before).max()):+.1f} dB"
        )


def test_another_augmentation_can_stand_in(work, tmp_path):
    (tmp_path / "policy.yaml").write_text("chain: [{name: volume, gain_db: [-6, -6]}]\n")
    entries = drawn(work, tmp_path / "pictures", augmentation=tmp_path / "policy.yaml")
    assert {entry["caption"] for entry in entries if entry["kind"] == "after"} == {"volume -6.0 dB"}


def test_the_same_seed_draws_the_same_bytes_and_another_one_other_utterances(work, tmp_path):
    first, again, other = (
        drawn(work, tmp_path / name, seed=seed)
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert first == again
    for entry in first:
        assert (tmp_path / "first" / entry["file"]).read_bytes() == (
            tmp_path / "again" / entry["file"]
        ).read_bytes()
    assert {entry["utterance"] for entry in first} != {entry["utterance"] for entry in other}


def test_all_channels_can_be_averaged_as_the_other_steps_do(work, tmp_path):
    assert drawn(work, tmp_path / "mean", utterances=1, channel="mean") == drawn(
        work, tmp_path / "first", utterances=1
    )  # they have one


def test_what_is_done_is_left_alone_and_fewer_utterances_leave_no_picture_behind(work, tmp_path):
    output = tmp_path / "pictures"
    drawn(work, output)
    before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    drawn(work, output)
    assert {path: path.stat().st_mtime_ns for path in output.iterdir()} == before
    drawn(work, output, utterances=1)
    assert sorted(path.name for path in output.glob("*.svg")) == [
        "1_after.svg",
        "1_before.svg",
        "1_vad.svg",
    ]


def test_a_stretch_that_was_packed_by_itself_is_known_by_its_utterance(work, tmp_path):
    make_packed(tmp_path / "whole", {"a": 100, "b": 140}, utterances=2)
    renamed = tmp_path / "pieces"
    renamed.mkdir()
    for name in ("wav.scp", "utt2spk", "spk2utt", "utt2num_samples"):
        (renamed / name).write_text(
            re.sub(r"([ab]-\d)", r"\1-0000000-0000030", (tmp_path / "whole" / name).read_text())
        )
    illustrate(work / "data" / "train", renamed, work / "plain.yaml", tmp_path / "pictures")
    entries = json.loads((tmp_path / "pictures" / "pictures.json").read_text())
    assert {entry["utterance"] for entry in entries} == {"a-0", "a-1", "b-0", "b-1"}


def test_without_decisions_stage_1_is_named_in_one_line(work, tmp_path, command):
    make_packed(tmp_path / "bare", VOICES, utterances=2)
    done = command(
        "steps.illustrate",
        tmp_path / "bare",
        work / "packed" / "train",
        work / "plain.yaml",
        tmp_path / "pictures",
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert (
        "bare: no voice activity decisions (vad.scp), expected those of stage 1; run stage 1"
        in done.stderr
    )


def test_a_packed_directory_of_another_set_is_refused(work, tmp_path):
    make_packed(tmp_path / "dev", {"e": 120, "f": 170}, utterances=2)
    with pytest.raises(
        UserError,
        match=r"dev: has none of the utterances of .*data/train/vad\.scp, expected the same "
        r"set, packed; run stage 2",
    ):
        illustrate(
            work / "data" / "train", tmp_path / "dev", work / "plain.yaml", tmp_path / "pictures"
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"utterances": 0}, "--utterances is 0, expected 1 or more"),
        ({"seed": -1}, "--seed is -1, expected 0 or more"),
    ],
)
def test_impossible_numbers_are_refused(work, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        drawn(work, tmp_path / "pictures", **options)


def test_a_missing_bank_is_named(work, tmp_path):
    with pytest.raises(
        UserError, match=r"noisy\.yaml: augmentation: .*noise.*there is no bank.*stage 2"
    ):
        illustrate(
            work / "data" / "train",
            work / "packed" / "train",
            work / "noisy.yaml",
            tmp_path / "pictures",
        )


class Lengths:
    """As much of a reader of packed audio as the choice looks at."""

    sample_rate_hz = 100

    def __init__(self, seconds):
        self.num_samples = np.array(seconds) * self.sample_rate_hz


def test_legible_utterances_come_first_and_there_are_no_more_than_there_are():
    crops = Lengths([LONGEST_SECONDS + 1, 2, LONGEST_SECONDS, 1])
    assert choose_utterances([0, 1, 2, 3], crops, ["a", "b", "c", "d"], 3, seed=1) == [3, 1, 2]
    assert choose_utterances([0, 1, 2, 3], crops, ["a"] * 4, 9, seed=1) == [3, 1, 2]
    assert choose_utterances([0], crops, ["a"] * 4, 2, seed=1) == [0]


def test_a_crop_that_a_faster_speed_takes_to_the_last_sample_is_drawn():
    class Crops:
        sample_rate_hz, num_samples = (
            16000,
            [22539],
        )  # 20490 * 1.1 is a little more in floating point

        def read(self, index, start, wanted):
            return (
                np.random.default_rng(0)
                .normal(0, 0.1, 22539)[start : start + wanted]
                .astype(np.float32)
            )

    faster = Augmenter(speed_factors=(1.1,)).open(None, 16000)
    assert [kind for kind, *_ in draw_crop(Crops(), 0, "u", faster, 2.0, 1)] == ["before", "after"]


def test_captions_of_pictures_come_in_the_order_of_length(work, tmp_path):
    entries = drawn(work, tmp_path / "pictures", utterances=4)
    seconds = [
        float(re.search(r"of ([\d.]+) s", entry["caption"])[1])
        for entry in entries
        if entry["kind"] == "vad"
    ]
    assert seconds == sorted(seconds)
    assert len(list(groupby(entries, lambda entry: entry["utterance"]))) == 4


def test_only_another_crop_or_augmentation_makes_pictures_stale(work, tmp_path, capsys):
    config = tmp_path / "x.yaml"
    text = PLAIN + CHAIN
    config.write_text(text)
    drawn(work, tmp_path / "pictures", config)
    receipt = tmp_path / "pictures" / "receipts" / "illustrate.json"
    before = receipt.stat().st_mtime_ns
    spelt = "# short\n" + text.replace("crop_seconds: 0.5", "crop_seconds: 5e-1")
    assert "5e-1" in spelt
    config.write_text(spelt.replace("embedding_dim: 16", "embedding_dim: 24"))
    drawn(work, tmp_path / "pictures", config)
    assert receipt.stat().st_mtime_ns == before
    config.write_text(text.replace("snr_db: [5, 5]", "snr_db: [5, 6]"))
    drawn(work, tmp_path / "pictures", config)
    said = f"{config}: augmentation.chain[1].snr_db was [5, 5], is [5, 6]"
    assert said in capsys.readouterr().err
