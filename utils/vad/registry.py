"""Voice activity: which 10 ms frames of an utterance are speech.

What to choose when stands in the detectors' docstrings and, with every option, in conf/vad:

``webrtc``         speech of any loudness in little noise: fast, nothing to set.  The default.
``energy``         Kaldi's rule, exactly: to repeat a Kaldi recipe.
``silero``         sound with music or much noise: a network, an optional package, the slowest.
``librosa_trim``   read sentences in quiet: cuts the two ends, keeps pauses.
``librosa_split``  as that, and cuts pauses too.

Every detector has ``decisions(samples, sample_rate_hz) -> (T,) bool array``; frames as in utils/vad/base.py.
"""

from collections.abc import Mapping
from pathlib import Path

from utils.config import build, read_yaml, resolved_options
from utils.vad.base import (
    FRAMES_PER_SECOND,
    VoiceActivityDetector,
    cut_speech,
    keep_speech,
    num_frames,
    runs,
    smooth,
)
from utils.vad.energy import EnergyVad
from utils.vad.librosa_split import LibrosaSplitVad, LibrosaTrimVad
from utils.vad.silero import SileroVad
from utils.vad.webrtc import WebrtcVad

__all__ = [
    "FRAMES_PER_SECOND",
    "VADS",
    "VoiceActivityDetector",
    "cut_speech",
    "keep_speech",
    "make_vad",
    "num_frames",
    "runs",
    "smooth",
]

VADS = {
    "webrtc": WebrtcVad,
    "energy": EnergyVad,
    "silero": SileroVad,
    "librosa_trim": LibrosaTrimVad,
    "librosa_split": LibrosaSplitVad,
}
DEFAULT_VAD = {"name": "webrtc"}


def make_vad(
    config: Path | None, instead: Mapping | None = None
) -> tuple[VoiceActivityDetector, dict]:
    """The detector that a YAML file asks for.

    Parameters
    ----------
    config : path or None
        ``name`` and options, as in conf/vad; None: WebRTC's with its defaults.
    instead : mapping or None
        Options in place of those that stand there.

    Returns
    -------
    detector : VoiceActivityDetector
        Its package is imported when the first decisions are asked for.
    options : dict
        All its options, defaults included.
    """
    options = (DEFAULT_VAD if config is None else read_yaml(config)) | dict(instead or {})
    return build(VADS, options, str(config or "VAD")), resolved_options(VADS, options)
