"""Own corpora with several channels or low rates: output of stage 0 and the ledger."""

import json

import numpy as np
import pytest
import soundfile

from local.prepare_folder import prepare_folder
from utils.data_dir.ledger import read_counts
from utils.errors import UserError

RATE = 16000
VOICE = 0.3 * np.sin(np.arange(RATE // 4) / 7)
SILENCE = np.zeros_like(VOICE)


def make_tree(folder, channels_of, rate_of=lambda place: RATE):
    """Eight speakers of two files; the place of a file among all says what its channels hold."""
    for place in range(16):
        path = folder / f"s{place // 2}" / f"{place % 2}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.stack(channels_of(place), axis=1), rate_of(place))
    return folder


def stereo_and_mono(place):
    return [VOICE, SILENCE] if place % 4 else [VOICE]


def said(capsys, corpus, output, **options):
    """Lines of channels and rates: the same in the dry run and when it is done."""
    lines = []
    for more in ({"preview": 50}, {}):
        prepare_folder(corpus, output, jobs=1, **options, **more)
        out = capsys.readouterr().out.replace(str(corpus.parent), "").splitlines()
        lines.append([line.strip() for line in out if "channel" in line or " Hz and" in line])
    assert lines[0] == lines[1]
    return lines[0]


def counts_of(output):
    return [read_counts(output / name / "ledger.json") for name in ("train", "dev", "test")]


def total(output, words):
    return sum(counts[words] for counts in counts_of(output))


def test_the_first_of_two_channels_is_taken_and_that_is_said_and_counted(tmp_path, capsys):
    corpus = make_tree(tmp_path / "in", stereo_and_mono)
    assert said(capsys, corpus, tmp_path / "out") == [
        "12 of 16 files have 2 channels: channel 0 is taken (--channel: another, from 0, or mean)"
    ]
    assert total(tmp_path / "out", "of 2 channels, channel 0 is taken") == 12


def test_the_only_channel_of_mono_files_is_taken_beside_channel_1_and_that_is_said(
    tmp_path, capsys
):
    corpus = make_tree(tmp_path / "in", lambda place: stereo_and_mono(place)[::-1])
    assert said(capsys, corpus, tmp_path / "out", channel=1) == [
        "12 of 16 files have 2 channels: channel 1 is taken (--channel: another, from 0, or mean)",
        "4 of 16 files have 1 channel, which is taken",
    ]
    assert total(tmp_path / "out", "of 2 channels, channel 1 is taken") == 12
    assert total(tmp_path / "out", "went_on") == 16
    receipt = json.loads((tmp_path / "out" / "dev" / "receipts" / "made.json").read_text())
    assert receipt["options"]["channel"] == 1


def test_a_silent_channel_is_told_before_anything_is_packed_with_the_one_that_sounds(
    tmp_path, capsys
):
    corpus = make_tree(tmp_path / "in", stereo_and_mono)
    assert said(capsys, corpus, tmp_path / "out", channel=1)[-1] == (
        "channel 1 is silent in 12 of 12 files of several channels (their first minute), "
        "channel 0 is not; give --channel 0"
    )


def test_of_the_mean_only_the_mean_is_said(tmp_path, capsys):
    corpus = make_tree(tmp_path / "in", stereo_and_mono)
    assert said(capsys, corpus, tmp_path / "out", channel="mean") == [
        "12 of 16 files have 2 channels: their mean is taken (--channel: another, from 0, or mean)"
    ]


def test_files_of_more_than_two_channels_are_counted_apart_and_those_without_the_channel_refused(
    tmp_path, capsys
):
    corpus = make_tree(tmp_path / "in", lambda place: [VOICE] * (6 if place < 4 else 2))
    assert [line[:30] for line in said(capsys, corpus, tmp_path / "out")] == [
        "12 of 16 files have 2 channels",
        "4 of 16 files have 6 channels:",
    ]
    with pytest.raises(
        UserError,
        match="12 of 16 utterances cannot be read, first .*channel 5 was asked for, it has 2",
    ):
        prepare_folder(corpus, tmp_path / "fifth", channel=5, jobs=1)
    with pytest.raises(UserError, match="--channel: -1, expected 0 or more"):
        prepare_folder(corpus, tmp_path / "negative", channel=-1, jobs=1)


def test_of_single_channels_nothing_is_said_and_ledgers_are_as_they_were(tmp_path, capsys):
    corpus = make_tree(tmp_path / "in", lambda place: [VOICE])
    assert said(capsys, corpus, tmp_path / "out") == []
    for counts in counts_of(tmp_path / "out"):
        assert set(counts) == {"came_in", "went_on"}


def test_files_that_lack_the_upper_band_are_told_with_their_number(tmp_path, capsys):
    corpus = make_tree(
        tmp_path / "in", lambda place: [VOICE], lambda place: RATE // (1 + place % 2)
    )
    assert said(capsys, corpus, tmp_path / "out") == [
        "8 of 16 files have 8,000 Hz and are packed at 16,000 Hz: nothing above 4,000 Hz is in them"
    ]
    assert said(capsys, corpus, tmp_path / "low", sample_rate_hz=8000) == []
