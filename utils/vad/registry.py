"""Voice activity detectors by name.

Which one to choose is in their docstrings and, with every option, in conf/vad:

``webrtc``         speech of any loudness in little noise: fast, no options needed.  The default.
``resemblyzer``    removes long silences alone: Resemblyzer's preparation of audio.
``energy``         Kaldi's rule, exactly: to repeat a Kaldi recipe.
``silero``         audio with music or much noise: a network, an optional package, the slowest.
``librosa_trim``   read sentences in quiet: cuts the two ends, keeps pauses.
``librosa_split``  the same, and cuts pauses, too.
"""

from collections.abc import Mapping
from pathlib import Path

from utils.config import build, read_yaml, resolved_options
from utils.vad.base import VoiceActivityDetector
from utils.vad.energy import EnergyVad
from utils.vad.librosa_split import LibrosaSplitVad, LibrosaTrimVad
from utils.vad.resemblyzer import ResemblyzerVad
from utils.vad.silero import SileroVad
from utils.vad.webrtc import WebrtcVad

VADS = {
    "webrtc": WebrtcVad,
    "resemblyzer": ResemblyzerVad,
    "energy": EnergyVad,
    "silero": SileroVad,
    "librosa_trim": LibrosaTrimVad,
    "librosa_split": LibrosaSplitVad,
}
DEFAULT_VAD = {"name": "webrtc"}


def make_vad(
    config: Path | None, overrides: Mapping | None = None
) -> tuple[VoiceActivityDetector, dict]:
    """The detector of a YAML (None: WebRTC with its defaults), and all its options.

    `overrides` replace options of the YAML.  The detector's package is imported for the first
    decisions.
    """
    options = DEFAULT_VAD if config is None else read_yaml(config)
    options = options | dict(overrides or {})
    return build(VADS, options, str(config or "VAD")), resolved_options(VADS, options)
