"""The baseline that hears no speech: what the recording sounds like before and after it, as the embedding of an utterance.

    python -m steps.extract_channel_stats data/full/test exp/channel_stats/embeddings/test

On a sound corpus it is at chance: if it tells speakers apart, so does any network, by their channels.
"""

from pathlib import Path

from utils.cli import run
from utils.errors import UserError
from utils.receipts import Task, data_dir_inputs

FORMAT = 2


def extract_channel_stats(
    data: Path, output: Path, *, sets: list[str] | None = None, margin_seconds: float = 0.2
) -> dict:
    """Write means and deviations of 30 log-mel energies over the first and last moments of each utterance.

    Their scales differ: conf/backends/scaled_cosine.yaml learns mean and deviation from training utterances.

    Parameters
    ----------
    data : path
        Data directory whose utterances begin and end without speech.
        With ``sets``: the folder of such directories.
    output : path
        Folder of the embeddings, 60 numbers for each utterance; of a folder for each of ``sets``.
    sets : list of str or None
        Names of the data directories in ``data``, each by itself.
    margin_seconds : float
        How long nobody speaks at either end.

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
    folders = [(data / name, output / name) for name in sets] if sets else [(data, output)]
    return {
        "utterances": sum(
            _channel_stats_of_set(*pair, margin_seconds).get("utterances", 0) for pair in folders
        )
    }


def _channel_stats_of_set(data: Path, output: Path, margin_seconds: float) -> dict:
    """Embed one data directory."""
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
