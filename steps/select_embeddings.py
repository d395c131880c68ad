"""Embeddings of lists of trials, selected from those of all test files, which are embedded once.

    python -m steps.select_embeddings exp/ecapa_512/embeddings/test data/vox2dev/tests \\
        exp/ecapa_512/embeddings --sets "[vox1_o, vox1_o_cleaned]"

The archives are not copied; each new folder of embeddings points into them.
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
    """Write xvector.scp, spk_xvector.{ark,scp}, num_utts.ark and provenance.json for each set.

    Parameters
    ----------
    embeddings : path
        Folder of the embeddings of all test files (steps.collect_embeddings).
    data : path
        Folder of data directories, whose ``utt2spk`` have the utterances of each set.
    output : path
        Gets a folder of embeddings for each set.
    sets : list of str
        Names of data directories below ``data``.
    protocol : str or None
        Test protocol, if it is not whole utterances: name of its folder below ``embeddings``, and
        below each set's.

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
    tasks = {}
    for name in sets:
        tasks[name] = Task(
            output / name / (protocol or ""),
            "collect_embeddings",
            format=FORMAT,
            options={},
            inputs={**embeddings_inputs(source), "utt2spk": data / name / "utt2spk"},
        )
    pending = {name: task for name, task in tasks.items() if not task.is_done()}
    if pending:
        _select(source, data, pending)
    return {name: task.counts["utterances"] for name, task in tasks.items() if task.counts}


def _select(source: Path, data: Path, tasks: dict[str, Task]) -> None:
    """Write the embeddings of each set."""
    from utils.data_dir import read_map
    from utils.embeddings.folders import finish_embeddings
    from utils.embeddings.rows import mean_rows, read_embeddings

    keys, vectors = read_embeddings(source)
    row_by_utterance = {key: row for row, key in enumerate(keys)}
    lines = read_lines(source / "xvector.scp")
    provenance = read_json_object(source / "provenance.json", remedy="extract the embeddings again")
    for name, task in tasks.items():
        utt2spk = read_map(data / name / "utt2spk")
        missing = [key for key in utt2spk if key not in row_by_utterance]
        if missing:
            raise UserError(
                f"{source}: no embedding of '{missing[0]}' of {data / name}/utt2spk, "
                f"{len(missing):,} are missing; extract them"
            )
        rows = [row_by_utterance[key] for key in utt2spk]
        scp = task.home / "xvector.scp"
        with atomic_write(scp) as file:
            for row in rows:
                file.write(f"{lines[row]}\n")
        selected = mean_rows(vectors[rows])
        written = finish_embeddings(task.home, list(utt2spk), selected, utt2spk, provenance)
        task.finish([scp, *written], {"utterances": len(utt2spk)})


if __name__ == "__main__":
    run(select_embeddings)
