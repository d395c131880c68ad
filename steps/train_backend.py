"""Train a back end on a folder of embeddings.

python -m steps.train_backend exp/ghostvlad_cpu/embeddings/train exp/ghostvlad_cpu/backend/cosine
"""

import json
from pathlib import Path

import numpy as np

from utils.archive import read_vectors, write_vector
from utils.cli import run
from utils.embeddings import embeddings_inputs, refuse_not_finite
from utils.errors import UserError
from utils.files import atomic_write
from utils.provenance import read_provenance
from utils.receipts import Task

FORMAT = 1


def train_backend(embeddings: Path, output: Path, *, backend: str = "cosine", subtract_mean: bool = True) -> dict:
    """Learn what a back end needs from training embeddings, and write it in Kaldi's files.

    Parameters
    ----------
    embeddings : path
        Folder with ``xvector.scp``, one vector per utterance.
    output : path
        Folder for ``backend.json``, ``mean.vec`` and the embeddings' ``provenance.json``.
    backend : str
        A name in ``steps.backends.BACKENDS``.
    subtract_mean : bool
        Take the mean of the training embeddings away before the comparison.

    Returns
    -------
    dict
        Number of ``embeddings`` and of their ``dimensions``.

    Raises
    ------
    UserError
        Unknown back end, or an embedding with NaN or Inf.
    """
    options = {"subtract_mean": subtract_mean}
    task = Task(home=output, name="train_backend", format=FORMAT, inputs=embeddings_inputs(embeddings), options={"backend": backend, **options})
    if task.is_done():
        return task.counts
    from steps.backends import BACKENDS

    if backend not in BACKENDS:
        raise UserError(f"no back end '{backend}'; there are {', '.join(sorted(BACKENDS))}")
    keys, vectors = read_vectors(embeddings / "xvector.scp")
    refuse_not_finite(keys, vectors, embeddings)
    learned = BACKENDS[backend](**options).fit(vectors)
    paths = [output / "backend.json"]
    with atomic_write(paths[0]) as file:
        file.write(json.dumps({"name": backend, "options": options, "dimensions": vectors.shape[1]}, indent=1) + "\n")
    for name, part in learned.parts().items():
        write_vector(output / name, part.astype(np.float32))  # as Kaldi's ivector-mean does
        paths.append(output / name)
    facts = read_provenance(embeddings)
    if facts is None:
        (output / "provenance.json").unlink(missing_ok=True)
    else:
        paths.append(output / "provenance.json")
        with atomic_write(paths[-1]) as file:
            file.write(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    return task.finish(paths, {"embeddings": len(keys), "dimensions": vectors.shape[1]})


if __name__ == "__main__":
    run(train_backend)
