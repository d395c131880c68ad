r"""Train a back end on a folder of embeddings.

    python -m steps.train_backend exp/ghostvlad_cpu/embeddings/train exp/ghostvlad_cpu/backend/cosine
    python -m steps.train_backend exp/ghostvlad_cpu/embeddings/train exp/ghostvlad_cpu/backend/plda \
      --config conf/backends/plda.yaml --utt2spk data/full/train/utt2spk
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from utils.cli import run
from utils.config import read_yaml
from utils.embeddings.folders import embeddings_inputs, refuse_not_finite, speakers_of
from utils.embeddings.planned import (
    dimensions_of,
    utterances_of_embeddings,
    utterances_of_speakers,
)
from utils.embeddings.provenance import compare_provenance, read_provenance
from utils.embeddings.rows import read_embeddings, vectors_of
from utils.errors import UserError
from utils.files import atomic_write
from utils.receipts import DONE, MODE, Task
from utils.scoring.backend_files import Backend, build_backend, write_backend
from utils.scoring.centring import takes_mean

if TYPE_CHECKING:
    from steps.backends.links import Amount

FORMAT = 3
NEEDED = {
    "utt2spk": "the speakers of the training embeddings",
    "adaptation": "a folder of embeddings of the domain of the trials",
}


def train_backend(
    embeddings: Path,
    output: Path,
    *,
    config: Path | None = None,
    backend: str = "cosine",
    subtract_mean: bool = True,
    centred_as: Path | None = None,
    utt2spk: Path | None = None,
    adaptation: Path | None = None,
) -> dict:
    """Learn what a back end needs from training embeddings, and write it in Kaldi's files.

    Parameters
    ----------
    embeddings : path
        Folder with ``xvector.scp``, one vector per utterance (of a matrix: the mean of its rows).
    output : path
        Folder for ``backend.json``, ``mean.vec``, ``transform.mat``, ``plda`` (what there is), ``training.json`` and ``provenance.json``.
    config : path or None
        YAML of a back end, as in conf/backends; None: what ``backend`` and ``subtract_mean`` say.
    backend : str
        Without a YAML: a name in ``steps.backends.BACKENDS``.
    subtract_mean : bool
        Without a YAML: take the mean of the training embeddings away before the comparison.
    centred_as : path or None
        YAML of another back end, or folder of a trained one: the mean is taken away if that one takes a mean away, whatever ``config`` and
        ``subtract_mean`` say.  For baselines that stand beside it.
    utt2spk : path or None
        Speakers of the training embeddings, for back ends that learn from speakers; may name more utterances.
    adaptation : path or None
        Folder of embeddings of the trials' domain, without labels, for back ends that adapt to it.

    Returns
    -------
    dict
        Number of ``embeddings`` and of their ``dimensions``.

    Raises
    ------
    UserError
        Unknown back end or wrong options, ``utt2spk`` or ``adaptation`` missing, or embeddings that nothing can be learned from.
    """
    from steps.backends import FAMILIES

    if config and (backend, subtract_mean) != ("cosine", True):
        raise UserError(
            f"{config}: the YAML says what the back end is; leave --backend and --subtract-mean out"
        )
    chosen = read_yaml(config) if config else {"name": backend, "subtract_mean": subtract_mean}
    if centred_as:
        chosen["subtract_mean"] = takes_mean(centred_as, FAMILIES)
    untrained: Learner
    untrained, options = build_backend(FAMILIES, chosen, str(config or "options"))
    speakers_list = _needed("utt2spk", utt2spk, untrained.needs_speakers, config or backend)
    domain = _needed("adaptation", adaptation, untrained.needs_adaptation, config or backend)
    inputs = embeddings_inputs(embeddings)
    if speakers_list is not None:
        inputs["utt2spk"] = speakers_list
    if domain is not None:
        inputs["adaptation"] = embeddings_inputs(domain)["embeddings"]
    task = Task(home=output, name="train_backend", format=FORMAT, inputs=inputs, options=options)
    if MODE.checking and task.status().state != DONE:
        _refuse_unlearnable(untrained, embeddings, speakers_list, domain, config or backend)
    if task.is_done():
        return task.counts
    keys, vectors = _training_vectors(embeddings)
    dimensions = vectors.shape[1]
    speakers = None if speakers_list is None else speakers_of(keys, speakers_list)
    others = None if domain is None else _adaptation_vectors(embeddings, domain, dimensions)
    learned, report = fitted(untrained, keys, vectors, speakers, others, embeddings)
    facts = read_provenance(embeddings)
    copies = _of_copies(keys, (facts or {}).get("augmentation", "none"))
    if copies:
        report["copies"] = copies
        print(
            f"{embeddings}: {copies:,} of the {len(keys):,} embeddings that the mean and all else are learned from are of augmented copies"
        )
    written = write_backend(output, learned, options, dimensions)
    (output / "provenance.json").unlink(missing_ok=True)
    for name, content in (("training.json", report), ("provenance.json", facts)):
        if content is not None:
            written.append(output / name)
            with atomic_write(written[-1]) as file:
                file.write(json.dumps(content, indent=1, sort_keys=True) + "\n")
    counts = {"embeddings": len(keys), "dimensions": dimensions}
    return task.finish(written, counts | ({"copies": copies} if copies else {}))


def _needed(option: str, given: Path | None, is_needed: bool, backend: Path | str) -> Path | None:
    """What was given, where the back end needs it; None where it does not."""
    if not is_needed:
        return None
    if given is None:
        raise UserError(f"{backend}: this back end needs --{option}: {NEEDED[option]}")
    return given


def _refuse_unlearnable(
    untrained: "Learner",
    embeddings: Path,
    utt2spk: Path | None,
    adaptation: Path | None,
    where: Path | str,
) -> None:
    """Refuse, before there are any embeddings, a back end that cannot be trained on so many of such a size."""
    from steps.backends.links import Amount

    dimensions = dimensions_of(embeddings, _models)
    if dimensions is None:
        return
    utterances = utterances_of_embeddings(embeddings)
    if utterances is None and utt2spk is not None:
        utterances = utterances_of_speakers(utt2spk)
    of_domain = None if adaptation is None else utterances_of_embeddings(adaptation)
    num_adaptation = None if of_domain is None else int(of_domain.sum())
    try:
        untrained.check(dimensions, Amount(utterances, num_adaptation))
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


def _models() -> Mapping[str, Callable]:
    """Networks by name, which import torch."""
    from steps.models import MODELS

    return MODELS


def _of_copies(keys: list[str], augmentation: str) -> int:
    """How many embeddings are of copies, whose names are those of the originals with an end, as steps.augment_copies gives them."""
    if not augmentation.startswith(("originals and copies", "copies")):
        return 0
    if augmentation.startswith("copies"):
        return len(keys)
    every = set(keys)
    copies = 0
    for key in keys:
        original = key.rpartition("-")[0]
        at_another_speed = original.partition("-")[2] if original.startswith("sp") else ""
        copies += original in every or at_another_speed in every
    return copies


class Learner(Backend, Protocol):
    """What is asked of a back end that is to be trained; see steps/backends/__init__.py.

    Attributes
    ----------
    needs_speakers, needs_adaptation : bool
        What it learns from, besides embeddings.
    report_ : dict
        How the training went; where it failed, what it was given.
    """

    needs_speakers: bool
    needs_adaptation: bool
    report_: dict

    def check(self, dimensions: int, amount: "Amount") -> None:
        """Refuses embeddings of so many dimensions, or so few of them, that nothing can be learned from."""

    def fit(
        self,
        embeddings: np.ndarray,
        speakers: Sequence[str] | None,
        adaptation: np.ndarray | None,
    ) -> "Learner":
        """Itself, trained on embeddings (N, D), their N speakers, and (A, D) of the trials' domain."""


def fitted(
    untrained: Learner,
    keys: list[str],
    vectors: np.ndarray,
    speakers: list[str] | None,
    others: np.ndarray | None,
    embeddings: Path,
) -> tuple[Learner, dict]:
    """The trained back end, and how the training went.

    Parameters
    ----------
    untrained : Learner
        From `build_backend`.
    keys : list of N str
        Utterances.
    vectors : (N, D) float array
        Their embeddings.
    speakers : list of N str or None
        Their speakers.
    others : (A, D) float array or None
        Embeddings to adapt to.
    embeddings : path
        For messages.

    Raises
    ------
    UserError
        Nothing can be learned from these embeddings.
    """
    from steps.backends.matrices import BadVector
    from utils.embeddings.checks import count_duplicates

    report = {"duplicates": count_duplicates(keys, vectors, embeddings)}
    try:
        learned = untrained.fit(vectors, speakers, others)
    except BadVector as error:
        raise UserError(
            f"{embeddings}: the embedding of '{keys[error.row]}' {error.reason}; "
            "extract it again, or take it off the list"
        ) from None
    except ValueError as error:
        if untrained.report_:  # what a failed training was given says why
            print(_in_words(embeddings, report | untrained.report_))
        raise UserError(f"{embeddings}: {error}") from None
    report |= learned.report_
    print(_in_words(embeddings, report))
    return learned, report


def _in_words(embeddings: Path, report: dict) -> str:
    """A report as one line, without its curves."""
    numbers = {name: value for name, value in report.items() if not isinstance(value, list)}
    return f"{embeddings}: " + ", ".join(f"{name} {value}" for name, value in numbers.items())


def _training_vectors(folder: Path) -> tuple[list[str], np.ndarray]:
    """Embeddings that something can be learned from: finite, and not zero."""
    from utils.embeddings.checks import refuse_zero

    keys, rows = read_embeddings(folder)
    refuse_not_finite(keys, rows, folder)
    vectors = vectors_of(rows)
    refuse_zero(keys, vectors, folder)
    return keys, vectors


def _adaptation_vectors(embeddings: Path, adaptation: Path, dimensions: int) -> np.ndarray:
    """Embeddings to adapt to, from the same network."""
    for difference in compare_provenance(embeddings, adaptation):
        print(difference)
    _, vectors = _training_vectors(adaptation)
    if vectors.shape[1] != dimensions:
        raise UserError(
            f"{adaptation}: embeddings of {vectors.shape[1]} dimensions, those of {embeddings} have {dimensions}"
        )
    return vectors


if __name__ == "__main__":
    run(train_backend)
