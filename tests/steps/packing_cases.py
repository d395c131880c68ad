"""Cases for tests of VAD and packing: a data directory, stages 1 and 2, and damaged files."""

from pathlib import Path

import numpy as np
import soundfile

from steps.collect_packed import collect_packed
from steps.collect_vad import collect_vad
from steps.compute_vad import compute_vad
from steps.pack_audio import pack_audio
from tests.speechlike import RATE, babble
from utils.data_dir import DataDir, read_map, write_data_dir

LENIENT = {"max_unreadable_fraction": 0.9, "max_policy_fraction": 0.9}


def make_data(home):
    """Data directory ``train``: ten utterances of two speakers in several formats."""
    folder = home / "train"
    (home / "audio").mkdir()
    wav_scp, utt2spk = {}, {}
    for k in range(10):
        utterance = f"{'ab'[k % 2]}-{k}"
        rate, subtype = (
            (RATE, "PCM_16"),
            (8000, "PCM_16"),
            (44100, "PCM_24"),
            (96000, "FLOAT"),
            (RATE, "PCM_16"),
        )[k % 5]
        path = home / "audio" / f"{k}.wav"
        soundfile.write(path, babble(1 + 0.1 * k, rate, hz=100 + 10 * k), rate, subtype=subtype)
        wav_scp[utterance], utt2spk[utterance] = str(path), "ab"[k % 2]
    maps = {
        "spk2gender": {"a": "f", "b": "m"},
        "utt2condition": {utterance: f"c{utterance[-1]}" for utterance in utt2spk},
    }
    trials = ["a-0 a-2 target", "a-0 b-1 nontarget", "b-1 b-3 target", "a-2 b-3 nontarget"]
    write_data_dir(DataDir(folder, wav_scp, utt2spk, None, maps, trials), folder)
    return folder


def decide(data, jobs=1, **options):
    for job in range(1, jobs + 1):
        compute_vad(data, job=f"{job}/{jobs}", **options)
    return collect_vad(
        data,
        jobs=jobs,
        max_unreadable_fraction=0.9,
        allow_missing_trials=options.get("allow_missing_trials", False),
    )


def pack(data, packed, jobs=1, limits=(), **options):
    for job in range(1, jobs + 1):
        pack_audio(data, packed, job=f"{job}/{jobs}", **options)
    return collect_packed(
        data,
        packed,
        jobs=jobs,
        allow_missing_trials=options.get("allow_missing_trials", False),
        **dict(limits),
    )


def contents(folder, without=("receipts",)):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not set(without) & set(path.relative_to(folder).parts)
    }


def replace_sound(data, utterance, write):
    path = Path(read_map(data / "wav.scp")[utterance])
    path.unlink()
    write(path)


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
            soundfile.write(
                path, np.where(np.arange(len(sound)) == 5, np.nan, sound), RATE, subtype="FLOAT"
            )
        elif kind == "silent":
            soundfile.write(path, 0 * sound, RATE)
        elif kind == "short":
            soundfile.write(path, babble(0.2, pause=0.0), RATE)
        elif kind == "very short":
            soundfile.write(path, sound[6000:6002], RATE)

    return write
