"""Features of whole utterances, one at a time: they depend neither on others nor on jobs.

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

PIECE_FRAMES = 30_000  # computed at a time, so that hours of sound fit into memory


def build_fixed_front_end(options: dict, where: str) -> tuple[FrontEnd, dict]:
    """A front end without weights, and the description of its features for feats.json.

    The description has all options, the default ones too, and what follows from them.  UserError
    if the options are wrong or these features cannot be stored.
    """
    front_end = build(FRONT_ENDS, options, where)
    name = options["name"]
    reason = ""
    if isinstance(front_end, Precomputed):
        reason = "reads stored features itself"
    elif list(front_end.parameters()):
        reason = "learns its filters with the network"
    if reason:
        raise UserError(
            f"{where}: name: '{name}' {reason}; "
            "choose a front end that computes features of waveforms"
        )
    arguments = {key: value for key, value in options.items() if key != "name"}
    checked = check_options(FRONT_ENDS[name], arguments, where)
    resolved = resolved_options(FRONT_ENDS, {"name": name} | checked)
    resolved["normalisation"] = str(front_end.normalisation)
    return front_end.eval(), {
        "front_end": resolved,
        "description": str(front_end),
        "num_bins": front_end.num_bins,
        "frame_shift_seconds": front_end.hop_samples / front_end.sample_rate_hz,
    }


@torch.no_grad()
def compute_features(front_end: FrontEnd, samples_S: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Features (T, F) float32 of one utterance; no frames if it is too short for one.

    ``samples_S`` is (S,) float32 in [-1, 1] at the front end's sample rate; the front end is on
    the device.
    """
    num_frames = int(front_end.num_frames(len(samples_S)))
    if num_frames < 1:
        return np.empty((0, front_end.num_bins), np.float32)
    waveforms_BS = torch.from_numpy(samples_S)[None].to(device)
    if num_frames <= PIECE_FRAMES or not isinstance(front_end, FramedFrontEnd):
        features_BTF, _ = front_end(waveforms_BS, torch.tensor([len(samples_S)]))
        return features_BTF[0].cpu().numpy()
    # frames that the mirrored ends of a piece would change
    margin = -(-front_end.window_samples // front_end.hop_samples) + 1
    pieces, normalisation = [], front_end.normalisation
    front_end.normalisation = "none"
    for first in range(0, num_frames, PIECE_FRAMES):
        before, end = max(0, first - margin), min(num_frames, first + PIECE_FRAMES)
        last_sample = (end + margin) * front_end.hop_samples
        if end == num_frames:
            last_sample = len(samples_S)
        piece_BS = waveforms_BS[:, before * front_end.hop_samples : last_sample]
        piece_BTF, _ = front_end(piece_BS, torch.tensor([piece_BS.shape[1]]))
        pieces.append(piece_BTF[:, first - before : end - before])
    front_end.normalisation = normalisation
    features_BTF = torch.cat(pieces, dim=1)
    features_BTF = normalise(features_BTF, torch.tensor([num_frames]), normalisation)
    return features_BTF[0].cpu().numpy()
