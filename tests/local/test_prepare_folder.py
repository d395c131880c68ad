"""Own corpora in all their forms: sets, lists, and refusals in one line."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest
import soundfile

from local.own.table import read_table
from local.prepare_folder import prepare_folder
from tests.lookalike.own import make_kaldi, make_tree, write_table, write_voice
from utils.data_dir import read_map, validate_data_dir
from utils.errors import UserError

SETS = ("train", "dev", "test")
SPEAKERS = [f"s{number:02d}" for number in range(10)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("tree"), SPEAKERS, seconds=0.3)


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    """Twenty files of ten speakers in one folder, as tables name them."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(20):
        write_voice(folder / f"clip{number:02d}.wav", SPEAKERS[number % 10], number, 0.4)
    return folder


def rows_of(**columns):
    """Lines of a table: path and speaker, and what is given of each line's number."""
    return [
        {"path": f"clip{number:02d}.wav", "speaker": SPEAKERS[number % 10]}
        | {name: make(number) for name, make in columns.items()}
        for number in range(20)
    ]


def whole(output, name):
    """One list of all three sets."""
    return {
        key: value
        for part in SETS
        if (output / part / name).exists()
        for key, value in read_map(output / part / name).items()
    }


def speakers_of(output, name):
    return set(read_map(output / name / "utt2spk").values())


def bytes_below(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).rglob("*")
        if path.is_file() and "receipts" not in path.parts
    }


def complaint(corpus, output, **options):
    """The one line that a corpus is refused with; nothing that looks like a set is left."""
    output = (
        output / f"refused{len(list(output.glob('refused*')))}"
    )  # a caught error keeps its locks
    output.mkdir(parents=True)
    with pytest.raises(UserError) as caught:
        prepare_folder(corpus, output, **options)
    print(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(output.rglob("wav.scp"))
    return str(caught.value)


def test_a_tree_becomes_three_good_directories_without_a_common_speaker(tree, tmp_path):
    """Ten speakers: a tenth is one, but two are the least for dev; a fifth is two."""
    before = bytes_below(tree)
    counts = prepare_folder(tree, tmp_path)
    assert {name: counts[name]["speakers"] for name in SETS} == {"train": 6, "dev": 2, "test": 2}
    assert [counts[name]["went_on"] for name in SETS] == [24, 8, 8]
    for name in SETS:
        validate_data_dir(tmp_path / name, audio=True)
    assert set.union(*(speakers_of(tmp_path, name) for name in SETS)) == set(SPEAKERS)
    sessions = whole(tmp_path, "utt2session")
    assert sessions["s03-monday-0"] == "monday"
    assert Counter(sessions.values()) == {"monday": 20, "tuesday": 20}
    assert set(whole(tmp_path, "utt2dur").values()) == {"0.3000"}
    assert bytes_below(tree) == before, "the corpus is left alone"


def test_files_of_one_folder_have_no_session_and_those_of_mixed_depth_have(tmp_path):
    flat = make_tree(tmp_path / "flat", SPEAKERS, (), seconds=0.2)
    prepare_folder(flat, tmp_path / "one")
    assert whole(tmp_path / "one", "utt2session") == {}
    write_voice(flat / "s01" / "a" / "b" / "x.wav", "s01", 9, 0.2)
    prepare_folder(flat, tmp_path / "two")
    assert {whole(tmp_path / "two", "utt2session")[name] for name in ("s01-a-b-x", "s01-0")} == {
        "a-b",
        "top",
    }


def test_same_seed_same_bytes_another_seed_others_and_a_second_run_does_nothing(
    tree, tmp_path, capsys
):
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        prepare_folder(tree, tmp_path / name, seed=seed)
    one, again, other = (bytes_below(tmp_path / name) for name in ("one", "again", "other"))
    assert one == again
    assert one["test/utt2spk"] != other["test/utt2spk"]
    capsys.readouterr()
    prepare_folder(tree, tmp_path / "one")
    assert capsys.readouterr().out == ""


def test_names_that_are_no_ids_are_changed_and_kept_beside(tmp_path, capsys):
    names = ["Zo\u00eb Smith", "a-b", "a", *SPEAKERS]
    prepare_folder(make_tree(tmp_path / "tree", names, (), seconds=0.2), tmp_path / "out")
    assert {"Zoe_Smith", "a_b", "a"} <= set(whole(tmp_path / "out", "utt2spk").values())
    assert whole(tmp_path / "out", "spk2name")["Zoe_Smith"] == "Zo\u00eb_Smith"
    assert "ids of 2 speakers differ from their names" in capsys.readouterr().out


def test_names_of_any_script_stay_apart(tmp_path):
    """Names keep one length each; combining accents (of a Mac) and wide blanks are handled."""
    names = [
        "\u0410\u043d",
        "\u041e\u043b",
        "\u5f20\u4f1f",
        "\u674e\u5a1c",
        "\u738b\u3000\u82b3",
        "Zoe\u0308",
    ]
    tree = make_tree(tmp_path / "tree", names, ("\u0434\u0435\u043d\u044c",), seconds=0.2)
    prepare_folder(tree, tmp_path / "out")
    for name in SETS:
        validate_data_dir(tmp_path / "out" / name, audio=True)
    assert set(whole(tmp_path / "out", "utt2spk").values()) == {
        "u0410u043d",
        "u041eu043b",
        "u5f20u4f1f",
        "u674eu5a1c",
        "u738b_u82b3",
        "Zoe",
    }
    assert set(whole(tmp_path / "out", "utt2session").values()) == {"u0434u0435u043du044c"}


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_a_table_is_read_whatever_its_delimiter(audio, tmp_path, delimiter):
    rows = rows_of(
        Gender=lambda n: "Female" if n % 2 else "man",
        session=lambda n: f"day {n // 10}",
        Accent=lambda n: f"acc{n % 10 % 3}",
        device=lambda n: f"phone {n // 10}",
        sentence=lambda n: f"number, {n}" if delimiter == ";" else f"number {n}",
    )
    table = write_table(
        audio / f"list{ord(delimiter)}.csv",
        rows,
        delimiter,
        "\ufeff# made by hand\n\n" if delimiter == ";" else "",
    )
    prepare_folder(table, tmp_path)
    for name in SETS:
        validate_data_dir(tmp_path / name, audio=True)
    assert whole(tmp_path, "spk2gender") == {
        speaker: "mf"[number % 2] for number, speaker in enumerate(SPEAKERS)
    }
    assert whole(tmp_path, "utt2session")["s03-clip13"] == "day_1"
    assert whole(tmp_path, "spk2Accent")["s04"] == "acc1"
    assert whole(tmp_path, "utt2device")["s04-clip14"] == "phone_1"
    assert whole(tmp_path, "text")["s04-clip14"] == (
        "number, 14" if delimiter == ";" else "number 14"
    )


def test_sets_have_both_sexes_in_proportion(tmp_path, audio):
    table = write_table(audio / "sexes.csv", rows_of(sex=lambda n: "fm"[n % 10 >= 5]))
    prepare_folder(table, tmp_path, test_share=0.4)
    assert Counter(read_map(tmp_path / "test" / "spk2gender").values()) == {"f": 2, "m": 2}
    assert Counter(read_map(tmp_path / "dev" / "spk2gender").values()) == {"f": 1, "m": 1}


def test_a_column_of_sets_is_respected_and_what_it_lacks_is_drawn_from_train(tmp_path, audio):
    table = write_table(
        audio / "sets.csv", rows_of(split=lambda n: "Test" if n % 10 in (7, 8, 9) else "train")
    )
    prepare_folder(table, tmp_path)
    assert speakers_of(tmp_path, "test") == {"s07", "s08", "s09"}
    assert len(speakers_of(tmp_path, "dev")) == 2
    assert len(speakers_of(tmp_path, "train")) == 5


def test_times_become_segments_and_a_file_may_come_again(tmp_path, audio):
    rows = [
        row | {"start": start, "end": end}
        for row in rows_of()
        for start, end in (("0", "0.15"), ("0.15", ""))
    ]
    prepare_folder(write_table(audio / "times.tsv", rows, "\t"), tmp_path)
    for name in SETS:
        validate_data_dir(tmp_path / name, audio=True)
    seconds = whole(tmp_path, "utt2dur")
    assert len(seconds) == 40
    recordings = (tmp_path / "train" / "wav.scp").read_text().split()[::2]
    assert set(recordings) <= {f"clip{number:02d}.wav" for number in range(20)}, (
        "no id holds a folder of this machine"
    )
    assert (seconds["s03-clip13-0000000-0000015"], seconds["s03-clip13-0000015"]) == (
        "0.1500",
        "0.2500",
    )


def test_columns_of_other_names_are_named_by_an_option(tmp_path, audio):
    rows = [{"who": row["speaker"], "where": row["path"], "speaker": "nobody"} for row in rows_of()]
    table = write_table(audio / "other.csv", rows)
    prepare_folder(table, tmp_path, columns={"speaker": "who", "path": "where"})
    assert set(whole(tmp_path, "utt2spk").values()) == set(SPEAKERS)
    assert set(whole(tmp_path, "spk2speaker_column").values()) == {"nobody"}


LINES_OF_ONE_NAME = [{"path": f"{n}.wav", "speaker": "s00", "utterance": "x"} for n in range(2)]
TABLE_FAULTS = {
    "no column path and no column speaker among file_of, person": [{"file_of": "a", "person": "b"}],
    ":2: no speaker, expected one in each line": [{"path": "clip00.wav", "speaker": ""}],
    ":23: utterance 's00-x' again \\(first: line 22\\)": [
        *rows_of(utterance=lambda n: f"u{n}"),
        *LINES_OF_ONE_NAME,
    ],
    ":22: .*clip03.wav again \\(first: line 5\\)": [
        *rows_of(utterance=lambda n: f"u{n}"),
        LINES_OF_ONE_NAME[0] | {"path": "clip03.wav"},
    ],
    ":2: set 'exam', expected train, dev, test or nothing": rows_of(set=lambda n: "exam"),
    "speaker 's00' is in test, but in train above": rows_of(
        set=lambda n: "train" if n < 10 else "test"
    ),
    "speaker 's00' has two sexes": rows_of(sex=lambda n: "fm"[n // 10]),
    ":2: start '2' and end '1', expected seconds with 0 <= start < end": rows_of(
        start=lambda n: "2", end=lambda n: "1"
    ),
    "is from 3 to 9 s, expected a part of the 0.400 s": rows_of(
        start=lambda n: "3", end=lambda n: "9"
    ),
    "one speaker: 20 lines; expected several in the column 'speaker'": [
        row | {"speaker": "me"} for row in rows_of()
    ],
    "4 of its 24 files are missing, first .*gone0.wav \\(list: .*missing_files\\)": [
        *rows_of(),
        *[{"path": f"gone{n}.wav", "speaker": "s00"} for n in range(4)],
    ],
}


@pytest.mark.parametrize("message", TABLE_FAULTS)
def test_a_faulty_table_is_one_line(tmp_path, audio, message):
    table = write_table(
        audio / f"fault{list(TABLE_FAULTS).index(message)}.csv", TABLE_FAULTS[message]
    )
    assert re.search(message, complaint(table, tmp_path))


@pytest.mark.parametrize("letter", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_what_unicode_takes_for_a_line_end_is_a_letter_of_a_text(tmp_path, audio, letter, end):
    rows = rows_of(text=lambda n: f"one{letter}two {n}")
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    for ending in ("tsv", "csv"):
        table = audio / f"letters.{ending}"
        content = "".join(line + end for line in lines)
        table.write_bytes(content.replace("\t", {"tsv": "\t", "csv": ","}[ending]).encode())
        found = read_table(table, {}, None).data.maps["text"]
        assert sorted(found.values()) == sorted(f"one{letter}two {n}" for n in range(20))


def test_a_quoted_line_end_is_a_blank_and_a_lone_carriage_return_is_named(tmp_path, audio):
    table = audio / "quoted.csv"
    quoted = "".join(f'{row["path"]},{row["speaker"]},"a\nb\r\nc"\n' for row in rows_of())
    table.write_bytes(f"path,speaker,text\n{quoted}".encode())
    assert set(read_table(table, {}, None).data.maps["text"].values()) == {"a b c"}
    for content, line in (
        ("path,speaker\nclip00.wav,s\r00\n", 2),
        ("path,speaker\rclip00.wav,s00\r", 1),
        ("path\tspeaker\nclip00.wav\ts00\nclip01.wav\ts\r01\n", 3),
    ):
        table.write_bytes(content.encode())
        assert f"quoted.csv:{line}: a carriage return inside the line" in complaint(table, tmp_path)


def test_a_line_with_too_many_fields_and_a_table_of_nothing_are_refused(tmp_path, audio):
    (audio / "wide.csv").write_text("path,speaker\nclip00.wav,s00\nclip01.wav,s01,more\n")
    assert "wide.csv:3: 3 fields, expected the 2 of the header (path, speaker)" in complaint(
        audio / "wide.csv", tmp_path
    )
    (audio / "nothing.tsv").write_text("\n# none\n")
    assert "empty, expected a line of column names" in complaint(audio / "nothing.tsv", tmp_path)
    (audio / "latin.csv").write_bytes(b"path,speaker\n\xe9.wav,s\n")
    assert "is not UTF-8" in complaint(audio / "latin.csv", tmp_path)


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        (
            "empty_folder",
            "1 of 11 folders are empty, first 'zz_last': the archive is half extracted",
        ),
        ("unfinished_download", "rest.zip.part: an unfinished download"),
    ],
)
def test_a_tree_that_is_not_whole_is_refused(tmp_path, flaw, message):
    assert message in complaint(
        make_tree(tmp_path / "tree", SPEAKERS, (), seconds=0.1, flaws=[flaw]), tmp_path / "out"
    )


def test_one_file_that_cannot_be_used_is_entered_in_the_ledger_and_two_are_too_many(tmp_path):
    tree = make_tree(
        tmp_path / "tree", SPEAKERS, ("a",), 3, seconds=0.2, flaws=["empty_file", "no_audio"]
    )
    prepare_folder(tree, tmp_path / "out")
    dropped = "".join((tmp_path / "out" / name / "dropped").read_text() for name in SETS)
    assert dropped.startswith("s00-a-0 unreadable ")
    assert len(dropped.splitlines()) == 1
    make_tree(tree, ["s00"], ("a",), 3, seconds=0.2, flaws=["empty_file", "cut_file"])
    said = complaint(tree, tmp_path / "more")
    assert "2 of 30 utterances cannot be read" in said
    assert "cut short: is the archive fully extracted?" in said
    assert len((tmp_path / "more" / "refused0" / "unreadable_files").read_text().splitlines()) == 2


def test_a_rate_that_is_too_low_is_dropped_by_policy(tmp_path):
    tree = make_tree(tmp_path / "tree", SPEAKERS, (), seconds=0.2, flaws=["low_rate"])
    prepare_folder(tree, tmp_path / "out")
    assert "s00-0 policy:sample_rate 4000 Hz, expected 8000 or more" in "".join(
        (tmp_path / "out" / name / "dropped").read_text() for name in SETS
    )
    with pytest.raises(UserError, match="utterances dropped as policy"):
        prepare_folder(tree, tmp_path / "high", min_sample_rate_hz=44100)


def test_wrong_roots_say_what_was_found_and_the_nearest(tmp_path, tree):
    assert "no such folder or file; expected a folder of <speaker>" in complaint(
        tmp_path / "nowhere", tmp_path / "out"
    )
    (tmp_path / "empty").mkdir()
    assert "no speakers: no audio in it" in complaint(tmp_path / "empty", tmp_path / "out")
    write_voice(tmp_path / "loose" / "a.wav", "a", 0, 0.1)
    assert (
        "no speakers: 1 audio files are directly in it, without folders of speakers"
        in complaint(tmp_path / "loose", tmp_path / "out")
    )
    above = tmp_path / "above" / "wav"
    above.mkdir(parents=True)
    (above / "train").symlink_to(tree)
    (tmp_path / "above" / "list.csv").write_text("path,speaker\n")
    said = complaint(tmp_path / "above", tmp_path / "out")
    assert (
        f"one speaker: all 40 audio files are in {above}; {above / 'train'} has 10 folders: "
        "if it is the corpus, give it, or give the table" in said
    )
    (tmp_path / "notes.pdf").write_text("")
    assert "a file, but not a table" in complaint(tmp_path / "notes.pdf", tmp_path / "out")


def test_sound_of_any_kind_is_taken_and_folders_without_sound_are_said(tmp_path, capsys):
    tree = make_tree(tmp_path / "tree", SPEAKERS, (), 2, seconds=0.3)
    for number, (suffix, form) in enumerate(
        {".mp3": "MP3", ".OPUS": "OGG", ".aiff": "AIFF", ".sph": "NIST"}.items()
    ):
        for take in range(2):
            wave = tree / SPEAKERS[number] / f"{take}.wav"
            samples, rate = soundfile.read(wave)
            soundfile.write(
                wave.with_suffix(suffix),
                samples,
                rate,
                format=form,
                subtype="OPUS" if form == "OGG" else None,
            )
            wave.unlink()
    (tree / "texts").mkdir()
    (tree / "texts" / "s00.txt").write_text("words")
    prepare_folder(tree, tmp_path / "out")
    assert Counter(whole(tmp_path / "out", "utt2spk").values()) == dict.fromkeys(SPEAKERS, 2)
    assert "1 folders without audio are no speakers: texts" in capsys.readouterr().out


def test_two_files_or_speakers_of_one_id_are_refused(tmp_path):
    tree = make_tree(tmp_path / "tree", SPEAKERS, (), seconds=0.1)
    write_voice(tree / "s00" / "0.flac", "s00", 9, 0.1)
    assert "s00/0.flac and s00/0.wav would both have the id 's00-0'" in complaint(
        tree, tmp_path / "out"
    )
    (tree / "s00" / "0.flac").unlink()
    make_tree(tree, ["s-1", "s 1"], (), seconds=0.1)
    assert "speakers 's 1' and 's-1' would both have the id 's_1'" in complaint(
        tree, tmp_path / "out"
    )


def test_a_kaldi_directory_is_dealt_anew_with_paths_against_the_root(tmp_path, capsys):
    data = make_kaldi(tmp_path / "kaldi", SPEAKERS, relative_to=tmp_path)
    (data / "trials").write_text("s00-0 s00-1 target\ns00-0 s01-0 nontarget\n")
    prepare_folder(data, tmp_path / "out", root=tmp_path)
    assert "trials is not used" in capsys.readouterr().out
    for name in SETS:
        validate_data_dir(tmp_path / "out" / name, audio=True)
        assert not (tmp_path / "out" / name / "trials").exists()
    assert len(whole(tmp_path / "out", "spk2gender")) == 10
    assert "20 of its 20 files are missing" in complaint(data, tmp_path / "unrooted")


def test_kaldi_directories_called_train_and_test_stay_as_they_are_with_their_trials(tmp_path):
    make_kaldi(tmp_path / "kaldi" / "train", SPEAKERS[:7])
    test = make_kaldi(tmp_path / "kaldi" / "test", SPEAKERS[7:])
    trials = "s07-0 s07-1 target\ns07-0 s08-0 nontarget\n"
    (test / "trials").write_text(trials)
    prepare_folder(tmp_path / "kaldi", tmp_path / "out")
    assert speakers_of(tmp_path / "out", "test") == set(SPEAKERS[7:])
    assert (tmp_path / "out" / "test" / "trials").read_text() == trials
    assert len(speakers_of(tmp_path / "out", "dev")) == 2

    from steps.make_trials import make_trials

    assert make_trials(tmp_path / "out" / "test") == {"targets": 1, "nontargets": 1, "models": 0}
    assert (tmp_path / "out" / "test" / "trials").read_text() == trials


def test_kaldis_blanks_are_read_and_features_alone_are_no_corpus(tmp_path):
    data = make_kaldi(tmp_path / "kaldi", SPEAKERS)
    names = read_map(data / "utt2spk")
    (data / "utt2dur").write_text("".join(f"{name} 0.5 \n" for name in names))
    for name in ("spk2utt", "wav.scp"):
        (data / name).write_text((data / name).read_text().replace("\n", " \n"))
    prepare_folder(data, tmp_path / "out")
    assert whole(tmp_path / "out", "utt2spk") == names
    (data / "wav.scp").unlink()
    (data / "feats.scp").write_text("".join(f"{name} f.ark:4\n" for name in names))
    assert "wav.scp: no such file, expected recordings" in complaint(data, tmp_path)


@pytest.mark.parametrize(
    ("trials", "models", "said"),
    [
        (
            "s07-0 s07-1 nontarget\ns07-0 s08-0 target\n",
            None,
            "trials:1: trial 's07-0 s07-1' is nontarget",
        ),
        (
            "s07-0 s07-1 target\ns07-0 s07-0 target\n",
            None,
            "trials:2: trial of utterance 's07-0' with",
        ),
        (
            "m s08-1 nontarget\nm s07-0 target\n",
            "m s07-0\n",
            "trials:2: test side 's07-0' is an utterance of its own model",
        ),
        (
            "s07-0 s08-1 nontarget\ns07-0 s07-1\n",
            None,
            "trials:2: 2 fields 's07-0 s07-1', expected 3",
        ),
    ],
)
def test_trials_that_contradict_the_speakers_are_named_in_the_corpus(
    trials, models, said, tmp_path
):
    make_kaldi(tmp_path / "kaldi" / "train", SPEAKERS[:7])
    test = make_kaldi(tmp_path / "kaldi" / "test", SPEAKERS[7:])
    (test / "trials").write_text(trials)
    if models:
        (test / "enroll.spk2utt").write_text(models)
    assert f"{test}/{said}" in complaint(tmp_path / "kaldi", tmp_path / "out")


def test_trials_of_hidden_keys_stay_and_dev_needs_classes(tmp_path, capsys):
    from steps.make_trials import make_trials

    for name, speakers in zip(SETS, (SPEAKERS[:5], SPEAKERS[5:7], SPEAKERS[7:]), strict=True):
        make_kaldi(tmp_path / "kaldi" / name, speakers)
    dev, test = (tmp_path / "kaldi" / name / "trials" for name in ("dev", "test"))
    test.write_text("s07-0 s07-1\ns07-0 s08-0\n")
    for content, said in (
        ("s05-0 s05-1\n", "1 trials without a class (target, nontarget): they can be scored"),
        ("s05-0 s05-1 target\n", "all 1 trials are target, expected both"),
    ):
        dev.write_text(content)
        text = complaint(tmp_path / "kaldi", tmp_path / "out")
        assert f"{dev}: {said}" in text
        assert "remove the file (and enroll.spk2utt) to have trials made" in text
    (dev.parent / "enroll.spk2utt").write_text("m s05-0\n")
    dev.write_text("s05-0 s06-1 nontarget\nm s05-1 target\n")
    assert "trials:2: enrolment side 'm' is a model" in complaint(tmp_path / "kaldi", tmp_path)
    dev.unlink()
    assert "enrolment models without trials" in complaint(tmp_path / "kaldi", tmp_path)
    (dev.parent / "enroll.spk2utt").unlink()
    prepare_folder(tmp_path / "kaldi", tmp_path / "out")
    home = tmp_path / "out" / "test"
    assert (home / "trials").read_text() == test.read_text()
    assert make_trials(home) == {"targets": 0, "nontargets": 0, "models": 0}
    assert "keeps the 2 trials that came with the corpus" in capsys.readouterr().out
    assert make_trials(tmp_path / "out" / "dev")["targets"] > 0


def test_pipes_need_leave(tmp_path):
    data = make_kaldi(tmp_path / "kaldi", SPEAKERS)
    lines = [
        f"{name} cat {path} |"
        for name, path in (line.split() for line in (data / "wav.scp").read_text().splitlines())
    ]
    (data / "wav.scp").write_text("".join(f"{line}\n" for line in lines))
    assert "--allow-pipes if you trust them" in complaint(data, tmp_path / "out")
    prepare_folder(data, tmp_path / "out", allow_pipes=True)
    assert whole(tmp_path / "out", "utt2dur")["s03-1"] == "0.5000"


def test_a_preview_says_what_would_happen_and_writes_nothing(tmp_path, capsys):
    tree = make_tree(tmp_path / "tree", SPEAKERS, seconds=0.3, flaws=["empty_file"])
    assert prepare_folder(tree, tmp_path / "out", preview=5) == {}
    said = capsys.readouterr().out
    assert "speakers: 10 (sex not known)" in said
    assert "sessions: 2 names; per speaker 2 to 2" in said
    assert "first 5 files: 0.3 to 0.3 s, 0.0 min in all; 16000 Hz (4)" in said
    assert "would be dropped: s00-monday-0: " in said
    assert "test: 2 speakers (sex not known), 8 utterances" in said
    assert not (tmp_path / "out").exists()
