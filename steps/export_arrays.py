"""Write a folder of embeddings as one npz or HDF5 file.

    python -m steps.export_arrays exp/x/embeddings/test test.npz --utt2spk data/full/test/utt2spk

``steps.import_embeddings --kind arrays`` reads such a file.
"""

from pathlib import Path

from utils.cli import run
from utils.embeddings.export import array_format
from utils.embeddings.folders import embeddings_inputs
from utils.receipts import Task

FORMAT = 1


def export_arrays(embeddings: Path, output: Path, *, utt2spk: Path | None = None) -> dict:
    """Write ``utterances``, ``embeddings``, with ``utt2spk`` also ``speakers``; and the provenance.

    Read with ``numpy.load(FILE)["embeddings"]``, or ``h5py.File(FILE)["embeddings"][:]``.

    Parameters
    ----------
    embeddings : path
        Folder with ``xvector.scp``, of vectors or of matrices of one size.
    output : path
        File whose name ends in ``.npz``, ``.h5`` or ``.hdf5`` (HDF5 needs h5py, from
        requirements-optional.txt).
    utt2spk : path or None
        Speakers of the utterances; may contain others.

    Returns
    -------
    dict
        Numbers of ``utterances`` and ``dimensions``.

    Raises
    ------
    UserError
        Another ending, h5py missing, an utterance without a speaker, or embeddings of several
        sizes.
    """
    array_format(output)
    inputs = embeddings_inputs(embeddings)
    if utt2spk:
        inputs["utt2spk"] = utt2spk
    task = Task(
        output.parent, f"export_arrays_{output.name}", format=FORMAT, inputs=inputs, options={}
    )
    if task.is_done():
        return task.counts
    import numpy as np

    from utils.embeddings.export import write_arrays
    from utils.embeddings.folders import look_up_speakers
    from utils.embeddings.provenance import read_provenance
    from utils.embeddings.rows import read_embeddings

    keys, vectors = read_embeddings(embeddings)
    arrays = {"utterances": np.array(keys), "embeddings": vectors}
    if utt2spk:
        arrays["speakers"] = np.array(look_up_speakers(keys, utt2spk))
    write_arrays(output, arrays, read_provenance(embeddings) or {})
    dimensions = vectors.shape[-1]
    print(f"{output}: {len(keys):,} embeddings of {dimensions} dimensions")
    return task.finish([output], {"utterances": len(keys), "dimensions": dimensions})


if __name__ == "__main__":
    run(export_arrays)
