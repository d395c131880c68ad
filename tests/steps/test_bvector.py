"""The b-vector back end: published sizes, formula, a problem that no cosine solves, and files."""

import json

import numpy as np
import pytest
import torch

from steps.backends import BACKENDS
from steps.backends.bvector import BVector
from steps.backends.pair_network import PairNetwork
from steps.backends.speaker_pairs import SpeakerPairs, equal_error_rate
from steps.score import score
from steps.train_backend import train_backend
from utils.archive import ArchiveWriter
from utils.config import build
from utils.errors import UserError
from utils.metrics.rates import equal_error_rate as interpolated_eer
from utils.scoring.score_files import read_scores

SMALL = {
    "hidden_units": (64, 64),
    "pairs_per_kind": 20,
    "num_threads": 1,
    "validate_every_steps": 50,
}


def count(dimensions, hidden_units):
    return sum(
        parameter.numel()
        for parameter in PairNetwork(dimensions, hidden_units, 0.2, 0.5, 0.3).parameters()
    )


def voices(speakers, utterances=12, dimensions=16, seed=0):
    """A speaker is a point; the first half of the dimensions is loud and says nothing."""
    rng = np.random.default_rng(seed)
    means = np.repeat(rng.normal(size=(speakers, dimensions)), utterances, axis=0)
    means[:, : dimensions // 2] = 0
    noise = rng.normal(size=means.shape) * np.where(
        np.arange(dimensions) < dimensions // 2, 2.0, 0.4
    )
    return (3 + means + noise).astype(np.float32), [
        f"s{number:02d}" for number in range(speakers) for _ in range(utterances)
    ]


def compute_eer(backend, embeddings, speakers):
    enrol, test = np.triu_indices(len(speakers), k=1)
    rows = backend.transform(embeddings)
    scores, is_target = (
        backend.score(rows[enrol], rows[test]),
        np.array(speakers)[enrol] == np.array(speakers)[test],
    )
    return 100 * interpolated_eer(scores[is_target], scores[~is_target])


@pytest.fixture(scope="module")
def learned():
    return BVector(steps=300, **SMALL).fit(*voices(60))


@pytest.mark.parametrize(
    ("dimensions", "width", "parameters"),
    [(128, 1024, 3_545_090), (128, 512, 986_114), (1024, 1024, 6_297_602)],
)
def test_parameters_are_those_published(dimensions, width, parameters):
    assert count(dimensions, (width,) * 4) == parameters
    assert BVector().network_options[0] == (1024,) * 4


def test_the_network_by_hand():
    """One hidden unit: 0.5 (a + b) - (a - b) + 2 a b + 1, leaky; log odds 3 h - 1 x h + 0.25."""
    backend = BVector(hidden_units=(1,), symmetric=False, num_threads=1)
    backend.from_parts(
        {
            "mean.vec": np.zeros(1),
            "deviation.vec": np.ones(1),
            "dense0.mat": np.array([[0.5, -1.0, 2.0, 1.0]]),
            "dense1.mat": np.array([[1.0, 0.0], [3.0, 0.25]]),
        }
    )
    enrol, test = (
        np.array([[1.0], [2.0], [-1.0]], np.float32),
        np.array([[2.0], [1.0], [1.0]], np.float32),
    )
    hidden, backward = np.array([7.5, 5.5, 1.0]), np.array([5.5, 7.5, 0.3 * -3.0])
    assert backend.score(enrol, test) == pytest.approx(2 * hidden + 0.25)
    assert backend.score(test, enrol) == pytest.approx(2 * backward + 0.25)
    backend.symmetric = True
    assert backend.score(enrol, test) == pytest.approx((2 * hidden + 2 * backward) / 2 + 0.25)


def test_each_side_loses_inputs_of_its_own_and_activation_follows_dropout():
    network = PairNetwork(4, (8, 8), 0.5, 0.5, 0.3).train()
    assert [type(layer).__name__ for layer in network.between] == ["Dropout", "LeakyReLU"]
    seen = []
    network.dense[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    torch.manual_seed(0)
    network(torch.ones(200, 4), torch.ones(200, 4))
    assert set(seen[0][:, :4].unique().tolist()) == {0.0, 2.0, 4.0}, (
        "none, one or both sides of a sum are there, each doubled"
    )
    for layer in network.dense:
        assert layer.weight.abs().max() <= 0.05
        assert not layer.bias.any()


@pytest.mark.slow
def test_it_learns_what_a_cosine_does_not_see(learned):
    embeddings, speakers = voices(20, seed=1)
    ours, cosine = (
        compute_eer(learned, embeddings, speakers),
        compute_eer(BACKENDS["cosine"]().fit(embeddings), embeddings, speakers),
    )
    print(
        f"unseen speakers: EER {ours:.1f} %, cosine {cosine:.1f} %; "
        f"{learned.report_['evaluations']}"
    )
    assert ours < 0.6 * cosine
    evaluations = learned.report_["evaluations"]
    assert [entry["step"] for entry in evaluations] == list(range(50, 301, 50))
    assert evaluations[-1]["loss"] < 0.8 * evaluations[0]["loss"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    embeddings, speakers = voices(30)
    state = torch.get_rng_state()
    one, same, other = (
        BVector(steps=10, seed=seed, **SMALL).fit(embeddings, speakers).parts()
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), state), (
        "the program's own generator is left as it was"
    )
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["dense0.mat"], other["dense0.mat"])


@pytest.mark.slow
def test_symmetric_scores_do_not_depend_on_the_order_of_the_sides(learned):
    embeddings, _ = voices(10, seed=2)
    rows = learned.transform(embeddings)
    forth, back = learned.score(rows[:60], rows[60:]), learned.score(rows[60:], rows[:60])
    assert forth == pytest.approx(back, abs=1e-5)
    assert np.ptp(forth) > 1
    published = BVector(symmetric=False, **SMALL).from_parts(learned.parts())
    one_way, other_way = (
        published.score(rows[:60], rows[60:]),
        published.score(rows[60:], rows[:60]),
    )
    assert np.abs(one_way - other_way).max() > 0.01
    assert forth == pytest.approx((one_way + other_way) / 2, abs=1e-5)


def test_all_rows_against_all_are_the_single_scores(learned):
    rows = learned.transform(voices(3, seed=3)[0])
    enrol, test = rows[:12].reshape(2, 6, 16), rows[12:28].reshape(2, 8, 16)
    scores = learned.score_matrices(enrol, test)
    for pair, a, b in np.ndindex(scores.shape):
        single = learned.score(enrol[pair, a][None], test[pair, b][None])
        assert scores[pair, a, b] == pytest.approx(single[0], abs=1e-5)
    assert learned.score_matrices(enrol[0], test[0]) == pytest.approx(scores[0], abs=1e-5)


def test_the_last_weights_count_without_held_out_speakers_and_the_best_with_them():
    embeddings, speakers = voices(30)
    plain = BVector(steps=20, validation_share=0.0, **SMALL | {"validate_every_steps": 10}).fit(
        embeddings, speakers
    )
    assert [entry["validation_eer_percent"] for entry in plain.report_["evaluations"]] == [
        None,
        None,
    ]
    short = BVector(steps=10, validation_share=0.0, **SMALL | {"validate_every_steps": 10}).fit(
        embeddings, speakers
    )
    assert not np.array_equal(plain.parts()["dense0.mat"], short.parts()["dense0.mat"])


def test_batches_hold_different_speakers_and_pairs_are_what_they_are_called():
    speakers = np.array(voices(30)[1])
    training, held_out = SpeakerPairs.split(speakers, 0.2, seed=0)
    for pairs, number in ((training, 20), (held_out, 20)):
        enrol, test, is_target = pairs.draw(number, [0, 7])
        expected = min(number, len(pairs.speaker_rows))
        assert is_target.tolist() == [True] * expected + [False] * expected
        assert ((speakers[enrol] == speakers[test]) == is_target).all()
        assert (enrol != test).all()
        assert len(set(speakers[enrol[is_target]])) == expected
        assert np.array_equal(enrol, pairs.draw(number, [0, 7])[0])
        assert not np.array_equal(enrol, pairs.draw(number, [0, 8])[0])
    names = [set(speakers[np.concatenate(pairs.speaker_rows)]) for pairs in (training, held_out)]
    assert (len(names[0]), len(names[1]), names[0] & names[1]) == (24, 6, set())
    enrol, test, is_target = held_out.draw_evenly(60, [0])
    assert ((speakers[enrol] == speakers[test]) == is_target).all()
    assert {
        name: int((speakers[enrol[is_target]] == name).sum()) for name in names[1]
    } == dict.fromkeys(names[1], 10)


@pytest.mark.parametrize(
    ("target", "nontarget", "eer"),
    [([2, 3], [0, 1], 0.0), ([0, 1], [2, 3], 1.0), ([1, 3], [0, 2], 0.5), ([1], [1], 0.5)],
)
def test_equal_error_rate_by_hand(target, nontarget, eer):
    assert equal_error_rate(np.array(target), np.array(nontarget)) == pytest.approx(eer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0, expected 1 or more"),
        ({"pairs_per_kind": 0}, "pairs_per_kind is 0"),
        ({"hidden_dropout": 1.0}, r"hidden_dropout is 1.0, expected a share in \[0, 1\)"),
        ({"validation_share": -0.1}, "validation_share is -0.1"),
        ({"hidden_units": []}, r"hidden_units is \[\], expected the width of one layer or more"),
        ({"seed": -1}, "seed is -1, expected 0 or more"),
        ({"device": "tpu"}, "device: found 'tpu'"),
        ({"hidden_unit": [4]}, "unknown key 'hidden_unit'; did you mean 'hidden_units'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        build(BACKENDS, {"name": "bvector"} | options, "bvector.yaml")


def test_embeddings_without_pairs_are_refused():
    embeddings, _ = voices(2, utterances=3)
    with pytest.raises(ValueError, match="6 speakers, 0 of them with two utterances"):
        BVector(**SMALL, validation_share=0.0).fit(embeddings, list("abcdef"))
    with pytest.raises(ValueError, match="1 speakers, 1 of them"):
        BVector(**SMALL, validation_share=0.0).fit(embeddings, ["a"] * 6)


def test_parts_that_do_not_fit_are_refused(learned):
    parts = learned.parts()
    with pytest.raises(ValueError, match="no dense1.mat"):
        BVector(**SMALL).from_parts(
            {name: part for name, part in parts.items() if name != "dense1.mat"}
        )
    with pytest.raises(ValueError, match="dense1.mat is 64 x 64, expected 64 x 65"):
        BVector(**SMALL).from_parts(parts | {"dense1.mat": parts["dense1.mat"][:, 1:]})


def test_a_dimension_that_never_changes_changes_nothing():
    embeddings, speakers = voices(20)
    embeddings[:, 3] = 5
    backend = BVector(steps=5, **SMALL).fit(embeddings, speakers)
    rows = backend.transform(embeddings)
    assert not rows[:, 3].any()
    assert rows.mean(axis=0) == pytest.approx(np.zeros(16), abs=1e-5)
    assert np.delete(rows, 3, axis=1).std(axis=0) == pytest.approx(np.ones(15), abs=1e-5)


def test_it_is_trained_stored_and_scored_by_the_steps(tmp_path):
    embeddings, speakers = voices(12)
    keys = [f"{speaker}-{number:03}" for number, speaker in enumerate(speakers)]
    (tmp_path / "x").mkdir()
    with ArchiveWriter(tmp_path / "x" / "xvector.ark", tmp_path / "x" / "xvector.scp") as writer:
        for key, embedding in zip(keys, embeddings, strict=True):
            writer.write(key, embedding)
    (tmp_path / "utt2spk").write_text(
        "".join(f"{key} {speaker}\n" for key, speaker in zip(keys, speakers, strict=True))
    )
    (tmp_path / "trials").write_text(
        f"{keys[0]} {keys[1]} target\n{keys[0]} {keys[30]} nontarget\n"
    )
    (tmp_path / "b.yaml").write_text(
        "name: bvector\nhidden_units: [64, 64]\nsteps: 20\n"
        "validate_every_steps: 10\nnum_threads: 1\n"
    )
    train_backend(
        tmp_path / "x",
        tmp_path / "bvector",
        config=tmp_path / "b.yaml",
        utt2spk=tmp_path / "utt2spk",
    )
    score(
        tmp_path / "bvector", tmp_path / "x", tmp_path / "trials", tmp_path / "scores" / "b.scores"
    )
    files = sorted(path.name for path in (tmp_path / "bvector").glob("*.*"))
    assert files == [
        "backend.json",
        "dense0.mat",
        "dense1.mat",
        "dense2.mat",
        "deviation.vec",
        "mean.vec",
        "training.json",
    ]
    assert [
        entry["step"]
        for entry in json.loads((tmp_path / "bvector" / "training.json").read_text())["evaluations"]
    ] == [10, 20]
    backend = BVector(hidden_units=(64, 64), steps=20, validate_every_steps=10, num_threads=1).fit(
        embeddings, speakers
    )
    rows = backend.transform(embeddings)
    assert read_scores(tmp_path / "scores" / "b.scores")[2] == pytest.approx(
        backend.score(rows[[0, 0]], rows[[1, 30]]), abs=1e-4
    )
