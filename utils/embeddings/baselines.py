"""Embeddings without a network: statistics of the frames of an utterance, the baselines that a trained system has to beat."""

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
    """Mean and standard deviation of each feature over the frames.

    Parameters
    ----------
    frames_TF : (T, F) float array
        Frames of one utterance, one or more.

    Returns
    -------
    (2 F,) float64 array
        Means, then deviations (divided by T).
    """
    return np.concatenate(
        [frames_TF.mean(axis=0, dtype=np.float64), frames_TF.std(axis=0, dtype=np.float64)]
    )


def _compute_frames(
    front_end: "FrontEnd", samples: np.ndarray, margin_seconds: float = 0.0
) -> np.ndarray:
    """Frames of one utterance."""
    import torch

    torch.set_num_threads(1)  # sums depend on it
    margin = round(margin_seconds * front_end.sample_rate_hz)
    pieces = [samples[:margin], samples[-margin:]] if margin else [samples]
    if len(samples) < 2 * margin or front_end.num_frames(len(pieces[0])) < 1:
        wanted = f"two margins of {margin_seconds} s" if margin else "a frame"
        raise ValueError(
            f"{len(samples) / front_end.sample_rate_hz:.3f} s are too short for {wanted}"
        )
    return np.concatenate(
        [
            front_end(torch.from_numpy(piece)[None], torch.tensor([len(piece)]))[0][0].numpy()
            for piece in pieces
        ]
    )


def extract_statistics(
    data: Path,
    output: Path,
    front_end: "FrontEnd",
    provenance: Mapping,
    margin_seconds: float = 0.0,
) -> tuple[list, int]:
    """Write the frame statistics of every utterance of a data directory as its embeddings.

    Parameters
    ----------
    data : path
        Data directory.
    output : path
        Folder of the embeddings: ``xvector.1.{ark,scp}``, ``xvector.scp`` and what `finish_embeddings` writes.
    front_end : front end of utils/features/registry.py
        Waveforms to frames; audio at another rate is resampled to its own.
    provenance : mapping
        Facts about the embeddings.
    margin_seconds : float
        More than 0: only so much at the beginning and at the end of an utterance is looked at.

    Returns
    -------
    outputs : list
        What was written, for the receipt.
    num_utterances : int
        How many there are.

    Raises
    ------
    UserError
        An utterance cannot be read, or is too short for a frame or for two margins.
    """
    directory = read_data_dir(data, allow_pipes=True, needs_audio=True)
    if any(entry.endswith("|") for entry in directory.wav_scp.values()):
        raise UserError(
            f"{data}/wav.scp: holds commands, expected packed audio; pack it by steps.pack_audio, which has --allow-pipes"
        )
    reader = UtteranceReader(directory.wav_scp, directory.segments)
    keys, rows = list(directory.utt2spk), []
    for key in keys:
        samples, rate_hz = reader.read(key)
        try:
            frames_TF = _compute_frames(
                front_end, resample(samples, rate_hz, front_end.sample_rate_hz), margin_seconds
            )
        except ValueError as error:
            raise UserError(f"{data}: utterance '{key}': {error}; leave it out") from None
        rows.append(frame_statistics(frames_TF))
    embeddings_ND = np.array(rows, np.float32)
    with ArchiveWriter(output / "xvector.1.ark", output / "xvector.1.scp") as writer:
        for key, embedding_D in zip(keys, embeddings_ND, strict=True):
            writer.write(key, embedding_D)
    with (
        open(output / "xvector.1.scp", "rb") as part,
        atomic_write(output / "xvector.scp", "wb") as whole,
    ):
        whole.write(part.read())
    outputs = [
        writer,
        output / "xvector.scp",
        *finish_embeddings(output, keys, embeddings_ND, directory.utt2spk, provenance),
    ]
    return outputs, len(keys)
