"""Stages 1 and 2 on files of several channels and of low rates: counts, messages, refusals."""

import shutil

import numpy as np
import pytest
import soundfile

from tests.speechlike import babble
from tests.steps.packing_cases import LENIENT, decide, pack
from utils.data_dir import DataDir, write_data_dir
from utils.data_dir.ledger import read_counts
from utils.errors import UserError


def make_stereo(home, channels_of):
    """Six utterances of two speakers, no trials: place -> channels, and rate."""
    (home / "audio").mkdir(parents=True)
    wav_scp, utt2spk = {}, {}
    for place in range(6):
        utterance = f"{'ab'[place % 2]}-{place}"
        channels, rate = channels_of(place)
        path = home / "audio" / f"{place}.wav"
        soundfile.write(path, np.stack(channels, axis=1), rate)
        wav_scp[utterance], utt2spk[utterance] = str(path), "ab"[place % 2]
    write_data_dir(DataDir(home / "set", wav_scp, utt2spk, None, {}), home / "set")
    return home / "set"


def voice(rate=16000):
    return babble(1, rate)


def test_channels_are_in_the_ledgers_of_vad_and_packing_and_a_silent_one_is_told_with_the_other(
    tmp_path, capsys
):
    hiss = np.full(len(voice()), 1e-4)
    data = make_stereo(
        tmp_path, lambda place: ([hiss, voice()] if place < 2 else [voice(), hiss], 16000)
    )
    taken, silent = "of 2 channels, channel 0 is taken", "with channel 0 silent and channel 1 not"
    decide(data, jobs=2)
    out = capsys.readouterr().out
    assert f"{data}: 6 of 6 utterances {taken}\n" in out
    assert f"{data}: 2 of 6 utterances {silent}\n" in out
    counts = pack(data, tmp_path / "packed", jobs=2, limits=LENIENT)
    for ledger in (read_counts(data / "vad" / "ledger.json"), counts):
        assert (ledger[taken], ledger[silent]) == (6, 2)
    assert counts["policy:little_speech"] == 2
    dropped = (tmp_path / "packed" / "dropped").read_text().splitlines()
    assert all(
        line.endswith("channel 0 is silent, channel 1 is not: --channel 1") for line in dropped
    )
    other = tmp_path / "other"
    shutil.copytree(data, other, ignore=shutil.ignore_patterns("vad*", "receipts"))
    decide(other, channel=1)
    assert pack(other, tmp_path / "packed1", channel=1, limits=LENIENT)["policy:little_speech"] == 4


def test_too_many_silent_channels_end_the_packing_with_the_option_that_helps(tmp_path):
    data = make_stereo(tmp_path, lambda place: ([np.zeros(len(voice())), voice()], 16000))
    decide(data)
    with pytest.raises(
        UserError, match="6 of 6 .* channel 0 is silent, channel 1 is not: --channel 1"
    ):
        pack(data, tmp_path / "packed")


def test_low_rates_are_counted_and_said_once_and_high_ones_are_not(tmp_path, capsys):
    rates = (8000, 8000, 11025, 16000, 44100, 48000)
    data = make_stereo(tmp_path, lambda place: ([voice(rates[place])], rates[place]))
    decide(data)
    capsys.readouterr()
    counts = pack(data, tmp_path / "packed", jobs=3)
    assert {name: number for name, number in counts.items() if name.startswith("upsampled")} == {
        "upsampled from 11025 Hz to 16000 Hz": 1,
        "upsampled from 8000 Hz to 16000 Hz": 2,
    }
    out = capsys.readouterr().out
    assert out.count("upsampled") == 2
    assert (
        f"{data}: 2 of 6 utterances upsampled from 8000 Hz to 16000 Hz: nothing above 4000 "
        "Hz is in them" in out
    )
    assert not any(
        name.startswith("upsampled") for name in pack(data, tmp_path / "low", sample_rate_hz=8000)
    )
