"""Target: data directories, whose lists name files, commands and each other."""

import shutil
from itertools import islice
from pathlib import Path

import numpy as np

from local.corpus import measure, read_protocol
from local.own.table import read_table
from tests.fuzz.target import Files, Place, Target
from tests.fuzz.worker import MARKER
from utils.archive.objects import encode_object, encode_wave
from utils.audio import UtteranceReader
from utils.data_dir import (
    combine_data_dirs,
    copy_data_dir,
    data_dir_problems,
    fix_data_dir,
    is_list,
    job_utterances,
    read_data_dir,
    read_map,
    read_trials,
    split_data_dir,
    subset_data_dir,
    write_data_dir,
)
from utils.data_dir.lists import read_spk2utt
from utils.errors import UserError
from utils.scoring.foreign_scores import read_foreign_scores
from utils.scoring.score_files import read_scores
from utils.trials.foreign import read_foreign_trials, speakers_of_trials

RATE_HZ = 16_000
UTTERANCES = {"a-1": "a", "a-2": "a", "b-1": "b", "b-2": "b", "c-1": "c"}
WAVE = encode_wave(np.arange(400, dtype=np.int16), RATE_HZ)


def _lines(mapping) -> bytes:
    return "".join(f"{key} {value}\n" for key, value in mapping.items()).encode()


def _seeds() -> list[Files]:
    speakers = {
        name: " ".join(key for key, speaker in UTTERANCES.items() if speaker == name)
        for name in "abc"
    }
    decisions = encode_object(np.array([1, 0, 1], np.float32))
    ark = b"".join(key.encode() + b" " + decisions for key in UTTERANCES)
    places = {key: f"vad.ark:{k * (len(ark) // 5) + 4}" for k, key in enumerate(UTTERANCES)}
    trials = b"a-1 a-2 target\na-1 b-1 nontarget\nb-1 b-2 target\nc-1 a-1 nontarget\n"
    waves = b"".join(key.encode() + b" " + WAVE for key in UTTERANCES)
    lists = {"utt2spk": _lines(UTTERANCES), "spk2utt": _lines(speakers), "one.wav": WAVE}
    files = {"wav.scp": _lines(dict.fromkeys(UTTERANCES, "one.wav")), **lists}
    archive = {
        "wav.scp": _lines(
            {key: f"wav.ark:{k * (len(waves) // 5) + 4}" for k, key in enumerate(UTTERANCES)}
        ),
        "wav.ark": waves,
        **lists,
    }
    more = {
        "utt2dur": _lines(dict.fromkeys(UTTERANCES, "0.025")),
        "spk2gender": b"a m\nb f\nc f\n",
        "text": _lines(dict.fromkeys(UTTERANCES, "two words")),
        "vad.scp": _lines(places),
        "vad.ark": ark,
        "trials": trials,
        "enroll.spk2utt": b"m a-1 a-2\nn b-1\n",
        "utt2num_frames": _lines(dict.fromkeys(UTTERANCES, 3)),
        "reco2file_and_channel": _lines({key: f"{key} A" for key in UTTERANCES}),
        "utt2session": _lines(dict.fromkeys(UTTERANCES, "s1")),
    }
    segments = {
        "wav.scp": b"r1 one.wav\nr2 wav.ark:4\n",
        "segments": b"a-1 r1 0 0.01\na-2 r1 0.01 -1\nb-1 r2 0 0.02\n"
        b"b-2 r2 0.005 0.024\nc-1 r1 0 0.3\n",
        "reco2dur": b"r1 0.025\nr2 0.025\n",
        "wav.ark": waves,
        **lists,
    }
    hostile = {
        **files,
        "wav.scp": _lines(dict.fromkeys(UTTERANCES, f"touch {MARKER}; cat one.wav |")),
    }
    dots = {f"{speaker}/../../../{key}": f"{speaker}/../.." for key, speaker in UTTERANCES.items()}
    outside = {
        "wav.scp": _lines(dict.fromkeys(dots, "one.wav")),
        "utt2spk": _lines(dots),
        "one.wav": WAVE,
        "spk2utt": _lines(
            {f"{name}/../..": " ".join(key for key in dots if key[0] == name) for name in "abc"}
        ),
    }
    scores = {
        **files,
        "x.scores": b"a-1 a-2 1.5\na-1 b-1 -3e-1\nb-1 b-2 2\nc-1 a-1 0\n",
        "trials": trials,
    }
    table = (
        b"path,speaker,start,end,set,sex,text,session\none.wav,Ann,0,0.01,train,f,a word,1\n"
        b"one.wav,Bob,0.01,0.02,dev,m,,2\nother.wav,Eve,0,1,test,f,c,3\n"
    )
    return [
        files,
        archive,
        {**files, **more},
        segments,
        hostile,
        outside,
        scores,
        {**files, "table.csv": table},
        {**files, "table.csv": b"path\tspeaker\none.wav\tAnn\n../two.wav\tBob\n"},
        {**files, "lines": b"\xef\xbb\xbfa one\r\nb two three\r\n"},
    ]


def _whole(place: Place):
    return read_data_dir(place.given)


def _audio(place: Place) -> None:
    for line in data_dir_problems(place.given, audio=True, root=place.given):
        raise UserError(line)


def _utterances(place: Place) -> None:
    data = read_data_dir(place.given)
    reader = UtteranceReader(data.wav_scp, data.segments, root=place.given)
    for utterance in islice(data.utt2spk, 10):
        reader.read(utterance)


def _fix(place: Place) -> None:
    folder = place.output / "fixed"
    folder.mkdir()
    for path in place.given.iterdir():
        if is_list(path.name):
            shutil.copyfile(path, folder / path.name)
    fix_data_dir(folder, dry_run=True)
    fix_data_dir(folder)
    read_data_dir(folder)


def _parts(place: Place) -> None:
    data = _whole(place)
    write_data_dir(subset_data_dir(data, per_speaker=1), place.output / "some")
    for number, part in enumerate(split_data_dir(data, 2, by_speaker=True)):
        write_data_dir(part, place.output / f"part{number}")
    renamed = copy_data_dir(data, utt_prefix="x-", spk_prefix="x-")
    write_data_dir(combine_data_dirs([data, renamed]), place.output / "both")
    job_utterances(data.utt2spk, "1/2")
    assert (
        read_data_dir(place.output / "both").utt2spk.keys()
        == data.utt2spk.keys() | renamed.utt2spk.keys()
    )


def _maps(place: Place) -> None:
    for path in sorted(place.given.iterdir()):
        if is_list(path.name) and path.name != "trials":
            read_map(path)


def _table(place: Place) -> None:
    corpus = read_table(
        place.given / "table.csv"
        if (place.given / "table.csv").exists()
        else place.given / "utt2spk",
        {},
        None,
    )
    measure({utterance: Path(path) for utterance, path in islice(corpus.data.wav_scp.items(), 5)})
    write_data_dir(corpus.data, place.output / "made")


TOKENS = [
    b"a-1",
    b"a-2",
    b"b-1",
    b"a",
    b"b",
    b"../x",
    b"../../../x",
    b"/tmp/x",
    b"one.wav",
    b"wav.ark:4",
    b"wav.ark:0",
    b"wav.ark:99999999999999999999",
    b"../pipe",
    b"/dev/zero",
    b"/dev/zero:0",
    b"/dev/stdin",
    b".",
    b"|",
    b"cat one.wav |",
    f"touch {MARKER} |".encode(),
    f"| touch {MARKER}".encode(),
    f"$(touch {MARKER})".encode(),
    b"target",
    b"nontarget",
    b"-1",
    b"0",
    b"0.3",
    b"1e9",
    b"1e308",
    b"m",
    b"f",
    b"a" * 5000,
    b"-",
    b"x\0y",
    b"\xff\xfe\x00",
    "é".encode(),
    "\u2028".encode(),
    "\u0661".encode(),
    b"file.m4a",
    b"x.wav\t",
    b"ark:-",
]


def _foreign_trials(place: Place) -> None:
    trials = read_foreign_trials(place.given / "trials")
    speakers_of_trials(trials, place.given / "utt2spk")


DATA_DIR = Target(
    "data_dir",
    {
        "utils.data_dir.read_data_dir": _whole,
        "utils.data_dir.data_dir_problems (with audio)": _audio,
        "utils.data_dir.fix_data_dir": _fix,
        "utils.data_dir.write_data_dir (subset, split, copy, combine)": _parts,
        "utils.data_dir.read_map": _maps,
        "utils.data_dir.read_trials": lambda place: read_trials(place.given / "trials"),
        "utils.data_dir.lists.read_spk2utt": lambda place: read_spk2utt(place.given / "spk2utt"),
        "utils.audio.UtteranceReader": _utterances,
        "utils.scoring.score_files.read_scores": lambda place: read_scores(
            place.given / ("x.scores" if (place.given / "x.scores").exists() else "utt2spk")
        ),
        "utils.trials.foreign.speakers_of_trials": _foreign_trials,
        "utils.scoring.foreign_scores.read_foreign_scores": lambda place: read_foreign_scores(
            place.given / ("x.scores" if (place.given / "x.scores").exists() else "utt2spk"),
            read_foreign_trials(place.given / "trials"),
        ),
        "local.corpus.read_protocol": lambda place: read_protocol(
            place.given / ("lines" if (place.given / "lines").exists() else "utt2spk")
        ),
        "local.own.table.read_table": _table,
    },
    _seeds,
    TOKENS,
    kept_whole=("one.wav",),
)
