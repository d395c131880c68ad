"""Embeddings of utterances, or of their pieces, in batches that do not change them."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from utils.data_dir import read_map
from utils.embeddings.preparation import PreparedReader
from utils.embeddings.protocol_base import Protocol
from utils.embeddings.protocols import natural_protocol
from utils.errors import UserError
from utils.packed.reader import PackedReader

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork
    from utils.features.reader import FeatureReader

BATCH_SECONDS = 60.0  # of padded audio; limits the memory of a batch


def open_packed(data: Path, sample_rate_hz: int) -> tuple[list[str], PackedReader]:
    """Utterances of a packed data directory, and the reader of their audio.

    UserError: the audio was packed at another rate than the network's.
    """
    wav_scp = read_map(data / "wav.scp")
    reader = PackedReader(wav_scp, read_map(data / "utt2num_samples"))
    if reader.sample_rate_hz != sample_rate_hz:
        raise UserError(
            f"{data}: packed at {reader.sample_rate_hz} Hz, the network takes {sample_rate_hz} Hz; "
            "pack at that rate (stage 2)"
        )
    return list(wav_scp), reader


def batches(num_samples: Sequence[int], batching: str, max_samples: int) -> Iterator[list[int]]:
    """Batches of inputs, as lists of indices; every input is in one batch.

    ``batching``: ``masked``: inputs of similar lengths; ``equal_length``, ``fixed_samples``: of
    equal lengths.  ``max_samples`` is the largest size of a padded batch.
    """
    batch: list[int] = []
    for index in np.argsort(num_samples, kind="stable").tolist():
        longest = num_samples[index]
        is_full = (len(batch) + 1) * longest > max_samples
        is_other = batching != "masked" and batch and num_samples[batch[0]] != longest
        if batch and (is_full or is_other):
            yield batch
            batch = []
        batch.append(index)
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
    """Embeddings of N utterances: (N, E) float32, or (N, R, E) if the protocol keeps rows.

    For stored features, a sample is a frame. ``share`` is the rank of this process and the number
    of processes: it embeds its share of the batches and leaves zeros for the others, so that a sum
    over processes has all. ``keys`` are the names of the utterances, for random crops and messages.
    UserError: the network does not take the protocol's pieces, or the protocol finds no speech.
    """
    protocol = protocol or natural_protocol(network)
    protocol.check(network)
    if protocol.unit_length and share[1] > 1:
        raise ValueError("means of length 1 over parts of the pieces cannot be summed")
    was_training = network.training
    if was_training:
        network.eval()
    names = keys or [str(index) for index in indices]
    inputs: PackedReader | FeatureReader | PreparedReader = reader
    if protocol.preparation is not None:
        inputs = PreparedReader(reader, protocol.preparation, indices, names)
    pieces: list[tuple[int, int, int]] = []  # utterance, size, start
    ends = []
    for name, index in zip(names, indices, strict=True):
        num_samples = int(inputs.num_samples[index])
        if protocol.append_reversed:
            num_samples *= 2
        size, starts = protocol.pieces(num_samples, network, name)
        pieces += [(index, size, start) for start in starts]
        ends.append(len(pieces))
    pieces_PE = np.zeros((len(pieces), network.embedding_dim), np.float32)
    max_samples = round(BATCH_SECONDS * network.sample_rate_hz)
    grouped = batches([size for _, size, _ in pieces], network.batching, max_samples)
    rank, num_processes = share
    for batch in islice(grouped, rank, None, num_processes):
        samples = [_read_piece(inputs, *pieces[k], protocol) for k in batch]
        pieces_PE[batch] = _embed_pieces(network, samples, protocol)
    if was_training:
        network.train()
    if not ends:
        return pieces_PE
    combined = []
    first = 0
    for end in ends:
        combined.append(protocol.combine(pieces_PE[first:end]))
        first = end
    return np.stack(combined)


def _embed_pieces(
    network: "EmbeddingNetwork", pieces: Sequence[np.ndarray], protocol: Protocol
) -> np.ndarray:
    """Embed one batch."""
    lengths = [len(piece) for piece in pieces]
    waveforms_BS = np.zeros((len(pieces), max(lengths), *pieces[0].shape[1:]), np.float32)
    for row, samples in zip(waveforms_BS, pieces, strict=True):
        row[: len(samples)] = samples
    inputs = torch.from_numpy(waveforms_BS).to(next(network.parameters()).device)
    embeddings = protocol.embed(network, inputs, torch.tensor(lengths))
    return embeddings.float().cpu().numpy()


def _read_piece(
    reader: "PackedReader | FeatureReader | PreparedReader",
    index: int,
    size: int,
    start: int,
    protocol: Protocol,
) -> np.ndarray:
    """A piece of an utterance, which is repeated, or surrounded by silence, if it is shorter."""
    num_samples = int(reader.num_samples[index])
    if protocol.extends_by_silence:
        first, end = max(start, 0), min(start + size, num_samples)
        piece = np.zeros(size, np.float32)
        piece[first - start : end - start] = reader.read(index, first, end - first)
        return piece
    if not protocol.append_reversed and start + size <= num_samples:
        return reader.read(index, start, size)
    samples = reader.read(index)
    if protocol.append_reversed:
        samples = np.concatenate([samples, samples[::-1]])
    if size > len(samples):
        return np.resize(samples, (size, *samples.shape[1:]))
    return samples[start : start + size]
