r"""Turn embeddings of others (pickles, npz, HDF5) into archives for back ends here and in Kaldi.

    python -m steps.import_embeddings TTA_vox1_eval.pk exp/rawnet2/embeddings/vox1_eval \
        --kind rawnet2_tta --model rawnet2
    python -m steps.import_embeddings test.npz exp/y/embeddings/test \
        --kind arrays --utt2spk data/full/test/utt2spk

A pickle is read without running anything of it (utils/foreign/sandbox.py).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.cli import run
from utils.errors import UserError, WrongArguments
from utils.receipts import MODE, Task

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
# Of a file of kind rawnet: part -> folder.
PARTS = {"dev_dic_embeddings": "dev", "eval_dic_embeddings": "eval"}
CROPS = {
    "rawnet": "whole utterances",
    "rawnet2_tta": "mean of windows of 59,049 samples, 20 % overlap",
    "dict": "unknown",
    "arrays": "unknown",
}
WITH_SPEAKERS = ("dict", "arrays")  # kinds whose keys do not contain the speaker


def import_embeddings(
    source: Path,
    output: Path,
    *,
    kind: Literal["rawnet", "rawnet2_tta", "dict", "arrays"],
    meta: Path | None = None,
    utt2spk: Path | None = None,
    model: str | None = None,
) -> dict:
    """Write what steps.extract and steps.collect_embeddings write.

    ``xvector.{ark,scp}``, speaker means and ``provenance.json``.

    Parameters
    ----------
    source : path
        The pickle, or npz or HDF5 file.
    output : path
        Folder of the embeddings; of kind ``rawnet``, ``dev`` and ``eval`` are folders in it.
    kind : str
        ``rawnet``: two dictionaries, dev_dic_embeddings and eval_dic_embeddings, whose keys have
        the speaker names of VoxCeleb1's first release; ``rawnet2_tta``: one dictionary with keys
        id/video/segment; ``dict``: any dictionary of vectors, whose keys are the utterances;
        ``arrays``: what ``steps.export_arrays`` writes, or any npz or HDF5 file with arrays
        ``utterances`` and ``embeddings``.
    meta : path or None
        ``vox1_meta.csv``, which maps names to ids: kind ``rawnet`` needs it.
    utt2spk : path or None
        Speakers of the utterances: kinds ``dict`` and ``arrays`` need it.
    model : str or None
        Name of the network: embeddings with the same name may be compared with each other.  None:
        the one in the file's provenance, or else the hash of the file.

    Returns
    -------
    dict
        Numbers of utterances and speakers of each folder, and the dimension.

    Raises
    ------
    UserError
        The file is damaged or a pickle that asks for more than arrays, a name has no id, or the
        vectors differ in size.
    """
    _check_option(kind, "--meta", meta, ("rawnet",))
    _check_option(kind, "--utt2spk", utt2spk, WITH_SPEAKERS)
    if not MODE.checking and not source.exists():
        raise UserError(f"{source}: no such file")
    folders = {"": output}
    if kind == "rawnet":
        folders = {part: output / name for part, name in PARTS.items()}
    inputs = {"source": source}
    names = meta or utt2spk
    if names:
        inputs["names"] = names
    tasks, waiting = {}, []
    for part, folder in folders.items():
        options = {"imported": kind, "model": model}
        task = Task(folder, "collect_embeddings", format=FORMAT, inputs=inputs, options=options)
        tasks[part] = task
        if not task.is_done():
            waiting.append(part)
    if waiting:
        vectors, facts = _read_source(source, kind, waiting)
        if model:
            facts["model"] = model
        for part in waiting:
            _write_folder(tasks[part], vectors[part], source, kind, names, facts)
    return {str(task.home): task.counts for task in tasks.values()}


def _check_option(kind: str, option: str, path: Path | None, needing: tuple[str, ...]) -> None:
    """Refuse an option that a kind does not have, and its absence where the kind needs it."""
    if path is None and kind in needing:
        raise WrongArguments(f"{option}: kind {kind} needs it (see --help)")
    if path is not None and kind not in needing:
        raise WrongArguments(f"{option}: kind {kind} has no such option")


def _read_source(
    source: Path, kind: str, parts: list[str]
) -> "tuple[dict[str, dict[str, np.ndarray]], dict]":
    """Vectors of each part of a file by utterance, and the provenance that the file holds."""
    if kind != "arrays":
        from utils.foreign.pickles import read_pickle

        return read_pickle(source, parts), {}
    from utils.embeddings.export import read_arrays

    arrays, facts = read_arrays(source)
    keys = arrays["utterances"].tolist()
    count = len(set(keys))
    if count < len(keys):
        raise UserError(
            f"{source}: an utterance is listed twice: {len(keys)} rows, {count} utterances; "
            "write each once"
        )
    return {"": dict(zip(keys, arrays["embeddings"], strict=True))}, facts


def _write_folder(
    task: Task,
    vectors: "Mapping[str, np.ndarray]",
    source: Path,
    kind: str,
    names: Path | None,
    facts: dict,
) -> None:
    """Write the archives of one folder, and its receipt; ``names`` is --meta or --utt2spk."""
    from utils.archive import ArchiveWriter
    from utils.embeddings.folders import finish_embeddings, refuse_not_finite
    from utils.files import file_sha256

    labels = _utterances_and_speakers(vectors, source, kind, names)
    keys: dict[str, str] = {}  # utterance -> key of the file
    utt2spk = {}
    for key, (utterance, speaker) in labels.items():
        if utterance in keys:
            raise UserError(
                f"{source}: '{keys[utterance]}' and '{key}' are both utterance {utterance}"
            )
        keys[utterance] = key
        utt2spk[utterance] = speaker
    utterances = sorted(keys)
    embeddings_ND = _stack(vectors, [keys[utterance] for utterance in utterances], source)
    refuse_not_finite(utterances, embeddings_ND, source)
    with ArchiveWriter(task.home / "xvector.ark", task.home / "xvector.scp") as writer:
        for utterance, embedding_D in zip(utterances, embeddings_ND, strict=True):
            writer.write(utterance, embedding_D)
    digest = file_sha256(source)
    provenance = {
        "model": digest,
        "source_sha256": digest,
        "front_end": "that of the imported embeddings",
        "sample_rate_hz": "unknown",
        "vad": "unknown",
        "augmentation": "unknown",
        "crops": CROPS[kind],
    }
    provenance |= facts
    written = finish_embeddings(task.home, utterances, embeddings_ND, utt2spk, provenance)
    counts = {
        "utterances": len(utterances),
        "speakers": len(set(utt2spk.values())),
        "dimension": embeddings_ND.shape[1],
    }
    task.finish([writer, *written], counts)


def _utterances_and_speakers(
    vectors: "Mapping[str, np.ndarray]", source: Path, kind: str, names: Path | None
) -> dict[str, tuple[str, str]]:
    """Key of the file -> utterance and speaker."""
    from utils.data_dir import read_map
    from utils.trials.voxceleb_names import listed, read_meta, utterance_ids

    if names is None:  # the keys themselves contain the ids
        return utterance_ids(vectors, str(source), None)
    if kind == "rawnet":
        return utterance_ids(vectors, str(source), read_meta(names))
    speakers = read_map(names)
    unknown = sorted(vectors.keys() - speakers.keys())
    if unknown:
        raise UserError(
            f"{source}: {len(unknown)} of {len(vectors)} utterances are not in {names}: "
            f"{listed(unknown)}"
        )
    return {key: (key, speakers[key]) for key in vectors}


def _stack(vectors: "Mapping[str, np.ndarray]", keys: Sequence[str], source: Path) -> "np.ndarray":
    """The vectors of some keys as rows of float32; UserError where one is of another size."""
    import numpy as np

    rows = [np.squeeze(np.asarray(vectors[key])) for key in keys]
    shape = rows[0].shape
    for key, row in zip(keys, rows, strict=True):
        if row.ndim != 1 or row.dtype.kind != "f" or row.shape != shape:
            raise UserError(
                f"{source}: '{key}' is an array of {row.dtype} of shape {row.shape}, expected a "
                f"vector of numbers like the first one, of {shape}"
            )
    return np.stack(rows).astype(np.float32)


if __name__ == "__main__":
    run(import_embeddings)
