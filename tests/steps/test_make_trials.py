"""Trials of stated designs: numbers by head, kinds that hold for any set, and refusals."""

import json
import resource
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.make_trials import make_trials
from utils.data_dir import DataDir, read_map, read_trials, validate_data_dir, write_data_dir
from utils.errors import UserError
from utils.trials.design import Design, make_pairs


def directory(folder, speakers="abcd", sessions=("home", "office"), utterances=2, sexes=True):
    """Speakers of two utterances in each session; a and c are women."""
    utt2spk = {
        f"{speaker}-{session}-{k}": speaker
        for speaker in speakers
        for session in sessions
        for k in range(utterances)
    }
    maps = {"utt2session": {utterance: utterance.split("-")[1] for utterance in utt2spk}}
    if sexes:
        maps["spk2gender"] = {speaker: "fm"[place % 2] for place, speaker in enumerate(speakers)}
    write_data_dir(
        DataDir(
            folder, {utterance: f"{utterance}.wav" for utterance in utt2spk}, utt2spk, None, maps
        ),
        folder,
    )
    return folder


def kinds_of(data):
    """How many trials there are of each kind, seen from the lists alone."""
    utt2spk, sex, session = (
        read_map(data / name) for name in ("utt2spk", "spk2gender", "utt2session")
    )
    counts = Counter()
    for enrol, test, is_target in zip(*read_trials(data / "trials"), strict=True):
        one, other = utt2spk[enrol], utt2spk[test]
        assert (one == other) == is_target
        counts[
            "target" if is_target else "same" if sex[one] == sex[other] else "cross",
            session[enrol] == session[test],
        ] += 1
    return counts


def test_all_targets_and_as_many_impostors_of_each_kind_as_there_are(tmp_path, capsys):
    """4 x 6 targets; 2 x 16 pairs within a sex, 4 x 16 across: fewer than the 120 wanted."""
    data = directory(tmp_path / "data")
    assert make_trials(data) == {"targets": 24, "nontargets": 96, "models": 0}
    validate_data_dir(data)
    lines = (data / "trials").read_bytes().splitlines()
    assert lines == sorted(lines)
    assert len(lines) == len(set(lines))
    assert (
        "only 32 same_sex nontarget trials exist, 120 were asked for; only 64 "
        "cross_sex nontarget trials exist, 120 were asked for"
    ) in capsys.readouterr().out
    kinds = json.loads((data / "trials.json").read_text())["kinds"]
    assert kinds["same_sex"] == {"wanted": 120, "there": 32, "drawn": 32}


@pytest.mark.parametrize(
    ("sessions", "targets", "same", "cross"), [("within", 8, 8, 16), ("across", 16, 16, 16)]
)
def test_both_classes_are_held_to_a_rule_of_sessions_that_speakers_share(
    tmp_path, sessions, targets, same, cross
):
    """Within: 4 x 2 targets of 2 sessions; across: 4 x 4; each with 1 + 1 (1 + 2) impostors."""
    data = directory(tmp_path / "data")
    make_trials(data, sessions=sessions, same_sex=1, cross_sex=2 if sessions == "within" else 1)
    is_same = sessions == "within"
    assert kinds_of(data) == {
        ("target", is_same): targets,
        ("same", is_same): same,
        ("cross", is_same): cross,
    }


def test_sessions_of_ones_own_bind_targets_only_and_that_is_said(tmp_path, capsys):
    data = tmp_path / "data"
    utt2spk = {f"{speaker}-{k}": speaker for speaker in "ab" for k in range(4)}
    utt2session = {name: name[:2] + str(int(name[2]) % 2) for name in utt2spk}
    write_data_dir(
        DataDir(data, dict.fromkeys(utt2spk, "x.wav"), utt2spk, None, {"utt2session": utt2session}),
        data,
    )
    assert make_trials(data, sessions="within", random=1) == {
        "targets": 4,
        "nontargets": 4,
        "models": 0,
    }
    assert "no session is shared by two speakers" in capsys.readouterr().out


def test_models_of_several_utterances_are_tested_with_others(tmp_path):
    """Two utterances of one session enrol, the two of the other are tests: 4 x 2 targets."""
    data = directory(tmp_path / "data")
    assert (
        make_trials(data, sessions="across", enrol_utterances=2, enrol_sessions=1, random=1)[
            "models"
        ]
        == 4
    )
    validate_data_dir(data)
    models = {
        line.split()[0]: line.split()[1:]
        for line in (data / "enroll.spk2utt").read_text().splitlines()
    }
    session = read_map(data / "utt2session")
    assert sorted(models) == ["a-model", "b-model", "c-model", "d-model"]
    assert all(
        len({session[utterance] for utterance in members}) == 1 and len(members) == 2
        for members in models.values()
    )
    enrolled = {utterance for members in models.values() for utterance in members}
    enrol, test, is_target = read_trials(data / "trials")
    assert not enrolled & set(test)
    assert sum(is_target) == 8
    for model, utterance, target in zip(enrol, test, is_target, strict=True):
        assert (model[0] == utterance[0]) == target
        assert session[utterance] not in {session[member] for member in models[model]}


def test_a_model_of_two_sessions_has_utterances_of_both(tmp_path, capsys):
    data = directory(tmp_path / "data", utterances=3)
    make_trials(data, enrol_utterances=3, enrol_sessions=2, random=1)
    session = read_map(data / "utt2session")
    for line in (data / "enroll.spk2utt").read_text().splitlines():
        assert sorted(Counter(session[utterance] for utterance in line.split()[1:]).values()) == [
            1,
            2,
        ]
    with pytest.raises(
        UserError,
        match=(
            "the design has 0 target and 0 nontarget trials.*4 of 4 speakers have too few "
            "utterances for a model"
        ),
    ):
        make_trials(directory(tmp_path / "few"), enrol_utterances=4, random=1)
    capsys.readouterr()


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 5), min_size=3, max_size=6),
    st.integers(1, 6),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["any", "within", "across"]),
    st.integers(1, 3),
    st.integers(0, 9),
)
def test_no_trial_is_of_a_wrong_kind_and_no_kind_has_more_than_there_is(
    sizes, most, same, cross, free, sessions, enrol_utterances, seed
):
    spk2utt = {
        f"s{place}": [f"s{place}-{k}" for k in range(size)] for place, size in enumerate(sizes)
    }
    sex = {speaker: "fm"[int(speaker[1]) % 2] for speaker in spk2utt}
    session = {
        utterance: str(int(utterance[-1]) % 2)
        for utterances in spk2utt.values()
        for utterance in utterances
    }
    design = Design(
        most,
        {"same_sex": same, "cross_sex": cross, "random": free},
        sessions,
        enrol_utterances,
        None,
        seed,
    )
    made = make_pairs(spk2utt, sex, session, design)
    assert made.lines == sorted(made.lines)
    per_speaker = Counter()
    for line in made.lines:
        enrol, test, kind = line.split()
        members = made.models.get(enrol, [enrol])
        assert test not in members
        owner = members[0].split("-")[0]
        assert (owner == test.split("-")[0]) == (kind == "target")
        per_speaker[owner] += kind == "target"
        if kind == "target" and sessions != "any":
            assert (session[test] in {session[member] for member in members}) == (
                sessions == "within"
            )
    assert max(per_speaker.values(), default=0) <= most
    for kind, counts in made.counts.items():
        assert kind == "target" or counts["drawn"] == min(counts["wanted"], counts["there"])


def test_same_seed_same_bytes_another_seed_others_and_nothing_is_done_twice(tmp_path, capsys):
    made = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        make_trials(directory(tmp_path / name), targets_per_speaker=3, random=2, seed=seed)
        made[name] = (tmp_path / name / "trials").read_bytes()
    assert made["one"] == made["again"] != made["other"]
    capsys.readouterr()
    make_trials(tmp_path / "one", targets_per_speaker=3, random=2)
    assert capsys.readouterr().out == ""
    make_trials(tmp_path / "one", random=2, enrol_utterances=2)
    make_trials(tmp_path / "one", random=2)
    assert not (tmp_path / "one" / "enroll.spk2utt").exists(), (
        "models of an earlier design are gone"
    )


def test_killed_before_its_receipt_it_makes_its_trials_again(tmp_path):
    data = directory(tmp_path / "data")
    make_trials(data)
    (data / "receipts" / "make_trials.json").unlink()
    assert make_trials(data)["targets"] == 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"same_sex": 1}, "spk2gender: no such file, but impostors are asked for by sex"),
        ({"sessions": "across"}, "no-session: no such file, but the design"),
        ({"targets_per_speaker": 0}, "--targets-per-speaker is 0, expected 1 or more"),
        ({"random": -1}, "--random is -1, expected 0 or more"),
        (
            {"enrol_sessions": 2},
            "--enrol-sessions is 2, expected at most the 1 of --enrol-utterances",
        ),
        ({"random": 0}, "no impostors were asked for"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_nothing_is_written(tmp_path, options, message):
    data = directory(tmp_path / "data", sexes=False)
    with pytest.raises(UserError, match=message) as caught:
        make_trials(data, session_map="no-session", **options)
    assert "\n" not in str(caught.value)
    assert not (data / "trials").exists()


def test_trials_of_other_origin_are_left_alone(tmp_path):
    data = directory(tmp_path / "data")
    (data / "trials").write_text("a-home-0 a-home-1 target\n")
    with pytest.raises(UserError, match="trials: exists and was not made here"):
        make_trials(data)
    assert (data / "trials").read_text() == "a-home-0 a-home-1 target\n"


@pytest.mark.slow
def test_a_hundred_thousand_utterances_in_bounded_memory():
    """Five billion pairs, of which 110,000 are drawn; speed is printed."""
    spk2utt = {
        f"s{speaker:04d}": [f"s{speaker:04d}-{k:03d}" for k in range(100)]
        for speaker in range(1000)
    }
    sex = {speaker: "fm"[int(speaker[1:]) % 2] for speaker in spk2utt}
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    made = make_pairs(spk2utt, sex, {}, Design(10, {"same_sex": 5, "cross_sex": 5}))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{time.monotonic() - started:.1f} s, {grown:.0f} MiB")
    assert {kind: counts["drawn"] for kind, counts in made.counts.items()} == {
        "target": 10_000,
        "same_sex": 50_000,
        "cross_sex": 50_000,
    }
    assert made.counts["cross_sex"]["there"] == 50_000 * 50_000
    assert grown < 500
