"""What every network promises (docs/architecture.md), for all of MODELS and every YAML in conf/."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from steps.losses import LOSSES
from steps.models import MODELS
from steps.train import train
from utils.config import build, read_yaml
from utils.features.precomputed import Precomputed

ROOT = Path(__file__).parents[3]
CONF = ROOT / "conf"


def has_own_network(path):
    """Whether a YAML describes a network that it does not take from another training."""
    sections = read_yaml(path)
    return "model" in sections and "start_from" not in sections


CONFIGS = sorted(path for path in CONF.glob("*.yaml") if has_own_network(path))
CPU_CONFIGS = [path for path in CONFIGS if path.stem.endswith("_cpu")]
LARGEST = "ghostvlad_l"  # building it takes seconds


def marked_by_size(configs):
    """The configurations, or their names, with the largest network marked as slow."""
    cases = []
    for config in configs:
        name = getattr(config, "stem", config)
        marks = []
        if name.startswith(LARGEST):
            marks.append(pytest.mark.slow)
        cases.append(pytest.param(config, id=name, marks=marks))
    return cases


PUBLISHED_PARAMETERS = {
    "ghostvlad": 7_664_394,
    "rawnet": 5_779_840,
    "rawnet_pretraining": 2_207_360,
    "rawnet_port": 6_700_544,
    "rawnet2": 7_114_578,
    "rawnet2_modified": 7_455_872,
    "rawnet3": 16_280_322,
    "mr_rawnet": 15_442_594,
    "ecapa_512": 6_190_720,
    "ecapa_1024": 14_657_088,
    "ecapa_speechbrain": 20_767_552,
    "resnet34": 6_634_336,
    "campplus": 7_176_224,
    "resemblyzer": 1_423_616,
    "ge2e_td": 210_432,
    "ge2e_ti": 210_432,
    "ge2e_paper": 4_654_080,
    "deep_speaker": 11_624_128,
    "deep_speaker_paper": 24_165_568,
    "deep_speaker_gru": 22_565_056,
    "ghostvlad_l": 29_456_842,
}


def build_network(path, seed=0):
    torch.manual_seed(seed)
    return build(MODELS, read_yaml(path)["model"], f"{path.name}: model")


def build_loss(path, network, num_speakers):
    return build(
        LOSSES,
        read_yaml(path)["loss"],
        f"{path.name}: loss",
        embedding_dim=network.embedding_dim,
        num_speakers=num_speakers,
    )


def make_labels(loss, num_rows):
    """Every row another speaker; two rows of each where the loss compares them."""
    if hasattr(loss, "batch_shape"):
        return torch.arange(num_rows) // 2
    return torch.arange(num_rows)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inputs(network, batch, num_samples):
    """Waveforms, or features for a network that takes them."""
    if isinstance(network.front_end, Precomputed):
        return noise(batch, num_samples, network.front_end.num_bins)
    return noise(batch, num_samples)


def one_second_or_more(network):
    return max(network.min_samples, network.sample_rate_hz)


def test_every_network_has_a_full_size_and_a_cpu_yaml():
    full = [path for path in CONFIGS if path not in CPU_CONFIGS]
    for configs in (full, CPU_CONFIGS):
        assert {read_yaml(path)["model"]["name"] for path in configs} == set(MODELS)


@pytest.mark.parametrize("registry", ["steps/models/__init__.py", "steps/losses/parts.py"])
def test_the_help_of_training_names_the_lists_of_networks_and_losses(registry):
    assert registry in train.__doc__
    assert (ROOT / registry).exists()


@pytest.mark.parametrize("stem", PUBLISHED_PARAMETERS)
def test_the_page_on_training_lists_every_published_network(stem):
    assert f"`{stem}`" in (ROOT / "docs" / "train.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("stem", marked_by_size(PUBLISHED_PARAMETERS))
def test_full_size_has_the_published_parameters(stem):
    num_parameters = count(build_network(CONF / f"{stem}.yaml"))
    print(f"{stem}: {num_parameters:,} parameters")
    assert num_parameters == PUBLISHED_PARAMETERS[stem]


@pytest.mark.parametrize("path", marked_by_size(CPU_CONFIGS))
@pytest.mark.slow
def test_cpu_size_keeps_five_percent_of_the_parameters_and_every_kind_of_layer(path):
    small, full = (
        build_network(path),
        build_network(path.with_name(f"{path.stem.removesuffix('_cpu')}.yaml")),
    )
    print(f"{path.stem}: {count(small):,} of {count(full):,} parameters")
    assert count(small) >= 0.05 * count(full)

    def kinds(network):
        """Types of modules with the types of their children, which tell blocks apart."""
        return {
            (
                type(module),
                *(
                    type(child)
                    for child in module.children()
                    if not isinstance(module, torch.nn.ModuleList)
                ),
            )
            for module in network.modules()
        }

    assert kinds(small) == kinds(full)


@pytest.mark.parametrize("path", CPU_CONFIGS, ids=lambda path: path.stem)
def test_cpu_yaml_keeps_front_end_loss_and_kind_of_optimizer(path):
    small, full = (
        read_yaml(path),
        read_yaml(path.with_name(f"{path.stem.removesuffix('_cpu')}.yaml")),
    )
    assert small["model"].get("front_end") == full["model"].get("front_end")
    assert small["loss"] == full["loss"]
    assert small["optimizer"]["name"] == full["optimizer"]["name"]


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_one_step_on_two_of_the_shortest_inputs_reaches_every_parameter(path):
    network = build_network(path)
    loss = build_loss(path, network, num_speakers=2)
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    num_samples = one_second_or_more(network)
    num_rows = 4 if hasattr(loss, "batch_shape") else 2
    embedding_BE = network(
        inputs(network, num_rows, num_samples),
        torch.full((num_rows,), num_samples),
        range(num_rows),
    )
    assert embedding_BE.shape == (num_rows, network.embedding_dim)
    assert embedding_BE.isfinite().all()
    value, _ = loss(embedding_BE, make_labels(loss, num_rows))
    value.backward()
    unreached = {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    assert unreached == set(network.without_gradient)
    torch.optim.Adam(
        [parameter for parameter in network.parameters() if parameter.requires_grad]
    ).step()  # moves by as much where gradients are tiny
    same = {
        name
        for name, parameter in network.named_parameters()
        if torch.equal(parameter, before[name])
    }
    assert same == set(network.without_gradient)


@pytest.mark.parametrize("path", CPU_CONFIGS, ids=lambda path: path.stem)
def test_the_shortest_input_is_taken_and_a_shorter_one_refused(path):
    network = build_network(path).eval()
    shortest = network.min_samples
    assert network(noise(1, shortest), torch.tensor([shortest])).isfinite().all()
    with pytest.raises(ValueError, match=f"of {shortest - 1} samples"):
        network(noise(1, shortest), torch.tensor([shortest - 1]))


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_batch_mates_and_padding_change_nothing(path):
    network = build_network(path)
    for module in network.modules():
        if isinstance(
            module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d
        ):  # statistics and shifts that would show in the padding
            torch.nn.init.normal_(module.running_mean, std=0.1)
            if module.affine:
                torch.nn.init.normal_(module.bias, std=0.1)
    network.eval()
    if network.batching != "masked":
        pytest.skip(f"batching is {network.batching}")
    longest = 2 * one_second_or_more(network)
    lengths_B = torch.tensor(
        [longest, network.min_samples, longest * 3 // 5, longest * 29 // 30, longest * 19 // 20]
    )
    waveforms_BS = inputs(network, len(lengths_B), longest + 500)
    assert len(lengths_B.unique()) == len(lengths_B)
    with torch.no_grad():
        together_BE = F.normalize(network(waveforms_BS, lengths_B))
        alone_BE = torch.cat(
            [
                F.normalize(network(waveforms_BS[row : row + 1, :n], lengths_B[row : row + 1]))
                for row, n in enumerate(lengths_B)
            ]
        )
    largest = (together_BE - alone_BE).abs().max().item()
    print(f"{path.stem}: largest difference {largest:.1e}")
    assert largest <= 1e-5
    assert (alone_BE[0] - alone_BE[3]).abs().max() > 1e-4  # embeddings that differ at all


@pytest.mark.parametrize("path", CPU_CONFIGS, ids=lambda path: path.stem)
@pytest.mark.slow
def test_state_makes_the_round_trip(path, tmp_path):
    network = build_network(path, seed=0)
    num_samples = one_second_or_more(network)
    network(
        noise(4, num_samples), torch.full((4,), num_samples), range(4)
    )  # moves the running statistics
    torch.save(network.state_dict(), tmp_path / "state.pt")
    other = build_network(path, seed=1)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    batch = noise(2, num_samples), torch.tensor([num_samples, num_samples])
    with torch.no_grad():
        assert torch.equal(other.eval()(*batch), network.eval()(*batch))


@pytest.mark.parametrize("path", marked_by_size(CPU_CONFIGS))
@pytest.mark.slow
def test_same_seed_same_weights(path):
    one, other, third = build_network(path, 5), build_network(path, 5), build_network(path, 6)
    assert all(
        torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items()
    )
    assert not all(
        torch.equal(value, third.state_dict()[name]) for name, value in one.state_dict().items()
    )


@pytest.mark.slow
@pytest.mark.parametrize("path", CPU_CONFIGS, ids=lambda path: path.stem)
def test_cpu_size_overfits_a_batch(path):
    network = build_network(path)
    loss = build_loss(path, network, num_speakers=8)
    num_samples = one_second_or_more(network)
    waveforms_BS, lengths_B, labels_B = (
        noise(8, num_samples),
        torch.full((8,), num_samples),
        make_labels(loss, 8),
    )
    if hasattr(loss, "batch_shape"):  # what is alike in a speaker's rows: a tone
        waveforms_BS += 0.1 * torch.sin(
            2
            * torch.pi
            * 300
            * (1 + labels_B[:, None])
            * torch.arange(num_samples)
            / network.sample_rate_hz
        )
    parameters = [*network.parameters(), *loss.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    losses = []
    for step in range(40):
        optimizer.zero_grad()
        value, num_correct = loss(
            network(waveforms_BS, lengths_B, [step * 8 + row for row in range(8)]), labels_B
        )
        value.backward()
        optimizer.step()
        losses.append(value.item())
        if losses[-1] < 0.1 * losses[0] and num_correct == 8:
            break
    print(
        f"{path.stem}: {step + 1} steps, loss {losses[0]:.2f} -> {losses[-1]:.3f}, "
        f"{num_correct.item()} of 8 correct"
    )
    assert losses[-1] < 0.1 * losses[0]
    assert num_correct == 8
