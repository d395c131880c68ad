"""VoxCeleb: refusals, each in one line with what to do."""

import shutil
from itertools import count

import pytest

from local.prepare_voxceleb import prepare_voxceleb
from local.voxceleb.lists import LISTS, check_version, read_training_list, read_trial_list
from local.voxceleb.meta import COUNTS, Speakers, read_speakers
from local.voxceleb.trees import find_utterances
from tests.lookalike.voxceleb import (
    META1,
    META2,
    VOXCELEB2,
    make_voxceleb1,
    make_voxceleb2,
    training_list,
)
from utils.errors import UserError

O = ["vox1_o", "vox1_o_cleaned"]  # noqa: E741 - the list's name
SHORT = {"seconds": 0.1}
NUMBERS = count()


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    base = tmp_path_factory.mktemp("voxceleb")
    return make_voxceleb1(base / "one", **SHORT), make_voxceleb2(base / "two", **SHORT)


@pytest.fixture
def as_published(corpora, monkeypatch):
    """The look-alike's lists have the published length, so that only the audio is incomplete."""
    for name, published in LISTS.items():
        trials, repeated = read_trial_list(corpora[0] / published.names[0], Speakers())
        monkeypatch.setitem(
            LISTS, name, published._replace(trials=len(trials) + repeated, digest="")
        )


def complaint(corpora, output, **options):
    """The one line of a refusal; nothing has been made."""
    output = output / str(next(NUMBERS))
    with pytest.raises(UserError) as refused:
        prepare_voxceleb(
            corpora[0],
            output,
            voxceleb2=corpora[1],
            **({"allow_incomplete": True, "tests": O} | options),
        )
    text = str(refused.value)
    print(text)
    assert "\n" not in text
    assert not list(output.rglob("wav.scp"))
    return text


def has(text, *words):
    return all(word in text for word in words)


def test_a_wrong_root_says_what_is_looked_for_and_what_is_nearest(corpora, tmp_path):
    looked_for = "[dev/|test/][wav/]id10001/<video>/00001.wav or First_Last/<video>_0000001.wav"
    (tmp_path / "empty").mkdir()
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "vox1_dev_wav_partaa").write_bytes(b"PK")
    (tmp_path / "folders" / "vox1").mkdir(parents=True)
    for root, nearest in (
        (tmp_path / "empty", "it is empty"),
        (tmp_path / "packed", "archives that are not extracted: vox1_dev_wav_partaa"),
        (tmp_path / "folders", "it has no audio, only the folders vox1"),
        (
            corpora[0] / "test" / "wav" / "id10270",
            f"it is inside the corpus {corpora[0]}/test/wav",
        ),
        (corpora[1], "it holds VoxCeleb2, for example dev/wav/id00012/21Uxsk56VDQ/00001.wav"),
    ):
        text = complaint((root, corpora[1]), tmp_path / "out")
        assert has(text, str(root), "no VoxCeleb1 in it", looked_for, nearest), text
    shutil.copytree(
        corpora[0] / "dev" / "wav" / "id10001" / "1zcIwhmdeo4", tmp_path / "other" / "sounds"
    )
    assert "nearest are 2 audio files like sounds/00001.wav" in complaint(
        (tmp_path / "other", corpora[1]), tmp_path / "out"
    )
    assert "nowhere: no such folder" in complaint(
        (tmp_path / "nowhere", corpora[1]), tmp_path / "out"
    )


def test_an_incomplete_corpus_is_listed_with_the_published_counts(corpora, tmp_path, as_published):
    text = complaint(corpora, tmp_path / "out", allow_incomplete=False)
    assert has(
        text,
        "VoxCeleb1 test: 6 of 40 speakers, 24 of 4,874 utterances; "
        "34 speakers are missing: id10276",
        "--allow-incomplete",
    ), text
    assert "VoxCeleb2 dev: 12 of 5,994 speakers, 48 of 1,092,009 utterances" in text
    assert "VoxCeleb1 dev" not in text, "list O does not need it"
    assert len(next(tmp_path.rglob("voxceleb1_test")).read_text().split()) == 34
    assert "VoxCeleb1 dev: 10 of 1,211 speakers, 40 of 148,642" in complaint(
        corpora, tmp_path / "out", allow_incomplete=False, tests=["vox1_h"]
    )


def test_a_list_of_another_length_is_refused(corpora, tmp_path):
    text = complaint(corpora, tmp_path / "out", allow_incomplete=False)
    assert has(
        text, "veri_test.txt: 96 trials, expected the 37,720 of vox1_o", "--allow-incomplete"
    ), text


def test_a_half_extracted_archive_is_told_by_the_archive_beside(corpora, tmp_path, as_published):
    folder = make_voxceleb1(tmp_path / "one", flaws=["half_extracted"], **SHORT)
    text = complaint(
        (folder, corpora[1]), tmp_path / "out", allow_incomplete=False, tests=["vox1_h"]
    )
    assert has(
        text,
        "VoxCeleb1 dev: 8 of 1,211 speakers",
        "id10009",
        "beside it are the archives vox1_dev_wav_partad: are they fully extracted?",
    ), text


def test_speakers_in_two_trees_are_refused(corpora, tmp_path):
    folder = make_voxceleb1(tmp_path / "one", flaws=["duplicate_speaker"], **SHORT)
    text = complaint((folder, corpora[1]), tmp_path / "out")
    assert has(
        text,
        f"{folder}/copy and {folder}/dev/wav: speaker id10001 is in both",
        "move one tree away",
    ), text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("wav/{}/00001.wav", "more/wav/{}/00001.wav"),
        ("dev/aac/{}/00001.m4a", "test/aac/{}/00001.wav"),
    ],
)
def test_a_speaker_in_two_trees_is_refused_whatever_lies_there(tmp_path, first, second):
    """Other videos of one speaker, in another folder or part."""
    for path in (
        first.format("id00012/aaa"),
        second.format("id00012/bbb"),
        first.format("id00013/ccc"),
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(b"RIFF")
    with pytest.raises(UserError) as caught:
        find_utterances(tmp_path, "voxceleb2", Speakers(), 1)
    trees = sorted(str(tmp_path / path.partition("/{}")[0]) for path in (first, second))
    assert str(caught.value).startswith(
        f"{trees[0]} and {trees[1]}: speaker id00012 is in both, expected one; move one tree away"
    )


def test_a_conversion_beside_the_original_is_one_speaker(tmp_path):
    for path in (
        "aac/id00012/aaa/00001.m4a",
        "wav/id00012/aaa/00001.wav",
        "aac/id00012/aaa/00002.m4a",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"RIFF")
    found = find_utterances(tmp_path, "voxceleb2", Speakers(), 1)
    assert {key: path for key, (path, _) in found.files.items()} == {
        "id00012-aaa-00001": "wav/id00012/aaa/00001.wav",
        "id00012-aaa-00002": "aac/id00012/aaa/00002.m4a",
    }


def test_missing_and_unreadable_test_files_are_refused(
    corpora, tmp_path, as_published, monkeypatch
):
    folder = make_voxceleb1(tmp_path / "one", **SHORT)
    for key, published in COUNTS.items():
        monkeypatch.setitem(
            COUNTS,
            key,
            published._replace(speakers=12 * (key == ("voxceleb2", "dev")), utterances=0),
        )
    first, second = sorted((folder / "test").rglob("*.wav"))[:2]
    first.write_bytes(first.read_bytes()[:100])
    text = complaint((folder, corpora[1]), tmp_path / "out", allow_incomplete=False)
    assert has(
        text,
        f"{first}: fewer samples than its header says",
        "the trials name 1 files that cannot be read",
        "--allow-incomplete",
    ), text
    second.unlink()
    text = complaint((folder, corpora[1]), tmp_path / "out", allow_incomplete=False)
    assert has(
        text, "1 files of the trials are missing: id10270-x6uYqmx31kE-00003", "--allow-incomplete"
    ), text


def test_m4a_without_ffmpeg_is_one_line(corpora, tmp_path, monkeypatch):
    folder = make_voxceleb2(tmp_path / "two", suffix=".m4a", header_only=True, **SHORT)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert has(
        complaint((corpora[0], folder), tmp_path / "out"),
        ".m4a: ",
        "ffmpeg, which is not on the PATH",
        "apt install ffmpeg",
    )


def test_a_list_of_the_wrong_version_is_told(shared_data, tmp_path):
    lists = shared_data / "lists"
    (tmp_path / "veri_test.txt").write_bytes((lists / "veri_test2.txt").read_bytes())
    (tmp_path / "veri_test2.txt").write_bytes((lists / "veri_test.txt").read_bytes())
    for name, file, is_really in (
        ("vox1_o", "veri_test.txt", "vox1_o_cleaned (veri_test2.txt)"),
        ("vox1_o_cleaned", "veri_test2.txt", "vox1_o (veri_test.txt)"),
    ):
        path = tmp_path / file
        with pytest.raises(UserError) as refused:
            check_version(name, path, *read_trial_list(path, Speakers()), allow_incomplete=True)
        assert has(str(refused.value), str(path), f"this is {is_really}", f"of {name} ({file})"), (
            refused.value
        )
    other = (
        (lists / "veri_test.txt")
        .read_text()
        .replace("id10270/x6uYqmx31kE/00001", "id10270/x6uYqmx31kE/99999")
    )
    (tmp_path / "veri_test.txt").write_text(other)
    with pytest.raises(UserError, match="37,720 trials, as many as vox1_o has, but not the same"):
        check_version(
            "vox1_o",
            tmp_path / "veri_test.txt",
            *read_trial_list(tmp_path / "veri_test.txt", Speakers()),
            allow_incomplete=True,
        )


def test_a_list_with_other_speakers_is_no_list_o(corpora, tmp_path):
    folder = shutil.copytree(corpora[0], tmp_path / "one")
    (folder / "veri_test.txt").write_bytes((folder / "list_test_all.txt").read_bytes())
    assert "10 speakers are not among the 40 of vox1_o, first id10001" in complaint(
        (folder, corpora[1]), tmp_path / "out"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 id10270/a/00001.wav", "expected '1 id10270/<video>/00001.wav"),
        ("2 id10270/a/00001 id10270/a/00002", "expected '1 id10270/"),
        ("1 id10270/a/1.wav id10270/a/00002.wav", "expected '1 id10270/"),
        (
            "0 id10270/a/00001.wav id10270/a/00002.wav",
            "label 0 for id10270 and id10270, expected 1 for one speaker",
        ),
        ("1 id10270/a/00001.wav id10271/a/00002.wav", "label 1 for id10270 and id10271"),
        ("1 id10270/a/00001.wav id10270/a/00001.wav", "trial of id10270-a-00001 with itself"),
    ],
)
def test_a_line_that_is_no_trial_is_named(tmp_path, line, said):
    (tmp_path / "list.txt").write_text(f"1 id10270/a/00001.wav id10270/b/00002.wav\n\n{line}\n")
    with pytest.raises(UserError) as refused:
        read_trial_list(tmp_path / "list.txt", Speakers())
    assert has(str(refused.value), "list.txt:3: ", said), refused.value


def test_missing_lists_and_options_that_do_not_fit(corpora, tmp_path):
    bare = shutil.copytree(
        corpora[0], tmp_path / "bare", ignore=shutil.ignore_patterns("list_test_all.txt")
    )
    text = complaint((bare, corpora[1]), tmp_path / "out", tests=["vox1_e"])
    assert has(text, str(bare), "no list_test_all.txt", "--lists", "--tests"), text
    assert "--tests: 'vox1_x', expected some of vox1_o" in complaint(
        corpora, tmp_path / "out", tests=["vox1_x"]
    )
    assert "--voxceleb2 is not given" in complaint((corpora[0], None), tmp_path / "out")
    assert "11 of 12 training speakers for dev" in complaint(
        corpora, tmp_path / "out", dev_speakers=11
    )
    assert "--seed is -1" in complaint(corpora, tmp_path / "out", seed=-1)


def test_e_and_h_are_refused_where_their_speakers_are_trained_on_unless_forced(corpora, tmp_path):
    text = complaint(
        corpora, tmp_path / "out", training="both", tests=[*O, "vox1_e", "vox1_h_cleaned"]
    )
    assert has(
        text,
        "--training both trains on speakers of VoxCeleb1 dev",
        "vox1_e, vox1_h_cleaned",
        "--allow-leakage",
    ), text
    counts = prepare_voxceleb(
        corpora[0],
        tmp_path / "forced",
        voxceleb2=corpora[1],
        training="both",
        tests=["vox1_e"],
        allow_incomplete=True,
        allow_leakage=True,
    )
    assert counts["tests/vox1_e"]["went_on"] == 64


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id00012 id00015/21Uxsk56VDQ/00001.wav\n", "list.txt:1: 'id00012' for id00015"),
        (
            "id00012/21Uxsk56VDQ/00001.wav 0\nid00015/21Uxsk56VDQ/00001.wav 0\n",
            "list.txt:2: '0' for id00015, expected id00012",
        ),
        (
            "id00012/21Uxsk56VDQ/00001.wav 0\nid00012/21Uxsk56VDQ/00001.wav 0\n",
            "list.txt:2: the file of line 1 again",
        ),
        ("hello\n", "list.txt:1: 'hello', expected 'id00012 id00012/<video>/00001.wav' or"),
        ("", "list.txt: empty"),
    ],
)
def test_a_training_list_that_is_none_is_named(tmp_path, content, said):
    (tmp_path / "list.txt").write_text(content)
    with pytest.raises(UserError) as refused:
        read_training_list(tmp_path / "list.txt", Speakers())
    assert said in str(refused.value)


def test_a_training_list_may_name_neither_test_speakers_nor_the_other_corpus(
    corpora, tmp_path, as_published
):
    for files, options, said in (
        (
            ["id10270/x6uYqmx31kE/00001.wav"],
            {"training": "both"},
            "speaker id10270 is of voxceleb1 test",
        ),
        (
            ["id10001/1zcIwhmdeo4/00001.wav"],
            {},
            "speaker id10001 is of voxceleb1 dev, expected speakers of voxceleb2 dev",
        ),
        ([f"{VOXCELEB2[0]}/21Uxsk56VDQ/00099.wav"], {"allow_incomplete": False}, "train_files)"),
    ):
        (tmp_path / "list.txt").write_text(training_list("vgg", files))
        assert said in complaint(
            corpora, tmp_path / "out", train_list=tmp_path / "list.txt", **options
        )


def test_names_of_the_first_release_need_the_list_of_ids(corpora, tmp_path):
    folder = make_voxceleb1(tmp_path / "one", layout="names", **SHORT)
    meta = (folder / "vox1_meta.csv").read_text()
    (folder / "vox1_meta.csv").write_text(meta.replace("Aamir_Khan", "Somebody_Else"))
    assert "1 speakers are not in" in complaint((folder, corpora[1]), tmp_path / "out")
    (folder / "vox1_meta.csv").unlink()
    text = complaint((folder, corpora[1]), tmp_path / "out")
    assert has(
        text,
        "names of speakers as in VoxCeleb1's first release, such as voxceleb1_wav/",
        "vox1_meta.csv",
        "--lists",
    ), text


def test_a_merged_voxceleb2_of_too_many_speakers_needs_its_list(tmp_path, monkeypatch):
    monkeypatch.setitem(
        COUNTS, ("voxceleb2", "dev"), COUNTS["voxceleb2", "dev"]._replace(speakers=13)
    )
    corpora = (
        make_voxceleb1(tmp_path / "one", **SHORT),
        make_voxceleb2(tmp_path / "two", layout="merged", with_test=True, **SHORT),
    )
    assert has(
        complaint(corpora, tmp_path / "out"),
        "14 speakers of VoxCeleb2, expected at most 13 of dev",
        "vox2_meta.csv",
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("vox1_meta.csv", "hello\n", "vox1_meta.csv:1: expected the titles"),
        ("vox1_meta.csv", f"{META1}\nid10001\tA\tx\tUSA\tdev\n", "vox1_meta.csv:2: 'id10001 "),
        ("vox2_meta.csv", f"{META2}\nid10001 ,n1 ,f ,dev \n", "vox2_meta.csv:2: 'id10001 "),
        ("vox2_meta.csv", f"{META2}\nid00012 ,n1\n", "vox2_meta.csv:2: 2 fields, expected 4"),
    ],
)
def test_a_list_of_speakers_that_is_none_is_named(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as refused:
        read_speakers([tmp_path])
    assert said in str(refused.value)
