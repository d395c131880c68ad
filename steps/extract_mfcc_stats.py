"""A baseline without learning: mean and standard deviation of Kaldi's MFCC as an embedding.

python -m steps.extract_mfcc_stats data/fold1/test exp/mfcc_stats/embeddings/test
"""

from pathlib import Path

from utils.cli import run
from utils.receipts import Task, data_dir_inputs

FORMAT = 2


def extract_mfcc_stats(data: Path, output: Path, *, sets: list[str] | None = None) -> dict:
    """Write means and standard deviations of 30 MFCC over all frames of utterances.

    MFCC of 16 kHz with 30 mel bins, no dither, otherwise Kaldi's defaults.  Their scales differ:
    conf/backends/scaled_cosine.yaml standardises them by training utterances.

    Parameters
    ----------
    data : path
        Data directory.  With ``sets``: the folder of such directories.
    output : path
        Folder of the embeddings, 60 numbers per utterance.  With ``sets``, each has a folder in it.
    sets : list of str or None
        Names of data directories in ``data``, each on its own.

    Returns
    -------
    dict
        Number of utterances.

    Raises
    ------
    UserError
        An utterance cannot be read or is shorter than a frame.
    """
    folders = [(data, output)]
    if sets:
        folders = [(data / name, output / name) for name in sets]
    utterances = 0
    for data_dir, embeddings in folders:
        utterances += _extract_set(data_dir, embeddings).get("utterances", 0)
    return {"utterances": utterances}


def _extract_set(data: Path, output: Path) -> dict:
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
