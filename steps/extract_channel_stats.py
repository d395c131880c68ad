"""A baseline without speech: an embedding of the recording before and after an utterance.

    python -m steps.extract_channel_stats data/full/test exp/channel_stats/embeddings/test

It should be at chance.  If it distinguishes speakers, a network can do so by channel alone.
"""

from pathlib import Path

from utils.cli import run
from utils.errors import UserError
from utils.receipts import Task, data_dir_inputs

FORMAT = 2


def extract_channel_stats(
    data: Path, output: Path, *, sets: list[str] | None = None, margin_seconds: float = 0.2
) -> dict:
    """Write means and standard deviations of 30 log-mel energies over both ends of utterances.

    Their scales differ: conf/backends/scaled_cosine.yaml standardises them by training utterances.

    Parameters
    ----------
    data : path
        Data directory; its utterances begin and end without speech.
        With ``sets``: the folder of such directories.
    output : path
        Folder of the embeddings, 60 numbers per utterance.  With ``sets``, each has a folder in it.
    sets : list of str or None
        Names of data directories in ``data``, each on its own.
    margin_seconds : float
        Length without speech at either end.

    Returns
    -------
    dict
        Number of utterances.

    Raises
    ------
    UserError
        An utterance cannot be read or is shorter than the two margins.
    """
    if margin_seconds < 0.025:
        raise UserError(f"--margin-seconds is {margin_seconds}, expected 0.025 (one frame) or more")
    folders = [(data, output)]
    if sets:
        folders = [(data / name, output / name) for name in sets]
    utterances = 0
    for data_dir, embeddings in folders:
        counts = _extract_set(data_dir, embeddings, margin_seconds)
        utterances += counts.get("utterances", 0)
    return {"utterances": utterances}


def _extract_set(data: Path, output: Path, margin_seconds: float) -> dict:
    inputs = data_dir_inputs(data, "wav.scp", "segments", "utt2spk")
    task = Task(
        output,
        "collect_embeddings",
        format=FORMAT,
        inputs=inputs,
        options={"embedding": "channel_stats", "margin_seconds": margin_seconds},
    )
    if task.is_done():
        return task.counts
    from utils.embeddings.baselines import extract_statistics
    from utils.features.kaldi import KaldiFbank

    front_end = KaldiFbank(sample_rate_hz=16000, num_mel_bins=30)
    provenance = {
        "model": "channel_stats",
        "front_end": "KaldiFbank: 30 mel bins",
        "sample_rate_hz": front_end.sample_rate_hz,
        "crops": f"the first and last {margin_seconds} s",
        "augmentation": "none",
    }
    outputs, num_utterances = extract_statistics(
        data, output, front_end, provenance, margin_seconds
    )
    return task.finish(outputs, {"utterances": num_utterances})


if __name__ == "__main__":
    run(extract_channel_stats)
