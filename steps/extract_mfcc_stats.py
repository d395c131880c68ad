"""The baseline without learning: mean and standard deviation of Kaldi's MFCC as the embedding of an utterance.

python -m steps.extract_mfcc_stats data/fold1/test exp/mfcc_stats/embeddings/test
"""

from pathlib import Path

from utils.cli import run
from utils.receipts import Task, data_dir_inputs

FORMAT = 2


def extract_mfcc_stats(data: Path, output: Path, *, sets: list[str] | None = None) -> dict:
    """Write means and deviations of 30 MFCC (16 kHz, 30 mel bins, no dither, otherwise Kaldi's defaults) over all frames.

    Their scales differ: conf/backends/scaled_cosine.yaml learns mean and deviation from training utterances.

    Parameters
    ----------
    data : path
        Data directory.  With ``sets``: the folder of such directories.
    output : path
        Folder of the embeddings, 60 numbers for each utterance; of a folder for each of ``sets``.
    sets : list of str or None
        Names of the data directories in ``data``, each by itself.

    Returns
    -------
    dict
        Number of utterances.

    Raises
    ------
    UserError
        An utterance cannot be read or is shorter than a frame.
    """
    folders = [(data / name, output / name) for name in sets] if sets else [(data, output)]
    return {"utterances": sum(_mfcc_stats_of_set(*pair).get("utterances", 0) for pair in folders)}


def _mfcc_stats_of_set(data: Path, output: Path) -> dict:
    """Embed one data directory."""
    inputs = data_dir_inputs(data, "wav.scp", "segments", "utt2spk")
    task = Task(
        output,
        "collect_embeddings",
        format=FORMAT,
        inputs=inputs,
        options={"embedding": "mfcc_stats"},
    )
    if task.is_done():
        return task.counts
    from utils.embeddings.baselines import extract_statistics
    from utils.features.kaldi import KaldiMfcc

    front_end = KaldiMfcc(
        sample_rate_hz=16000, num_mel_bins=30, num_ceps=30, high_freq_hz=0.0, snip_edges=True
    )
    provenance = {
        "model": "mfcc_stats",
        "front_end": "KaldiMfcc: 30 mel bins, 30 coefficients",
        "sample_rate_hz": front_end.sample_rate_hz,
        "crops": "whole utterances",
        "augmentation": "none",
    }
    outputs, num_utterances = extract_statistics(data, output, front_end, provenance)
    return task.finish(outputs, {"utterances": num_utterances})


if __name__ == "__main__":
    run(extract_mfcc_stats)
