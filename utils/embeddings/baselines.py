"""Embeddings without a network: statistics of frames, baselines for trained systems."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.archive import ArchiveWriter
from utils.audio import UtteranceReader, resample
from utils.data_dir import read_data_dir
from utils.embeddings.folders import finish_embeddings
from utils.errors import UserError
from utils.files import atomic_write

if TYPE_CHECKING:
    from utils.features.base import FrontEnd


def frame_statistics(frames_TF: np.ndarray) -> np.ndarray:
    """(2 F,) means, then standard deviations (divided by T), of (T, F) frames, in float64."""
    means_F = frames_TF.mean(axis=0, dtype=np.float64)
    deviations_F = frames_TF.std(axis=0, dtype=np.float64)
    return np.concatenate([means_F, deviations_F])


def _compute_frames(
    front_end: "FrontEnd", samples: np.ndarray, margin_seconds: float = 0.0
) -> np.ndarray:
    """(T, F) frames of an utterance, or of its margins; ValueError if it is too short."""
    import torch

    torch.set_num_threads(1)  # sums depend on it
    margin = round(margin_seconds * front_end.sample_rate_hz)
    pieces, needed = [samples], "a frame"
    if margin:
        pieces = [samples[:margin], samples[-margin:]]
        needed = f"two margins of {margin_seconds} s"
    if len(samples) < 2 * margin or front_end.num_frames(len(pieces[0])) < 1:
        seconds = len(samples) / front_end.sample_rate_hz
        raise ValueError(f"{seconds:.3f} s are too short for {needed}")
    frames = []
    for piece in pieces:
        frames_BTF, _ = front_end(torch.from_numpy(piece)[None], torch.tensor([len(piece)]))
        frames.append(frames_BTF[0].numpy())
    return np.concatenate(frames)


def extract_statistics(
    data: Path,
    output: Path,
    front_end: "FrontEnd",
    provenance: Mapping,
    margin_seconds: float = 0.0,
) -> tuple[list, int]:
    """Write the frame statistics of every utterance of a data directory as its embeddings.

    Audio is resampled to the rate of the front end. With ``margin_seconds`` only the margins of
    this length at both ends of an utterance are used. Returns the outputs for the receipt, and the
    number of utterances. UserError: an utterance cannot be read, or is too short.
    """
    directory = read_data_dir(data, allow_pipes=True, needs_audio=True)
    if any(entry.endswith("|") for entry in directory.wav_scp.values()):
        raise UserError(
            f"{data}/wav.scp: has commands, expected packed audio; pack it by steps.pack_audio, "
            "which has --allow-pipes"
        )
    reader = UtteranceReader(directory.wav_scp, directory.segments)
    keys, rows = list(directory.utt2spk), []
    for key in keys:
        samples, rate_hz = reader.read(key)
        samples = resample(samples, rate_hz, front_end.sample_rate_hz)
        try:
            frames_TF = _compute_frames(front_end, samples, margin_seconds)
        except ValueError as error:
            raise UserError(f"{data}: utterance '{key}': {error}; leave it out") from None
        rows.append(frame_statistics(frames_TF))
    embeddings_ND = np.array(rows, np.float32)
    with ArchiveWriter(output / "xvector.1.ark", output / "xvector.1.scp") as writer:
        for key, embedding_D in zip(keys, embeddings_ND, strict=True):
            writer.write(key, embedding_D)
    with atomic_write(output / "xvector.scp", "wb") as whole:
        whole.write((output / "xvector.1.scp").read_bytes())
    written = finish_embeddings(output, keys, embeddings_ND, directory.utt2spk, provenance)
    return [writer, output / "xvector.scp", *written], len(keys)
