"""Augmentation on the training device equals the loader's: transforms, chains, a training."""

import numpy as np
import pytest
import torch

from tests.banks import make_bank as packed_bank
from tests.measured_sounds import RATE, N, crop, energy_db, make_bank
from tests.training_runs import history, train_tiny, variant
from tests.voices import make_corpus, make_packed
from utils.augmentation import chain as registry
from utils.augmentation.augmenter import Augmenter
from utils.augmentation.bank import Bank
from utils.augmentation.base import Transform, to_row
from utils.augmentation.channel import Codec
from utils.augmentation.device import BankSounds, DeviceChain, column
from utils.config import make
from utils.embeddings.inference import open_packed
from utils.errors import UserError
from utils.training.checkpoints import load_checkpoint
from utils.training.sampling import CropDataset, RankBatchSampler

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
        ],
    ),
]
TOLERANCE = 1e-4
TRANSFORMS = {
    "reverb": {"name": "reverb"},
    "noise": {"name": "noise"},
    "noise by type": {"name": "noise", "snr_db": {"noise": [0, 5], "music": [5, 10]}},
    "recorded": {"name": "noise", "snr_db": "recorded", "gain": 2},
    "babble": {"name": "babble", "num_speakers": [1, 6]},
    "babble of each": {"name": "babble", "level": "each"},
    "volume": {"name": "volume"},
    "band": {"name": "band_limit"},
    "low pass": {"name": "band_limit", "low_hz": None, "slope_db_per_octave": 200},
    "high pass": {"name": "band_limit", "high_hz": None},
    "reverse": {"name": "reverse"},
    "one of": {
        "name": "one_of",
        "of": [{"name": "reverb"}, {"name": "noise", "probability": 0.5}, {"name": "babble"}],
    },
    "all of": {
        "name": "all_of",
        "of": [
            {"name": "reverb", "probability": 0.5},
            {"name": "noise", "probability": 0.5},
            {"name": "volume"},
        ],
    },
}


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """Noises of which one is shorter than a crop, speakers, and two rooms."""
    return make_bank(tmp_path_factory.mktemp("bank"))


def both(options, bank, device, num_samples=N, crops=12):
    """Crops by the CPU and by the device, each from its own generator of the same seed."""
    host = make(Augmenter, options | {"device": False}, "section").open(bank, RATE)
    split = make(Augmenter, options | {"device": True}, "section").open(bank, RATE)
    begun, drawn = zip(
        *(
            split.begin(crop(seed, num_samples), 1.0, num_samples, np.random.default_rng(seed))
            for seed in range(crops)
        ),
        strict=True,
    )
    finished = split.on(torch.device(device))(
        torch.from_numpy(np.stack(begun)).to(device), torch.from_numpy(np.stack(drawn))
    )
    return np.stack(
        [
            host(crop(seed, num_samples), 1.0, num_samples, np.random.default_rng(seed))
            for seed in range(crops)
        ]
    ), finished.cpu().numpy()


def test_every_transform_is_compared_with_the_device_unless_it_cannot_run_there():
    on_host = {name for name, part in registry.TRANSFORMS.items() if not part.on_device}
    compared = {options["name"] for options in TRANSFORMS.values()}
    assert compared == set(registry.TRANSFORMS) - on_host


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("num_samples", [N, 4001])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_each_transform_is_the_same_on_the_device(bank, name, num_samples, device):
    there, here = both({"chain": [TRANSFORMS[name]]}, bank, device, num_samples)
    assert here.shape == there.shape
    largest = np.abs(here - there).max()
    print(f"{name}, {num_samples} samples: largest difference {largest:.1e}")
    assert largest <= TOLERANCE
    assert sum(not np.array_equal(there[seed], crop(seed, num_samples)) for seed in range(12)) >= 8


@pytest.mark.parametrize("device", DEVICES)
def test_a_chain_with_a_codec_in_its_middle_is_split_behind_it(bank, device):
    chain = [
        TRANSFORMS["noise"] | {"probability": 0.5},
        {"name": "codec", "probability": 0.5},
        TRANSFORMS["reverb"] | {"probability": 0.5},
        {"name": "volume", "gain_db": [10, 12], "probability": 0.7},
        TRANSFORMS["one of"],
    ]
    split = make(Augmenter, {"chain": chain, "device": True}, "section").open(bank, RATE)
    assert (split.num_in_loader, len(split.device_transforms)) == (2, 3)
    there, here = both({"chain": chain}, bank, device, crops=30)
    assert np.abs(here - there).max() <= TOLERANCE
    assert np.abs(here).max() == 1


def test_where_the_chain_ends_with_a_codec_the_device_only_turns_down(bank):
    chain = [
        {"name": "volume", "gain_db": [12, 12]},
        {"name": "one_of", "of": [{"name": "codec"}, {"name": "volume", "gain_db": [3, 6]}]},
    ]
    split = make(Augmenter, {"chain": chain, "device": True}, "section").open(None, RATE)
    assert split.device_transforms == []
    there, here = both({"chain": chain}, None, "cpu")
    assert np.allclose(there, here, atol=1e-6)
    assert np.abs(here).max() == 1


def test_silence_stays_silent_and_crops_that_nothing_happens_to_stay_as_they_are(bank):
    split = make(
        Augmenter,
        {
            "chain": [TRANSFORMS["reverb"], TRANSFORMS["noise"], TRANSFORMS["babble"]],
            "device": True,
        },
        "section",
    ).open(bank, RATE)
    drawn = [
        to_row(split.transforms, split.draw(N, np.random.default_rng(0))),
        [np.nan] * sum(part.width for part in split.transforms),
    ]
    out = split.on(torch.device("cpu"))(
        torch.stack([torch.zeros(N), torch.from_numpy(crop())]),
        torch.tensor(drawn, dtype=torch.float64),
    )
    assert not out[0].any()
    assert np.array_equal(out[1].numpy(), crop())


def test_the_bank_on_the_device_is_the_bank_to_the_bit(bank):
    opened = Bank(bank, RATE)
    sounds = BankSounds(opened.noises, torch.device("cpu"))
    assert sounds.samples.dtype == torch.int16
    assert len(sounds.samples) == opened.noises.num_samples.sum()
    for number, start, num_samples in ((0, 0, 100), (0, 7999, N), (1, 500, N), (7, 4000, 32000)):
        assert np.array_equal(
            sounds.parts([number], [start], num_samples)[0].numpy(),
            opened.noise(number, start, num_samples),
        )
    padded = BankSounds(opened.rooms, torch.device("cpu")).padded([0, 1], 5000)
    assert padded.shape == (2, 5000)
    assert np.array_equal(padded[1].numpy(), opened.rooms.read(1, 0, 5000))


class Halve(Transform):
    """All that a new transform needs: this class, and a line in the registry."""

    def _draw(self, rng, num_samples):
        return (0.5,)

    def apply(self, samples, drawn):
        return samples * np.float32(drawn[0])

    def apply_batch(self, waveforms_RS, drawn, chain):
        return waveforms_RS * column([factor for (factor,) in drawn], waveforms_RS)

    def record(self, drawn):
        return f"halve({drawn[0]:g})"

    def describe(self, drawn):
        return "half as loud"


def test_a_new_transform_is_one_class_and_one_line_of_the_registry(monkeypatch):
    monkeypatch.setitem(registry.TRANSFORMS, "halve", Halve)
    chain = [{"name": "one_of", "of": [{"name": "halve"}]}]
    there, here = both({"chain": chain}, None, "cpu")
    assert np.array_equal(there, here)
    assert np.array_equal(there[3], crop(3) / 2)
    augmenter = make(Augmenter, {"chain": chain}, "section")
    drawn = augmenter.draw(N, np.random.default_rng(1))
    assert augmenter.record(1.1, drawn) == "speed(1.1)+halve(0.5)"
    assert augmenter.describe(1.0, drawn) == "half as loud"


def test_a_codec_cannot_run_on_the_device():
    with pytest.raises(TypeError, match="Codec cannot run on a device"):
        Codec().apply_batch(
            torch.zeros(1, 10),
            [(0, 0.0)],
            DeviceChain([], Bank(None, RATE), torch.device("cpu")),
        )


def test_a_bank_that_does_not_fit_into_the_device_is_named(bank, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.Tensor, "to", full)
    with pytest.raises(
        UserError,
        match=r"device: .*noise.ark: .* bytes do not fit into the device's memory; .* or "
        r"augment in the loader",
    ):
        BankSounds(Bank(bank, RATE).noises, torch.device("cpu"))


def test_the_loader_draws_the_same_whether_the_device_augments_or_not(bank, tmp_path):
    data = make_packed(tmp_path / "train", {"a": 100, "b": 140}, utterances=5)
    _, reader = open_packed(data, RATE)
    options = {
        "chain": [TRANSFORMS["reverb"], TRANSFORMS["noise"] | {"probability": 0.5}],
        "speed_factors": [1.0, 1.1],
    }
    here, there = (
        CropDataset(
            reader,
            [0] * 5 + [1] * 5,
            4800,
            make(Augmenter, options | {"device": device}, "section").open(bank, RATE),
            seed=1,
        )
        for device in (False, True)
    )
    loader = torch.utils.data.DataLoader(
        there, batch_sampler=RankBatchSampler(5, 0, 1, 0, 2), num_workers=2
    )
    finish, draw = there.augment.on(torch.device("cpu")), 0
    for waveforms, labels, seeds, drawn in loader:
        for row, waveform in enumerate(finish(waveforms, drawn)):
            expected, label, seed = here[draw]
            assert np.abs(waveform.numpy() - expected).max() <= TOLERANCE
            assert (int(labels[row]), int(seeds[row])) == (label, seed)
            draw += 1
    assert draw == 10


@pytest.mark.slow
def test_a_training_that_augments_on_its_device_ends_with_the_same_weights(tmp_path):
    corpus = make_corpus(tmp_path)
    packed_bank(corpus / "bank")
    ends = {}
    for device in ("false", "true"):
        links = "{name: reverb, probability: 0.5}, {name: noise, probability: 0.7}, {name: volume}"
        chain = f"device: {device}, chain: [{links}]"
        (tmp_path / device).mkdir()
        config = variant(
            corpus,
            tmp_path / device,
            ("speed_factors: [1.0, 1.1]", f"speed_factors: [1.0, 1.1], {chain}"),
            ("name: adam,", "name: sgd,"),
        )
        train_tiny(corpus, tmp_path / device / "exp", config=config, steps=6, bank=corpus / "bank")
        ends[device] = load_checkpoint(
            tmp_path / device / "exp" / "checkpoints" / "step-0000006.pt"
        )["network"]
    start = load_checkpoint(tmp_path / "true" / "exp" / "checkpoints" / "step-0000000.pt")[
        "network"
    ]
    weights = [name for name, value in start.items() if value.is_floating_point()]
    moved = max(float((ends["true"][name] - start[name]).abs().max()) for name in weights)
    apart = max(float((ends["true"][name] - ends["false"][name]).abs().max()) for name in weights)
    losses = [
        [entry["loss"] for entry in history(tmp_path / device / "exp") if "loss" in entry]
        for device in ("false", "true")
    ]
    print(
        f"weights moved by up to {moved:.1e} in six steps, and are up to {apart:.1e} apart; "
        f"losses up to {np.abs(np.subtract(*losses)).max():.1e}"
    )
    assert apart <= 1e-3 * moved
    assert np.allclose(*losses, atol=1e-4)


def test_energy_is_kept_by_the_rooms_of_the_device(bank):
    _, here = both({"chain": [TRANSFORMS["reverb"]]}, bank, "cpu")
    assert np.allclose(
        [energy_db(out) for out in here], [energy_db(crop(seed)) for seed in range(12)], atol=0.01
    )
