"""The policies in conf/augmentation: read strictly, opened with a full bank, and checked."""

from pathlib import Path

import numpy as np
import pytest

from tests.banks import make_bank
from tests.conftest import ROOT
from tests.voices import RATE
from utils.augmentation.augmenter import Augmenter
from utils.augmentation.copies import copy_policies, transform_names
from utils.config import make, read_yaml
from utils.errors import UserError

POLICIES = sorted((ROOT / "conf" / "augmentation").glob("*.yaml"))
policy = pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)


def opened(name: str, bank: Path) -> Augmenter:
    path = ROOT / "conf" / "augmentation" / f"{name}.yaml"
    return make(Augmenter, read_yaml(path), str(path)).open(bank, RATE)


def draws(augmenter: Augmenter, number: int = 4000) -> list[list]:
    return [augmenter.draw(RATE, np.random.default_rng(seed)) for seed in range(number)]


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> Path:
    return make_bank(tmp_path_factory.mktemp("policies") / "bank")


def test_the_five_systems_and_the_recipes_that_augment_have_one():
    wanted = {
        "ge2e_td",
        "ge2e_td_snr",
        "kaldi_voxceleb",
        "kaldi_voxceleb_copies",
        "mr_rawnet",
        "rawnet3",
        "telephone",
        "vgg",
        "web",
        "wespeaker_voxceleb",
    }
    assert wanted <= {path.stem for path in POLICIES}


@policy
def test_a_policy_can_be_opened_with_a_bank_of_all_types_and_makes_sound(path, bank):
    augmenter = opened(path.stem, bank)
    samples = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    results = [augmenter(samples, 1.0, RATE, np.random.default_rng(seed)) for seed in range(10)]
    assert all(
        result.shape == (RATE,) and np.isfinite(result).all() and np.abs(result).max() <= 1
        for result in results
    )
    changes = bool(read_yaml(path).get("chain"))  # without a chain, a policy consists of speeds
    assert changes == any(not np.array_equal(result, samples[:RATE]) for result in results)


@policy
def test_the_head_of_a_policy_says_where_it_comes_from(path):
    head = "".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    assert "et al." in head or "no published recipe" in head
    assert "ank" in head, "which bank it needs"


@policy
def test_a_policy_that_needs_noises_says_so_where_there_is_no_bank(path):
    needs = bool(transform_names(read_yaml(path).get("chain", [])) & {"reverb", "noise", "babble"})
    augmenter = make(Augmenter, read_yaml(path), str(path))
    assert augmenter.uses_bank == needs
    if needs:
        with pytest.raises(UserError, match="there is no bank: make it with steps.augment"):
            augmenter.open(None, RATE)


@policy
def test_a_bank_that_lacks_a_type_is_refused_by_name(path, tmp_path):
    """Of rooms and one type, which no recipe asks for."""
    lacking = make_bank(tmp_path / "bank", types=("dogs",))
    named = any(word in path.read_text() for word in ("types:", "noise:", "name: babble"))
    if named:
        with pytest.raises(UserError, match="no noise of type .* in .*bank; there is dogs"):
            opened(path.stem, lacking)
    else:
        opened(path.stem, lacking)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("vgg", 0.3),
        ("ge2e_td", 1.0),
        ("rawnet3", 0.8),
        ("mr_rawnet", 5 / 6),
        ("kaldi_voxceleb", 0.44),
        ("kaldi_voxceleb_copies", 1.0),
        ("wespeaker_voxceleb", 0.6),
    ],
)
def test_so_many_crops_are_changed_as_the_recipe_says(name, share, bank):
    changed = np.mean([drawn[0] is not None for drawn in draws(opened(name, bank))])
    assert changed == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("rawnet3", 4), ("mr_rawnet", 5), ("kaldi_voxceleb", 4), ("wespeaker_voxceleb", 2)],
)
def test_the_kinds_are_as_likely(name, kinds, bank):
    choices = [int(drawn[0][0]) for drawn in draws(opened(name, bank)) if drawn[0] is not None]
    assert np.bincount(choices, minlength=kinds) / len(choices) == pytest.approx(
        np.full(kinds, 1 / kinds), abs=0.03
    )


def test_speeds_are_speakers_in_wespeakers_recipe_and_not_in_mr_rawnets(bank):
    assert opened("wespeaker_voxceleb", bank).classes_per_speaker == 3
    assert opened("mr_rawnet", bank).classes_per_speaker == 1
    assert opened("mr_rawnet", bank).speed_factors == (1.0, 0.9, 1.1)


def test_noise_at_recorded_level_is_added_as_it_is(bank):
    augmenter, samples = opened("ge2e_td", bank), np.zeros(RATE, np.float32)
    samples[:] = 0.01 * np.sin(np.arange(RATE) / 3)
    [drawn] = augmenter.draw(RATE, np.random.default_rng(3))
    added = augmenter.apply(samples, [drawn]) - samples
    assert added == pytest.approx(
        augmenter.bank.noise(int(drawn[0]), int(drawn[1]), RATE), abs=1e-6
    )


def test_kaldis_copies_have_kaldis_names():
    section = read_yaml(ROOT / "conf" / "augmentation" / "kaldi_voxceleb_copies.yaml")
    assert [suffix for suffix, _ in copy_policies(section, 1, "aug", True)] == [
        "reverb",
        "noise",
        "music",
        "babble",
    ]
