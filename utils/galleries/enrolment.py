"""Enrolment of people: their recordings agree with each other, and then go into the gallery.

Each recording is compared with the mean of a person's others; one that would be rejected may be of
somebody else, or not usable.

Shapes: ``N`` recordings, ``E`` embedding.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from utils.embeddings.recordings import EmbeddedRecording
from utils.errors import UserError
from utils.galleries.files import (
    Gallery,
    Person,
    checked_name,
    now,
    read_or_new,
    update_gallery,
)
from utils.scoring.verification import ModelScoring, Rule

NO_SCALE = (
    "the recordings were not compared with each other: the model has no calibration, and no "
    "threshold was given, so that there is no scale"
)


@dataclass(frozen=True)
class Enrolment:
    """What became of an enrolment: the recordings that the person has now, and remarks."""

    name: str
    num_files: int
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Checker:
    """Compares recordings of one person; without a rule there is no scale, and it says so.

    With ``allow_different`` a recording that differs from the others is no more than a remark.
    """

    scoring: ModelScoring
    rule: Rule | None
    allow_different: bool = False

    def check(self, names: Sequence[str], vectors_NE: np.ndarray) -> list[str]:
        """Remarks on the vectors (N, E) of a person's recordings.

        UserError: one of them differs from the others, or two are the same.
        """
        _refuse_copies(names, vectors_NE)
        if len(names) == 1:
            return []
        if self.rule is None:
            return [NO_SCALE]
        faults = []
        for index, name in enumerate(names):
            others = np.delete(vectors_NE, index, axis=0)
            score = self.scoring.score(others, vectors_NE[index], self.rule)
            if not self.scoring.decide(score, self.rule).accepted:
                faults.append(f"{name} (score {score:.4f} with the others)")
        if not faults:
            return []
        text = (
            f"{', '.join(faults)}: below the threshold of {self.rule.threshold:.4f}; "
            "another person, or a bad recording?"
        )
        if not self.allow_different:
            raise UserError(
                f"{text} Leave it out, or enrol it all the same by steps.enrol --allow-different"
            )
        return [text]


def _refuse_copies(names: Sequence[str], vectors_NE: np.ndarray) -> None:
    """Refuse a recording that comes twice, under whatever name: its vectors are equal."""
    first: dict[bytes, str] = {}
    for name, vector in zip(names, vectors_NE, strict=True):
        known = first.setdefault(vector.tobytes(), name)
        if known != name:
            raise UserError(f"{name}: the same recording as {known}; give it once")


def refuse_name(gallery: Gallery, name: str, add: bool, path: Path) -> None:
    """Refuse a name that is enrolled already; with ``add``, one that is not."""
    if add:
        gallery.require(name, path)
    elif name in gallery.people:
        raise UserError(
            f"{path}: '{name}' is enrolled already; add recordings by steps.enrol --add, or remove "
            "the person first"
        )


def enrol_person(
    path: Path,
    model: str,
    name: str,
    recordings: Iterable[EmbeddedRecording],
    checker: Checker,
    add: bool = False,
) -> Enrolment:
    """Enrol a person, or add recordings to one; they are asked for when the name has been checked.

    UserError: the name is enrolled already (with ``add``: is not), the gallery is of another model,
    or the recordings disagree.  Then nothing is written.
    """
    name = checked_name(name)
    gallery = read_or_new(path, model)
    refuse_name(gallery, name, add, path)
    known = gallery.people.get(name)
    embedded = list(recordings)
    if not embedded:
        raise UserError(f"'{name}': no recordings; give one or more of this person")
    names = [recording.name for recording in embedded]
    vectors_NE = np.stack([recording.vector for recording in embedded])
    if known is not None:
        names = [*_names_of(known), *names]
        vectors_NE = np.concatenate([known.vectors, vectors_NE])
    remarks = checker.check(names, vectors_NE)

    def change(current: Gallery) -> Gallery:
        refuse_name(current, name, add, path)
        if known is not None and not np.array_equal(current.people[name].vectors, known.vectors):
            raise _changed(path)
        return current.with_person(Person(name, vectors_NE, now()))

    update_gallery(path, change, model)
    return Enrolment(name, len(vectors_NE), tuple(remarks))


def _names_of(person: Person) -> list[str]:
    """What the recordings of a person are called, whose files are not known any more."""
    return [f"recording {number} of '{person.name}'" for number in range(1, person.num_files + 1)]


def rebuild_gallery(
    path: Path,
    model: str,
    recordings: Mapping[str, Sequence[EmbeddedRecording]],
    before: Gallery,
    checker: Checker,
) -> list[str]:
    """Put vectors of another model into a gallery, for all people in it; returns remarks.

    UserError: somebody's recordings disagree, or the gallery is not that of ``before`` any more.
    """
    rebuilt = Gallery(model)
    remarks = []
    for name, person in before.people.items():
        vectors_NE = np.stack([recording.vector for recording in recordings[name]])
        names = [recording.name for recording in recordings[name]]
        try:
            remarks += [f"'{name}': {text}" for text in checker.check(names, vectors_NE)]
        except UserError as error:
            raise UserError(f"'{name}': {error}") from None
        rebuilt = rebuilt.with_person(replace(person, vectors=vectors_NE, enrolled=now()))

    def change(current: Gallery) -> Gallery:
        if current.model != before.model or current.people.keys() != before.people.keys():
            raise _changed(path)
        return rebuilt

    update_gallery(path, change)
    return remarks


def _changed(path: Path) -> UserError:
    return UserError(
        f"{path}: another process has changed it meanwhile; run the same command again"
    )
