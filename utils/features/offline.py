"""Features of whole utterances, one at a time: what an utterance gets never depends on its neighbours, nor on the number of jobs.

Shapes as in utils/features/base.py.
"""

import numpy as np
import torch

from utils.config import build, check_options, resolved_options
from utils.errors import UserError
from utils.features.base import FramedFrontEnd, FrontEnd
from utils.features.normalisation import normalise
from utils.features.precomputed import Precomputed
from utils.features.registry import FRONT_ENDS

PIECE_FRAMES = 30_000  # of an utterance that is longer so many frames are computed at a time: hours of sound fit into memory


def build_fixed_front_end(options: dict, where: str) -> tuple[FrontEnd, dict]:
    """A front end that makes features of waveforms and has nothing to learn, and the description of what it makes.

    Parameters
    ----------
    options : dict
        Its name and options.
    where : str
        File, for messages.

    Returns
    -------
    front_end, description : FrontEnd, dict
        The description is what feats.json says: ``front_end`` with all its options, however they are written, and what follows from them.

    Raises
    ------
    UserError
        The options are wrong, or these features cannot be stored.
    """
    front_end = build(FRONT_ENDS, options, where)
    if isinstance(front_end, Precomputed) or any(True for _ in front_end.parameters()):
        reason = (
            "is fed from stored features itself"
            if isinstance(front_end, Precomputed)
            else "learns its filters with the network"
        )
        raise UserError(
            f"{where}: name: '{options['name']}' {reason}; choose a front end that computes features of waveforms"
        )
    checked = check_options(
        FRONT_ENDS[options["name"]],
        {key: value for key, value in options.items() if key != "name"},
        where,
    )
    resolved = resolved_options(FRONT_ENDS, {"name": options["name"]} | checked) | {
        "normalisation": str(front_end.normalisation)
    }
    return front_end.eval(), {
        "front_end": resolved,
        "description": str(front_end),
        "num_bins": front_end.num_bins,
        "frame_shift_seconds": front_end.hop_samples / front_end.sample_rate_hz,
    }


@torch.no_grad()
def features_of(front_end: FrontEnd, samples_S: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Features of one utterance.

    Parameters
    ----------
    front_end : FrontEnd
        On the device.
    samples_S : (S,) float32 array
        In [-1, 1], at the front end's rate.
    device : str
        Where they are computed.

    Returns
    -------
    (T, F) float32 array
        No frames where the utterance is too short for one.
    """
    num_frames = int(front_end.num_frames(len(samples_S)))
    if num_frames < 1:
        return np.empty((0, front_end.num_bins), np.float32)
    waveforms_BS = torch.from_numpy(samples_S)[None].to(device)
    if num_frames <= PIECE_FRAMES or not isinstance(front_end, FramedFrontEnd):
        features_BTF, _ = front_end(waveforms_BS, torch.tensor([len(samples_S)]))
        return features_BTF[0].cpu().numpy()
    # frames that the mirrored ends of a piece may spoil
    margin = -(-front_end.window_samples // front_end.hop_samples) + 1
    pieces, normalisation = [], front_end.normalisation
    front_end.normalisation = "none"
    for first in range(0, num_frames, PIECE_FRAMES):
        before, end = max(0, first - margin), min(num_frames, first + PIECE_FRAMES)
        last_sample = (
            len(samples_S) if end == num_frames else (end + margin) * front_end.hop_samples
        )
        piece_BS = waveforms_BS[:, before * front_end.hop_samples : last_sample]
        pieces.append(
            front_end(piece_BS, torch.tensor([piece_BS.shape[1]]))[0][
                :, first - before : end - before
            ]
        )
    front_end.normalisation = normalisation
    return (
        normalise(torch.cat(pieces, dim=1), torch.tensor([num_frames]), normalisation)[0]
        .cpu()
        .numpy()
    )
