"""Features that were computed before, by Kaldi or steps.make_feats, and stand in a feats.scp.

Shapes as in utils/features/base.py.
"""

from utils.features.base import FrontEnd
from utils.features.normalisation import NormalisationOption


class Precomputed(FrontEnd):
    """Stored features in place of waveforms: a "sample" is a frame, the "rate" is that of the frames.  Only normalisation and masking are left to do.

    Parameters
    ----------
    num_bins : int
        Features of a frame.
    description : str
        What made them, in one line: it stands for the front end in the provenance of embeddings, which scoring compares.
    frames_per_second : int
        Rate of the frames.
    normalisation : str or mapping
        As :func:`utils.features.normalisation.make_normalisation`, over what is read: in training over the crop.
    select_voiced : bool
        Only frames that vad.scp calls speech are read, as behind Kaldi's select-voiced-frames; a normalisation that has to come before the selection
        (Kaldi's order) belongs into the stored features.
    """

    def __init__(
        self,
        *,
        num_bins: int,
        description: str,
        frames_per_second: int = 100,
        normalisation: NormalisationOption = "none",
        select_voiced: bool = False,
    ) -> None:
        if not description.strip() or len(description.splitlines()) > 1:
            raise ValueError(
                f"description is {description!r}, expected one line that says what made the features"
            )
        if frames_per_second < 1:
            raise ValueError(f"frames_per_second is {frames_per_second}, expected 1 or more")
        super().__init__(
            sample_rate_hz=frames_per_second, num_bins=num_bins, normalisation=normalisation
        )
        self.description, self.select_voiced = description.strip(), select_voiced

    def _input(self):
        frames = "frames of speech" if self.select_voiced else "frames"
        return f"{self.sample_rate_hz} {frames} per second, {self.description}"

    def _features(self, features_BTF, lengths_B):
        if features_BTF.ndim != 3 or features_BTF.shape[-1] != self.num_bins:
            raise ValueError(
                f"found features of shape {tuple(features_BTF.shape)}, expected (utterances, frames, {self.num_bins})"
            )
        return features_BTF[:, : int(lengths_B.max())]
