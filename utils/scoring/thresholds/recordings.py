"""A folder of people's recordings: who speaks in which session, and the embeddings of all files.

The folder has ``<speaker>/<files>`` or ``<speaker>/<session>/<files>``, or is a Kaldi data
directory: then ``utt2spk`` has the speakers, and ``utt2session``, if it is there, the sessions.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from utils.audio import resample
from utils.data_dir import read_map
from utils.data_dir.recordings import RecordingFinder, is_data_dir
from utils.errors import UserError
from utils.files import file_sha256
from utils.scoring.thresholds.own_threshold import Embeddings

NARROW_HZ = 8000
PIECE_SECONDS = 2.0
DIGITS = 16  # of a recording's SHA-256
Change = Callable[[np.ndarray, int], tuple[np.ndarray, int] | None]


@dataclass(frozen=True)
class PersonRecording:
    """A recording of a person: a file or ``DATA:utterance``, and digits of its SHA-256."""

    source: str | Path
    speaker: str
    session: str
    digest: str


class RecordingModel(Protocol):
    """What embeds recordings: `steps.api.LoadedModel`."""

    finder: RecordingFinder

    def embed_recording(self, audio: Any, sample_rate_hz: int | None = None) -> Any:
        """A vector with remarks; UserError for a recording that cannot be used."""


@dataclass(frozen=True)
class Embedded:
    """Embeddings of the recordings that could be used, and faults and remarks with numbers."""

    used: Sequence[PersonRecording]
    embeddings: Embeddings
    faults: Sequence[str]
    remarks: Mapping[str, int]


def list_recordings(folder: Path, finder: RecordingFinder) -> list[PersonRecording]:
    """All recordings of a folder, in the order of their names.

    UserError: a file has no speaker, or a speaker has files and sessions side by side.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder, expected <speaker>/<files>")
    if is_data_dir(folder):
        return _list_utterances(folder, finder)
    recordings = []
    has_sessions: dict[str, bool] = {}
    for key, path in finder.expand([folder]):
        speaker, *session, _ = key.split("/") if "/" in key else ("", key)
        if key.count("/") not in (1, 2):
            raise UserError(
                f"{path}: found {key.count('/')} folders above it, expected "
                f"{folder}/<speaker>/<files> or {folder}/<speaker>/<session>/<files>; move it"
            )
        if has_sessions.setdefault(speaker, bool(session)) != bool(session):
            raise UserError(
                f"{folder / speaker}: files beside folders of sessions; put every file into a "
                "session, or all of them side by side"
            )
        name = "".join(session)
        recordings.append(PersonRecording(path, speaker, name, file_sha256(path)[:DIGITS]))
    return recordings


def _list_utterances(folder: Path, finder: RecordingFinder) -> list[PersonRecording]:
    """Utterances of a data directory; their samples are hashed."""
    speakers = read_map(folder / "utt2spk")
    sessions: dict[str, str] = {}
    if (folder / "utt2session").exists():
        sessions = read_map(folder / "utt2session")
    recordings = []
    for utterance, source in finder.expand([folder]):
        if utterance not in speakers:
            raise UserError(f"{folder / 'utt2spk'}: no speaker of '{utterance}'; add the line")
        samples, _ = read_samples(source, finder)
        digest = hashlib.sha256(samples.tobytes()).hexdigest()[:DIGITS]
        session = sessions.get(utterance, "")
        recordings.append(PersonRecording(source, speakers[utterance], session, digest))
    return recordings


def read_samples(source: str | Path, finder: RecordingFinder) -> tuple[np.ndarray, int]:
    """All samples of a recording, and their rate."""
    recording = finder.open(source)
    return recording.read(0, recording.num_samples), recording.sample_rate_hz


def distinct(recordings: Iterable[PersonRecording]) -> list[PersonRecording]:
    """Recordings without copies: of the same bytes, the first.

    UserError for the same bytes under two speakers.
    """
    kept: dict[str, PersonRecording] = {}
    for recording in recordings:
        first = kept.setdefault(recording.digest, recording)
        if first.speaker != recording.speaker:
            raise UserError(
                f"{recording.source}: the same recording as {first.source}, of another speaker; "
                "remove the wrong one"
            )
    return list(kept.values())


def as_labels(recordings: Sequence[PersonRecording]) -> Embeddings:
    """Speakers and sessions of recordings that are not embedded yet: vectors (F, 0)."""
    return Embeddings(
        np.empty((len(recordings), 0)),
        [recording.speaker for recording in recordings],
        [recording.session for recording in recordings],
    )


def embed_recordings(
    recordings: Sequence[PersonRecording], model: RecordingModel, change: Change | None = None
) -> Embedded:
    """Embed recordings, as they are or changed; those that cannot be used are named in ``faults``.

    UserError if none can be used.
    """
    vectors, used = [], []
    faults: list[str] = []
    remarks: Counter[str] = Counter()
    for recording in recordings:
        try:
            embedded = _embed(recording, model, change)
        except UserError as error:
            faults.append(str(error))
            continue
        if embedded is None:
            faults.append(f"{recording.source}: too short for this change")
            continue
        vectors.append(embedded.vector)
        used.append(recording)
        remarks.update(embedded.remarks)
    if not used:
        raise UserError(f"none of {len(recordings)} recordings can be used, such as {faults[0]}")
    embeddings = replace(as_labels(used), vectors=np.stack(vectors))
    return Embedded(used, embeddings, faults, remarks)


def embed_usable(
    recordings: Sequence[PersonRecording], model: RecordingModel, allow_broken: bool
) -> Embedded:
    """Embed recordings; UserError if some cannot be used, unless that is allowed."""
    embedded = embed_recordings(recordings, model)
    if embedded.faults and not allow_broken:
        raise UserError(
            f"{embedded.faults[0]} ({len(embedded.faults)} of {len(recordings)} recordings cannot "
            "be used; remove them, or leave them out by --allow-broken)"
        )
    return embedded


def _embed(recording: PersonRecording, model: RecordingModel, change: Change | None) -> Any:
    """The embedded recording; None: it is too short to be changed."""
    if change is None:
        return model.embed_recording(recording.source)
    changed = change(*read_samples(recording.source, model.finder))
    if changed is None:
        return None
    return model.embed_recording(*changed)


def narrow(samples: np.ndarray, rate_hz: int) -> tuple[np.ndarray, int]:
    """Samples at 8 kHz, as over a telephone."""
    return resample(samples, rate_hz, NARROW_HZ), NARROW_HZ


def middle_piece(samples: np.ndarray, rate_hz: int) -> tuple[np.ndarray, int] | None:
    """The 2 s in the middle; None of a recording that has no more."""
    size = round(PIECE_SECONDS * rate_hz)
    if len(samples) <= size:
        return None
    start = (len(samples) - size) // 2
    return samples[start : start + size], rate_hz


CHANGES: Mapping[str, Change] = {"8 kHz": narrow, "2 s": middle_piece}
