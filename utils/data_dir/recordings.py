"""Recordings by what a person types: a file, ``DATA:utterance``, a folder or a data directory."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import ascii_letters, digits, punctuation
from urllib.parse import quote

import soundfile

from utils.audio import Channel, UtteranceReader, refuse_negative_channel, to_int16
from utils.audio.ffmpeg import require_ffmpeg
from utils.audio.leftovers import system_file_kind
from utils.audio.recording import ArrayRecording, FileRecording, Recording
from utils.data_dir.directory import DataDir
from utils.data_dir.lists import new_folder, read_map
from utils.errors import UserError

NO_AUDIO = {".txt", ".json", ".csv", ".tsv", ".md", ".trn", ".scp", ".lab", ".textgrid", ".xml"}
KEPT_IN_KEYS = (ascii_letters + digits + punctuation).replace("%", "")
Lists = tuple[dict[str, str], dict[str, str] | None]


class RecordingFinder:
    """Finds recordings and opens them, with one choice of channel for all.

    ``root`` is the folder that relative paths of a wav.scp start from; None: the working directory.
    UserError: a negative channel.
    """

    def __init__(
        self, *, channel: Channel = 0, allow_pipes: bool = False, root: Path | None = None
    ):
        refuse_negative_channel(channel)
        self.channel, self.allow_pipes, self.root = channel, allow_pipes, root
        self.left_out: Counter[str] = Counter()  # files that are no audio, by their kind
        self._lists: dict[Path, Lists] = {}

    def open(self, source: str | Path) -> Recording:
        """The recording of a file, or of ``DATA:utterance`` where no such file exists.

        UserError: it cannot be read, or there is no such utterance.
        """
        path = Path(source)
        data, _, utterance = str(source).rpartition(":")
        if not data or path.is_file() or not is_data_dir(Path(data)):
            require_ffmpeg([str(source)])
            return FileRecording(path, channel=self.channel)
        return self._open_utterance(Path(data), utterance)

    def _open_utterance(self, data: Path, utterance: str) -> Recording:
        wav_scp, segments = self._read_lists(data)
        listed = wav_scp if segments is None else segments
        name = f"{data}:{utterance}"
        if utterance not in listed:
            raise UserError(f"{name}: no such utterance in {data}; see its utt2spk")
        if segments is None:
            require_ffmpeg([wav_scp[utterance]])
            return FileRecording(
                wav_scp[utterance],
                name=name,
                channel=self.channel,
                allow_pipes=self.allow_pipes,
                root=self.root,
            )
        reader = UtteranceReader(
            wav_scp, segments, channel=self.channel, allow_pipes=self.allow_pipes, root=self.root
        )
        samples, rate = reader.read(utterance)
        return ArrayRecording(samples, rate, name)

    def expand(self, sources: Iterable[str | Path]) -> Iterator[tuple[str, str | Path]]:
        """Key and recording of each source: a folder has its files, a data directory utterances.

        UserError: a folder has no audio.
        """
        for source in sources:
            path = Path(source)
            if is_data_dir(path):
                wav_scp, segments = self._read_lists(path)
                listed = wav_scp if segments is None else segments
                yield from ((utterance, f"{path}:{utterance}") for utterance in listed)
            elif path.is_dir():
                files = self._list_audio(path)
                if not files:
                    raise UserError(f"{path}: no audio in this folder; give one with recordings")
                yield from ((file.relative_to(path).as_posix(), file) for file in files)
            else:
                yield str(source), source

    def _list_audio(self, folder: Path) -> list[Path]:
        """Files of a folder and those below it, in the order of their names."""
        files = []
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            kinds = [system_file_kind(name) for name in path.relative_to(folder).parts]
            kind = next(filter(None, kinds), "")
            if not kind and path.suffix.lower() in NO_AUDIO:
                kind = path.suffix.lower()
            if kind:
                self.left_out[kind] += 1
            else:
                files.append(path)
        return files

    def _read_lists(self, data: Path) -> Lists:
        """``wav.scp`` and ``segments`` of a data directory."""
        if data not in self._lists:
            segments = None
            if (data / "segments").exists():
                segments = read_map(data / "segments")
            self._lists[data] = read_map(data / "wav.scp"), segments
        return self._lists[data]


def is_data_dir(path: Path) -> bool:
    """Whether a folder is a Kaldi data directory with audio."""
    return (path / "wav.scp").is_file()


def key_of_name(name: str) -> str:
    """A recording's name as an id of Kaldi: printable ASCII, and all else as in URLs (``%20``)."""
    return quote(name, safe=KEPT_IN_KEYS)


def write_speaker_folders(
    data: DataDir, out: Path, *, allow_pipes: bool = False, root: Path | None = None
) -> None:
    """Write the utterances as 16-bit waves ``<speaker>/<utterance>.wav`` into a new folder.

    UserError: an utterance cannot be read; nothing is written then.
    """
    reader = UtteranceReader(data.wav_scp, data.segments, allow_pipes=allow_pipes, root=root)
    with new_folder(out) as folder:
        for utterance, speaker in data.utt2spk.items():
            samples, rate = reader.read(utterance)
            path = folder / _file_name(speaker) / f"{_file_name(utterance)}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, to_int16(samples), rate, "PCM_16")


def _file_name(name: str) -> str:
    """An id as the name of a file or folder, which leads nowhere else."""
    if name in (".", ".."):
        return name.replace(".", "%2E")
    return name.replace("/", "%2F")
