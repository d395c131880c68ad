"""Stages 1 and 2 on a data directory of two speakers: what comes out, what is lost and why; killing, repeating and splitting change nothing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from steps.augment import augment
from steps.collect_packed import collect_packed
from steps.collect_vad import collect_vad
from steps.compute_vad import compute_vad
from steps.pack_audio import pack_audio
from utils.archive import iterate_archive, read_scp, read_vector
from utils.audio import read_audio, to_int16
from utils.augmentation import Augmenter
from utils.data_dir import DataDir, read_data_dir, read_map, validate_data_dir, write_data_dir
from utils.errors import UserError
from utils.packed import PackedReader

RATE = 16000
LENIENT = {"max_unreadable_fraction": 0.9, "max_policy_fraction": 0.9}


def babble(seconds, rate=RATE, hz=120, pause=0.3):
    """Silence, a voiced sound of that pitch, silence."""
    times = np.arange(round(seconds * rate)) / rate
    harmonics = sum(np.cos(2 * np.pi * hz * k * times) * sum(np.exp(-((hz * k - formant) / 150) ** 2) for formant in (500, 1500, 2500))
                    for k in range(1, int(3500 / hz)))
    noise = np.random.default_rng(0).normal(0, 1e-4, round(pause * rate))
    return np.concatenate([noise, 0.1 * harmonics, noise]).astype(np.float32)


@pytest.fixture
def data(tmp_path):
    """Ten utterances of two speakers, four of them in trials, in several formats."""
    folder = tmp_path / "train"
    (tmp_path / "audio").mkdir()
    wav_scp, utt2spk = {}, {}
    for k in range(10):
        utterance = f"{'ab'[k % 2]}-{k}"
        rate, subtype = ((RATE, "PCM_16"), (8000, "PCM_16"), (44100, "PCM_24"), (96000, "FLOAT"), (RATE, "PCM_16"))[k % 5]
        path = tmp_path / "audio" / f"{k}.wav"
        soundfile.write(path, babble(1 + 0.1 * k, rate, hz=100 + 10 * k), rate, subtype=subtype)
        wav_scp[utterance], utt2spk[utterance] = str(path), "ab"[k % 2]
    maps = {"spk2gender": {"a": "f", "b": "m"}, "utt2condition": {utterance: f"c{utterance[-1]}" for utterance in utt2spk}}
    trials = ["a-0 a-2 target", "a-0 b-1 nontarget", "b-1 b-3 target", "a-2 b-3 nontarget"]
    write_data_dir(DataDir(folder, wav_scp, utt2spk, None, maps, trials), folder)
    return folder


def decide(data, jobs=1, **options):
    for job in range(1, jobs + 1):
        compute_vad(data, job=f"{job}/{jobs}", **options)
    return collect_vad(data, jobs=jobs, max_unreadable_fraction=0.9, allow_missing_trials=options.get("allow_missing_trials", False))


def pack(data, packed, jobs=1, limits=(), **options):
    for job in range(1, jobs + 1):
        pack_audio(data, packed, job=f"{job}/{jobs}", **options)
    return collect_packed(data, packed, jobs=jobs, allow_missing_trials=options.get("allow_missing_trials", False), **dict(limits))


def contents(folder, without=("receipts",)):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and not set(without) & set(path.relative_to(folder).parts)}


def replace_sound(data, utterance, write):
    path = Path(read_map(data / "wav.scp")[utterance])
    path.unlink()
    write(path)


def test_a_data_directory_becomes_packed_audio_of_one_rate(data, tmp_path):
    packed = tmp_path / "packed"
    counts = decide(data)
    assert counts["came_in"] == counts["went_on"] == 10
    assert 0.5 < counts["speech_frames"] / counts["frames"] < 0.9
    counts = pack(data, packed)
    assert (counts["came_in"], counts["went_on"], counts["clipped_utterances"]) == (10, 10, 0)
    validate_data_dir(packed, audio=True)
    lists, source = read_data_dir(packed), read_data_dir(data)
    assert (lists.utt2spk, lists.trials) == (source.utt2spk, source.trials)
    assert lists.maps.keys() == {"spk2gender", "utt2condition", "utt2dur", "utt2num_samples", "vad.scp"}
    for utterance, entry in lists.wav_scp.items():
        samples, rate = read_audio(entry)
        original, original_rate = read_audio(source.wav_scp[utterance])
        seconds = len(original) / original_rate
        assert rate == RATE
        assert len(samples) == int(lists.maps["utt2num_samples"][utterance]) == round(seconds * RATE)
        assert float(lists.maps["utt2dur"][utterance]) == pytest.approx(seconds, abs=1e-4)
        if original_rate == RATE:
            assert np.array_equal(to_int16(samples), to_int16(original))
        else:
            assert np.dot(samples, samples) / RATE == pytest.approx(np.dot(original, original) / original_rate, rel=0.05)
    assert len(PackedReader(lists.wav_scp, lists.maps["utt2num_samples"])) == 10
    assert (packed / "dropped").read_text() == (packed / "lost_trials").read_text() == ""


def test_decisions_are_kaldi_vectors_of_one_number_per_10_ms(data):
    decide(data, jobs=2)
    for utterance, entry in read_scp(data / "vad.scp").items():
        speech, (samples, rate) = read_vector(entry, key=utterance), read_audio(read_map(data / "wav.scp")[utterance])
        assert speech.dtype == np.float32
        assert set(speech) == {0.0, 1.0}
        assert len(speech) == round(100 * len(samples) / rate)
    validate_data_dir(data)


def test_trimming_leaves_the_speech_only(data, tmp_path):
    decide(data)
    whole, trimmed = pack(data, tmp_path / "whole"), pack(data, tmp_path / "trimmed", trim=True)
    assert 0.5 < trimmed["hours"] / whole["hours"] < 0.9
    validate_data_dir(tmp_path / "trimmed", audio=True)
    speech = {utterance: read_vector(entry).sum() / 100 for utterance, entry in read_scp(data / "vad.scp").items()}
    for utterance, seconds in read_map(tmp_path / "trimmed" / "utt2dur").items():
        assert float(seconds) == pytest.approx(speech[utterance], abs=0.011)
    assert not (tmp_path / "trimmed" / "vad.scp").exists()


def test_the_number_of_jobs_changes_no_sample(data, tmp_path):
    decide(data)
    pack(data, tmp_path / "one", jobs=1)
    pack(data, tmp_path / "three", jobs=3)
    one, three = read_map(tmp_path / "one" / "wav.scp"), read_map(tmp_path / "three" / "wav.scp")
    assert list(one) == list(three)
    assert len({entry.split(":")[0] for entry in three.values()}) == 3
    for utterance in one:
        assert np.array_equal(read_audio(one[utterance])[0], read_audio(three[utterance])[0])
    lists = ("utt2spk", "utt2dur", "utt2num_samples", "trials", "dropped", "ledger.json", "spk2gender", "utt2condition")
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes() for name in lists)


def test_more_jobs_than_utterances_are_harmless(data, tmp_path):
    decide(data, jobs=12)
    assert pack(data, tmp_path / "packed", jobs=12)["went_on"] == 10


def test_a_repeated_command_does_nothing_and_a_resumed_one_ends_with_the_same_bytes(data, tmp_path):
    packed = tmp_path / "packed"
    decide(data, jobs=2)
    pack(data, packed, jobs=2)
    before, stamps = contents(packed), {path: path.stat().st_mtime_ns for path in packed.rglob("*")}
    pack(data, packed, jobs=2)
    assert {path: path.stat().st_mtime_ns for path in packed.rglob("*")} == stamps
    (packed / "receipts" / "pack_audio.2of2.json").unlink()  # as a job that was killed leaves it
    (packed / "packed.2.ark").write_bytes(b"half a file")
    first_archive = (packed / "packed.1.ark").stat().st_mtime_ns
    with pytest.raises(UserError, match=r"pack_audio.2of2.json is missing"):
        collect_packed(data, packed, jobs=2)
    pack(data, packed, jobs=2)
    assert contents(packed) == before
    assert (packed / "packed.1.ark").stat().st_mtime_ns == first_archive


def test_packing_is_dear_and_other_options_stop_it(data, tmp_path, monkeypatch):
    packed = tmp_path / "packed"
    decide(data)
    pack(data, packed)
    with pytest.raises(UserError, match="option trim was false, is true; --force redoes it"):
        pack_audio(data, packed, trim=True)
    decide(data, aggressiveness=3)
    with pytest.raises(UserError, match=r"collect_vad.json changed"):
        pack_audio(data, packed)
    monkeypatch.setenv("SV_FORCE", "1")
    pack(data, packed)
    assert (packed / "old.1" / "packed.1.ark").exists()


def damaged(kind):
    sound = babble(1.0)
    def write(path):
        soundfile.write(path, sound, RATE, subtype="PCM_16")
        content = path.read_bytes()
        if kind == "truncated":
            path.write_bytes(content[:-5000])
        elif kind == "empty":
            path.write_bytes(b"")
        elif kind == "missing":
            path.unlink()
        elif kind == "no samples":
            soundfile.write(path, sound[:0], RATE)
        elif kind == "NaN":
            soundfile.write(path, np.where(np.arange(len(sound)) == 5, np.nan, sound), RATE, subtype="FLOAT")
        elif kind == "silent":
            soundfile.write(path, 0 * sound, RATE)
        elif kind == "short":
            soundfile.write(path, babble(0.2, pause=0.0), RATE)
        elif kind == "very short":
            soundfile.write(path, sound[6000:6002], RATE)
    return write


LOSSES = [("truncated", "unreadable fewer samples than its header says: 5,000 bytes are missing"), ("empty", "unreadable cannot be read"),
          ("missing", "unreadable cannot be opened: No such file"), ("no samples", "unreadable no samples"),
          ("NaN", "unreadable NaN or Inf at sample 5"), ("silent", "policy:little_speech 0.00 s of speech in 1.60 s"),
          ("short", "policy:short 0.20 s"), ("very short", "policy:little_speech 0.00 s of speech in 0.00 s")]


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
    assert json.loads((packed / "ledger.json").read_text()) == {"came_in": 10, "went_on": 9, reason: 1}
    assert "b-5" not in read_map(packed / "utt2condition")
    assert ("b-5" in read_scp(data / "vad.scp")) == reason.startswith("policy")
    validate_data_dir(packed, audio=True)


@pytest.mark.parametrize(("kind", "option"), [("truncated", "unreadable"), ("silent", "policy")])
def test_more_losses_than_the_limit_stop_the_stage(data, tmp_path, kind, option):
    for utterance in ("b-5", "a-6"):
        replace_sound(data, utterance, damaged(kind))
    decide(data)
    pack_audio(data, tmp_path / "packed")
    with pytest.raises(UserError, match=rf"2 of 10 utterances dropped as {option}, at most 1 may be; the first is 'a-6'"):
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


def test_segments_become_utterances(data, tmp_path):
    lists = read_data_dir(data)
    lists.segments = {"a-x": "a-8 0.30 1.30", "a-y": "a-8 1.00 2.40", "b-z": "b-9 0.3 1.0"}
    lists.wav_scp = {key: lists.wav_scp[key] for key in ("a-8", "b-9")}
    lists.utt2spk, lists.maps, lists.trials = {key: key[0] for key in lists.segments}, {"reco2dur": {"a-8": "2.4", "b-9": "2.5"}}, None
    cut = tmp_path / "cut"
    write_data_dir(lists, cut)
    decide(cut)
    pack(cut, tmp_path / "packed")
    validate_data_dir(tmp_path / "packed", audio=True)
    packed = read_data_dir(tmp_path / "packed")
    assert packed.segments is None
    assert "reco2dur" not in packed.maps
    assert packed.maps["utt2dur"] == {"a-x": "1.0000", "a-y": "1.4000", "b-z": "0.7000"}


def test_without_decisions_packing_needs_stage_1_unless_nothing_wants_them(data, tmp_path):
    with pytest.raises(UserError, match=r"collect_vad.json is missing"):
        pack_audio(data, tmp_path / "packed")
    pack_audio(data, tmp_path / "packed", min_speech_seconds=0)
    assert collect_packed(data, tmp_path / "packed")["went_on"] == 10


def test_sound_that_changed_after_its_decisions_is_noticed(data, tmp_path):
    replace_sound(data, "b-5", damaged("truncated"))
    decide(data)
    replace_sound(data, "b-5", lambda path: soundfile.write(path, babble(1.0), RATE))
    with pytest.raises(UserError, match="'b-5' can be read but has no voice activity decisions; remove .*/train/vad/receipts and run stage 1 again"):
        pack_audio(data, tmp_path / "packed")


def test_pipes_run_only_with_leave(data, tmp_path):
    entries = read_map(data / "wav.scp")
    (data / "wav.scp").write_text("".join(f"{key} cat {path} |\n" for key, path in entries.items()))
    with pytest.raises(UserError, match="allow-pipes"):
        compute_vad(data)
    decide(data, allow_pipes=True)
    assert pack(data, tmp_path / "packed", allow_pipes=True)["went_on"] == 10


def test_relative_paths_start_from_the_root(data, tmp_path):
    entries = read_map(data / "wav.scp")
    (data / "wav.scp").write_text("".join(f"{key} audio/{Path(path).name}\n" for key, path in entries.items()))
    decide(data, root=tmp_path)
    assert pack(data, tmp_path / "packed", root=tmp_path)["went_on"] == 10


@pytest.fixture
def noise_and_rirs(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "sounds").mkdir()
    for kind, seconds in (("noise", 3.0), ("rirs", 0.2)):
        wav_scp = {}
        for k in range(4):
            samples = 0.1 * rng.normal(size=round(seconds * 8000)) * (np.exp(-np.arange(seconds * 8000) / 200) if kind == "rirs" else 1)
            wav_scp[f"{kind}{k}"] = str(tmp_path / "sounds" / f"{kind}{k}.wav")
            soundfile.write(wav_scp[f"{kind}{k}"], samples * (k != 3), 8000)
        maps = {"utt2condition": {key: "music" if key == "noise0" else "noise" for key in wav_scp}} if kind == "noise" else {}
        write_data_dir(DataDir(tmp_path / kind, wav_scp, {key: key for key in wav_scp}, None, maps), tmp_path / kind)
    return {"noise": tmp_path / "noise", "rirs": tmp_path / "rirs"}


def test_a_bank_is_made_of_noises_and_rooms_and_its_augmenter_works(noise_and_rirs, tmp_path):
    bank = tmp_path / "bank"
    counts = augment(bank, **noise_and_rirs)
    assert counts["noise"]["went_on"] == counts["rirs"]["went_on"] == counts["rirs"]["came_in"] - 1 == 3
    assert (bank / "noise.dropped").read_text() == "noise3 policy:silent 3.00 s\n"
    assert read_map(bank / "noise.utt2type") == {"noise0": "music", "noise1": "noise", "noise2": "noise"}
    assert all(np.argmax(np.abs(response)) == 160 for _, response in iterate_archive(bank / "rirs.ark"))
    options = {"noise_probability": 1.0, "noise_snr_db": {"music": (5.0, 5.0)}, "reverb_probability": 1.0, "bank": bank, "sample_rate_hz": RATE}
    crop = babble(1.4)
    assert not np.array_equal(Augmenter(**options)(crop, 1.0, len(crop), np.random.default_rng(0)), crop)
    before = contents(bank)
    (bank / "receipts" / "augment.json").unlink()
    augment(bank, **noise_and_rirs)
    assert contents(bank) == before


def test_a_bank_of_nothing_is_refused(noise_and_rirs, tmp_path):
    with pytest.raises(UserError, match="nothing to put into the bank; give --noise, --rirs or both"):
        augment(tmp_path / "bank")
    for path in read_map(noise_and_rirs["noise"] / "wav.scp").values():
        soundfile.write(path, np.zeros(8000), 8000)
    with pytest.raises(UserError, match="no noise left to put into the bank"):
        augment(tmp_path / "bank", noise=noise_and_rirs["noise"])


def test_the_commands_do_what_the_functions_do(data, tmp_path, command):
    packed = tmp_path / "packed"
    for words in (["steps.compute_vad", data, "--job", "1/1"], ["steps.collect_vad", data, "--jobs", "1"],
                  ["steps.pack_audio", data, packed, "--sample-rate-hz", "8000"], ["steps.collect_packed", data, packed]):
        done = command(*words)
        assert done.returncode == 0, done.stderr
    assert PackedReader(read_map(packed / "wav.scp"), read_map(packed / "utt2num_samples")).sample_rate_hz == 8000
    wrong = command("steps.compute_vad", data, "--aggressiveness", "4")
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
