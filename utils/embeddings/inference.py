"""Embeddings of utterances, or of their pieces by a test protocol, in batches that never change them."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from utils.data_dir import read_map
from utils.embeddings.protocol_base import Protocol
from utils.embeddings.protocols import natural_protocol
from utils.errors import UserError
from utils.packed.reader import PackedReader

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork
    from utils.features.reader import FeatureReader

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
        raise UserError(
            f"{data}: packed at {reader.sample_rate_hz} Hz, the network takes {sample_rate_hz} Hz; pack at that rate (stage 2)"
        )
    return list(wav_scp), reader


def batches(num_samples: Sequence[int], batching: str, max_samples: int) -> Iterator[list[int]]:
    """Group inputs of a network: of similar lengths where padding is masked, of equal lengths where it is not.

    Parameters
    ----------
    num_samples : sequence of int
        Length of each input.
    batching : str
        What the network declares: ``masked``, ``equal_length`` or ``fixed_samples``.
    max_samples : int
        Largest size of a padded batch.

    Yields
    ------
    list of int
        Positions in ``num_samples``; every input comes once.
    """
    batch: list[int] = []
    for position in sorted(range(len(num_samples)), key=lambda k: (num_samples[k], k)):
        longest = num_samples[position]
        if batch and (
            (len(batch) + 1) * longest > max_samples
            or (batching != "masked" and num_samples[batch[0]] != longest)
        ):
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


@torch.no_grad()
def embed_utterances(
    network: "EmbeddingNetwork",
    reader: "PackedReader | FeatureReader",
    indices: Sequence[int],
    share: tuple[int, int] = (0, 1),
    protocol: Protocol | None = None,
    keys: Sequence[str] | None = None,
) -> np.ndarray:
    """Embed utterances.

    Parameters
    ----------
    network : steps.models network
        Waveforms to embeddings; put in evaluation mode, and back as it was.
    reader : PackedReader or FeatureReader
        Audio at the network's rate, or the features that it takes in its place: then a sample is a frame.
    indices : sequence of N int
        Utterances of the reader.
    share : (int, int)
        Number of this process and how many there are: of the batches, which are the same in each, it embeds every so-manyth; what the others
        embed counts as zero, so that the sum over the processes is right.
    protocol : Protocol or None
        Which pieces are embedded; None: `natural_protocol`.
    keys : sequence of N str or None
        Names of the utterances, for a protocol that draws; None: their numbers.

    Returns
    -------
    (N, E) or (N, R, E) float32 array
        Not length-normalised, unless the protocol says so; R rows where it keeps rows.

    Raises
    ------
    UserError
        The network does not take the protocol's pieces.
    """
    protocol = protocol or natural_protocol(network)
    protocol.check(network)
    was_training = network.training
    network.eval()
    times = 2 if protocol.append_reversed else 1
    plans = [
        protocol.pieces(
            times * int(reader.num_samples[index]), network, keys[k] if keys else str(index)
        )
        for k, index in enumerate(indices)
    ]
    places = [
        (index, size, start)
        for index, (size, starts) in zip(indices, plans, strict=True)
        for start in starts
    ]
    pieces_PE = np.zeros((len(places), network.embedding_dim), np.float32)
    max_samples = round(BATCH_SECONDS * network.sample_rate_hz)
    grouped = batches([size for _, size, _ in places], network.batching, max_samples)
    rank, num_processes = share
    for batch in islice(grouped, rank, None, num_processes):
        pieces = [_read_piece(reader, *places[k], protocol.append_reversed) for k in batch]
        pieces_PE[batch] = _embed_pieces(network, pieces)
    network.train(was_training)
    ends = np.cumsum([len(starts) for _, starts in plans]).tolist()
    combined = [
        protocol.combine(pieces_PE[first:end]) for first, end in zip([0, *ends], ends, strict=False)
    ]
    return np.stack(combined) if combined else pieces_PE


def _embed_pieces(network: "EmbeddingNetwork", pieces: Sequence[np.ndarray]) -> np.ndarray:
    """Embed one batch."""
    waveforms_BS = np.zeros((len(pieces), max(map(len, pieces)), *pieces[0].shape[1:]), np.float32)
    for row, samples in zip(waveforms_BS, pieces, strict=True):
        row[: len(samples)] = samples
    inputs = torch.from_numpy(waveforms_BS).to(next(network.parameters()).device)
    return network(inputs, torch.tensor(list(map(len, pieces)))).float().cpu().numpy()


def _read_piece(
    reader: "PackedReader | FeatureReader",
    index: int,
    size: int,
    start: int,
    append_reversed: bool = False,
) -> np.ndarray:
    """A piece of an utterance."""
    if not append_reversed and start + size <= int(reader.num_samples[index]):
        return reader.read(index, start, size)
    samples = reader.read(index)
    samples = np.concatenate([samples, samples[::-1]]) if append_reversed else samples
    return (
        np.resize(samples, (size, *samples.shape[1:]))
        if size > len(samples)
        else samples[start : start + size]
    )
