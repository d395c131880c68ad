"""Features that are stored already: a feats.scp made by Kaldi or by steps.make_feats.

Shapes as in utils/features/base.py.
"""

from utils.features.base import FrontEnd
from utils.features.normalisation import NormalisationOption


class Precomputed(FrontEnd):
    """Stored features instead of waveforms: a "sample" is a frame, the rate is that of the frames.

    Only normalisation and masking are left to do.

    Parameters
    ----------
    num_bins : int
        Features of a frame.
    description : str
        What made the features, in one line; it describes the front end in the provenance of
        embeddings, which scoring compares.
    frames_per_second : int
        Rate of the frames.
    normalisation : str or mapping
        As :func:`utils.features.normalisation.make_normalisation`, over the frames that are read:
        in training, the crop.
    select_voiced : bool
        Whether only the frames of speech in vad.scp are read, as after Kaldi's
        select-voiced-frames; a normalisation before the selection (Kaldi's order) must be done in
        the stored features.
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
                f"description is {description!r}, "
                "expected one line that says what made the features"
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
                f"found features of shape {tuple(features_BTF.shape)}, "
                f"expected (utterances, frames, {self.num_bins})"
            )
        return features_BTF[:, : int(lengths_B.max())]
