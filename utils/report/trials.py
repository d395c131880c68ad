"""The report's lists of the worst trials: who was mistaken for whom, where the sound lies, and how it sounds."""

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from utils.data_dir import read_map
from utils.errors import UnreadableAudio
from utils.report.page import table

PLAYERS_BYTES = 700_000  # of sound in a page, encoded: the whole stays below about 1.5 MB
LONGEST_SECONDS = 6.0  # of a player; the rest of an utterance is left out
PLAYER_RATE_HZ = 16_000
TITLES = {
    "targets": "Target trials of the lowest scores",
    "nontargets": "Non-target trials of the highest scores",
}


class Players:
    """Sounds of utterances as elements of a page, as long as there is room for them; each utterance once.

    Parameters
    ----------
    room_bytes : int
        Room for all of them.
    """

    def __init__(self, room_bytes: int = PLAYERS_BYTES):
        self.room_bytes = room_bytes
        self.played: set[str] = set()

    def player(self, entry: str, seconds: tuple[float, float] | None = None) -> str:
        """An ``<audio>`` element; empty where there is no room, the sound cannot be read, or the page has it already.

        Parameters
        ----------
        entry : str
            Of wav.scp; a shell command is not run.
        seconds : (float, float) or None
            Start and end of the utterance in its recording.
        """
        key = f"{entry} {seconds}"
        if self.room_bytes <= 0 or key in self.played or not entry or entry.endswith("|"):
            return ""
        sound = encoded(entry, seconds)
        self.played.add(key)
        self.room_bytes -= len(sound)
        if not sound or self.room_bytes < 0:
            return ""
        return f'<audio controls preload="none" src="data:audio/mpeg;base64,{sound}"></audio>'


def encoded(entry: str, seconds: tuple[float, float] | None) -> str:
    """The beginning of an utterance as MP3 in base 64; empty where it cannot be read.

    Parameters
    ----------
    entry : str
        Of wav.scp.
    seconds : (float, float) or None
        Start and end in the recording.
    """
    import soundfile

    from utils.audio import audio_info, read_audio, resample

    try:
        total, rate = audio_info(entry)
        start, end = (min(round(time * rate), total) for time in seconds or (0.0, LONGEST_SECONDS))
        samples, rate = read_audio(
            entry, start_sample=start, num_samples=min(end - start, round(LONGEST_SECONDS * rate))
        )
    except (UnreadableAudio, OSError):
        return ""
    file = io.BytesIO()
    soundfile.write(
        file,
        resample(samples, rate, PLAYER_RATE_HZ) if rate != PLAYER_RATE_HZ else samples,
        PLAYER_RATE_HZ,
        format="MP3",
    )
    return b64encode(file.getvalue()).decode()


class Sounds:
    """Where the utterances of a test set lie.

    Parameters
    ----------
    *data : path
        Data directory, or one for each fold; none: nothing is known.
    """

    def __init__(self, *data: Path):
        self.wav_scp: dict[str, str] = {}
        self.segments: dict[str, str] = {}
        for folder in data:
            for name, known in (("wav.scp", self.wav_scp), ("segments", self.segments)):
                known |= read_map(folder / name) if (folder / name).is_file() else {}

    def of(self, utterance: str) -> tuple[str, tuple[float, float] | None]:
        """Entry of wav.scp, empty where there is none, and start and end in seconds of a segment.

        Parameters
        ----------
        utterance : str
            Its name; that of a model of several utterances has no entry.
        """
        if utterance not in self.segments:
            return self.wav_scp.get(utterance, ""), None
        recording, start, end = self.segments[utterance].split()[:3]
        return self.wav_scp.get(recording, ""), (float(start), float(end))


def worst_part(curves: Sequence[Mapping], sounds: Sounds, players: Players) -> str:
    """The lists of one test set, folded up; empty where there are none.

    Parameters
    ----------
    curves : sequence of mappings
        Of curves.json, with ``worst``; those of the first system are shown, and its first back end's get players.
    sounds : Sounds
        Of the set.
    players : Players
        Of the page.
    """
    parts: list[str] = []
    seen: set[str] = set()
    mine = [curve for curve in curves if curve["system"] == curves[0]["system"]]
    for number, curve in enumerate(mine):
        worst = curve.get("worst", {})
        ranked = str([trial[:2] for trials in worst.values() for trial in trials])
        if ranked in seen:
            continue  # calibration alone: the same trials in the same order
        seen.add(ranked)
        of_curve = players if number == 0 else Players(0)
        for kind, title in TITLES.items():
            rows = [
                [f"{score:.4g}", cell(enrol, sounds, of_curve), cell(test, sounds, of_curve)]
                for enrol, test, score in worst.get(kind, ())
            ]
            if rows:
                names = filter(None, [curve["system"], curve["backend"]])
                series = ", ".join(dict.fromkeys(names))
                columns = table(["score", "enrolment", "test"], rows, "left")
                parts.append(
                    f"<details{' class=long' if number else ''}><summary>{title}: {escape(series)}</summary>{columns}</details>"
                )
    return "\n".join(["<h3>Worst trials</h3>", *parts]) if parts else ""


def cell(name: str, sounds: Sounds, players: Players) -> str:
    """A side of a trial: name, path, player.

    Parameters
    ----------
    name : str
        Utterance or model.
    sounds : Sounds
        Of the set.
    players : Players
        Of the page.
    """
    entry, seconds = sounds.of(name)
    where = entry + (f" {seconds[0]:g} to {seconds[1]:g} s" if seconds else "")
    shown = f"{escape(name)} {players.player(entry, seconds)}"
    return f"{shown}<br><small>{escape(where)}</small>" if where else shown
