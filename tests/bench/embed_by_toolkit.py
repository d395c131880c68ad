"""Embed files with a toolkit's own code and print the seconds of each, for `bench_published_rate`.

Runs in an environment of its own, which has the toolkit; nothing of this project is imported.

    python embed_by_toolkit.py ecapa|campplus|resemblyzer < FILES

FILES: a path a line.  ``campplus`` needs 3D-Speaker's checkout on PYTHONPATH.  Weights are drawn
where the package does not carry them: the time does not depend on their values.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import soundfile as sf
import torch


def ecapa() -> Callable[[str], Any]:
    """SpeechBrain's features, network and normalisation, as `EncoderClassifier` joins them."""
    from speechbrain.lobes.features import Fbank
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
    from speechbrain.processing.features import InputNormalization

    features = Fbank(n_mels=80)
    normalise = InputNormalization(norm_type="sentence", std_norm=False)
    network = ECAPA_TDNN(
        input_size=80,
        channels=[1024, 1024, 1024, 1024, 3072],
        kernel_sizes=[5, 3, 3, 3, 1],
        dilations=[1, 2, 3, 4, 1],
        attention_channels=128,
        lin_neurons=192,
    ).eval()
    whole = torch.ones(1)

    def embed(path: str) -> torch.Tensor:
        samples_BS = torch.from_numpy(sf.read(path, dtype="float32")[0])[None]
        return network(normalise(features(samples_BS), whole), whole)

    return embed


def campplus() -> Callable[[str], Any]:
    """3D-Speaker's features and network, as its `infer_sv` joins them."""
    from speakerlab.models.campplus.DTDNN import CAMPPlus
    from speakerlab.process.processor import FBank

    features = FBank(80, sample_rate=16000, mean_nor=True)
    network = CAMPPlus(feat_dim=80, embedding_size=192).eval()

    def embed(path: str) -> torch.Tensor:
        samples_CS = torch.from_numpy(sf.read(path, dtype="float32")[0])[None]
        return network(features(samples_CS)[None])

    return embed


def resemblyzer() -> Callable[[str], Any]:
    """Resemblyzer's gain, trimming, pieces and network."""
    from resemblyzer import VoiceEncoder, preprocess_wav

    network = VoiceEncoder(device="cpu", verbose=False)
    return lambda path: network.embed_utterance(preprocess_wav(Path(path)))


def main() -> None:
    """Print a line of seconds per file; the first file is embedded once before."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    makers = {"ecapa": ecapa, "campplus": campplus, "resemblyzer": resemblyzer}
    embed = makers[sys.argv[1]]()
    files = sys.stdin.read().splitlines()
    embed(files[0])
    for path in files:
        start = time.process_time()
        embed(path)
        print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    main()
