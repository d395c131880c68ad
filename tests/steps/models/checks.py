"""Checks that the tests of several networks share, for networks of a few channels."""

import torch
import torch.nn.functional as F


def unreached_parameters(network, waveforms_BS):
    """Parameters without a gradient after a step on three or more utterances of one length."""
    lengths_B = torch.full((len(waveforms_BS),), waveforms_BS.shape[1])
    embedding_BE = network(waveforms_BS, lengths_B, range(1, len(waveforms_BS) + 1))
    embedding_BE.square().sum().backward()
    names = set()
    for name, parameter in network.named_parameters():
        if parameter.grad is None or not parameter.grad.any():
            names.add(name)
    return names


def assert_batch_mates_change_nothing(network, waveforms_BS, lengths_B, atol=1e-5):
    """Length-normalised embeddings of a padded batch are those of each utterance alone."""
    network.eval()
    with torch.no_grad():
        together_BE = F.normalize(network(waveforms_BS, lengths_B))
        alone = []
        for row, length in enumerate(lengths_B):
            embedding_1E = network(waveforms_BS[row : row + 1, :length], lengths_B[row : row + 1])
            alone.append(F.normalize(embedding_1E))
    torch.testing.assert_close(together_BE, torch.cat(alone), atol=atol, rtol=0)


def assert_autocast_gives_float32_and_nearly_the_same(network):
    """bfloat16 inside, float32 outside."""
    batch = 0.1 * torch.randn(2, 16000), torch.tensor([16000, 9000])
    with torch.no_grad():
        exact_BE = network.eval()(*batch)
        with torch.autocast("cpu", torch.bfloat16):
            embedding_BE = network(*batch)
    assert embedding_BE.dtype == torch.float32
    assert F.cosine_similarity(embedding_BE, exact_BE).min() > 0.99
