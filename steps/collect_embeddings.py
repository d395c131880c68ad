"""Merge the embeddings of an array of jobs, with speaker means and provenance.

    python -m steps.collect_embeddings data/full/packed_16000/test \\
        exp/ghostvlad_cpu/embeddings/test --jobs 2
"""

from pathlib import Path

from utils.cli import run
from utils.errors import UserError
from utils.files import atomic_write, read_json_object
from utils.receipts import Task, data_dir_inputs
from utils.receipts.job_parts import Parts, part_receipts

FORMAT = 1
RECORDED_LATER = ("training_precision", "training_batch_norm")


def collect_embeddings(data: Path, output: Path, *, jobs: int = 1) -> dict:
    """Write xvector.scp, spk_xvector.{ark,scp}, num_utts.ark and provenance.json.

    A speaker's vector is the mean of its utterances; of matrices, over their rows too.

    Parameters
    ----------
    data : path
        Data directory that was embedded.
    output : path
        Folder of the embeddings, with the outputs of the jobs of steps.extract.
    jobs : int
        Number of jobs.

    Returns
    -------
    dict
        Numbers of utterances and speakers, the embedding's dimension, and its rows if an utterance
        has several.

    Raises
    ------
    UserError
        The embedded utterances are not exactly those of the data directory, or an embedding is not
        finite.
    """
    receipts = part_receipts(output, "extract", jobs)
    task = Task(
        output,
        "collect_embeddings",
        format=FORMAT,
        inputs=receipts | data_dir_inputs(data, "utt2spk"),
        options={},
    )
    if task.is_done():
        return task.counts
    from utils.data_dir import read_map
    from utils.embeddings.folders import finish_embeddings, refuse_not_finite
    from utils.embeddings.rows import mean_rows, read_embeddings

    parts = Parts(output, receipts)
    with atomic_write(output / "xvector.scp", "wb") as file:
        for path in parts.files("scp"):
            file.write(path.read_bytes())
    keys, embeddings = read_embeddings(output)
    utt2spk = read_map(data / "utt2spk")
    if keys != list(utt2spk):
        differing = sorted(set(keys) ^ utt2spk.keys()) or keys
        raise UserError(
            f"{output}/xvector.scp: {len(keys)} embeddings for {len(utt2spk)} utterances of "
            f"{data}, first difference '{differing[0]}'; remove the folder and extract again"
        )
    refuse_not_finite(keys, embeddings, output)
    provenance = _common_provenance(parts.files("json"))
    written = finish_embeddings(output, keys, mean_rows(embeddings), utt2spk, provenance)
    counts = {
        "utterances": len(keys),
        "speakers": len(set(utt2spk.values())),
        "dimension": embeddings.shape[-1],
    }
    if embeddings.ndim == 3:
        counts["rows"] = embeddings.shape[1]
    return task.finish([parts, output / "xvector.scp", *written], counts)


def _common_provenance(paths: list[Path]) -> dict:
    """The facts of all jobs; UserError if they differ."""
    facts = [read_json_object(path) for path in paths]
    for each in facts:
        if _compared(each) != _compared(facts[0]):
            raise UserError(
                f"{paths[0].parent}: the jobs' provenance differs, expected the same; remove the "
                "folder and extract again"
            )
    return max(facts, key=len)


def _compared(facts: dict) -> dict:
    """Facts without those that older versions did not record."""
    return {name: fact for name, fact in facts.items() if name not in RECORDED_LATER}


if __name__ == "__main__":
    run(collect_embeddings)
