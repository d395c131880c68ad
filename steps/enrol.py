"""Enrol people into a gallery by recordings of theirs; list and remove them.

    python -m steps.enrol MODEL gallery.json "Ann Lee" ann1.wav ann2.wav
    python -m steps.enrol MODEL gallery.json "Ann Lee" ann3.wav --add
    python -m steps.enrol MODEL gallery.json --list
    python -m steps.enrol MODEL gallery.json --remove "Ann Lee"
    python -m steps.enrol MODEL gallery.json --rebuild OTHER_MODEL --audio FOLDER

A gallery is one file of mode 0600: names and embeddings are personal data.
"""

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.audio import Channel
from utils.cli import run
from utils.errors import UserError, WrongArguments
from utils.files import read_foreign_lines

if TYPE_CHECKING:
    from steps.api import LoadedModel
    from utils.embeddings.recordings import EmbeddedRecording, Limits

FORMAT = 1
Sources = Mapping[str, Sequence[str | Path]]


def enrol(
    model: Path,
    gallery: Path,
    name: str = "",
    files: list[Path] | None = None,
    *,
    add: bool = False,
    list: bool = False,
    remove: str = "",
    rebuild: Path | None = None,
    audio: Path | None = None,
    threshold: Path | None = None,
    allow_different: bool = False,
    channel: Channel = 0,
    min_speech_seconds: float = 0.5,
    enrolment_seconds: float = 3.0,
    max_clipped_fraction: float = 0.01,
    allow_pipes: bool = False,
    device: Literal["cpu", "cuda"] = "cpu",
    num_threads: int = 1,
    json: bool = False,
) -> dict:
    """Enrol a person, or change the gallery of those that are; print what became of it.

    With a calibration or a threshold each recording is compared with the mean of the person's
    others; if one would be rejected, it is named and nobody is enrolled.

    Parameters
    ----------
    model : path
        Model folder, experiment, or the name of a published network that was fetched.  ``--list``,
        ``--remove`` and ``--rebuild`` do not read it.
    gallery : path
        File of the gallery; a missing one is made.
    name : str
        The person: any text of one line.
    files : list of path or None
        Recordings of the person, ``DATA:utterance``, or folders of these.
    add : bool
        Add the recordings to a person who is enrolled already.
    list : bool
        Print who is enrolled.
    remove : str
        Remove this person with all embeddings.
    rebuild : path or None
        Another model, whose embeddings replace those of all people; ``--audio`` has the recordings.
    audio : path or None
        For ``--rebuild``: folder of ``<name>/<files>``, data directory whose speakers have these
        names, or text file of lines ``<name><tab><file>``.
    threshold : path or None
        ``threshold.json`` of ``steps.fit_threshold``, by which recordings are compared; None: the
        model's own one, or its calibration.
    allow_different : bool
        Enrol recordings that differ from the others, too; they are named.
    channel : int or "mean"
        Channel of recordings with several, from 0, or the mean of all.
    min_speech_seconds : float
        A recording with less speech is refused.
    enrolment_seconds : float
        Speech of a recording below which a warning is printed.
    max_clipped_fraction : float
        Fraction of clipped samples above which a warning is printed.
    allow_pipes : bool
        Run the commands of a data directory's wav.scp.
    device : str
        ``cpu`` or ``cuda``.
    num_threads : int
        Threads of the computation; sums depend on their number.
    json : bool
        Print a JSON object.

    Returns
    -------
    dict
        What was printed.

    Raises
    ------
    UserError
        The name is enrolled already, or unknown; a recording cannot be used, or differs from the
        others; the gallery is damaged, of another model, or being written by another process.
    """
    from utils.embeddings.recordings import Limits

    _refuse_words(name, files, [add, list, bool(remove), rebuild is not None], audio)
    if list:
        return _show(_list(gallery), json)
    if remove:
        return _show(_remove(gallery, remove), json)
    limits = Limits(min_speech_seconds, enrolment_seconds, 0.0, max_clipped_fraction)
    loaded = _load(rebuild or model, device, num_threads, channel, allow_pipes)
    enroller = _Enroller(loaded, limits, threshold, allow_different)
    if rebuild is not None:
        assert audio is not None
        return _show(enroller.rebuild(gallery, audio), json)
    return _show(enroller.enrol(gallery, name, files or [], add), json)


def _refuse_words(
    name: str, files: Sequence[Path] | None, modes: Sequence[bool], audio: Path | None
) -> None:
    """Refuse words that do not go together."""
    if sum(modes) > 1:
        raise WrongArguments("--add, --list, --remove, --rebuild: expected one of them at most")
    add, listed, removed, rebuilt = modes
    if listed or removed or rebuilt:
        if name or files:
            raise WrongArguments(
                "found a name or files beside --list, --remove or --rebuild, expected MODEL and "
                "GALLERY alone; leave them out"
            )
    elif not (name and files):
        option = " --add" if add else ""
        raise WrongArguments(
            f"expected MODEL, GALLERY, NAME and FILES{option}, or MODEL and GALLERY with --list, "
            "--remove or --rebuild"
        )
    if rebuilt != (audio is not None):
        raise WrongArguments(
            "--rebuild and --audio go together: the other model, and the recordings of all people"
        )


def _load(
    model: Path, device: Literal["cpu", "cuda"], num_threads: int, channel: Channel, pipes: bool
) -> "LoadedModel":
    from steps.api import load_model
    from utils.data_dir.recordings import RecordingFinder
    from utils.pretrained import resolve_model
    from utils.torch_device import use_device

    folder = resolve_model(model)
    use_device(device, num_threads)
    loaded = load_model(folder, device)
    loaded.finder = RecordingFinder(channel=channel, allow_pipes=pipes)
    return loaded


def _list(path: Path) -> dict:
    """The people of a gallery."""
    from utils.galleries import read_gallery

    gallery = read_gallery(path)
    people = [
        {"name": person.name, "files": person.num_files, "enrolled": person.enrolled}
        for person in gallery.people.values()
    ]
    return {"gallery": str(path), "model": gallery.model, "people": people}


def _remove(path: Path, name: str) -> dict:
    from utils.galleries import remove_person

    gallery = remove_person(path, name)
    return {"gallery": str(path), "removed": name, "num_people": len(gallery.people)}


class _Enroller:
    """Enrols people with a loaded model."""

    def __init__(
        self, loaded: "LoadedModel", limits: "Limits", threshold: Path | None, allow_different: bool
    ):
        from utils.galleries import Checker

        self.loaded, self.limits = loaded, limits
        self.checker = Checker(loaded.scoring, loaded.rule(threshold), allow_different)
        self.remarks: list[str] = []

    def enrol(self, path: Path, name: str, files: Sequence[Path], add: bool) -> dict:
        """Enrol a person."""
        from utils.galleries import enrol_person

        recordings = (self._embed(source) for _, source in self.loaded.finder.expand(files))
        enrolled = enrol_person(path, self.loaded.digest, name, recordings, self.checker, add)
        for kind, number in sorted(self.loaded.finder.left_out.items()):
            self.remarks.append(f"left out: {number} files of the kind {kind}")
        return {
            "gallery": str(path),
            "model": self.loaded.digest,
            "enrolled": enrolled.name,
            "files": enrolled.num_files,
            "remarks": [*self.remarks, *enrolled.remarks],
        }

    def rebuild(self, path: Path, audio: Path) -> dict:
        """Replace the embeddings of all people."""
        from utils.galleries import read_gallery, rebuild_gallery

        before = read_gallery(path)
        sources = _sources(audio, self.loaded)
        missing = [name for name in before.people if name not in sources]
        if missing:
            raise UserError(
                f"{audio}: no recordings of {len(missing)} of {len(before.people)} people, such as "
                f"'{missing[0]}'; add them, or remove these people first"
            )
        recordings = {
            name: [self._embed(source) for source in sources[name]] for name in before.people
        }
        remarks = rebuild_gallery(path, self.loaded.digest, recordings, before, self.checker)
        return {
            "gallery": str(path),
            "model": self.loaded.digest,
            "rebuilt": len(before.people),
            "not_enrolled": len(sources.keys() - before.people.keys()),
            "remarks": [*self.remarks, *remarks],
        }

    def _embed(self, source: str | Path) -> "EmbeddedRecording":
        embedded = self.loaded.embed_recording(source, limits=self.limits)
        for remark in embedded.remarks_as("enrolment", self.limits):
            self.remarks.append(f"{embedded.name}: {remark}")
        return embedded


def _sources(audio: Path, loaded: "LoadedModel") -> Sources:
    """Recordings of people, by their names."""
    from utils.scoring.thresholds.recordings import distinct, list_recordings

    if audio.is_file():
        return _read_sources(audio)
    sources: dict[str, list[str | Path]] = {}
    for recording in distinct(list_recordings(audio, loaded.finder)):
        name = unicodedata.normalize("NFC", recording.speaker)
        sources.setdefault(name, []).append(recording.source)
    return sources


def _read_sources(path: Path) -> Sources:
    """Recordings of a text file of names and files."""
    from utils.galleries import checked_name

    sources: dict[str, list[str | Path]] = {}
    for number, line in enumerate(read_foreign_lines(path), 1):
        name, tab, file = line.partition("\t")
        if not tab or not file:
            raise UserError(f"{path}:{number}: expected a name, a tab and a file")
        sources.setdefault(checked_name(name), []).append(Path(file))
    return sources


def _show(result: dict, as_json: bool) -> dict:
    """Print what became of a gallery, remarks to standard error."""
    for remark in result.get("remarks", ()):
        print(remark, file=sys.stderr)
    if as_json:
        print(json.dumps(result))
        return result
    path = result["gallery"]
    if "people" in result:
        print(f"{path}: people enrolled: {len(result['people'])}, model {result['model'][:12]}")
        for person in result["people"]:
            number, when = person["files"], person["enrolled"]
            print(f"  {person['name']}: recordings: {number}, enrolled {when}")
    elif "removed" in result:
        print(f"{path}: removed '{result['removed']}', people left: {result['num_people']}")
    elif "rebuilt" in result:
        print(f"{path}: people with embeddings of {result['model'][:12]}: {result['rebuilt']}")
        if result["not_enrolled"]:
            print(f"  speakers of the audio who are not enrolled: {result['not_enrolled']}")
    else:
        print(f"{path}: enrolled '{result['enrolled']}', recordings: {result['files']}")
    return result


if __name__ == "__main__":
    run(enrol)
