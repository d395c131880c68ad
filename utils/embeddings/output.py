"""What every folder of embeddings has beside its archives: means of speakers, their numbers of utterances, and where the vectors come from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from utils.archive import ArchiveWriter, write_text_vectors
from utils.embeddings.folders import model_means
from utils.errors import UserError
from utils.files import atomic_write


def finish_embeddings(output: Path, keys: Sequence[str], embeddings_ND: np.ndarray, utt2spk: Mapping[str, str], provenance: Mapping) -> list:
    """Write ``spk_xvector.{ark,scp}``, ``num_utts.ark`` and ``provenance.json``.

    Parameters
    ----------
    output : path
        Folder of the embeddings.
    keys : sequence of N str
        Utterances.
    embeddings_ND : (N, D) float array
        Their embeddings; a speaker's mean is theirs as they are, without length normalisation, as Kaldi's ivector-mean computes it.
    utt2spk : mapping of str to str
        Utterance -> speaker; may name more utterances.
    provenance : mapping
        Facts that decide which embeddings may be compared: model, front_end, sample_rate_hz, vad, crops, augmentation.

    Returns
    -------
    list
        What was written, for the receipt.

    Raises
    ------
    UserError
        An utterance has no speaker.
    """
    unknown = [key for key in keys if key not in utt2spk]
    if unknown:
        raise UserError(f"{output}: utterance '{unknown[0]}' is not in utt2spk; {len(unknown)} are missing")
    spk2utt: dict[str, list[str]] = {speaker: [] for speaker in sorted({utt2spk[key] for key in keys})}
    for key in keys:
        spk2utt[utt2spk[key]].append(key)
    means_SD = model_means(embeddings_ND, {key: row for row, key in enumerate(keys)}, spk2utt, output)
    with ArchiveWriter(output / "spk_xvector.ark", output / "spk_xvector.scp") as writer:
        for speaker, mean_D in zip(spk2utt, means_SD, strict=True):
            writer.write(speaker, mean_D)
    write_text_vectors(output / "num_utts.ark", {speaker: len(utterances) for speaker, utterances in spk2utt.items()})
    with atomic_write(output / "provenance.json") as file:
        json.dump(dict(provenance), file, indent=1)
        file.write("\n")
    return [writer, output / "num_utts.ark", output / "provenance.json"]
