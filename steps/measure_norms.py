"""Write the length of every embedding, a quality measure for ``steps.calibrate``.

python -m steps.measure_norms exp/x/embeddings/dev exp/x/measures/dev
"""

from pathlib import Path

import numpy as np

from utils.cli import run
from utils.data_dir import write_map
from utils.embeddings.folders import embeddings_inputs, refuse_not_finite
from utils.embeddings.rows import read_embeddings, vectors_of
from utils.receipts import Task

FORMAT = 1


def measure_norms(embeddings: Path, output: Path) -> dict:
    """Write ``utt2norm``: before anything is subtracted, and of a matrix the length of the mean of its rows.

    Parameters
    ----------
    embeddings : path
        Folder with ``xvector.scp``.
    output : path
        Folder.

    Returns
    -------
    dict
        Number of ``embeddings``.

    Raises
    ------
    UserError
        One is not finite.
    """
    task = Task(
        output, "measure_norms", format=FORMAT, inputs=embeddings_inputs(embeddings), options={}
    )
    if task.is_done():
        return task.counts
    keys, rows = read_embeddings(embeddings)
    refuse_not_finite(keys, rows, embeddings)
    lengths = np.linalg.norm(vectors_of(rows).astype(np.float64), axis=1)
    write_map(
        output / "utt2norm",
        {key: f"{length:.7g}" for key, length in sorted(zip(keys, lengths.tolist(), strict=True))},
    )
    return task.finish([output / "utt2norm"], {"embeddings": len(keys)})


if __name__ == "__main__":
    run(measure_norms)
