"""Embeddings of whole utterances, in batches that never change them."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from utils.data_dir import read_map
from utils.errors import UserError
from utils.packed import PackedReader

if TYPE_CHECKING:
    from utils.feature_reader import FeatureReader

BATCH_SECONDS = 60.0  # of padded audio; bounds the memory of a batch


def open_packed(data: Path, sample_rate_hz: int) -> tuple[list[str], PackedReader]:
    """Utterances of a packed data directory and the reader of their audio.

    Parameters
    ----------
    data : path
        Made by steps.pack_audio and steps.collect_packed.
    sample_rate_hz : int
        What the network takes.

    Raises
    ------
    UserError
        The audio was packed at another rate.
    """
    wav_scp = read_map(data / "wav.scp")
    reader = PackedReader(wav_scp, read_map(data / "utt2num_samples"))
    if reader.sample_rate_hz != sample_rate_hz:
        raise UserError(f"{data}: packed at {reader.sample_rate_hz} Hz, the network takes {sample_rate_hz} Hz; pack at that rate (stage 2)")
    return list(wav_scp), reader


def batches(num_samples: Sequence[int], batching: str, max_samples: int) -> Iterator[list[int]]:
    """Group utterances for a network: rows of similar lengths where padding is masked, of equal lengths where it is not.

    Parameters
    ----------
    num_samples : sequence of int
        Length of each utterance.
    batching : str
        What the network declares: ``masked`` or ``equal_length``.
    max_samples : int
        Largest size of a padded batch.

    Yields
    ------
    list of int
        Positions in ``num_samples``; every utterance comes once.

    Raises
    ------
    UserError
        The network takes crops of one length only.
    """
    if batching not in ("masked", "equal_length"):
        raise UserError(f"whole utterances cannot be embedded by a network with batching '{batching}'; choose a test protocol of fixed length")
    batch: list[int] = []
    for position in sorted(range(len(num_samples)), key=lambda k: (num_samples[k], k)):
        longest = num_samples[position]
        if batch and ((len(batch) + 1) * longest > max_samples or (batching == "equal_length" and num_samples[batch[0]] != longest)):
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


@torch.no_grad()
def embed_utterances(network: torch.nn.Module, reader: "PackedReader | FeatureReader", indices: Sequence[int],
                     share: tuple[int, int] = (0, 1)) -> np.ndarray:
    """Embed whole utterances.

    Parameters
    ----------
    network : steps.models network
        Waveforms to embeddings; put in evaluation mode, and back as it was.
    reader : PackedReader or FeatureReader
        Audio at the network's rate, or the features that it takes in its place: then a sample is a frame.
    indices : sequence of N int
        Utterances of the reader.
    share : (int, int)
        Number of this process and how many there are: of the batches, which are the same in each, it embeds every so-manyth; other rows stay zero.

    Returns
    -------
    (N, E) float32 array
        Not length-normalised; an utterance shorter than the network takes is repeated until it is long enough.
    """
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    lengths = [max(int(reader.num_samples[index]), network.min_samples) for index in indices]
    embeddings = np.zeros((len(lengths), network.embedding_dim), np.float32)
    for batch in islice(batches(lengths, network.batching, round(BATCH_SECONDS * network.sample_rate_hz)), share[0], None, share[1]):
        utterances = [reader.read(indices[k]) for k in batch]
        waveforms_BS = np.zeros((len(batch), max(lengths[k] for k in batch), *utterances[0].shape[1:]), np.float32)
        for row, k, samples in zip(waveforms_BS, batch, utterances, strict=True):
            row[:lengths[k]] = np.resize(samples, (lengths[k], *samples.shape[1:]))  # repeats it, whole samples or frames, where it is too short
        embeddings[batch] = network(torch.from_numpy(waveforms_BS).to(device), torch.tensor([lengths[k] for k in batch])).float().cpu().numpy()
    network.train(was_training)
    return embeddings
