"""Embed recordings: files, folders of files, or Kaldi data directories.

    python -m steps.embed campplus a.wav b.m4a embeddings
    python -m steps.embed MODEL recordings/ embeddings.npz --allow-broken
    python -m steps.embed MODEL data/test embeddings/test --window-seconds 3

The output is a folder with ``xvector.ark`` and ``xvector.scp`` of Kaldi, or one file for NumPy.  A
vector's key is the name of the recording within its folder, with blanks and letters beyond ASCII as
in URLs: ``my file.wav`` is ``my%20file.wav``.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from utils.audio import Channel
from utils.cli import run
from utils.data_dir.ledger import POLICY, UNREADABLE, Ledger
from utils.data_dir.lists import refuse_existing
from utils.data_dir.recordings import RecordingFinder, key_of_name
from utils.errors import UnreadableAudio, UserError
from utils.files import atomic_write
from utils.pretrained import resolve_model

if TYPE_CHECKING:
    from steps.api import LoadedModel
    from utils.embeddings.recordings import EmbeddedRecording, Limits

FORMAT = 1
LAST_FILE = "embed.json"


def embed(
    model: Path,
    recordings: list[Path],
    output: Path,
    *,
    window_seconds: float | None = None,
    channel: Channel = 0,
    min_speech_seconds: float = 0.5,
    max_clipped_fraction: float = 0.01,
    allow_broken: bool = False,
    allow_pipes: bool = False,
    root: Path | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    num_threads: int = 1,
    json: bool = False,
) -> dict:
    """Embed recordings by a model's test protocol and write their vectors.

    Parameters
    ----------
    model : path
        Model folder, experiment, or the name of a published network that was fetched.
    recordings : list of path
        Files that libsndfile or ffmpeg reads, folders of them, data directories, or
        ``DATA:utterance``.
    output : path
        New folder for ``xvector.ark``, ``xvector.scp``, ``dropped`` and ``provenance.json``, or new
        file that ends in ``.npz``.
    window_seconds : float or None
        A vector for each window of this length, with its time in its key (hundredths of a second)
        and in the list ``segments``; None: one for each recording.
    channel : int or "mean"
        Channel of recordings with several, from 0, or the mean of all.
    min_speech_seconds : float
        A recording with less speech is dropped.
    max_clipped_fraction : float
        Fraction of clipped samples above which a warning is printed.
    allow_broken : bool
        End with exit code 0 where recordings were dropped.
    allow_pipes : bool
        Run the commands of a data directory's wav.scp.
    root : path or None
        Folder that relative paths of a wav.scp start from; None: the current one.
    device : str
        ``cpu`` or ``cuda``.
    num_threads : int
        Threads of the computation; sums depend on their number.
    json : bool
        Print the counts as a JSON object.

    Returns
    -------
    dict
        Numbers of recordings that ``came_in`` and ``went_on``, of dropped ones by reason, and of
        ``vectors``.

    Raises
    ------
    UserError
        A recording is broken, has too little speech, or none is left.
    """
    _refuse_output(output)
    finder = RecordingFinder(channel=channel, allow_pipes=allow_pipes, root=root)
    sources = _name_sources(finder, recordings)
    folder = resolve_model(model)
    from steps.api import load_model
    from utils.embeddings.recordings import Limits
    from utils.torch_device import use_device

    limits = Limits(min_speech_seconds, max_clipped_fraction=max_clipped_fraction)
    use_device(device, num_threads)
    loaded = load_model(folder, device)
    loaded.finder = finder
    results = _Results(Ledger(output))
    for key, embedded in _embed_all(loaded, sources, results.ledger, limits, window_seconds):
        results.add(key, embedded, by_window=window_seconds is not None)
    if not results.vectors:
        first = "; ".join(": ".join(why) for why in [*results.ledger.dropped.values()][:1])
        raise UserError(f"{output}: not written, since no recording could be embedded: {first}")
    results.write(output, loaded)
    counts = results.ledger.counts | {"vectors": len(results.vectors)}
    _show(counts, results.ledger, output, json)
    if results.ledger.dropped and not allow_broken:
        number = len(results.ledger.dropped)
        raise UserError(
            f"{output}: written without {number} of {len(sources)} recordings, named in 'dropped'; "
            "repair them, or accept that by --allow-broken"
        )
    return counts


def _refuse_output(output: Path) -> None:
    """Refuse an output that exists or cannot be written, before the work."""
    finished = output
    if output.suffix != ".npz":
        finished = output / LAST_FILE
    elif output.is_dir():
        raise UserError(f"{output}: a folder, expected a new file")
    refuse_existing(finished)
    folder = finished.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(f"{output}: cannot be written in {folder}; give another place")


def _name_sources(finder: RecordingFinder, recordings: list[Path]) -> dict[str, str | Path]:
    """Recordings by their keys, in byte order; UserError if two have one key."""
    sources: dict[str, str | Path] = {}
    for name, source in finder.expand(recordings):
        key = key_of_name(name)
        if key in sources:
            raise UserError(
                f"{source}: its key '{key}' is that of {sources[key]}, too; give a folder that "
                "contains both"
            )
        sources[key] = source
    for kind, number in sorted(finder.left_out.items()):
        print(f"left out: {number} files of the kind {kind}", file=sys.stderr)
    return dict(sorted(sources.items()))


def _embed_all(
    model: "LoadedModel",
    sources: dict[str, str | Path],
    ledger: Ledger,
    limits: "Limits",
    window_seconds: float | None,
) -> Iterator[tuple[str, "EmbeddedRecording"]]:
    """Key and embedding of each recording; broken ones are named, and go to the ledger."""
    from utils.embeddings.recordings import TooLittleSpeech

    for key, source in sources.items():
        try:
            embedded = model.embed_recording(source, limits=limits, window_seconds=window_seconds)
        except (UnreadableAudio, TooLittleSpeech) as error:
            reason = UNREADABLE
            if isinstance(error, TooLittleSpeech):
                reason = f"{POLICY}little_speech"
            ledger.drop(key, reason, error.reason)
            print(f"dropped: {error}", file=sys.stderr)
            continue
        ledger.keep(key)
        for remark in embedded.remarks:
            print(f"{embedded.name}: {remark}", file=sys.stderr)
        yield key, embedded


@dataclass
class _Results:
    """Vectors by their keys, and the recordings that were kept and dropped."""

    ledger: Ledger
    vectors: dict[str, np.ndarray] = field(default_factory=dict)
    segments: list[str] = field(default_factory=list)

    def add(self, key: str, embedded: "EmbeddedRecording", by_window: bool) -> None:
        """Keep the vector of a recording, or those of its windows."""
        from utils.vad.segments import piece_name

        if not by_window:
            self.vectors[key] = embedded.vector
            return
        for window in embedded.windows:
            start, end = round(100 * window.start_seconds), round(100 * window.end_seconds)
            piece = piece_name(key, start, end)
            self.vectors[piece] = window.vector
            self.segments.append(f"{piece} {key} {start / 100:.2f} {end / 100:.2f}\n")

    def write(self, output: Path, model: "LoadedModel") -> None:
        """Write the vectors, and last the file that shows that they are whole."""
        provenance = model.facts | {
            "protocol": model.embedder.protocol.name,
            "crops": str(model.embedder.protocol),
            "vad": "none",
            "augmentation": "none",
        }
        if output.suffix == ".npz":
            self._write_npz(output, provenance)
            return
        from utils.archive import ArchiveWriter

        with ArchiveWriter(output / "xvector.ark", output / "xvector.scp") as writer:
            for key in sorted(self.vectors):
                writer.write(key, self.vectors[key])
        self.ledger.write(output)
        if self.segments:
            with atomic_write(output / "segments") as file:
                file.writelines(sorted(self.segments))
        with atomic_write(output / "provenance.json") as file:
            file.write(json.dumps(provenance, indent=1) + "\n")
        outputs = {Path(path).name: facts for path, facts in writer.outputs.items()}
        with atomic_write(output / LAST_FILE) as file:
            content = {"format": FORMAT, "model": model.digest, "files": outputs}
            file.write(json.dumps(content, indent=1) + "\n")

    def _write_npz(self, output: Path, provenance: dict) -> None:
        from utils.embeddings.export import write_arrays

        dropped = [": ".join(why) for why in self.ledger.dropped.values()]
        arrays = {
            "utterances": np.array(list(self.vectors)),
            "embeddings": np.stack(list(self.vectors.values())),
            "dropped": np.array(list(self.ledger.dropped), dtype=str),
            "dropped_because": np.array(dropped, dtype=str),
        }
        write_arrays(output, arrays, provenance)


def _show(counts: dict, ledger: Ledger, output: Path, as_json: bool) -> None:
    """Print the counts."""
    if as_json:
        print(json.dumps(counts))
        return
    print(f"{output}: {counts['vectors']:,} vectors; {ledger.summary}")


if __name__ == "__main__":
    run(embed)
