r"""Train a back end on a folder of embeddings.

    python -m steps.train_backend exp/ecapa/embeddings/train exp/ecapa/backend/cosine
    python -m steps.train_backend exp/ecapa/embeddings/train exp/ecapa/backend/plda \
      --config conf/backends/plda.yaml --utt2spk data/full/train/utt2spk
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from utils.cli import run
from utils.config import read_yaml
from utils.embeddings.folders import embeddings_inputs, look_up_speakers, refuse_not_finite
from utils.embeddings.planned import (
    planned_dimensions,
    utterances_of_embeddings,
    utterances_of_speakers,
)
from utils.embeddings.provenance import compare_provenance, read_provenance
from utils.embeddings.rows import mean_rows, read_embeddings
from utils.errors import UserError, WrongArguments
from utils.files import atomic_write
from utils.pretrained import refuse_model
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
    """Train a back end on embeddings, and write it in Kaldi's files.

    Parameters
    ----------
    embeddings : path
        Folder with ``xvector.scp``: a vector per utterance, or a matrix, whose rows are averaged.
    output : path
        Folder for ``backend.json``, ``mean.vec``, ``transform.mat`` and ``plda``, as far as the
        back end has them, ``training.json`` and ``provenance.json``.
    config : path or None
        YAML of a back end, as in conf/backends; None: ``backend`` and ``subtract_mean`` are used.
    backend : str
        Without a YAML: a name in ``steps.backends.BACKENDS``.
    subtract_mean : bool
        Without a YAML: subtract the mean of the training embeddings before the comparison.
    centred_as : path or None
        YAML of another back end, or folder of a trained one: the mean is subtracted if that one
        subtracts a mean, whatever ``config`` and ``subtract_mean`` are.  For baselines that are
        compared with it.
    utt2spk : path or None
        Speakers of the training embeddings, for back ends that learn from speakers.  It may list
        more utterances.
    adaptation : path or None
        Folder of unlabelled embeddings of the trials' domain, for back ends that adapt to it.

    Returns
    -------
    dict
        Number of ``embeddings``, their ``dimensions``, and how many are of augmented ``copies``,
        if any.

    Raises
    ------
    UserError
        Unknown back end or wrong options, ``utt2spk`` or ``adaptation`` missing, or embeddings
        that the back end can't be trained on.
    """
    refuse_model(embeddings, output)
    from steps.backends import FAMILIES

    section = _backend_section(config, backend, subtract_mean)
    if centred_as:
        section["subtract_mean"] = takes_mean(centred_as, FAMILIES)
    untrained: Learner
    untrained, options = build_backend(FAMILIES, section, str(config or "options"))
    name = config or backend
    material = _Material(
        embeddings,
        _require("utt2spk", utt2spk, untrained.needs_speakers, name),
        _require("adaptation", adaptation, untrained.needs_adaptation, name),
    )
    inputs = material.inputs()
    task = Task(home=output, name="train_backend", format=FORMAT, inputs=inputs, options=options)
    if MODE.checking and task.status().state != DONE:
        _refuse_unlearnable(untrained, material, name)
    if task.is_done():
        return task.counts
    keys, vectors = _read_finite(embeddings)
    counts = {"embeddings": len(keys), "dimensions": vectors.shape[1]}
    learned, report = _fit(untrained, keys, vectors, material)
    facts = read_provenance(embeddings)
    augmentation = (facts or {}).get("augmentation", "none")
    copies = _count_copies(keys, augmentation)
    if copies:
        counts["copies"] = report["copies"] = copies
        print(
            f"{embeddings}: {copies:,} of the {len(keys):,} training embeddings, which also give "
            "the mean, are of augmented copies"
        )
    written = write_backend(output, learned, options, vectors.shape[1])
    written.append(_write_json(output / "training.json", report))
    (output / "provenance.json").unlink(missing_ok=True)
    if facts is not None:
        written.append(_write_json(output / "provenance.json", facts))
    return task.finish(written, counts)


def _backend_section(config: Path | None, backend: str, subtract_mean: bool) -> dict:
    """The description of the back end, from the YAML or from the options."""
    if config is None:
        return {"name": backend, "subtract_mean": subtract_mean}
    if (backend, subtract_mean) != ("cosine", True):
        raise WrongArguments(
            f"{config}: the YAML describes the back end; leave --backend and --subtract-mean out"
        )
    return read_yaml(config)


def _require(option: str, given: Path | None, is_needed: bool, backend: Path | str) -> Path | None:
    """The value of an option that the back end needs; None if it doesn't need it."""
    if not is_needed:
        return None
    if given is None:
        raise UserError(f"{backend}: this back end needs --{option}: {NEEDED[option]}")
    return given


@dataclass(frozen=True)
class _Material:
    """What a back end is trained on; speakers and adaptation are None if it doesn't need them."""

    embeddings: Path
    utt2spk: Path | None
    adaptation: Path | None

    def inputs(self) -> dict[str, Path]:
        """Inputs of the task."""
        inputs = embeddings_inputs(self.embeddings)
        if self.utt2spk is not None:
            inputs["utt2spk"] = self.utt2spk
        if self.adaptation is not None:
            inputs["adaptation"] = embeddings_inputs(self.adaptation)["embeddings"]
        return inputs

    def speakers(self, keys: list[str]) -> list[str] | None:
        """The speaker of each utterance."""
        if self.utt2spk is None:
            return None
        return look_up_speakers(keys, self.utt2spk)

    def adaptation_vectors(self, dimensions: int) -> np.ndarray | None:
        """(A, D) embeddings to adapt to, of the same network."""
        if self.adaptation is None:
            return None
        for difference in compare_provenance(self.embeddings, self.adaptation):
            print(difference)
        _, vectors = _read_finite(self.adaptation)
        if vectors.shape[1] != dimensions:
            raise UserError(
                f"{self.adaptation}: embeddings of {vectors.shape[1]} dimensions, "
                f"those of {self.embeddings} have {dimensions}"
            )
        return vectors


def _read_finite(folder: Path) -> tuple[list[str], np.ndarray]:
    """Utterances and (N, D) embeddings of a folder, none of them NaN, infinite or zero."""
    from utils.embeddings.checks import refuse_zero

    keys, rows = read_embeddings(folder)
    refuse_not_finite(keys, rows, folder)
    vectors = mean_rows(rows)
    refuse_zero(keys, vectors, folder)
    return keys, vectors


def _refuse_unlearnable(untrained: "Learner", material: _Material, name: Path | str) -> None:
    """Refuse planned embeddings of too few dimensions or utterances for the back end."""
    from steps.backends.links import Amount

    dimensions = planned_dimensions(material.embeddings, _models)
    if dimensions is None:
        return
    utterances = utterances_of_embeddings(material.embeddings)
    if utterances is None and material.utt2spk is not None:
        utterances = utterances_of_speakers(material.utt2spk)
    num_adaptation = None
    if material.adaptation is not None:
        domain = utterances_of_embeddings(material.adaptation)
        if domain is not None:
            num_adaptation = int(domain.sum())
    try:
        untrained.check(dimensions, Amount(utterances, num_adaptation))
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None


def _models() -> Mapping[str, Callable]:
    """Networks by name; they import torch."""
    from steps.models import MODELS

    return MODELS


def _count_copies(keys: list[str], augmentation: str) -> int:
    """The number of embeddings of augmented copies, by their provenance and names.

    steps.augment_copies names a copy by its original and a suffix.
    """
    if augmentation.startswith("copies"):
        return len(keys)
    if not augmentation.startswith("originals and copies"):
        return 0
    known = set(keys)
    copies = 0
    for key in keys:
        original = key.rpartition("-")[0]
        at_another_speed = original.partition("-")[2] if original.startswith("sp") else ""
        if original in known or at_another_speed in known:
            copies += 1
    return copies


class Learner(Backend, Protocol):
    """A back end that can be trained; see steps/backends/__init__.py.

    ``report_`` has figures of the training; after a failure, what it was given.
    """

    needs_speakers: bool
    needs_adaptation: bool
    report_: dict

    def check(self, dimensions: int, amount: "Amount") -> None:
        """Raise ValueError if embeddings of such dimensions and numbers can't be learned from."""

    def fit(
        self,
        embeddings: np.ndarray,
        speakers: Sequence[str] | None,
        adaptation: np.ndarray | None,
    ) -> "Learner":
        """Train on (N, D) embeddings, their N speakers and (A, D) of the trials' domain."""


def _fit(
    untrained: Learner, keys: list[str], vectors: np.ndarray, material: _Material
) -> tuple[Learner, dict]:
    """The back end, trained on (N, D) vectors of N utterances, and figures of the training."""
    from steps.backends.matrices import BadVector
    from utils.embeddings.checks import count_duplicates

    embeddings = material.embeddings
    speakers = material.speakers(keys)
    adaptation = material.adaptation_vectors(vectors.shape[1])
    report = {"duplicates": count_duplicates(keys, vectors, embeddings)}
    try:
        learned = untrained.fit(vectors, speakers, adaptation)
    except BadVector as error:
        raise UserError(
            f"{embeddings}: the embedding of '{keys[error.row]}' {error.reason}; "
            "extract it again, or remove it from the list"
        ) from None
    except ValueError as error:
        if untrained.report_:  # what the failed training was given explains the error
            print(f"{embeddings}: training failed{_describe_report(untrained.report_)}")
        raise UserError(f"{embeddings}: {error}") from None
    message = f"{embeddings}: trained on {len(keys):,} embeddings"
    if report["duplicates"]:
        message += f", {report['duplicates']:,} of which equal another"
    print(message + _describe_report(learned.report_))
    return learned, report | learned.report_


def _describe_report(report: Mapping) -> str:
    """The numbers of a report in a line; empty if it has none."""
    parts = []
    for name, value in report.items():
        if not isinstance(value, list):
            parts.append(f"{name.replace('_', ' ')} {value}")
    return ": " + ", ".join(parts) if parts else ""


def _write_json(path: Path, content: Mapping) -> Path:
    """Write a JSON file; the path."""
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1, sort_keys=True) + "\n")
    return path


if __name__ == "__main__":
    run(train_backend)
