"""The report's lists of the worst trials: who was mistaken for whom, where the sound lies, and how it sounds."""

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from utils.data_dir import read_map
from utils.errors import UnreadableAudio
from utils.evaluation.results import series_of
from utils.receipts import existing_receipt
from utils.report.render import render

if TYPE_CHECKING:
    from utils.audio import Channel

PLAYERS_BYTES = 700_000  # of sound in a page, encoded: the whole stays below about 1.5 MB
LONGEST_SECONDS = 6.0  # of a player; the rest of an utterance is left out
PLAYER_RATE_HZ = 16_000
TITLES = {
    "targets": "Target trials of the lowest scores",
    "nontargets": "Non-target trials of the highest scores",
}


NOT_KNOWN = "No players: where the sound of these trials lies is not known."
LEFT_OUT = "No players: they were left out."


class Players:
    """Sounds of utterances as elements of a page, as long as there is room for them; each utterance once.

    Parameters
    ----------
    room_bytes : int
        Room for all of them; 0: no players are wanted.
    """

    def __init__(self, room_bytes: int = PLAYERS_BYTES):
        self.wanted = room_bytes > 0
        self.room_bytes = room_bytes
        self.played: set[str] = set()

    def sound(
        self, entry: str, seconds: tuple[float, float] | None = None, channel: "Channel" = 0
    ) -> tuple[str, str]:
        """The sound of an utterance as MP3 in base 64, or why it has no player.

        Parameters
        ----------
        entry : str
            Of wav.scp; a shell command is not run.
        seconds : (float, float) or None
            Start and end of the utterance in its recording.
        channel : int or "mean"
            What was heard of several.

        Returns
        -------
        sound, note : str and str
            One of them is empty.
        """
        key = f"{entry} {seconds}"
        if not entry:
            return "", "no player: no recording has this name"
        if entry.endswith("|"):
            return "", "no player: a command would have to run"
        if key in self.played:
            return "", "player: above"
        if self.room_bytes <= 0:
            return "", "no player: the page is full"
        sound = encoded(entry, seconds, channel)
        if not sound:
            return "", "no player: it cannot be read"
        self.room_bytes -= len(sound)
        if self.room_bytes < 0:
            return "", "no player: the page is full"
        self.played.add(key)
        return sound, ""


def encoded(entry: str, seconds: tuple[float, float] | None, channel: "Channel" = 0) -> str:
    """The beginning of an utterance as MP3 in base 64; empty where it cannot be read.

    Parameters
    ----------
    entry : str
        Of wav.scp.
    seconds : (float, float) or None
        Start and end in the recording.
    channel : int or "mean"
        What was heard of several.
    """
    import soundfile

    from utils.audio import audio_info, read_audio, resample

    try:
        total, rate = audio_info(entry)
        start, end = (min(round(time * rate), total) for time in seconds or (0.0, LONGEST_SECONDS))
        wanted = min(end - start, round(LONGEST_SECONDS * rate))
        samples, rate = read_audio(entry, start_sample=start, num_samples=wanted, channel=channel)
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

    Attributes
    ----------
    channel : int or "mean"
        What the VAD of the first heard of files of several channels.
    """

    def __init__(self, *data: Path):
        self.wav_scp: dict[str, str] = {}
        self.segments: dict[str, str] = {}
        decided = sorted(data[0].glob("vad/receipts/compute_vad.*.json")) if data else []
        self.channel: Channel = (
            existing_receipt(decided[0])["options"].get("channel", 0) if decided else 0
        )
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


def worst_part(curves: Sequence[Mapping], sounds: Sounds, players: Players) -> Markup:
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
    lists: list[dict] = []
    seen: set[str] = set()
    with_players = players.wanted and bool(sounds.wav_scp)
    mine = [curve for curve in curves if curve["system"] == curves[0]["system"]]
    for number, curve in enumerate(mine):
        worst = curve.get("worst", {})
        ranked = str([trial[:2] for trials in worst.values() for trial in trials])
        if ranked in seen:
            continue  # calibration alone: the same trials in the same order
        seen.add(ranked)
        of_curve = players if with_players and number == 0 else None
        for kind, title in TITLES.items():
            rows = [
                (f"{score:.4g}", [side_of(name, sounds, of_curve) for name in names])
                for *names, score in worst.get(kind, ())
            ]
            one = {
                "title": title,
                "series": series_of(curve),
                "rows": rows,
                "later": number > 0,
                "note": f"Players: with {series_of(mine[0])}." if with_players and number else "",
            }
            lists += [one] if rows else []
    missing = LEFT_OUT if sounds.wav_scp else NOT_KNOWN
    return render("worst.html", lists=lists, note="" if with_players else missing)


class Side(NamedTuple):
    """A side of a trial: its name, where it lies, its sound, and why it has none."""

    name: str
    where: str
    sound: str
    note: str


def side_of(name: str, sounds: Sounds, players: Players | None) -> Side:
    """What is shown of a side of a trial.

    Parameters
    ----------
    name : str
        Utterance or model.
    sounds : Sounds
        Of the set.
    players : Players or None
        Of the page; None: this list has none.
    """
    entry, seconds = sounds.of(name)
    where = entry + (f" {seconds[0]:g} to {seconds[1]:g} s" if seconds else "")
    sound, note = players.sound(entry, seconds, sounds.channel) if players else ("", "")
    return Side(name, where, sound, note)
