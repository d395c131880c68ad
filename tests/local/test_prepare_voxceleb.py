"""VoxCeleb 1 and 2: layouts, sets, official lists, dev trials and the ledger."""

import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from local.prepare_voxceleb import prepare_voxceleb
from local.voxceleb.sets import choose_dev_speakers, design_dev_trials
from tests.lookalike.voxceleb import (
    DEV,
    VOXCELEB2,
    make_voxceleb1,
    make_voxceleb2,
    read_seconds,
    training_list,
)
from utils.data_dir import read_data_dir, read_map, read_trials, validate_data_dir
from utils.errors import UserError

O = ["vox1_o", "vox1_o_cleaned"]  # noqa: E741 - the list's name
ALL = [*O, "vox1_e", "vox1_e_cleaned", "vox1_h", "vox1_h_cleaned"]
SHORT = {"seconds": 0.1}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    base = tmp_path_factory.mktemp("voxceleb")
    return make_voxceleb1(base / "one", **SHORT), make_voxceleb2(
        base / "two", with_test=True, **SHORT
    )


@pytest.fixture(scope="module")
def prepared(corpora, tmp_path_factory):
    output = tmp_path_factory.mktemp("prepared")
    return output, prepare(corpora, output)


def prepare(corpora, output, **options):
    return prepare_voxceleb(
        corpora[0], output, voxceleb2=corpora[1], **({"allow_incomplete": True} | options)
    )


def bytes_below(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).rglob("*")
        if path.is_file() and "receipts" not in path.parts
    }


def ledger(folder):
    return json.loads((folder / "ledger.json").read_text())


def test_all_sets_are_good_data_directories_with_readable_audio(prepared):
    output, counts = prepared
    sets = ["train", "dev", "test", *(f"tests/{name}" for name in ("dev", *ALL))]
    assert set(counts) == set(sets)
    for name in sets:
        validate_data_dir(output / name, audio=True)
    speakers = {name: set(read_map(output / name / "utt2spk").values()) for name in sets}
    assert len(speakers["train"]) == 10
    assert len(speakers["dev"]) == 2
    assert speakers["train"] | speakers["dev"] == set(VOXCELEB2)
    assert {name for name in sets if len(speakers[name] & speakers["train"])} == {"train"}
    assert bytes_below(output / "dev") == bytes_below(output / "tests" / "dev")


def test_ids_sessions_sexes_and_countries_are_those_of_the_corpus(prepared):
    data = read_data_dir(prepared[0] / "tests" / "vox1_e")
    assert data.utt2spk["id10001-1zcIwhmdeo4-00002"] == "id10001"
    assert data.wav_scp["id10001-1zcIwhmdeo4-00002"].endswith(
        "/dev/wav/id10001/1zcIwhmdeo4/00002.wav"
    )
    assert data.maps["utt2session"]["id10001-1zcIwhmdeo4-00002"] == "1zcIwhmdeo4"
    assert {speaker: data.maps["spk2gender"][speaker] for speaker, *_ in DEV} == {
        speaker: sex for speaker, _, sex, *_ in DEV
    }
    assert data.maps["spk2nationality"]["id10001"] == "Ireland"
    assert set(data.maps["spk2nationality"].values()) > {"USA", "New_Zealand"}
    path = data.wav_scp["id10001-1zcIwhmdeo4-00002"]
    assert float(data.maps["utt2dur"]["id10001-1zcIwhmdeo4-00002"]) == read_seconds(path) == 0.1


def test_the_test_set_has_every_file_that_a_list_names_once_and_every_trial(prepared):
    output, _ = prepared
    lists = [read_data_dir(output / "tests" / name) for name in ALL]
    whole = read_data_dir(output / "test")
    assert set(whole.utt2spk) == {utterance for data in lists for utterance in data.utt2spk}
    assert set(whole.trials) == {trial for data in lists for trial in data.trials}


@pytest.mark.parametrize(
    ("name", "file", "trials", "targets", "files"),
    [
        ("vox1_o", "veri_test.txt", 37_720, 18_860, 4_715),
        ("vox1_o_cleaned", "veri_test2.txt", 37_611, 18_802, 4_708),
    ],
)
def test_the_official_lists_have_their_published_counts(
    shared_data, name, file, trials, targets, files
):
    from local.voxceleb.lists import check_version, read_trial_list
    from local.voxceleb.meta import Speakers

    path = shared_data / "lists" / file
    read, repeated = read_trial_list(path, Speakers())
    assert (len(read), repeated) == (trials, 0)
    assert sum(is_target for *_, is_target in read) == targets
    assert len({utterance for trial in read for utterance in trial[:2]}) == files
    assert len({utterance[:7] for trial in read for utterance in trial[:2]}) == 40
    assert "as published" in check_version(name, path, read, 0, allow_incomplete=False)


@pytest.mark.slow
def test_the_official_lists_run_unmodified_on_a_tree_with_their_files(shared_data, tmp_path):
    official = [shared_data / "lists" / name for name in ("veri_test.txt", "veri_test2.txt")]
    corpora = (
        make_voxceleb1(tmp_path / "one", official=official, **SHORT),
        make_voxceleb2(tmp_path / "two", **SHORT),
    )
    counts = prepare(corpora, tmp_path / "out", tests=O)
    assert counts["test"]["went_on"] == counts["tests/vox1_o"]["went_on"] == 4_715
    assert counts["tests/vox1_o_cleaned"]["went_on"] == 4_708
    for name, file in zip(O, official, strict=True):
        enrol, test, is_target = read_trials(tmp_path / "out" / "tests" / name / "trials")
        first = file.read_text().split("\n")[0].split()
        assert (
            int(is_target[0]),
            enrol[0].replace("-x6u", "/x6u").replace("-00001", "/00001.wav"),
        ) == (int(first[0]), first[1])
        assert test[0] == "id10270-8jEAjG6SegY-00008"
        assert "lost_trials" not in ledger(tmp_path / "out" / "tests" / name)


@pytest.mark.parametrize("layout", ["merged", "ids", "names"])
def test_every_layout_gives_the_same_utterances(corpora, prepared, tmp_path, layout):
    other = make_voxceleb1(tmp_path / "one", layout=layout, **SHORT)
    prepare((other, corpora[1]), tmp_path / "out")
    for name in ("test", "tests/vox1_o", "tests/vox1_h_cleaned"):
        first, second = read_data_dir(prepared[0] / name), read_data_dir(tmp_path / "out" / name)
        assert first.utt2spk == second.utt2spk
        assert first.trials == second.trials
        assert first.maps == second.maps


def test_m4a_is_taken_by_its_header_where_there_is_no_wave(corpora, tmp_path, monkeypatch, capsys):
    """As where somebody's conversion to wave is half done."""
    monkeypatch.setattr("local.voxceleb.directories.require_ffmpeg", list)
    folder = make_voxceleb2(
        tmp_path / "two",
        suffix=".m4a",
        header_only=True,
        seconds=3.25,
        with_test=True,
        with_meta=True,
    )
    wave = corpora[1] / "dev" / "wav" / VOXCELEB2[0]
    for path in wave.rglob("*.wav"):
        target = folder / "dev" / "aac" / path.relative_to(wave.parent)
        shutil.copy(path, target)
    prepare((corpora[0], folder), tmp_path / "out", tests=O)
    both = read_map(tmp_path / "out" / "train" / "utt2dur") | read_map(
        tmp_path / "out" / "dev" / "utt2dur"
    )
    assert Counter(both.values()) == {"3.2500": 44, "0.1000": 4}
    assert "4 utterances exist in two formats" in capsys.readouterr().out
    assert "spk2gender" in read_data_dir(tmp_path / "out" / "train").maps, (
        "vox2_meta.csv knows the sexes"
    )


def test_a_merged_tree_of_voxceleb2_is_told_apart_by_its_list(corpora, tmp_path):
    folder = make_voxceleb2(
        tmp_path / "two", layout="merged", with_test=True, with_meta=True, **SHORT
    )
    counts = prepare((corpora[0], folder), tmp_path / "out", tests=O)
    assert counts["train"]["speakers"] + counts["dev"]["speakers"] == 12


def test_training_sets_by_option(corpora, tmp_path):
    one = prepare(corpora, tmp_path / "one", training="vox1dev", tests=O)
    both = prepare(corpora, tmp_path / "both", training="both", dev_speakers=4)
    none = prepare(corpora, tmp_path / "none", dev_speakers=0)
    assert (one["train"]["speakers"], one["dev"]["speakers"]) == (8, 2)
    assert "spk2gender" in read_data_dir(tmp_path / "one" / "train").maps
    assert (both["train"]["speakers"], both["dev"]["speakers"]) == (18, 4)
    trained = {name for name in both if name.startswith("tests/")}
    assert trained == {"tests/dev", "tests/vox1_o", "tests/vox1_o_cleaned"}, (
        "the speakers of E and H were trained on"
    )
    assert none["train"]["speakers"] == 12
    assert "dev" not in none


@pytest.mark.parametrize("style", ["voxceleb_trainer", "vgg"])
def test_training_lists_of_others_are_read(corpora, tmp_path, style):
    files = [f"{speaker}/21Uxsk56VDQ/{n:05d}.wav" for speaker in VOXCELEB2[:8] for n in (1, 3)]
    (tmp_path / "list.txt").write_text(training_list(style, files))
    counts = prepare(corpora, tmp_path / "out", train_list=tmp_path / "list.txt", tests=O)
    assert (counts["train"]["went_on"], counts["dev"]["went_on"]) == (12, 4)


def test_same_bytes_nothing_to_do_and_the_corpora_are_left_alone(
    corpora, prepared, tmp_path, capsys
):
    before = [bytes_below(folder) for folder in corpora]
    first = prepare(corpora, tmp_path, jobs=1)
    capsys.readouterr()
    assert prepare(corpora, tmp_path, jobs=3) == first
    assert capsys.readouterr().out == ""
    assert bytes_below(tmp_path) == bytes_below(prepared[0])
    assert [bytes_below(folder) for folder in corpora] == before


def test_a_killed_preparation_measures_only_the_rest(corpora, prepared, tmp_path, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("local.voxceleb.directories.finish_data_dir", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(corpora, tmp_path)
    monkeypatch.setattr("local.audio_tree.audio_header", killed)
    prepare(corpora, tmp_path)
    assert bytes_below(tmp_path) == bytes_below(prepared[0])


def test_another_speaker_in_the_tree_is_another_corpus(corpora, tmp_path):
    folder = shutil.copytree(corpora[1], tmp_path / "two")
    held = folder / "dev" / "wav" / VOXCELEB2[0]
    shutil.move(held, tmp_path / "held")
    assert (
        prepare((corpora[0], folder), tmp_path / "out", tests=O, dev_speakers=2)["train"][
            "speakers"
        ]
        == 9
    )
    shutil.move(tmp_path / "held", held)
    assert (
        prepare((corpora[0], folder), tmp_path / "out", tests=O, dev_speakers=2)["train"][
            "speakers"
        ]
        == 10
    )


def test_the_ledger_counts_what_was_planted(corpora, tmp_path):
    """Of E the first file is missing, the second cut short; their trials are lost and counted."""
    folder = make_voxceleb1(tmp_path / "one", flaws=["missing_wave", "truncated_wave"], **SHORT)
    prepare((folder, corpora[1]), tmp_path / "out")
    lost = [f"id10001-1zcIwhmdeo4-{n:05d}" for n in (1, 2)]
    whole = (
        (folder / "list_test_all.txt").read_text().replace("/", "-").replace(".wav", "").split("\n")
    )
    planted = sum(any(name in line for name in lost) for line in whole)
    told = ledger(tmp_path / "out" / "tests" / "vox1_e")
    assert told == {
        "came_in": 64,
        "went_on": 62,
        "missing": 1,
        "unreadable": 1,
        "lost_trials": planted,
    }
    assert (
        (tmp_path / "out" / "tests" / "vox1_e" / "dropped")
        .read_text()
        .split("\n")[0]
        .startswith(f"{lost[0]} missing ")
    )
    assert (tmp_path / "out" / "missing" / "test_files").read_text() == f"{lost[0]}\n"
    assert "lost_trials" not in ledger(tmp_path / "out" / "tests" / "vox1_o")


def test_one_unreadable_file_of_train_goes_to_the_ledger_and_two_are_too_many(corpora, tmp_path):
    folder = make_voxceleb2(tmp_path / "two", flaws=["truncated_wave"], **SHORT)
    prepare((corpora[0], folder), tmp_path / "out", tests=O)
    assert (
        sum(ledger(tmp_path / "out" / name).get("unreadable", 0) for name in ("train", "dev")) == 1
    )
    for path in (folder / "dev" / "wav").rglob("00003.wav"):
        path.write_bytes(b"")
    with pytest.raises(
        UserError,
        match=r"utterances dropped as unreadable, .* the first is 'id000\d\d-21Uxsk56VDQ-00003'",
    ):
        prepare((corpora[0], folder), tmp_path / "again", tests=O)


def test_dev_trials_are_across_videos_distinct_and_as_many_of_each_class():
    utt2spk = {f"s{s}-v{v}-{n}": f"s{s}" for s in range(6) for v in range(3) for n in range(8)}
    session = {key: key.rpartition("-")[0] for key in utt2spk}
    trials = [
        line.split()
        for line in design_dev_trials(
            utt2spk, session, {f"s{s}": "mf"[s % 2] for s in range(6)}, seed=3
        )
    ]
    kinds = Counter(kind for *_, kind in trials)
    assert kinds == {"target": 6 * 3 * 64, "nontarget": 6 * 3 * 64}
    assert len({frozenset(trial[:2]) for trial in trials}) == len(trials)
    assert all(
        (utt2spk[one] == utt2spk[other]) == (kind == "target") for one, other, kind in trials
    )
    assert all(session[one] != session[other] for one, other, kind in trials if kind == "target")
    alike = sum(
        int(one[1]) % 2 == int(other[1]) % 2 for one, other, kind in trials if kind == "nontarget"
    )
    assert alike == kinds["nontarget"] // 2


def test_dev_trials_of_a_large_set_are_as_many_as_list_o_has():
    utt2spk = {
        f"s{s:02d}-v{n % 20:02d}-{n:03d}": f"s{s:02d}" for s in range(40) for n in range(180)
    }
    trials = design_dev_trials(
        utt2spk,
        {key: key[:7] for key in utt2spk},
        dict.fromkeys(set(utt2spk.values()), "?"),
        seed=1,
    )
    assert len(trials) == 2 * 40 * 500


@pytest.mark.parametrize(
    ("total", "wanted", "number"),
    [(5994, None, 40), (400, None, 40), (399, None, 39), (12, None, 2), (5, None, 2), (12, 5, 5)],
)
def test_dev_speakers_are_forty_or_a_tenth(total, wanted, number):
    groups = {f"id{n:05d}": "mf"[n % 2] for n in range(total)}
    chosen, said = choose_dev_speakers(groups, wanted, 1)
    assert len(chosen) == number
    assert choose_dev_speakers(groups, wanted, 1)[0] == chosen
    assert f"{number} of {total:,}" in said
    assert abs(sum(groups[speaker] == "m" for speaker in chosen) - number / 2) <= 1


def test_training_speakers_of_one_utterance_are_not_taken_for_dev():
    groups = {f"id{n:05d}": "mf"[n % 2] for n in range(60)}
    single = set(sorted(groups)[::2])
    for seed in range(20):
        chosen, _ = choose_dev_speakers(groups, 9, seed, single)
        assert len(chosen) == 9
        assert not chosen & single
    with pytest.raises(
        UserError, match="31 of 60 .* 30 have one utterance .* lower --dev-speakers"
    ):
        choose_dev_speakers(groups, 31, 1, single)


@pytest.mark.parametrize("number", [1, -2])
def test_a_dev_of_one_is_refused_before_anything_is_looked_for(corpora, tmp_path, number):
    with pytest.raises(UserError, match=f"--dev-speakers is {number}, expected 2 or more"):
        prepare(corpora, tmp_path / "out", dev_speakers=number)
    assert not (tmp_path / "out").exists()


def test_musan_and_rirs_noises_are_found_and_noises_are_no_rooms(corpora, tmp_path):
    """The folders and names of the two sets, each given by its root or the folder above."""
    sound = next(corpora[0].rglob("*.wav"))
    musan = [
        "music/fma/music-fma-0000.wav",
        "noise/free-sound/noise-free-sound-0000.wav",
        "speech/librivox/speech-librivox-0000.wav",
    ]
    rirs = [
        "simulated_rirs/smallroom/Room001/Room001-00001.wav",
        "simulated_rirs/largeroom/Room200/Room200-00100.wav",
        "real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_far_angla.wav",
        "real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1.wav",
        "pointsource_noises/noise-free-sound-0001.wav",
    ]
    for path in [
        *(f"slr17/musan/{name}" for name in musan),
        *(f"RIRS_NOISES/{name}" for name in rirs),
    ]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sound, tmp_path / path)
    counts = prepare(
        corpora, tmp_path / "out", musan=tmp_path / "slr17", rirs=tmp_path / "RIRS_NOISES", tests=O
    )
    assert set(read_map(tmp_path / "out" / "noise" / "utt2type").values()) == {
        "music",
        "noise",
        "speech",
    }
    assert counts["rirs"]["went_on"] == 3
    assert not [
        name
        for name in read_map(tmp_path / "out" / "rirs" / "utt2spk")
        if "noise_largeroom" in name or "free-sound" in name
    ]
    simulated = prepare(
        corpora,
        tmp_path / "again",
        musan=tmp_path / "slr17" / "musan",
        rirs=tmp_path / "RIRS_NOISES" / "simulated_rirs",
        tests=O,
    )
    assert (simulated["noise"]["went_on"], simulated["rirs"]["went_on"]) == (3, 2)


def test_lists_are_found_in_a_folder_of_their_own_by_vggs_names_too(corpora, prepared, tmp_path):
    one = shutil.copytree(
        corpora[0], tmp_path / "one", ignore=shutil.ignore_patterns("*.txt", "*.csv")
    )
    lists = tmp_path / "lists"
    (lists / "meta").mkdir(parents=True)
    shutil.copy(corpora[0] / "vox1_meta.csv", lists)
    shutil.copy(corpora[0] / "veri_test.txt", lists)
    for official, of_vgg in (
        ("veri_test2", "veri_test_fixed"),
        ("list_test_hard", "veri_test_hard"),
        ("list_test_hard2", "veri_test_hard_fixed"),
        ("list_test_all", "veri_test_extended"),
        ("list_test_all2", "veri_test_extended_fixed"),
    ):
        shutil.copy(corpora[0] / f"{official}.txt", lists / "meta" / f"voxceleb1_{of_vgg}.txt")
    prepare((one, corpora[1]), tmp_path / "out", lists=lists)
    for name in ALL:
        assert (tmp_path / "out" / "tests" / name / "trials").read_bytes() == (
            prepared[0] / "tests" / name / "trials"
        ).read_bytes()
    assert "spk2nationality" in read_data_dir(tmp_path / "out" / "test").maps


@pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg is not installed (apt install ffmpeg)"
)
@pytest.mark.slow
def test_m4a_goes_from_the_corpus_into_archives(corpora, tmp_path):
    from steps.collect_packed import collect_packed
    from steps.pack_audio import pack_audio

    folder = make_voxceleb2(tmp_path / "two", suffix=".m4a", speakers=4, utterances=2, seconds=1.5)
    prepare((corpora[0], folder), tmp_path / "out", tests=O)
    pack_audio(tmp_path / "out" / "train", tmp_path / "packed", min_speech_seconds=0)
    assert collect_packed(tmp_path / "out" / "train", tmp_path / "packed")["went_on"] == 4
    stated, packed = (
        read_map(folder / "utt2dur") for folder in (tmp_path / "out" / "train", tmp_path / "packed")
    )
    assert stated.keys() == packed.keys()
    assert all(float(stated[key]) == float(packed[key]) == 1.5 for key in stated)
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".m4a"}, (
        "nothing is written into the corpus"
    )
