"""What every network promises (DESIGN.md, section 6), tried on all of MODELS and on every YAML in conf/ that has a network."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from steps.losses import LOSSES
from steps.models import MODELS
from utils.config import build, read_yaml
from utils.features import Precomputed

CONF = Path(__file__).parents[2] / "conf"
CONFIGS = sorted(path for path in CONF.glob("*.yaml") if "model" in read_yaml(path))
CPU_CONFIGS = [path for path in CONFIGS if path.stem.endswith("_cpu")]
PUBLISHED_PARAMETERS = {"ghostvlad": 7_664_394}


def network_of(path, seed=0):
    torch.manual_seed(seed)
    return build(MODELS, read_yaml(path)["model"], f"{path.name}: model")


def loss_of(path, network, num_speakers):
    return build(LOSSES, read_yaml(path)["loss"], f"{path.name}: loss", embedding_dim=network.embedding_dim, num_speakers=num_speakers)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inputs(network, batch, num_samples):
    """Waveforms, or the features that a network takes in their place."""
    return noise(batch, num_samples, *([network.front_end.num_bins] if isinstance(network.front_end, Precomputed) else []))


def one_second_or_more(network):
    return max(network.min_samples, network.sample_rate_hz)


def test_every_network_has_a_full_size_and_a_cpu_yaml():
    assert {path.stem for path in CONFIGS} >= {stem for name in MODELS for stem in (name, f"{name}_cpu")}
    assert {read_yaml(path)["model"]["name"] for path in CPU_CONFIGS} == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_full_size_has_the_published_parameters(name):
    found = count(network_of(CONF / f"{name}.yaml"))
    print(f"{name}: {found:,} parameters")
    assert found == PUBLISHED_PARAMETERS[name]


@pytest.mark.parametrize("path", CPU_CONFIGS, ids=lambda path: path.stem)
def test_cpu_size_keeps_five_percent_of_the_parameters_and_every_kind_of_layer(path):
    small, full = network_of(path), network_of(path.with_name(f"{path.stem.removesuffix('_cpu')}.yaml"))
    print(f"{path.stem}: {count(small):,} of {count(full):,} parameters")
    assert count(small) >= 0.05 * count(full)

    def kinds(network):
        """Types of modules with the types of their children: a block with a projection differs from one without."""
        return {(type(module), *(type(child) for child in module.children() if not isinstance(module, torch.nn.ModuleList)))
                for module in network.modules()}

    assert kinds(small) == kinds(full)


@pytest.mark.parametrize("path", CPU_CONFIGS, ids=lambda path: path.stem)
def test_cpu_yaml_keeps_front_end_loss_and_kind_of_optimizer(path):
    small, full = read_yaml(path), read_yaml(path.with_name(f"{path.stem.removesuffix('_cpu')}.yaml"))
    assert small["model"].get("front_end") == full["model"].get("front_end")
    assert small["loss"] == full["loss"]
    assert small["optimizer"]["name"] == full["optimizer"]["name"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_one_step_on_two_of_the_shortest_inputs_reaches_every_parameter(path):
    network = network_of(path)
    loss = loss_of(path, network, num_speakers=2)
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    num_samples = one_second_or_more(network)
    seeds = [1, 2] if network.spec_augment is not None else None
    embedding_BE = network(inputs(network, 2, num_samples), torch.full((2,), num_samples), seeds)
    assert embedding_BE.shape == (2, network.embedding_dim)
    assert embedding_BE.isfinite().all()
    value, _ = loss(embedding_BE, torch.tensor([0, 1]))
    value.backward()
    unreached = {name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()}
    assert unreached == set(network.without_gradient)
    torch.optim.SGD([parameter for parameter in network.parameters() if parameter.requires_grad], lr=0.01).step()
    same = {name for name, parameter in network.named_parameters() if torch.equal(parameter, before[name])}
    assert same == set(network.without_gradient)


@pytest.mark.parametrize("path", CPU_CONFIGS, ids=lambda path: path.stem)
def test_the_shortest_input_is_taken_and_a_shorter_one_refused(path):
    network = network_of(path).eval()
    shortest = network.min_samples
    assert network(noise(1, shortest), torch.tensor([shortest])).isfinite().all()
    with pytest.raises(ValueError, match=f"of {shortest - 1} samples"):
        network(noise(1, shortest), torch.tensor([shortest - 1]))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_batch_mates_and_padding_change_nothing(path):
    network = network_of(path)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):  # statistics and shifts that would show in the padding
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.normal_(module.bias, std=0.1)
    network.eval()
    if network.batching != "masked":
        pytest.skip(f"batching is {network.batching}")
    longest = 2 * one_second_or_more(network)
    lengths_B = torch.tensor([longest, network.min_samples, longest * 3 // 5, longest * 29 // 30, longest * 19 // 20])
    waveforms_BS = inputs(network, len(lengths_B), longest + 500)
    assert len(lengths_B.unique()) == len(lengths_B)
    with torch.no_grad():
        together_BE = F.normalize(network(waveforms_BS, lengths_B))
        alone_BE = torch.cat([F.normalize(network(waveforms_BS[row:row + 1, :n], lengths_B[row:row + 1])) for row, n in enumerate(lengths_B)])
    largest = (together_BE - alone_BE).abs().max().item()
    print(f"{path.stem}: largest difference {largest:.1e}")
    assert largest <= 1e-5
    assert (alone_BE[0] - alone_BE[3]).abs().max() > 1e-4  # embeddings that differ at all


@pytest.mark.parametrize("path", CPU_CONFIGS, ids=lambda path: path.stem)
def test_state_makes_the_round_trip(path, tmp_path):
    network = network_of(path, seed=0)
    num_samples = one_second_or_more(network)
    network(noise(4, num_samples), torch.full((4,), num_samples))  # moves the running statistics
    torch.save(network.state_dict(), tmp_path / "state.pt")
    other = network_of(path, seed=1)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    batch = noise(2, num_samples), torch.tensor([num_samples, num_samples])
    with torch.no_grad():
        assert torch.equal(other.eval()(*batch), network.eval()(*batch))


@pytest.mark.parametrize("path", CPU_CONFIGS, ids=lambda path: path.stem)
def test_same_seed_same_weights(path):
    one, other, third = network_of(path, 5), network_of(path, 5), network_of(path, 6)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
    assert not all(torch.equal(value, third.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("path", CPU_CONFIGS, ids=lambda path: path.stem)
def test_cpu_size_overfits_a_batch(path):
    network = network_of(path)
    loss = loss_of(path, network, num_speakers=8)
    num_samples = one_second_or_more(network)
    waveforms_BS, lengths_B, labels_B = noise(8, num_samples), torch.full((8,), num_samples), torch.arange(8)
    parameters = [*network.parameters(), *loss.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    losses = []
    for step in range(40):
        optimizer.zero_grad()
        value, num_correct = loss(network(waveforms_BS, lengths_B, [step * 8 + row for row in range(8)]), labels_B)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    print(f"{path.stem}: loss {losses[0]:.2f} -> {losses[-1]:.3f}, {num_correct.item()} of 8 right")
    assert losses[-1] < 0.1 * losses[0]
    assert num_correct == 8
