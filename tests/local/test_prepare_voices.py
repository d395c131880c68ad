"""VOiCES 2019: both sets of a small copy, and a one-line message for each fault of the files."""

import hashlib
import json
import re
import shutil
from collections import Counter

import pytest

from local.prepare_voices import prepare_voices
from local.voices.lists import locate
from local.voices.names import parse_name, recording_stem, utterance_id
from local.voices.protocol import read_listed, refuse_wrong_keys
from tests.lookalike.voices import DEV_HOME, DEV_LISTS, EVAL_HOME, EVAL_KEYS, make_voices
from utils.data_dir import read_map, read_trials, validate_data_dir
from utils.data_dir.trial_list import Trials
from utils.errors import UserError

SPEAKERS, TESTS = 4, 4


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Both sets, as published: lists with line ends of another system and without the last one."""
    folder = tmp_path_factory.mktemp("VOiCES_Box_unzip")
    for part in ("dev", "eval"):
        make_voices(folder, part, SPEAKERS, TESTS, seconds=0.2, flaws=["crlf", "no_final_newline"])
    return folder


def spoilt(tmp_path, *flaws, part="dev", tests=TESTS):
    return make_voices(tmp_path / "corpus", part, SPEAKERS, tests, seconds=0.2, flaws=flaws)


def complaint(root, output, **options):
    with pytest.raises(UserError) as caught:
        prepare_voices(root, output, **options)
    assert "\n" not in str(caught.value)
    assert not (output / f"voices_{options.get('part', 'dev')}" / "wav.scp").exists(), (
        "nothing is half made"
    )
    return str(caught.value)


def digests(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


def test_keys_of_other_speakers_or_of_what_was_enrolled_are_refused(corpus, tmp_path):
    listed = read_listed(locate(corpus, "dev"), "dev")
    (one, heard), (other, others) = list(listed.models.items())[:2]
    for trial, said in (
        (Trials([other], heard, ["target"]), "trial 1, .* is of sp"),
        (
            Trials([one, other], [others[0]] * 2, ["nontarget", "target"]),
            "trial 2, .* a recording of its own enrolment",
        ),
    ):
        with pytest.raises(UserError, match=said):
            refuse_wrong_keys(tmp_path / "keys", trial, listed)


@pytest.mark.parametrize("part", ["dev", "eval"])
def test_a_set_becomes_a_data_directory_of_the_keys_trials(corpus, tmp_path, part):
    before = sorted(corpus.rglob("*"))
    counts = prepare_voices(corpus, tmp_path, part=part)
    home = tmp_path / f"voices_{part}"
    validate_data_dir(home, audio=True)
    assert counts == {
        "came_in": 20,
        "went_on": 20,
        "speakers": 4,
        "models": 4,
        "targets": 16,
        "nontargets": 48,
    }
    enrol, test, is_target = read_trials(home / "trials")
    models, utt2spk = read_map(home / "enroll.spk2utt"), read_map(home / "utt2spk")
    assert len(set(zip(enrol, test, strict=True))) == 64
    assert [
        utt2spk[models[one]] == utt2spk[other] for one, other in zip(enrol, test, strict=True)
    ] == is_target.tolist()
    assert sorted(corpus.rglob("*")) == before, "nothing is written into the corpus"


def test_the_conditions_are_those_of_the_names(corpus, tmp_path):
    """By hand: the first test file of the second speaker; for the evaluation set by the map."""
    prepare_voices(corpus, tmp_path)
    utterance = "sp0039-rm2-babb-ch100031-sg0001-mc12-lav-wlo-dg000"
    conditions = ("room", "distractor", "mic", "place", "angle", "session")
    found = {
        name: read_map(tmp_path / "voices_dev" / f"utt2{name}")[utterance] for name in conditions
    }
    assert found == {
        "room": "rm2",
        "distractor": "babb",
        "mic": "lav",
        "place": "wlo",
        "angle": "000",
        "session": "ch100031",
    }
    prepare_voices(corpus, tmp_path, part="eval")
    rooms = read_map(tmp_path / "voices_eval" / "utt2room")
    assert rooms["sp3039-VOiCES_2019_Challenge_SID_eval_303901"] == "rm4"
    assert Counter(rooms.values()) == {"rm3": 12, "rm4": 8}


@pytest.mark.parametrize(
    "below", ["", "Development_Data", "Development_Data/Speaker_Recognition", DEV_HOME]
)
def test_any_folder_above_the_audio_will_do(corpus, tmp_path, below):
    prepare_voices(corpus, tmp_path / "whole")
    prepare_voices(corpus / below, tmp_path / "below")
    assert digests(tmp_path / "whole" / "voices_dev") == digests(tmp_path / "below" / "voices_dev")


def test_paths_of_the_lists_may_begin_at_another_root(corpus, tmp_path):
    """Converted lists omit sid_dev/ or all folders; file names of the keys differ in their end."""
    prepare_voices(corpus, tmp_path / "as_published")
    other = shutil.copytree(corpus, tmp_path / "corpus")
    lists = other / DEV_LISTS
    for name in ("dev-test.lst", "dev-trial-keys.lst"):
        (lists / name).write_text(
            re.sub(
                r"sid_dev/sp\d+/" if "keys" in name else "sid_dev/", "", (lists / name).read_text()
            )
        )
    (lists / "dev-trial-keys.lst").rename(lists / "dev-trial-keys.txt")
    prepare_voices(other, tmp_path / "converted")
    assert (
        read_trials(tmp_path / "as_published" / "voices_dev" / "trials")[:2]
        == read_trials(tmp_path / "converted" / "voices_dev" / "trials")[:2]
    )


def test_an_evaluation_set_in_another_place_beside_keys_of_another_name(corpus, tmp_path):
    other = tmp_path / "v19-eval"
    shutil.copytree(corpus / EVAL_HOME, other / "sid_eval")
    shutil.copytree(
        (corpus / EVAL_HOME).parent / "sid_eval_lists", other / "sid_eval_lists_and_keys"
    )
    keys = other / "sid_eval_lists_and_keys" / "eval-trial-keys.lst"
    shutil.copy(corpus / EVAL_KEYS / "VOiCES_challenge_2019_eval.SID.trial-keys.lst", keys)
    shutil.copy(corpus / EVAL_KEYS / "VOiCES_challenge_2019_eval.SID.map", other)
    tests = keys.with_name("eval-test.lst")
    tests.write_text(tests.read_text().replace("sid_eval/", "Speaker_Recognition/sid_eval/"))
    assert prepare_voices(other, tmp_path / "out", part="eval")["targets"] == 16


def test_a_second_call_finds_it_done_and_a_changed_list_is_seen(corpus, tmp_path):
    other = shutil.copytree(corpus, tmp_path / "corpus")
    prepare_voices(other, tmp_path / "out")
    made = digests(tmp_path / "out" / "voices_dev")
    inode = (tmp_path / "out" / "voices_dev" / "trials").stat().st_ino
    prepare_voices(other, tmp_path / "out")
    assert (tmp_path / "out" / "voices_dev" / "trials").stat().st_ino == inode
    keys = other / DEV_LISTS / "dev-trial-keys.lst"
    keys.write_text("\n".join(keys.read_text().splitlines()[:-1]) + "\n")
    assert prepare_voices(other, tmp_path / "out")["targets"] == 15, (
        "the last pair was one speaker's"
    )
    assert digests(tmp_path / "out" / "voices_dev") != made


def test_keys_without_classes_become_trials_without_classes(tmp_path, capsys):
    counts = prepare_voices(spoilt(tmp_path, "keys_without_class"), tmp_path / "out")
    assert counts["trials_without_class"] == SPEAKERS * SPEAKERS * TESTS
    assert "targets" not in counts
    assert "64 trials without a class" in capsys.readouterr().out
    home = tmp_path / "out" / "voices_dev"
    validate_data_dir(home, audio=True)
    assert {len(line.split()) for line in (home / "trials").read_text().splitlines()} == {2}


def test_a_class_among_keys_without_classes_is_refused(tmp_path):
    root = spoilt(tmp_path, "keys_without_class")
    keys = root / DEV_LISTS / "dev-trial-keys.lst"
    keys.write_text(keys.read_text() + keys.read_text().splitlines()[0] + " tgt\n")
    message = complaint(root, tmp_path / "out")
    assert "dev-trial-keys.lst:65: 3 words" in message
    assert "expected 2: <enrolment> <test file>" in message


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ("missing_file", "no file of this name"),
        ("unreadable_file", "cannot be read: Format not recognised"),
        ("truncated_file", "fewer samples than its header says"),
    ],
)
def test_a_lost_file_is_refused_by_name_and_with_leave_counted(tmp_path, flaw, reason):
    root = spoilt(tmp_path, flaw)
    said = complaint(root, tmp_path / "out")
    assert re.search(
        r"1 of 20 listed files are missing or cannot be read, first "
        r"'Lab41-SRI-VOiCES-rm2-none-sp0032",
        said,
    )
    assert re.search(reason, (tmp_path / "out" / "lost_files.voices_dev").read_text())
    counts = prepare_voices(root, tmp_path / "with_leave", allow_incomplete=True)
    home = tmp_path / "with_leave" / "voices_dev"
    validate_data_dir(home, audio=True)
    assert (counts["went_on"], counts["targets"], counts["nontargets"]) == (19, 15, 45)
    ledger = json.loads((home / "ledger.json").read_text())
    assert ledger == {"came_in": 20, "went_on": 19, "unreadable": 1, "lost_trials": 4}
    assert (
        (home / "dropped")
        .read_text()
        .startswith("sp0032-rm2-none-ch100000-sg0001-mc06-lav-far-dg000 unreadable ")
    )


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        (
            "unknown_in_keys",
            (
                r"dev-trial-keys.lst:4: 'sid_dev/.*sg0999.*' is unknown, "
                r"expected a file of the test list"
            ),
        ),
        (
            "unknown_enrolment",
            (
                r"dev-trial-keys.lst:4: '.*dg000x' is unknown, "
                r"expected an enrolment of the enrolment list"
            ),
        ),
        (
            "one_key_without_class",
            r"dev-trial-keys.lst:6: 2 words .*, expected 3: <enrolment> <test file> tgt\|imp",
        ),
        (
            "wrong_speaker_in_keys",
            r"dev-trial-keys.lst: trial 4, '.* nontarget', is of sp0032 and sp0032",
        ),
        (
            "no_keys",
            (
                r"no dev-trial-keys.lst below it, expected it beside .*sid_dev, "
                r"in sid_dev_lists_and_keys"
            ),
        ),
        ("listed_twice", r"dev-test.lst: 'Lab41-.*' comes twice"),
        (
            "odd_name",
            (
                r"dev-test.lst: 'sid_dev/.*' is not a name of the corpus, "
                r"expected Lab41-SRI-VOiCES-<room>"
            ),
        ),
        ("other_folder", r"dev-test.lst: '.*' is in the folder of sp0039, expected that of sp0032"),
        ("copied_file", r"sid_dev: sp0032/.*wav and sp9999/.*wav have one name"),
    ],
)
def test_what_is_wrong_with_lists_is_named(tmp_path, flaw, message):
    assert re.search(
        message,
        complaint(
            spoilt(tmp_path, flaw, tests=1 if flaw == "copied_file" else TESTS), tmp_path / "out"
        ),
    )


def test_an_evaluation_set_without_the_map_of_names_is_refused(tmp_path):
    said = complaint(spoilt(tmp_path, "no_map", part="eval"), tmp_path / "out", part="eval")
    assert "is anonymous, expected VOiCES_challenge_2019_eval.SID.map with its speaker" in said


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        (
            "Evaluation_Data",
            (
                r"no folder sid_dev below it, expected Development_Data/.*; "
                r".*sid_eval is the other set: give --set eval"
            ),
        ),
        (
            "Development_Data/Speaker_Recognition/sid_dev/sp0032",
            r"it is inside .*sid_dev: give that folder",
        ),
        ("empty", r"the nearest is an empty folder"),
        ("Training_Data/ASR_train", r"no folder sid_dev below it"),
        ("nowhere", r"nowhere: no such folder"),
    ],
)
def test_a_wrong_root_is_told_what_was_looked_for_and_what_is_near(
    corpus, tmp_path, folder, message
):
    root = shutil.copytree(corpus, tmp_path / "corpus")
    (root / "empty").mkdir()
    (root / "Training_Data" / "ASR_train" / "wav").mkdir(parents=True)
    assert re.search(message, complaint(root / folder, tmp_path / "out"))


def test_two_copies_of_a_set_are_refused(corpus, tmp_path):
    root = shutil.copytree(corpus, tmp_path / "corpus")
    shutil.copytree(root / DEV_HOME, root / "again" / "sid_dev")
    assert re.search(
        r"sid_dev and .*sid_dev are both sid_dev, expected one", complaint(root, tmp_path / "out")
    )


def test_lists_of_one_set_beside_the_audio_of_another_are_refused(corpus, tmp_path):
    root = shutil.copytree(corpus, tmp_path / "corpus")
    for path in (root / DEV_HOME).rglob("*.wav"):
        path.rename(path.with_name(path.name.replace("rm1", "rm3").replace("rm2", "rm4")))
    assert "audio and lists are of different sets" in complaint(
        root, tmp_path / "out", allow_incomplete=True
    )


def test_names_by_hand():
    """The forms of the corpus' own description, ``seg`` and ``scr`` included."""
    far = "Lab41-SRI-VOiCES-rm1-babb-sp0307-ch127535-sg0042-mc01-stu-clo-dg010"
    assert tuple(parse_name(far)) == ("sp0307", "rm1", "babb", "stu", "clo", "010", "ch127535")
    assert parse_name(far.replace("sg", "seg")) == parse_name(far)
    assert tuple(parse_name("Lab41-SRI-VOiCES-src-sp0307-ch127535-sg0042")) == (
        "sp0307",
        *["src"] * 5,
        "ch127535",
    )
    assert parse_name("Lab41-SRI-VOiCES-rm1-impulse-mc01-stu-clo") is None
    assert recording_stem(f"sid_dev/sp0307/{far}.wav") == recording_stem(far) == far
    assert utterance_id(far, "sp0307") == "sp0307-rm1-babb-ch127535-sg0042-mc01-stu-clo-dg010"
