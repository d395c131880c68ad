"""Losses of stages 1 and 2: names and reasons, limits, and what is lost only if allowed."""

import json
import shutil

import pytest
import soundfile

from steps.collect_packed import collect_packed
from steps.collect_vad import collect_vad
from steps.compute_vad import compute_vad
from steps.pack_audio import pack_audio
from tests.speechlike import RATE, babble
from tests.steps.packing_cases import LENIENT, damaged, decide, pack, replace_sound
from utils.archive import read_scp
from utils.data_dir import read_map, validate_data_dir
from utils.errors import UserError

LOSSES = [
    ("truncated", "unreadable fewer samples than its header says: 5,000 bytes are missing"),
    ("empty", "unreadable cannot be read"),
    ("missing", "unreadable cannot be opened: No such file"),
    ("no samples", "unreadable no samples"),
    ("NaN", "unreadable NaN or Inf at sample 5"),
    ("silent", "policy:little_speech 0.00 s of speech in 1.60 s"),
    ("short", "policy:short 0.20 s"),
    ("very short", "policy:little_speech 0.00 s of speech in 0.00 s"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "line"), LOSSES)
def test_each_fault_is_in_the_ledger_by_name_and_reason(data, tmp_path, kind, line):
    replace_sound(data, "b-5", damaged(kind))
    packed = tmp_path / "packed"
    decide(data, jobs=2)
    counts = pack(data, packed, jobs=2)
    reason = line.split()[0]
    assert counts["went_on"] == 9
    assert counts[reason] == 1
    assert (packed / "dropped").read_text().startswith(f"b-5 {line}")
    assert json.loads((packed / "ledger.json").read_text()) == {
        "came_in": 10,
        "went_on": 9,
        reason: 1,
        "upsampled from 8000 Hz to 16000 Hz": 2,
    }
    assert "b-5" not in read_map(packed / "utt2condition")
    assert ("b-5" in read_scp(data / "vad.scp")) == reason.startswith("policy")
    validate_data_dir(packed, audio=True)


@pytest.mark.parametrize(("kind", "option"), [("truncated", "unreadable"), ("silent", "policy")])
def test_more_losses_than_the_limit_stop_the_stage(data, tmp_path, kind, option):
    for utterance in ("b-5", "a-6"):
        replace_sound(data, utterance, damaged(kind))
    decide(data)
    pack_audio(data, tmp_path / "packed")
    with pytest.raises(
        UserError,
        match=rf"2 of 10 utterances dropped as {option}, at most 1 may be; the first is 'a-6'",
    ):
        collect_packed(data, tmp_path / "packed")
    assert not (tmp_path / "packed" / "wav.scp").exists()
    assert collect_packed(data, tmp_path / "packed", **LENIENT)["went_on"] == 8
    if kind == "truncated":
        with pytest.raises(UserError, match="2 of 10 utterances dropped as unreadable") as refused:
            collect_vad(data)
        for utterance in ("b-5", "a-6"):
            replace_sound(data, utterance, lambda path: soundfile.write(path, babble(1.0), RATE))
        shutil.rmtree(data / "vad" / "receipts")
        assert f"remove {data}/vad/receipts and run the stage again" in str(refused.value)
        assert decide(data)["went_on"] == 10


@pytest.mark.parametrize("kind", ["truncated", "silent"])
def test_an_utterance_of_the_trials_stops_the_stage_that_would_drop_it(data, tmp_path, kind):
    replace_sound(data, "b-3", damaged(kind))
    packed = tmp_path / "packed"
    if kind == "truncated":
        with pytest.raises(UserError, match="'b-3' is named in trials and would be dropped"):
            compute_vad(data)
        assert not list((data / "vad").rglob("*.json"))
    decide(data, allow_missing_trials=True)
    with pytest.raises(UserError, match="'b-3' is named in trials and would be dropped"):
        pack_audio(data, packed)
    assert not packed.exists() or not list(packed.glob("*.ark"))
    counts = pack(data, packed, allow_missing_trials=True)
    assert counts["lost_trials"] == 2
    assert (packed / "lost_trials").read_text() == "a-2 b-3 nontarget\nb-1 b-3 target\n"
    assert (packed / "trials").read_text() == "a-0 a-2 target\na-0 b-1 nontarget\n"
    validate_data_dir(packed)
    with pytest.raises(UserError, match="'b-3' is named in trials"):
        collect_packed(data, packed)


def test_without_decisions_packing_needs_stage_1_unless_nothing_wants_them(data, tmp_path):
    with pytest.raises(UserError, match=r"collect_vad.json is missing"):
        pack_audio(data, tmp_path / "packed")
    pack_audio(data, tmp_path / "packed", min_speech_seconds=0)
    assert collect_packed(data, tmp_path / "packed")["went_on"] == 10


def test_sound_that_changed_after_its_decisions_is_noticed(data, tmp_path):
    replace_sound(data, "b-5", damaged("truncated"))
    decide(data)
    replace_sound(data, "b-5", lambda path: soundfile.write(path, babble(1.0), RATE))
    with pytest.raises(
        UserError,
        match="'b-5' can be read but has no voice activity decisions; remove "
        ".*/train/vad/receipts and run stage 1 again",
    ):
        pack_audio(data, tmp_path / "packed")
