"""What stage 0 tells people to do about a corpus of their own works when it is done."""

import re
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from local.audio_tree import find_audio
from local.prepare_folder import prepare_folder
from local.prepare_noise import prepare_noise
from tests.lookalike.own import write_table
from utils.data_dir import data_dir_problems, read_map
from utils.data_dir.repair import fix_data_dir
from utils.errors import UserError

SPEAKERS = [f"spk{number}" for number in range(6)]


@pytest.fixture
def wav(tmp_path):
    """Two files of each of six speakers below wav/."""
    rng = np.random.default_rng(0)
    for speaker in SPEAKERS:
        (tmp_path / "wav" / speaker).mkdir(parents=True)
        for take in range(2):
            samples = 0.1 * rng.standard_normal(4000)
            soundfile.write(tmp_path / "wav" / speaker / f"{take}.wav", samples, 8000)
    return tmp_path / "wav"


def kaldi(folder, entry, separator="-", names=SPEAKERS):
    """A Kaldi directory of those files; `entry` makes an entry of wav.scp from a path."""
    folder.mkdir()
    rows = [
        (f"{name}{separator}{take}", name, f"wav/{speaker}/{take}.wav")
        for name, speaker in zip(names, SPEAKERS, strict=False)
        for take in range(2)
    ]
    rows.sort()
    (folder / "wav.scp").write_text("".join(f"{key} {entry(path)}\n" for key, _, path in rows))
    (folder / "utt2spk").write_text("".join(f"{key} {speaker}\n" for key, speaker, _ in rows))
    members: dict[str, list[str]] = {}
    for key, speaker, _ in rows:
        members.setdefault(speaker, []).append(key)
    lines = [" ".join([speaker, *keys]) for speaker, keys in sorted(members.items())]
    (folder / "spk2utt").write_text("".join(f"{line}\n" for line in lines))
    return folder


def refusal(*arguments, **options):
    with pytest.raises(UserError) as caught:
        prepare_folder(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sizes(output):
    return sum(len(read_map(output / name / "utt2spk")) for name in ("train", "dev", "test"))


def test_relative_paths_are_found_from_the_folder_that_the_message_names(wav, tmp_path):
    table = write_table(
        tmp_path / "lists" / "a.csv",
        [
            {"path": f"wav/{speaker}/{take}.wav", "speaker": speaker}
            for speaker in SPEAKERS
            for take in (0, 1)
        ],
    )
    data = kaldi(tmp_path / "data", str)
    for number, corpus in enumerate((table, data)):
        said = refusal(corpus, tmp_path / f"refused{number}")
        assert "12 of its 12 files are missing" in said
        root = re.search(r"give --root (\S+)$", said)[1]
        prepare_folder(corpus, tmp_path / f"out{number}", root=tmp_path / root)
        assert sizes(tmp_path / f"out{number}") == 12
        wrong = refusal(corpus, tmp_path / f"wrong{number}", root=tmp_path / "lists")
        assert f"give --root {tmp_path}" in wrong
    shutil.rmtree(wav)
    said = refusal(data, tmp_path / "gone")
    assert "start at .: give the folder that they are relative to as --root" in said


def test_backslashes_are_named_and_slashes_help(wav, tmp_path):
    rows = [
        {"path": rf"wav\{speaker}\{take}.wav", "speaker": speaker}
        for speaker in SPEAKERS
        for take in (0, 1)
    ]
    table = write_table(tmp_path / "old.csv", rows)
    said = refusal(table, tmp_path / "refused")
    command = re.search(r"`(tr .*?)`", said)[1]
    command = command.replace("OLD", str(table)).replace("NEW", str(tmp_path / "new.csv"))
    subprocess.run(["bash", "-c", command], check=True)
    prepare_folder(tmp_path / "new.csv", tmp_path / "out")
    assert sizes(tmp_path / "out") == 12
    rows = [row | {"path": "C:\\corpus\\" + row["path"]} for row in rows]
    assert "without the drive, relative to a folder that you give as --root" in refusal(
        write_table(tmp_path / "drive.csv", rows), tmp_path / "refused2"
    )


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('"cat {} |"', "a quote after the bar"),
        ("cat {} |'", "a quote after the bar"),
        ("cat {} | cat", "add the bar"),
        ('"{}"', "quotes around the path"),
    ],
)
def test_what_spoils_an_entry_is_named(wav, tmp_path, entry, words):
    data = kaldi(tmp_path / "data", lambda path: entry.format(tmp_path / path))
    fault = words if "behind" in words else None
    if fault:
        assert any(fault in line for line in data_dir_problems(data, allow_pipes=True))
    else:
        assert words in refusal(data, tmp_path / "out", allow_pipes=True)


def test_a_command_in_a_table_is_named(wav, tmp_path):
    rows = [{"path": f"cat wav/{speaker}/0.wav |", "speaker": speaker} for speaker in SPEAKERS]
    said = refusal(write_table(tmp_path / "x.csv", rows), tmp_path / "out", allow_pipes=True)
    assert "is a command, expected a file" in said


ORDERS = {  # separator, speakers -> what helps
    "underscore behind digits": ("_", ["1", "13", "19", "2"], "write ids as <speaker>-<rest>"),
    "underscore behind capitals": ("_", ["A", "AB", "B", "C"], "write ids as <speaker>-<rest>"),
    "a letter behind digits": ("u", ["1", "13", "19", "2"], "write ids as <speaker>-<rest>"),
    "signs before the dash": ("-", ["a", "a+", "b", "c"], "pad the speakers' ids to one length"),
}


@pytest.mark.parametrize("case", ORDERS)
def test_speakers_out_of_order_hear_why_and_what_helps(wav, tmp_path, case):
    separator, names, help_ = ORDERS[case]
    data = kaldi(tmp_path / "data", lambda path: tmp_path / path, separator, names)
    with pytest.raises(UserError) as mended:
        fix_data_dir(data)
    for said in (refusal(data, tmp_path / "out"), str(mended.value)):
        assert "expected speakers in byte order too" in said
        assert " comes before " in said
        assert help_ in said
    renamed = kaldi(
        tmp_path / "renamed",
        lambda path: tmp_path / path,
        "-" if "<rest>" in help_ else separator,
        names if "<rest>" in help_ else [name.ljust(2, "x") for name in names],
    )
    assert data_dir_problems(renamed) == []


def test_ids_that_do_not_begin_with_the_speaker_are_told_to(tmp_path):
    (tmp_path / "wav.scp").write_text("a x.wav\nb y.wav\n")
    (tmp_path / "utt2spk").write_text("a s2\nb s1\n")
    (tmp_path / "spk2utt").write_text("s1 b\ns2 a\n")
    said = " ".join(data_dir_problems(tmp_path))
    assert "begin every utterance id with its speaker id" in said


def test_of_two_formats_one_is_chosen(wav, tmp_path, capsys):
    for file in wav.rglob("*.wav"):
        file.with_suffix(".m4a").write_bytes(b"x\n")
    (wav / "spk0" / "2.m4a").write_bytes(b"x\n")
    said = refusal(wav, tmp_path / "refused")
    assert "12 of 13 recordings exist in two formats" in said
    assert "--formats m4a (13 recordings) or --formats wav (12 recordings)" in said
    prepare_folder(wav, tmp_path / "out", formats="wav")
    assert sizes(tmp_path / "out") == 12
    assert "left out: 13 audio files of other formats" in capsys.readouterr().out
    assert "expected some of .wav" in refusal(wav, tmp_path / "out2", formats="doc")


def test_files_that_differ_in_the_case_of_their_ends_are_to_be_renamed(wav, tmp_path):
    shutil.copy(wav / "spk0" / "0.wav", wav / "spk0" / "0.WAV")
    assert refusal(wav, tmp_path / "out").endswith("would both have the id 'spk0-0'; rename one")


def test_what_systems_leave_is_left_out_and_counted(wav, tmp_path, capsys):
    for speaker in SPEAKERS[:2]:
        (wav / speaker / "._0.wav").write_bytes(b"apple")
        (wav / speaker / "@eaDir" / "0.wav").mkdir(parents=True)
        (wav / speaker / "@eaDir" / "0.wav" / "SYNOAUDIO.mp3").write_bytes(b"x")
        (wav / speaker / "Thumbs.db").write_bytes(b"x")
    (wav / "@eaDir").mkdir()
    (wav / "@eaDir" / "x.wav").write_bytes(b"x")
    (wav / "__MACOSX" / "spk0").mkdir(parents=True)
    (wav / "__MACOSX" / "spk0" / "0.wav").write_bytes(b"x")
    (wav / ".DS_Store").write_bytes(b"x")
    counts = {"._*": 2, "@eaDir": 3, "Thumbs.db": 2, "__MACOSX": 1, ".DS_Store": 1}
    files, left_out = find_audio(wav)
    assert len(files) == 12
    assert left_out == counts
    prepare_folder(wav, tmp_path / "out")
    assert sizes(tmp_path / "out") == 12
    said = "left out: 1 .DS_Store, 2 ._*, 3 @eaDir, 2 Thumbs.db, 1 __MACOSX"
    assert said in capsys.readouterr().out
    prepare_noise(wav, tmp_path / "noise")
    assert said in capsys.readouterr().out
    assert len(read_map(tmp_path / "noise" / "wav.scp")) == 12


def test_trials_of_an_utterance_that_cannot_be_read_are_lost_with_leave(wav, tmp_path):
    corpus = tmp_path / "kaldi"
    corpus.mkdir()
    for name, speakers in (("train", SPEAKERS[:4]), ("test", SPEAKERS[4:])):
        data = kaldi(corpus / name, lambda path: tmp_path / path, names=speakers)
        text = (data / "wav.scp").read_text()
        for speaker, source in zip(speakers, SPEAKERS, strict=False):
            text = text.replace(f"/{source}/", f"/{speaker}/") if name == "test" else text
        (data / "wav.scp").write_text(text)
    (corpus / "test" / "trials").write_text(
        "spk4-0 spk4-1 target\nspk5-0 spk5-1 target\nspk4-0 spk5-0 nontarget\n"
    )
    (wav / "spk5" / "1.wav").write_bytes(b"")
    assert "give --allow-missing-trials" in refusal(corpus, tmp_path / "refused")
    prepare_folder(corpus, tmp_path / "out", allow_missing_trials=True)
    assert "spk5-1" not in (tmp_path / "out" / "test" / "trials").read_text()
    assert '"lost_trials": 1' in (tmp_path / "out" / "test" / "ledger.json").read_text()
