"""Packing with --split: against a worked example, by any number of jobs, and refusals."""

import json

import numpy as np
import pytest
import soundfile

from steps.collect_packed import collect_packed
from steps.pack_audio import pack_audio
from tests.speechlike import RATE, silence, voiced
from tests.steps.packing_cases import LENIENT, contents, decide, pack
from utils.archive import ArchiveWriter
from utils.audio import read_audio
from utils.data_dir import (
    DataDir,
    read_data_dir,
    read_map,
    validate_data_dir,
    write_data_dir,
    write_map,
)
from utils.errors import UserError, WrongArguments
from utils.packed.reader import PackedReader

# One sign is 0.1 s.
SPEECH = {
    "a-1": ".####.#...###.",
    "a-2": "##########",
    "b-1": "#.#.......",
    "b-2": "..........",
    "b-3": ".####.....",
}
PIECES = {
    "a-1-0000010-0000050": 0.4,
    "a-1-0000100-0000130": 0.3,
    "a-2-0000000-0000100": 1.0,
    "b-3-0000010-0000050": 0.4,
}


@pytest.fixture
def long(tmp_path):
    """Five utterances of two speakers with decisions written by hand, the last one at 44.1 kHz."""
    folder, wav_scp = tmp_path / "long", {}
    (tmp_path / "audio").mkdir()
    for number, (utterance, drawing) in enumerate(SPEECH.items()):
        rate = 44100 if utterance == "b-3" else RATE
        wav_scp[utterance] = str(tmp_path / "audio" / f"{utterance}.wav")
        soundfile.write(
            wav_scp[utterance],
            voiced(len(drawing) / 10, rate, hz=100 + 10 * number),
            rate,
            subtype="PCM_16",
        )
    maps = {
        "spk2gender": {"a": "f", "b": "m"},
        "utt2condition": {utterance: f"c{utterance[-1]}" for utterance in SPEECH},
        "text": dict.fromkeys(SPEECH, "some words"),
        "utt2dur": {utterance: f"{len(drawing) / 10}" for utterance, drawing in SPEECH.items()},
    }
    write_data_dir(
        DataDir(folder, wav_scp, {utterance: utterance[0] for utterance in SPEECH}, None, maps),
        folder,
    )
    decide(folder)
    with ArchiveWriter(folder / "vad" / "hand.ark", folder / "vad" / "hand.scp") as writer:
        for utterance, drawing in SPEECH.items():
            writer.write(
                utterance,
                np.repeat([float(sign == "#") for sign in drawing], 10).astype(np.float32),
            )
    (folder / "vad.scp").write_text((folder / "vad" / "hand.scp").read_text())
    return folder


def test_each_stretch_of_speech_becomes_an_utterance_with_the_lists_of_its_own(long, tmp_path):
    packed = tmp_path / "packed"
    pack(long, packed, jobs=2, limits=LENIENT, split=True, min_seconds=0.25)
    validate_data_dir(packed, audio=True)
    lists, source = read_data_dir(packed), read_map(long / "wav.scp")
    assert {piece: float(seconds) for piece, seconds in lists.maps["utt2dur"].items()} == PIECES
    assert lists.utt2spk == {piece: piece[0] for piece in PIECES}
    assert lists.spk2utt == {"a": list(PIECES)[:3], "b": list(PIECES)[3:]}
    assert lists.maps["utt2original"] == {piece: piece[:3] for piece in PIECES}
    assert lists.maps["utt2condition"] == {piece: f"c{piece[2]}" for piece in PIECES}
    assert lists.maps["spk2gender"] == {"a": "f", "b": "m"}
    assert lists.maps.keys() == {
        "utt2original",
        "utt2condition",
        "spk2gender",
        "utt2dur",
        "utt2num_samples",
    }
    for piece in list(PIECES)[:3]:
        original, rate = read_audio(source[piece[:3]])
        start, end = (int(frame) * rate // 100 for frame in piece.split("-")[2:])
        assert np.array_equal(read_audio(lists.wav_scp[piece])[0], original[start:end])
    assert len(PackedReader(lists.wav_scp, lists.maps["utt2num_samples"])) == 4


def test_the_ledger_counts_utterances_and_pieces(long, tmp_path, capsys):
    packed = tmp_path / "packed"
    counts = pack(long, packed, jobs=2, limits=LENIENT, split=True, min_seconds=0.25)
    said = capsys.readouterr().out
    ledger = {
        "came_in": 5,
        "went_on": 3,
        "policy:little_speech": 1,
        "policy:short": 1,
        "pieces:packed": 4,
        "pieces:short": 3,
    }
    assert json.loads((packed / "ledger.json").read_text()) == ledger
    assert counts == {**ledger, "hours": round(2.1 / 3600, 4), "clipped_utterances": 0}
    assert (packed / "dropped").read_text() == (
        "b-1 policy:short 0.10 s, the longest of 2 pieces\n"
        "b-2 policy:little_speech 0.00 s of speech in 1.00 s\n"
    )
    assert (
        "dropped 2 of 5 utterances (1 policy:little_speech, 1 policy:short); pieces: 4 "
        "packed, 3 short" in said
    )
    with pytest.raises(
        UserError, match="2 of 5 utterances dropped as policy, at most 1 may be; the first is 'b-1'"
    ):
        collect_packed(long, packed, jobs=2)


def test_utterances_without_speech_are_dropped_even_where_no_minimum_is_asked_for(long, tmp_path):
    counts = pack(long, tmp_path / "packed", split=True, min_seconds=0.0, min_speech_seconds=0.0)
    assert (counts["went_on"], counts["policy:little_speech"], counts["pieces:packed"]) == (4, 1, 7)


def test_a_stretch_that_is_digital_silence_is_counted_and_left_out(long, tmp_path):
    path = read_map(long / "wav.scp")["a-1"]
    samples, rate = soundfile.read(path)
    samples[rate : round(1.3 * rate)] = 0
    soundfile.write(path, samples, rate, subtype="PCM_16")
    counts = pack(long, tmp_path / "packed", limits=LENIENT, split=True, min_seconds=0.25)
    assert (counts["pieces:packed"], counts["pieces:silent"], counts["went_on"]) == (3, 1, 3)


def test_the_number_of_jobs_changes_no_piece(long, tmp_path):
    packs = [
        pack(long, tmp_path / str(jobs), jobs=jobs, limits=LENIENT, split=True, min_seconds=0.05)
        for jobs in (1, 3, 9)
    ]
    assert packs[0] == packs[1] == packs[2]
    one, *others = (tmp_path / str(jobs) for jobs in (1, 3, 9))
    lists = (
        "utt2spk",
        "spk2utt",
        "utt2dur",
        "utt2num_samples",
        "utt2original",
        "utt2condition",
        "dropped",
        "ledger.json",
    )
    for other in others:
        assert all((one / name).read_bytes() == (other / name).read_bytes() for name in lists)
        entries = read_map(one / "wav.scp"), read_map(other / "wav.scp")
        assert all(
            np.array_equal(read_audio(entries[0][piece])[0], read_audio(entries[1][piece])[0])
            for piece in entries[0]
        )


def test_a_resumed_run_ends_with_the_same_bytes(long, tmp_path):
    packed, options = (
        tmp_path / "packed",
        {"jobs": 2, "limits": LENIENT, "split": True, "min_seconds": 0.05},
    )
    pack(long, packed, **options)
    before = contents(packed)
    (packed / "receipts" / "pack_audio.2of2.json").unlink()  # as a job that was killed leaves it
    for name in ("packed.2.ark", "packed.2.utt2original"):
        (packed / name).write_bytes(b"half a file")
    pack(long, packed, **options)
    assert contents(packed) == before


def test_pieces_of_segments_carry_the_segments_name(long, tmp_path):
    lists = read_data_dir(long)
    lists.segments, lists.maps = {"a-x": "a-2 0.20 0.90"}, {}
    lists.wav_scp, lists.utt2spk = {"a-2": lists.wav_scp["a-2"]}, {"a-x": "a"}
    write_data_dir(lists, tmp_path / "cut")
    decide(tmp_path / "cut")
    pack(tmp_path / "cut", tmp_path / "packed", split=True)
    assert read_map(tmp_path / "packed" / "utt2original") == {"a-x-0000000-0000070": "a-x"}
    assert read_map(tmp_path / "packed" / "utt2dur") == {"a-x-0000000-0000070": "0.7000"}


@pytest.mark.slow
def test_the_pieces_of_the_ge2e_seed(tmp_path):
    """librosa's split at 20 dB and 8 kHz; stretches of 14,600 samples or more."""
    import librosa

    folder, sound = (
        tmp_path / "vctk",
        np.concatenate(
            [
                silence(0.5),
                voiced(2.5),
                silence(0.6),
                voiced(1.2),
                silence(0.5),
                voiced(2.0),
                silence(0.4),
            ]
        ),
    )
    folder.mkdir()
    soundfile.write(tmp_path / "p225.wav", sound, RATE, subtype="PCM_16")
    write_data_dir(DataDir(folder, {"p225": str(tmp_path / "p225.wav")}, {"p225": "p225"}), folder)
    decide(folder, config="conf/vad/librosa_split.yaml")
    pack(folder, tmp_path / "packed", split=True, min_seconds=14600 / 8000, sample_rate_hz=8000)
    at_8_khz = librosa.resample(
        read_audio(tmp_path / "p225.wav")[0], orig_sr=RATE, target_sr=8000, res_type="soxr_hq"
    )
    seeds = [
        (end - start) / 8000
        for start, end in librosa.effects.split(at_8_khz, top_db=20)
        if end - start >= 14600
    ]
    found = [float(seconds) for seconds in read_map(tmp_path / "packed" / "utt2dur").values()]
    print("seconds of the seed's stretches:", seeds, "packed:", found)
    assert len(found) == len(seeds) == 2
    assert np.allclose(found, seeds, atol=0.011)


@pytest.mark.parametrize(
    ("list_name", "line"),
    [("trials", "a-1 a-2 target\na-1 b-1 nontarget\n"), ("enroll.spk2utt", "a a-1 a-2\n")],
)
def test_what_trials_name_is_not_split(long, tmp_path, list_name, line):
    (long / list_name).write_text(line)
    with pytest.raises(
        UserError,
        match=rf"long/{list_name}: names utterances, which --split would cut into pieces; "
        r"pack this set without it",
    ):
        pack_audio(long, tmp_path / "packed", split=True)


def test_trim_and_split_exclude_each_other(long, tmp_path):
    with pytest.raises(WrongArguments, match="--trim and --split: both were given"):
        pack_audio(long, tmp_path / "packed", split=True, trim=True)


def test_splitting_needs_decisions(long, tmp_path):
    (long / "vad" / "receipts" / "collect_vad.json").unlink()
    with pytest.raises(UserError, match=r"collect_vad.json is missing"):
        pack_audio(long, tmp_path / "packed", split=True, min_speech_seconds=0)


def test_the_command_splits(long, tmp_path, command):
    done = command(
        "steps.pack_audio",
        long,
        tmp_path / "packed",
        "--split",
        "true",
        "--min-seconds",
        "0.25",
        "--job",
        "1/1",
    )
    assert done.returncode == 0, done.stderr
    assert len(read_map(tmp_path / "packed" / "packed.1.utt2original")) == 4
    write_map(long / "utt2lang", dict.fromkeys(SPEECH, "en"))
    done = command(
        "steps.collect_packed", long, tmp_path / "packed", "--max-policy-fraction", "0.9"
    )
    assert done.returncode == 0, done.stderr
    assert read_map(tmp_path / "packed" / "utt2lang") == dict.fromkeys(PIECES, "en")
