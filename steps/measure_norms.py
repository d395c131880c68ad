"""Write the norm of every embedding, a quality measure for ``steps.calibrate``.

python -m steps.measure_norms exp/x/embeddings/dev exp/x/measures/dev
"""

from pathlib import Path

import numpy as np

from utils.cli import run
from utils.data_dir import write_map
from utils.embeddings.folders import embeddings_inputs, refuse_not_finite
from utils.embeddings.rows import mean_rows, read_embeddings
from utils.receipts import Task

FORMAT = 1


def measure_norms(embeddings: Path, output: Path) -> dict:
    """Write ``utt2norm``: Euclidean norms of the raw embeddings; of a matrix, of its rows' mean.

    Parameters
    ----------
    embeddings : path
        Folder with ``xvector.scp``.
    output : path
        Folder of ``utt2norm``.

    Returns
    -------
    dict
        Number of ``embeddings``.

    Raises
    ------
    UserError
        An embedding has NaN or Inf.
    """
    task = Task(
        output, "measure_norms", format=FORMAT, inputs=embeddings_inputs(embeddings), options={}
    )
    if task.is_done():
        return task.counts
    keys, rows = read_embeddings(embeddings)
    refuse_not_finite(keys, rows, embeddings)
    norms = np.linalg.norm(mean_rows(rows).astype(np.float64), axis=1)
    utt2norm = {key: f"{norm:.7g}" for key, norm in zip(keys, norms.tolist(), strict=True)}
    write_map(output / "utt2norm", utt2norm)
    return task.finish([output / "utt2norm"], {"embeddings": len(keys)})


if __name__ == "__main__":
    run(measure_norms)
