"""Calibration, fusion and decisions on files: what is learned and applied, and what is refused."""

import json

import numpy as np
import pytest

from steps.apply_calibration import apply_calibration
from steps.calibrate import calibrate
from steps.decide import decide
from steps.measure_norms import measure_norms
from tests.steps.test_score import write_embeddings
from utils.data_dir import read_map
from utils.errors import UserError
from utils.metrics.llr import bayes_threshold, cllr, min_cllr
from utils.receipts import Task, read_receipt
from utils.scoring.score_files import read_scores, score_receipt, write_scores

GAIN, SHIFT = 0.03, 0.4


def make_set(folder, name, prefix, seed, num_speakers=12):
    """A data directory with two utterances of each speaker, and all pairs as trials.

    Returns their simulated log-likelihood ratios.
    """
    rng, data = np.random.default_rng(seed), folder / "data" / name
    data.mkdir(parents=True)
    keys = [f"{prefix}{speaker:02d}-{k}" for speaker in range(num_speakers) for k in range(3)]
    (data / "utt2spk").write_text("".join(f"{key} {key[:3]}\n" for key in keys))
    (data / "utt2dur").write_text("".join(f"{key} {rng.uniform(2, 9):.2f}\n" for key in keys))
    pairs = [(a, b) for at, a in enumerate(keys) for b in keys[at + 1 :]]
    is_target = np.array([a[:3] == b[:3] for a, b in pairs])
    (data / "trials").write_text(
        "".join(
            f"{a} {b} {'target' if yes else 'nontarget'}\n"
            for (a, b), yes in zip(pairs, is_target, strict=True)
        )
    )
    return data, pairs, is_target, rng.normal(np.where(is_target, 2.0, -2.0), 2.0)


def write_system(
    folder, experiment, name, pairs, scores, *, backend="b1", system="cosine", **counts
):
    """A score file with the receipt of a step that made it by a back end."""
    path = folder / "exp" / experiment / "scores" / name / f"{system}.scores"
    (folder / backend).write_text(backend)
    task = Task(
        path.parent,
        score_receipt(path).stem,
        format=1,
        inputs={"backend": folder / backend},
        options={},
    )
    task.is_done()
    write_scores(path, [a for a, _ in pairs], [b for _, b in pairs], scores)
    task.finish([path], {"trials": len(pairs), "protocol": "whole", **counts})
    return path


@pytest.fixture
def work(tmp_path):
    """Dev and test sets of other speakers, and one system's raw scores of both."""
    for name, prefix, seed in (("dev", "d", 1), ("test", "t", 2)):
        _, pairs, _, llr = make_set(tmp_path, name, prefix, seed)
        write_system(tmp_path, "a", name, pairs, GAIN * llr + SHIFT)
    return tmp_path


def scores_path(work, name, experiment="a", system="cosine"):
    """Where the fixture's raw scores are."""
    return work / "exp" / experiment / "scores" / name / f"{system}.scores"


def learned(work, *systems, output="calibration", **options):
    """`calibrate` on dev; returns its folder."""
    calibrate(
        list(systems) or [scores_path(work, "dev")], work / "data" / "dev", work / output, **options
    )
    return work / output


def applied(work, calibration, *systems, output="calibrated", **options):
    """`apply_calibration` on test; returns the score file."""
    path = work / "out" / f"{output}.scores"
    apply_calibration(
        calibration,
        list(systems) or [scores_path(work, "test")],
        work / "data" / "test",
        path,
        **options,
    )
    return path


def classes_of(work, name):
    """Whether each trial of a set is a target."""
    return np.array(
        [
            line.endswith(" target")
            for line in (work / "data" / name / "trials").read_text().splitlines()
        ]
    )


def test_scores_become_log_likelihood_ratios_of_new_speakers(work):
    path, is_target = applied(work, learned(work)), classes_of(work, "test")
    raw, llr = read_scores(scores_path(work, "test")), read_scores(path)
    assert llr[:2] == raw[:2]
    before, after, least = (
        cllr(raw[2][is_target], raw[2][~is_target]),
        cllr(llr[2][is_target], llr[2][~is_target]),
        min_cllr(raw[2][is_target], raw[2][~is_target]),
    )
    print(f"Cllr {before:.3f} -> {after:.3f}, minCllr {least:.3f}")
    assert before > 0.9
    assert after < least + 0.08
    counts = read_receipt(score_receipt(path))["counts"]
    assert counts == {
        "trials": len(is_target),
        "llr": True,
        "protocol": "whole",
        "centred": None,
        "watermarks": [],
    }


def test_what_was_learned_is_small_json_that_says_from_what(work):
    folder = learned(work, p_target=0.05)
    found = json.loads((folder / "calibration.json").read_text())
    assert found["systems"] == ["a/cosine"]
    assert list(found["weights"]) == ["a/cosine"]
    assert found["weights"]["a/cosine"] * GAIN == pytest.approx(1, abs=0.4)
    assert (found["p_target"], found["trials"], found["targets"], found["separable"]) == (
        0.05,
        630,
        36,
        False,
    )
    assert found["speakers"] == [f"d{k:02d}" for k in range(12)]
    assert len(found["made_with"]["a/cosine"]["backend"]) == 64
    assert str(work) not in json.dumps(found)


def test_the_order_of_the_lines_changes_nothing(work):
    first = learned(work)
    path = scores_path(work, "dev")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(sorted(lines, reverse=True)))
    score_receipt(path).unlink()
    again = json.loads((learned(work, output="again") / "calibration.json").read_text())
    assert again["weights"] == json.loads((first / "calibration.json").read_text())["weights"]


def second_system(work, rng_seed=5, experiment="b", **made):
    """Scores of other noise than the first system's."""
    for name in ("dev", "test"):
        enrol, test, _ = read_scores(scores_path(work, name))
        is_target = classes_of(work, name)
        llr = np.random.default_rng(rng_seed).normal(np.where(is_target, 2.0, -2.0), 2.0)
        pairs = list(zip(enrol, test, strict=True))
        write_system(work, experiment, name, pairs, 7 * llr - 100, **made)


def test_fusion_does_not_depend_on_the_order_of_systems_nor_of_lines(work):
    second_system(work)
    dev, test = (
        [scores_path(work, name), scores_path(work, name, "b")] for name in ("dev", "test")
    )
    one, two = learned(work, *dev), learned(work, *reversed(dev), output="reversed")
    assert (one / "calibration.json").read_bytes() == (two / "calibration.json").read_bytes()
    fused = applied(work, one, *test)
    test[1].write_text("".join(sorted(test[1].read_text().splitlines(keepends=True), reverse=True)))
    score_receipt(test[1]).unlink()
    found = json.loads((two / "calibration.json").read_text())
    found["made_with"]["b/cosine"] = None
    (two / "calibration.json").write_text(json.dumps(found))
    assert applied(work, two, *reversed(test), output="shuffled").read_bytes() == fused.read_bytes()


def test_fusion_of_independent_systems_is_better_than_either(work):
    second_system(work)
    dev, test = (
        [scores_path(work, name), scores_path(work, name, "b")] for name in ("dev", "test")
    )
    is_target = classes_of(work, "test")
    costs = [
        cllr(llr[is_target], llr[~is_target])
        for llr in (
            read_scores(
                applied(
                    work,
                    learned(work, *(dev[k] for k in chosen), output=f"c{chosen}"),
                    *(test[k] for k in chosen),
                    output=f"o{chosen}",
                )
            )[2]
            for chosen in ([0], [1], [0, 1])
        )
    ]
    print(f"Cllr {costs}")
    assert costs[2] < 0.8 * min(costs[:2])


def test_quality_measures_are_features_of_the_trial(work):
    options = {"measures": [work / "data" / "dev" / "utt2dur"], "combine": ["min", "difference"]}
    folder = learned(work, **options)
    found = json.loads((folder / "calibration.json").read_text())
    assert list(found["weights"]) == ["a/cosine", "dur_min", "dur_difference"]
    path = applied(work, folder, measures=[work / "data" / "test" / "utt2dur"])
    enrol, test, raw = read_scores(scores_path(work, "test"))
    dur = {
        key: np.log(float(value))
        for key, value in read_map(work / "data" / "test" / "utt2dur").items()
    }
    low, high = sorted((dur[enrol[7]], dur[test[7]]))
    weights = found["weights"]
    expected = (
        weights["a/cosine"] * raw[7]
        + weights["dur_min"] * low
        + weights["dur_difference"] * (high - low)
        + found["offset"]
    )
    assert read_scores(path)[2][7] == pytest.approx(expected, rel=1e-5)


def test_a_model_has_the_mean_of_its_utterances_measures(work):
    from utils.scoring.calibration_files import read_measure

    (work / "utt2norm").write_text("u1 2\nu2 4\n")
    assert read_measure(work / "utt2norm", ["m", "u1"], {"m": ["u1", "u2"]}).tolist() == [3, 2]


def test_norms_of_embeddings_by_hand(work):
    write_embeddings(work / "emb", {"b": [3.0, 4.0], "c": [0.0, 0.0], "d": [1.0, 0.0]})
    measure_norms(work / "emb", work / "measures")
    assert (work / "measures" / "utt2norm").read_text() == "b 5\nc 0\nd 1\n"


def test_calibration_speakers_in_the_test_are_refused_by_name_or_watermarked(work):
    folder = learned(work)
    utt2spk = work / "data" / "test" / "utt2spk"
    utt2spk.write_text(utt2spk.read_text().replace(" t05\n", " d05\n"))
    with pytest.raises(
        UserError, match=r"1 of 12 speakers of test set test are in calibration \(d05\)"
    ):
        applied(work, folder)
    path = applied(work, folder, allow_leakage=True)
    assert read_receipt(score_receipt(path))["counts"]["watermarks"] == [
        "leakage: 1 of 12 speakers of test set test are in calibration (d05)"
    ]


def test_watermarks_of_scores_go_on(work):
    pairs = [
        tuple(line.split()[:2])
        for line in (work / "data" / "dev" / "trials").read_text().splitlines()
    ]
    write_system(
        work, "m", "dev", pairs, read_scores(scores_path(work, "dev"))[2], watermarks=["forced"]
    )
    pairs = list(zip(*read_scores(scores_path(work, "test"))[:2], strict=True))
    write_system(work, "m", "test", pairs, read_scores(scores_path(work, "test"))[2])
    path = applied(
        work, learned(work, scores_path(work, "dev", "m")), scores_path(work, "test", "m")
    )
    assert read_receipt(score_receipt(path))["counts"]["watermarks"] == ["forced"]


def test_scores_of_another_back_end_are_refused(work):
    folder, (enrol, test, raw) = learned(work), read_scores(scores_path(work, "test"))
    write_system(work, "a", "test", list(zip(enrol, test, strict=True)), raw, backend="b2")
    with pytest.raises(
        UserError,
        match="the backend of its scores is not that of the scores that .*calibration was trained",
    ):
        applied(work, folder)


def test_other_systems_or_measures_than_trained_with_are_refused(work):
    second_system(work, backend="b2")
    folder = learned(work)
    with pytest.raises(UserError, match="the backend of its scores is not that of the scores that"):
        applied(work, folder, scores_path(work, "test", "b"))
    both = scores_path(work, "test"), scores_path(work, "test", "b")
    with pytest.raises(UserError, match="trained with systems a/cosine, given a/cosine, b/cosine"):
        applied(work, folder, *both)
    with pytest.raises(UserError, match="trained with measures none, given dur"):
        applied(work, folder, measures=[work / "data" / "test" / "utt2dur"])
    with pytest.raises(UserError, match="a second system 'a/cosine'"):
        learned(work, scores_path(work, "dev"), scores_path(work, "dev"))


def test_a_calibration_is_that_of_a_back_end_wherever_its_experiment_lies(work, capsys):
    folder = learned(work, output="exp/a/calibration/cosine")
    before = applied(work, folder).read_bytes()
    (work / "exp" / "a").rename(work / "exp" / "moved")
    folder = work / "exp" / "moved" / "calibration" / "cosine"
    capsys.readouterr()
    path = scores_path(work, "test", "moved")
    assert applied(work, folder, path, output="again").read_bytes() == before
    learnt = (folder / "calibration.json").read_bytes()
    learned(work, scores_path(work, "dev", "moved"), output="exp/moved/calibration/cosine")
    assert applied(work, folder, path).read_bytes() == before
    assert (folder / "calibration.json").read_bytes() == learnt
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", ""), "both are done already"


def test_a_score_file_may_be_moved_with_its_receipt_or_without(work):
    folder, path = learned(work), scores_path(work, "test")
    before = applied(work, folder).read_bytes()
    (work / "elsewhere" / "receipts").mkdir(parents=True)
    alone = work / "elsewhere" / "some.scores"
    alone.write_bytes(path.read_bytes())
    assert applied(work, folder, alone, output="alone").read_bytes() == before
    renamed = path.rename(path.with_name("renamed.scores"))
    assert applied(work, folder, renamed, output="renamed").read_bytes() == before
    score_receipt(alone).write_bytes(score_receipt(path).read_bytes())
    score_receipt(path).unlink()
    assert applied(work, folder, alone, output="both").read_bytes() == before


def test_a_score_file_of_unknown_origin_is_refused_and_the_remedy_works(work):
    folder, path = learned(work, output="lone/calibration"), scores_path(work, "test")
    alone = work / "elsewhere" / "some.scores"
    alone.parent.mkdir()
    path.rename(alone)
    receipt = score_receipt(path).rename(work / "kept.json")
    with pytest.raises(
        UserError, match="no receipt shows that these are scores of a/cosine"
    ) as refused:
        applied(work, folder, alone)
    told = str(refused.value).rpartition(" to ")[2].removesuffix(", or score again")
    assert told == str(score_receipt(alone))
    score_receipt(alone).parent.mkdir()
    receipt.rename(told)
    assert applied(work, folder, alone, output="told").exists()


def test_a_score_file_of_another_model_in_the_same_place_is_refused(work):
    second_system(work, backend="b2")
    folder, path = learned(work), scores_path(work, "test")
    path.write_bytes(scores_path(work, "test", "b").read_bytes())
    with pytest.raises(UserError, match=r"cosine\.scores: not what was written, by .*score again"):
        applied(work, folder)
    score_receipt(path).write_bytes(score_receipt(scores_path(work, "test", "b")).read_bytes())
    with pytest.raises(UserError, match="the backend of its scores is not that of the scores"):
        applied(work, folder, output="other")


def test_scores_by_another_protocol_are_refused(work):
    pairs = list(zip(*read_scores(scores_path(work, "test"))[:2], strict=True))
    values = read_scores(scores_path(work, "test"))[2]
    write_system(work, "a", "test", pairs, values, system="cut", protocol="crops_10x4s")
    with pytest.raises(UserError, match="the protocol of its scores is not that of the scores"):
        applied(work, learned(work), scores_path(work, "test", system="cut"))


def test_a_fusion_knows_its_systems_wherever_they_lie(work):
    second_system(work, backend="b2")
    dev, test = (
        [scores_path(work, name), scores_path(work, name, "b")] for name in ("dev", "test")
    )
    fusion = learned(work, *dev)
    before = applied(work, fusion, *test).read_bytes()
    moved = [work / place / "cosine.scores" for place in ("x", "y")]
    for new, old in zip(moved, reversed(test), strict=True):
        score_receipt(new).parent.mkdir(parents=True)
        score_receipt(new).write_bytes(score_receipt(old).read_bytes())
        new.write_bytes(old.read_bytes())
    assert applied(work, fusion, *moved, output="moved").read_bytes() == before
    with pytest.raises(UserError, match="the backend of its scores is not that"):
        applied(work, fusion, moved[0], test[1], output="twice")


def test_a_calibration_from_before_protocols_were_recorded_is_still_read(work):
    folder = learned(work, output="exp/a/calibration/cosine")
    before = applied(work, folder).read_bytes()
    found = json.loads((folder / "calibration.json").read_text())
    del found["made_with"]["a/cosine"]["protocol"]
    (folder / "calibration.json").write_text(json.dumps(found, indent=1) + "\n")
    assert applied(work, folder, output="old").read_bytes() == before
    (work / "exp" / "a").rename(work / "exp" / "moved")
    folder = work / "exp" / "moved" / "calibration" / "cosine"
    path = scores_path(work, "test", "moved")
    assert applied(work, folder, path, output="moved").read_bytes() == before
    pairs = list(zip(*read_scores(path)[:2], strict=True))
    cut = write_system(work, "moved", "test", pairs, read_scores(path)[2], system="crops/cosine")
    with pytest.raises(UserError, match="the protocol of its scores"):
        applied(work, folder, cut, output="cut")


def test_scores_from_outside_are_told_apart_by_name_where_there_are_several(work):
    second_system(work)
    for name in ("dev", "test"):
        for experiment in "ab":
            path = work / f"{experiment}_{name}.scores"
            path.write_bytes(scores_path(work, name, experiment).read_bytes())
    for receipts in work.glob("exp/*/scores/*/receipts/*.json"):
        receipts.unlink()
    one = learned(work, work / "a_dev.scores", output="one")
    assert applied(work, one, work / "a_test.scores").exists()
    both = learned(work, work / "a_dev.scores", work / "b_dev.scores", output="both")
    with pytest.raises(UserError, match="give files of the same names"):
        applied(work, both, work / "a_test.scores", work / "b_test.scores", output="unlike")
    alike = [work / "alike" / f"{experiment}_dev.scores" for experiment in "ab"]
    alike[0].parent.mkdir()
    for path in alike:
        path.write_bytes((work / path.name.replace("dev", "test")).read_bytes())
    assert applied(work, both, *alike, output="alike").exists()


def test_trials_that_contradict_utt2spk_teach_nothing(work):
    trials = work / "data" / "dev" / "trials"
    trials.write_text(trials.read_text().replace("d00-0 d00-1 target", "d00-0 d00-1 nontarget"))
    with pytest.raises(UserError, match="trials:1: trial 'd00-0 d00-1' is nontarget, but"):
        learned(work)
    trials.write_text(
        "".join(f"{line.rsplit(' ', 1)[0]}\n" for line in trials.read_text().splitlines())
    )
    with pytest.raises(UserError, match="trials:1: 2 fields .*add the classes"):
        learned(work, output="unlabelled")


def test_systems_that_scored_other_trials_are_refused(work):
    second_system(work)
    dev, test = (
        [scores_path(work, name), scores_path(work, name, "b")] for name in ("dev", "test")
    )
    folder = learned(work, *dev)
    lines = test[1].read_text().splitlines(keepends=True)
    test[1].write_text("".join(lines[1:]))
    found = json.loads((folder / "calibration.json").read_text())
    with pytest.raises(
        UserError,
        match=r"cosine.scores: trial 't00-0 t00-1' has no score in .*b/scores/test/cosine.scores",
    ):
        applied(work, folder, *test)
    assert found["systems"] == ["a/cosine", "b/cosine"]


def replace_scores(work, change):
    """Change dev's scores, as if from outside."""
    path = scores_path(work, "dev")
    enrol, test, scores = read_scores(path)
    write_scores(path, enrol, test, change(scores))
    score_receipt(path).unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda scores: -scores, "targets of 'a/cosine' score lower than nontargets"),
        (lambda scores: 0 * scores + 3, "'a/cosine' is 3 in all trials: nothing to learn from"),
        (
            lambda scores: np.where(np.arange(len(scores)) == 5, np.nan, scores),
            "cosine.scores:6: score 'nan' is not a finite number",
        ),
    ],
)
def test_scores_that_teach_nothing_are_refused(work, change, words):
    replace_scores(work, change)
    with pytest.raises(UserError, match=words) as refused:
        learned(work)
    assert "\n" not in str(refused.value)
    assert not (work / "calibration" / "calibration.json").exists()


def test_a_list_of_few_speakers_is_said_to_be_small(work, capsys):
    folder = learned(work)
    assert (
        "has only 12 speakers: for others the ratios may be inaccurate" in capsys.readouterr().out
    )
    assert read_receipt(folder / "receipts" / "calibrate.json")["counts"]["speakers"] == 12


def test_a_list_that_is_separable_is_said_to_be(work, capsys):
    replace_scores(work, lambda scores: np.where(classes_of(work, "dev"), 10.0, 0.0) + scores)
    found = json.loads((learned(work) / "calibration.json").read_text())
    assert found["separable"] is True
    assert "no trial of" in capsys.readouterr().out
    assert np.isfinite([*found["weights"].values(), found["offset"]]).all()


def test_trials_of_one_class_missing_scores_and_missing_measures_are_refused(work):
    trials = work / "data" / "dev" / "trials"
    whole = trials.read_text()
    trials.write_text(whole.replace("nontarget", "target"))
    with pytest.raises(UserError, match="trials"):
        learned(work)
    trials.write_text(whole + "d00-0 d00-0 target\n")
    with pytest.raises(UserError, match="'d00-0 d00-0' has no score"):
        learned(work)
    trials.write_text(whole)
    (work / "utt2dur").write_text("d00-0 0\n")
    with pytest.raises(
        UserError, match="'0' for 'd00-0', a side of the trials; expected a positive number"
    ):
        learned(work, measures=[work / "utt2dur"])
    (work / "utt2norm").write_text("d00-0 1\n")
    with pytest.raises(UserError, match="no value for 'd00-1'"):
        learned(work, measures=[work / "utt2norm"])
    (work / "utt2norm").write_text("d00-0 nan\n")
    with pytest.raises(UserError, match="'nan' for 'd00-0'"):
        learned(work, measures=[work / "utt2norm"])
    with pytest.raises(UserError, match="p_target is 1.0"):
        learned(work, p_target=1.0)


def test_a_decision_is_bayes_s(work):
    path = applied(work, learned(work))
    counts = decide(path, work / "decisions", p_target=0.2, c_miss=2.0)
    llr = read_scores(path)[2]
    assert counts["threshold"] == bayes_threshold(0.2, 2.0) == pytest.approx(np.log(0.8 / 0.4))
    words = [line.split()[2] for line in (work / "decisions").read_text().splitlines()]
    assert words == ["accept" if value >= counts["threshold"] else "reject" for value in llr]
    assert counts["accepted"] == words.count("accept")


def test_a_decision_without_calibration_is_refused(work):
    with pytest.raises(UserError, match="these scores are not calibrated"):
        decide(scores_path(work, "test"), work / "decisions")
    path = work / "foreign.scores"
    write_scores(path, ["a"], ["b"], np.ones(1))
    with pytest.raises(UserError, match=r"foreign\.scores: these scores are not calibrated"):
        decide(path, work / "decisions")


@pytest.mark.parametrize(
    "options", [{"p_target": 0.0}, {"p_target": 1.0}, {"c_miss": 0.0}, {"c_fa": -1.0}]
)
def test_a_prior_or_cost_out_of_range_is_refused(work, options):
    with pytest.raises(UserError, match="need 0 < p_target < 1 and positive costs"):
        decide(applied(work, learned(work)), work / "decisions", **options)


def test_calibrated_scores_can_be_calibrated_again_without_change(work):
    """A fusion of calibrated systems is a usual thing; of one, it is nearly the identity."""
    dev = work / "exp" / "a" / "scores" / "dev" / "calibrated.scores"
    folder = learned(work)
    apply_calibration(
        folder, [scores_path(work, "dev")], work / "data" / "dev", dev, allow_leakage=True
    )
    found = json.loads((learned(work, dev, output="twice") / "calibration.json").read_text())
    assert found["weights"]["a/calibrated"] == pytest.approx(1, abs=1e-3)
    assert found["offset"] == pytest.approx(0, abs=1e-3)


@pytest.mark.slow
def test_commands_take_several_systems(work, command):
    second_system(work)
    dev, test = (
        [scores_path(work, name), scores_path(work, name, "b")] for name in ("dev", "test")
    )
    assert command("steps.calibrate", *dev, work / "data" / "dev", work / "fused").returncode == 0
    done = command(
        "steps.apply_calibration",
        work / "fused",
        *test,
        work / "data" / "test",
        work / "out" / "fused.scores",
    )
    assert done.returncode == 0, done.stderr
    refused = command("steps.decide", test[0], work / "decisions")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
