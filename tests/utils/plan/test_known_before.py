"""What a plan refuses before its first stage: back ends, noises, rates, protocols, batches."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from tests.conftest import ROOT
from utils.config import read_yaml
from utils.errors import UserError
from utils.plan.stages import examine

pytestmark = pytest.mark.slow
TINY = ROOT / "recipes" / "mini" / "conf" / "ghostvlad_tiny.yaml"  # 32 dimensions
BACKENDS, AUGMENTATION = ROOT / "conf" / "backends", ROOT / "conf" / "augmentation"


class Recipe:
    """The commands of a recipe; its corpus is a data directory that may not exist yet."""

    def __init__(self, home: Path):
        self.home, self.data, self.packed = home, home / "data", home / "packed"
        self.bank, self.exp = home / "packed" / "bank", home / "exp"
        self.noise = home / "noises"
        for kind in ("music", "noise"):
            (self.noise / kind).mkdir(parents=True)
            soundfile.write(self.noise / kind / "a.wav", np.zeros(800), 16000)

    def has_speakers(self, name: str, *utterances: int) -> None:
        """Finish stage 0 with some utterances of each speaker."""
        lines = [
            f"s{who:02d}-{k:02d} s{who:02d}"
            for who, number in enumerate(utterances)
            for k in range(number)
        ]
        (self.data / name).mkdir(parents=True, exist_ok=True)
        (self.data / name / "utt2spk").write_text("".join(f"{line}\n" for line in lines))

    def refusal(self, **options: object) -> str:
        """The message that refuses its plan; empty if none does."""
        given = {"config": TINY, "backend": BACKENDS / "plda.yaml", "rate": 16000, "split": "false"}
        given |= {"noise": self.noise, "copies": "", "augmentation": "", "protocol": ""} | options
        lines = ["stage 0 x", *self.preparation(given)]
        lines += ["stage 3 x", *self.training(given)]
        plan = self.home / "plan"
        plan.write_text("".join(f"{line}\n" for line in lines))
        message = ""
        try:
            examine(plan)
        except UserError as error:
            message = str(error)
        assert "\n" not in message
        return message

    def preparation(self, given: dict) -> list[str]:
        """Stages 0 to 2."""
        lines = []
        if given["noise"]:
            lines.append(command("local.prepare_noise", given["noise"], self.data / "noise"))
        lines += [self.packing(given, "train", given["split"]), self.packing(given, "dev", "false")]
        if given["noise"]:
            bank = command("steps.augment", self.bank, "--noise", self.data / "noise")
            lines.append(f"{bank} --sample-rate-hz {given['rate']}")
        if given["copies"]:
            words = (self.packed / "train", self.bank, given["copies"], self.packed / "copies")
            lines.append(command("steps.augment_copies", *words) + " --one-copy-per-transform")
        return lines

    def packing(self, given: dict, name: str, split: str) -> str:
        """One set of stage 2."""
        words = ["--sample-rate-hz", given["rate"], "--split", split]
        return command("steps.pack_audio", self.data / name, self.packed / name, *words)

    def training(self, given: dict) -> list[str]:
        """Stages 3 to 5."""
        bank = ["--bank", self.bank] if given["noise"] else []
        policy = ["--augmentation", given["augmentation"]] if given["augmentation"] else []
        embeddings, train = self.exp / "embeddings", self.packed / "train"
        protocol = ["--protocol", given["protocol"]] if given["protocol"] else []
        extract = [self.exp, self.packed, embeddings, "--sets", "[train, dev]", *protocol]
        return [
            command(
                "steps.train", train, self.packed / "dev", given["config"], self.exp, *bank, *policy
            ),
            command("steps.extract", *extract),
            command(
                "steps.train_backend", embeddings / "train", self.exp / "backend" / "b", "--config"
            )
            + f" {given['backend']} --utt2spk {train / 'utt2spk'}"
            + f" --adaptation {embeddings / 'dev'}",
        ]


def command(module: str, *words: object) -> str:
    return "run " + shlex.join(["python3", "-m", module, *map(str, words)])


@pytest.fixture
def recipe(tmp_path):
    return Recipe(tmp_path)


def yaml_of(path: Path, content: dict) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


def network(path: Path, **sections: dict) -> Path:
    """The tiny network with other keys in some sections."""
    content = read_yaml(TINY)
    for name, changes in sections.items():
        content[name] = content[name] | changes
    content["augmentation"] = None
    return yaml_of(path, content)


def test_what_fits_is_not_refused(recipe):
    recipe.has_speakers("train", 20, 20)
    assert recipe.refusal(config=network(recipe.home / "n.yaml")) == ""


@pytest.mark.parametrize("name", ["lda_plda", "lda60_plda", "lda_wccn_cosine", "kaldi_sre16"])
def test_an_lda_larger_than_the_embedding_is_refused_for_every_back_end_that_has_one(recipe, name):
    message = recipe.refusal(
        config=network(recipe.home / "n.yaml"), backend=BACKENDS / f"{name}.yaml"
    )
    assert message.startswith(f"{BACKENDS / name}.yaml: ")
    assert "lda: dim" in message
    assert "32" in message


def test_the_size_of_a_network_that_does_not_say_it_is_its_default(recipe):
    config = network(recipe.home / "n.yaml")
    content = yaml.safe_load(config.read_text())
    del content["model"]["embedding_dim"]
    yaml_of(config, content)
    backend = yaml_of(
        recipe.home / "b.yaml", {"name": "plda", "links": [{"name": "whiten", "dim": 513}]}
    )
    assert "whiten: dim 513 is more than the 512" in recipe.refusal(config=config, backend=backend)


@pytest.mark.parametrize(
    ("speakers", "backend", "words"),
    [
        ((30,), {"name": "plda"}, "found 1 speaker"),
        ((1,) * 40, {"name": "plda"}, "each of the 40 speakers has one utterance"),
        ((4, 4), {"name": "plda"}, "found 8 vectors of 32 dimensions"),
        (
            (20, 20, 20),
            {"name": "plda", "rank": 3},
            "rank 3 is not between 1 and 2, which 3 speakers",
        ),
        (
            (9, 9),
            {"name": "cosine", "links": [{"name": "whiten", "dim": 18}]},
            "more than the 17 dir",
        ),
        ((1, 1, 1), {"name": "bvector"}, "pairs need two speakers"),
    ],
)
def test_speakers_that_stage_0_found_are_too_few_for_a_back_end(recipe, speakers, backend, words):
    config = network(recipe.home / "n.yaml")
    path = yaml_of(recipe.home / "b.yaml", backend)
    assert recipe.refusal(config=config, backend=path) == "", "nobody knows the speakers yet"
    recipe.has_speakers("train", *speakers)
    message = recipe.refusal(config=config, backend=path)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert recipe.refusal(config=config, backend=path, split="true") == "", "pieces may be more"


def test_vectors_to_adapt_to_are_counted_too(recipe):
    recipe.has_speakers("train", 20, 20)
    recipe.has_speakers("dev", 5, 5)
    message = recipe.refusal(
        config=network(recipe.home / "n.yaml"), backend=BACKENDS / "coral_plda.yaml"
    )
    assert "found 10 vectors of 32 dimensions to adapt to" in message


@pytest.mark.parametrize("option", ["copies", "augmentation"])
def test_a_policy_that_wants_noises_of_a_type_that_will_not_be_there(recipe, option):
    policy = yaml_of(
        recipe.home / "p.yaml",
        {
            "chain": [
                {
                    "name": "one_of",
                    "of": [{"name": "noise", "types": ["noise"]}, {"name": "babble"}],
                }
            ]
        },
    )
    message = recipe.refusal(config=network(recipe.home / "n.yaml"), **{option: policy})
    assert message.startswith(f"{policy}: chain 1 (one_of)")
    assert "no noise of type speech" in message
    assert "there is music, noise" in message
    (recipe.noise / "speech").mkdir()
    soundfile.write(recipe.noise / "speech" / "a.wav", np.zeros(800), 16000)
    assert recipe.refusal(config=network(recipe.home / "n.yaml"), **{option: policy}) == ""


def test_a_policy_that_wants_rooms_or_a_bank_where_there_will_be_none(recipe):
    policy = yaml_of(recipe.home / "p.yaml", {"chain": [{"name": "reverb"}]})
    config = network(recipe.home / "n.yaml")
    assert "rirs: asked for, but" in recipe.refusal(config=config, augmentation=policy)
    assert "there is no bank" in recipe.refusal(config=config, augmentation=policy, noise="")
    never = yaml_of(recipe.home / "p.yaml", {"chain": [{"name": "reverb", "probability": 0.0}]})
    assert recipe.refusal(config=config, augmentation=never) == ""


def test_the_policy_in_the_yaml_is_looked_at_as_well(recipe):
    content = read_yaml(TINY)
    content["augmentation"] = {"chain": [{"name": "babble"}]}
    message = recipe.refusal(config=yaml_of(recipe.home / "n.yaml", content))
    assert "n.yaml: augmentation: chain 1 (babble): no noise of type speech" in message


@pytest.mark.parametrize(
    ("sections", "rate", "words"),
    [
        (
            {},
            8000,
            (
                "will be packed at 8000 Hz, the network of .* takes 16000 Hz; "
                "pack at that rate .*--sample-rate-hz 16000"
            ),
        ),
        ({"model": {"conv_chanels": 4}}, 16000, "model: unknown key 'conv_chanels'"),
        ({"loss": {"name": "no_such"}}, 16000, "loss: "),
        ({"crops": {"crop_seconds": 0.01}}, 16000, "crops: "),
    ],
)
def test_networks_losses_and_crops_are_looked_at_before_anything_is_packed(
    recipe, sections, rate, words
):
    assert re.search(
        words, recipe.refusal(config=network(recipe.home / "n.yaml", **sections), rate=rate)
    )


def test_a_network_that_says_its_rate_is_packed_for(recipe):
    front_end = {"front_end": {"name": "kaldi_fbank", "num_mel_bins": 40, "sample_rate_hz": 8000}}
    config = network(recipe.home / "n.yaml", model=front_end)
    assert recipe.refusal(config=config, rate=8000) == ""
    assert "takes 8000 Hz" in recipe.refusal(config=config)


def test_a_wrong_yaml_is_refused_with_packed_audio_too_unless_the_training_is_done(recipe):
    """Of a finished training the state is shown, which is stale."""
    (recipe.packed / "train").mkdir(parents=True)
    (recipe.packed / "train" / "wav.scp").write_text("")
    config = network(recipe.home / "n.yaml", model={"conv_chanels": 4})
    assert "model: unknown key 'conv_chanels'" in recipe.refusal(config=config)
    (recipe.exp / "receipts").mkdir(parents=True)
    old = {"step": "train", "format": 0, "seconds": 1, "core_seconds": 1}
    old |= {part: {} for part in ("options", "inputs", "outputs", "counts")}
    (recipe.exp / "receipts" / "train.json").write_text(json.dumps(old))
    assert recipe.refusal(config=config) == ""
