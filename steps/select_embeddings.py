"""Embeddings of the utterances of some lists of trials, out of those of all test files: what several lists share is embedded once.

    python -m steps.select_embeddings exp/ecapa_512/embeddings/test data/vox2dev/tests exp/ecapa_512/embeddings --sets "[vox1_o, vox1_o_cleaned]"

The archives stay where they are; each new folder of embeddings points into them.
"""

from pathlib import Path

from utils.cli import run
from utils.embeddings.folders import embeddings_inputs
from utils.errors import UserError
from utils.files import atomic_write, read_json_object, read_lines
from utils.receipts import Task

FORMAT = 1


def select_embeddings(
    embeddings: Path, data: Path, output: Path, *, sets: list[str], protocol: str | None = None
) -> dict:
    """Write ``xvector.scp``, ``spk_xvector.{ark,scp}``, ``num_utts.ark`` and ``provenance.json`` for each set.

    Parameters
    ----------
    embeddings : path
        Folder of the embeddings of all test files (steps.collect_embeddings).
    data : path
        Folder of data directories, whose ``utt2spk`` say which utterances each set has.
    output : path
        Gets a folder of embeddings for each set.
    sets : list of str
        Names of data directories below ``data``.
    protocol : str or None
        Of another test protocol than whole utterances: name of its folder below ``embeddings``, and below each set's.

    Returns
    -------
    dict
        Set -> number of utterances.

    Raises
    ------
    UserError
        An utterance has no embedding.
    """
    source = embeddings / (protocol or "")
    tasks = {
        name: Task(
            output / name / (protocol or ""),
            "collect_embeddings",
            format=FORMAT,
            options={},
            inputs={**embeddings_inputs(source), "utt2spk": data / name / "utt2spk"},
        )
        for name in sets
    }
    pending = {name: task for name, task in tasks.items() if not task.is_done()}
    if pending:
        from utils.data_dir import read_map
        from utils.embeddings.folders import finish_embeddings
        from utils.embeddings.rows import read_embeddings, vectors_of

        keys, vectors = read_embeddings(source)
        row_of, lines = (
            {key: row for row, key in enumerate(keys)},
            read_lines(source / "xvector.scp"),
        )
        provenance = read_json_object(
            source / "provenance.json", mend="extract the embeddings again"
        )
        for name, task in pending.items():
            utt2spk = read_map(data / name / "utt2spk")
            absent = [key for key in utt2spk if key not in row_of]
            if absent:
                raise UserError(
                    f"{source}: no embedding of '{absent[0]}' of {data / name}/utt2spk, {len(absent):,} are missing; extract them"
                )
            rows = [row_of[key] for key in utt2spk]
            with atomic_write(task.home / "xvector.scp") as file:
                file.writelines(f"{lines[row]}\n" for row in rows)
            written = finish_embeddings(
                task.home, list(utt2spk), vectors_of(vectors[rows]), utt2spk, provenance
            )
            task.finish([task.home / "xvector.scp", *written], {"utterances": len(utt2spk)})
    return {name: task.counts["utterances"] for name, task in tasks.items() if task.counts}


if __name__ == "__main__":
    run(select_embeddings)
