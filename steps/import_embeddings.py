"""Turn pickled dictionaries of embeddings, as RawNet's authors published them, and arrays into archives for back ends here and in Kaldi.

    python -m steps.import_embeddings TTA_vox1_eval.pk exp/rawnet2/embeddings/vox1_eval --kind rawnet2_tta --model rawnet2
    python -m steps.import_embeddings test.npz exp/y/embeddings/test --kind arrays --utt2spk data/full/test/utt2spk

A pickle is read without running anything of it (utils/foreign/pickles.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from utils.cli import run
from utils.errors import UserError
from utils.receipts import MODE, Task

FORMAT = 1
PARTS = {
    "dev_dic_embeddings": "dev",
    "eval_dic_embeddings": "eval",
}  # of a file of kind rawnet -> folders
CROPS = {
    "rawnet": "whole utterances",
    "rawnet2_tta": "mean of windows of 59,049 samples, 20 % overlap",
    "dict": "unknown",
    "arrays": "unknown",
}
WITH_SPEAKERS = ("dict", "arrays")  # kinds whose keys do not tell the speaker


def import_embeddings(
    source: Path,
    output: Path,
    *,
    kind: Literal["rawnet", "rawnet2_tta", "dict", "arrays"],
    meta: Path | None = None,
    utt2spk: Path | None = None,
    model: str | None = None,
) -> dict:
    """Write what steps.extract and steps.collect_embeddings leave: ``xvector.{ark,scp}``, means of speakers, ``provenance.json``.

    Parameters
    ----------
    source : path
        The pickle, or npz or HDF5 file.
    output : path
        Folder of the embeddings; of kind ``rawnet`` those of ``dev`` and ``eval`` get folders in it.
    kind : str
        ``rawnet``: two dictionaries, dev_dic_embeddings and eval_dic_embeddings, whose keys have the speakers' names of VoxCeleb1's first release;
        ``rawnet2_tta``: one dictionary with keys id/video/segment; ``dict``: any dictionary of vectors, whose keys become utterances as they are;
        ``arrays``: what ``steps.export_arrays`` writes, or any npz or HDF5 file with arrays ``utterances`` and ``embeddings``.
    meta : path or None
        ``vox1_meta.csv``, which says the ids of names: kind ``rawnet`` needs it.
    utt2spk : path or None
        Speakers of the utterances: kinds ``dict`` and ``arrays`` need it.
    model : str or None
        What the network is called: sets of the same name may be compared with each other.  None: by the provenance in the
        file where it has one, else by the hash of the file, so with none but those of the same file.

    Returns
    -------
    dict
        Numbers of utterances and speakers of each folder, and the dimension.

    Raises
    ------
    UserError
        The file is damaged or a pickle that asks for more than arrays, a name has no id, or the vectors differ in size.
    """
    for option, path, needing in (
        ("--meta", meta, ("rawnet",)),
        ("--utt2spk", utt2spk, WITH_SPEAKERS),
    ):
        if (path is None) == (kind in needing):
            raise UserError(
                f"{option}: kind {kind} "
                + ("needs it (see --help)" if path is None else "has no such option")
            )
    if not MODE.checking and not source.exists():
        raise UserError(f"{source}: no such file")
    folders = (
        {part: output / name for part, name in PARTS.items()} if kind == "rawnet" else {"": output}
    )
    inputs = {"source": source} | ({"names": meta or utt2spk} if meta or utt2spk else {})
    tasks = {
        part: Task(
            folder,
            "collect_embeddings",
            format=FORMAT,
            inputs=inputs,
            options={"imported": kind, "model": model},
        )
        for part, folder in folders.items()
    }
    waiting = {part: task for part, task in tasks.items() if not task.is_done()}
    if waiting:
        content, facts = read_source(source, kind)
        for part, task in waiting.items():
            write_folder(
                task,
                pick(content, part, source),
                source,
                kind,
                meta or utt2spk,
                {**facts, "model": model} if model else facts,
            )
    return {str(task.home): task.counts for task in tasks.values()}


def read_source(source: Path, kind: str) -> tuple[object, dict]:
    """What a file holds, and what it says of where it is from.

    Parameters
    ----------
    source : path
        The file.
    kind : str
        As of `import_embeddings`.
    """
    if kind != "arrays":
        from utils.foreign.pickles import unpickle

        return unpickle(source), {}
    from utils.embeddings.export import read_arrays

    arrays, facts = read_arrays(source)
    keys = arrays["utterances"].tolist()
    if len(set(keys)) < len(keys):
        raise UserError(
            f"{source}: an utterance stands twice; {len(keys) - len(set(keys))} of {len(keys)} do"
        )
    return dict(zip(keys, arrays["embeddings"], strict=True)), facts


def pick(content: object, part: str, source: Path) -> dict:
    """A dictionary of what a pickle holds.

    Parameters
    ----------
    content : object
        What the pickle holds.
    part : str
        Its name; empty: the whole.
    source : path
        The pickle, for messages.

    Raises
    ------
    UserError
        There is none.
    """
    vectors = content.get(part) if part and isinstance(content, dict) else content
    if (
        not isinstance(vectors, dict)
        or not vectors
        or not all(isinstance(key, str) for key in vectors)
    ):
        where = f"{source}: {part}" if part else source
        raise UserError(
            f"{where}: found {type(vectors).__name__}, expected a dictionary of utterances; is --kind right?"
        )
    return vectors


def write_folder(
    task: Task, vectors: Mapping, source: Path, kind: str, names: Path | None, facts: Mapping
) -> None:
    """Write the archives of one folder, and its receipt.

    Parameters
    ----------
    task : Task
        Of the folder.
    vectors : mapping of str to array
        Key of the pickle -> embedding.
    source : path
        The pickle.
    kind, names : str, path or None
        Options of the step; the second is either list.
    facts : mapping
        What is known of the origin: perhaps ``model``.

    Raises
    ------
    UserError
        Two keys are one utterance, or the vectors differ in size or are not finite.
    """
    import numpy as np

    from utils.archive import ArchiveWriter
    from utils.data_dir import read_map
    from utils.embeddings.folders import finish_embeddings, refuse_not_finite
    from utils.files import sha256_of
    from utils.trials.voxceleb_names import listed, read_meta, utterance_ids

    if kind in WITH_SPEAKERS:
        speakers = read_map(names)
        if unknown := sorted(vectors.keys() - speakers.keys()):
            raise UserError(
                f"{source}: {len(unknown)} of {len(vectors)} utterances are not in {names}: {listed(unknown)}"
            )
        called = {key: (key, speakers[key]) for key in vectors}
    else:
        called = utterance_ids(vectors, str(source), read_meta(names) if kind == "rawnet" else None)
    key_of = {utterance: key for key, (utterance, _) in called.items()}
    if len(key_of) < len(called):
        twice = next(key for key, (utterance, _) in called.items() if key_of[utterance] != key)
        raise UserError(
            f"{source}: '{twice}' and '{key_of[called[twice][0]]}' are both utterance {called[twice][0]}"
        )
    rows = {
        utterance: np.squeeze(np.asarray(vectors[key_of[utterance]]))
        for utterance in sorted(key_of)
    }
    first = next(iter(rows.values()))
    for utterance, row in rows.items():
        if row.ndim != 1 or row.dtype.kind != "f" or row.shape != first.shape:
            raise UserError(
                f"{source}: '{key_of[utterance]}' is an array of {row.dtype} of shape {row.shape}, expected a vector of numbers like the "
                f"first one, of {first.shape}"
            )
    embeddings_ND = np.stack(list(rows.values())).astype(np.float32)
    refuse_not_finite(list(rows), embeddings_ND, source)
    with ArchiveWriter(task.home / "xvector.ark", task.home / "xvector.scp") as writer:
        for utterance, embedding_D in zip(rows, embeddings_ND, strict=True):
            writer.write(utterance, embedding_D)
    utt2spk = {utterance: called[key][1] for utterance, key in key_of.items()}
    origin = {
        "source_sha256": sha256_of(source),
        "front_end": "that of the imported embeddings",
        "sample_rate_hz": "unknown",
        "vad": "unknown",
        "augmentation": "unknown",
        "crops": CROPS[kind],
    }
    written = finish_embeddings(
        task.home,
        list(rows),
        embeddings_ND,
        utt2spk,
        {"model": origin["source_sha256"]} | origin | facts,
    )
    task.finish(
        [writer, *written],
        {
            "utterances": len(rows),
            "speakers": len(set(utt2spk.values())),
            "dimension": embeddings_ND.shape[1],
        },
    )


if __name__ == "__main__":
    run(import_embeddings)
