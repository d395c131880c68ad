"""The report's lists of the worst trials: the confused sides, their files, and players."""

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from utils.data_dir import read_map
from utils.errors import UnreadableAudio
from utils.evaluation.results import series_name
from utils.receipts import existing_receipt
from utils.report.render import render

if TYPE_CHECKING:
    from utils.audio import Channel

PLAYERS_BYTES = 700_000  # of encoded sound in a page, which stays below about 1.5 MB
LONGEST_SECONDS = 6.0  # of a player; the rest of an utterance is left out
PLAYER_RATE_HZ = 16_000
TITLES = {
    "targets": "Target trials with the lowest scores",
    "nontargets": "Nontarget trials with the highest scores",
}
UNKNOWN_FILES = "No players: the sound files of these trials are unknown."
LEFT_OUT = "No players: they were left out."


class Players:
    """Encoded sounds of a page, up to a total size; each utterance once.

    With a size of 0 no players are wanted.
    """

    def __init__(self, room_bytes: int = PLAYERS_BYTES):
        self.wanted = room_bytes > 0
        self.room_bytes = room_bytes
        self.played: set[str] = set()

    def sound(
        self, entry: str, seconds: tuple[float, float] | None = None, channel: "Channel" = 0
    ) -> tuple[str, str]:
        """The sound of an entry of wav.scp as base 64 of MP3, or why there is no player.

        ``seconds`` are start and end of a segment.  Either the sound or the note is empty.
        """
        key = f"{entry} {seconds}"
        note = self._refusal(entry, key)
        if note:
            return "", note
        sound = _encode(entry, seconds, channel)
        if not sound:
            return "", "no player: it cannot be read"
        self.room_bytes -= len(sound)
        if self.room_bytes < 0:
            return "", "no player: the page is full"
        self.played.add(key)
        return sound, ""

    def _refusal(self, entry: str, key: str) -> str:
        """Why an entry is not read; empty if it is."""
        if not entry:
            return "no player: no recording has this name"
        if entry.endswith("|"):
            return "no player: a command would have to run"
        if key in self.played:
            return "player: above"
        if self.room_bytes <= 0:
            return "no player: the page is full"
        return ""


def _encode(entry: str, seconds: tuple[float, float] | None, channel: "Channel" = 0) -> str:
    """The beginning of an utterance as base 64 of MP3; empty if it is unreadable."""
    import soundfile

    from utils.audio import audio_info, read_audio, resample

    if seconds is None:
        seconds = (0.0, LONGEST_SECONDS)
    try:
        total, rate = audio_info(entry)
        start, end = (min(round(time * rate), total) for time in seconds)
        wanted = min(end - start, round(LONGEST_SECONDS * rate))
        samples, rate = read_audio(entry, start_sample=start, num_samples=wanted, channel=channel)
    except (UnreadableAudio, OSError):
        return ""
    if rate != PLAYER_RATE_HZ:
        samples = resample(samples, rate, PLAYER_RATE_HZ)
    file = io.BytesIO()
    soundfile.write(file, samples, PLAYER_RATE_HZ, format="MP3")
    return b64encode(file.getvalue()).decode()


class Sounds:
    """Sound files of the utterances of a test set: of its data directory, or one per fold.

    ``channel`` is the one that the VAD of the first data directory used.
    """

    def __init__(self, *data: Path):
        self.wav_scp: dict[str, str] = {}
        self.segments: dict[str, str] = {}
        self.channel: Channel = 0
        if data:
            receipts = sorted(data[0].glob("vad/receipts/compute_vad.*.json"))
            if receipts:
                self.channel = existing_receipt(receipts[0])["options"].get("channel", 0)
        for folder in data:
            for name, entries in (("wav.scp", self.wav_scp), ("segments", self.segments)):
                if (folder / name).is_file():
                    entries |= read_map(folder / name)

    def of(self, utterance: str) -> tuple[str, tuple[float, float] | None]:
        """Entry of wav.scp, and start and end of a segment in seconds.

        The entry is empty for an unknown name, such as a model of several utterances.
        """
        if utterance not in self.segments:
            return self.wav_scp.get(utterance, ""), None
        recording, start, end = self.segments[utterance].split()[:3]
        return self.wav_scp.get(recording, ""), (float(start), float(end))


def worst_part(curves: Sequence[Mapping], sounds: Sounds, players: Players) -> Markup:
    """The lists of one test set, folded up; empty if the curves have none.

    Shown are the entries of curves.json of the first system, with players for its first back end.
    """
    lists: list[dict] = []
    seen: set[str] = set()
    with_players = players.wanted and bool(sounds.wav_scp)
    shown = [curve for curve in curves if curve["system"] == curves[0]["system"]]
    for number, curve in enumerate(shown):
        worst = curve.get("worst", {})
        ranked = str([trial[:2] for trials in worst.values() for trial in trials])
        if ranked in seen:
            continue  # calibration keeps the order of trials
        seen.add(ranked)
        note = ""
        if with_players and number > 0:
            note = f"Players: with {series_name(shown[0])}."
        for kind, title in TITLES.items():
            rows = _trial_rows(
                worst.get(kind, ()), sounds, players if with_players and number == 0 else None
            )
            if rows:
                entry = {
                    "title": title,
                    "series": series_name(curve),
                    "rows": rows,
                    "later": number > 0,
                    "note": note,
                }
                lists.append(entry)
    note = ""
    if not with_players:
        note = LEFT_OUT if sounds.wav_scp else UNKNOWN_FILES
    return render("worst.html", lists=lists, note=note)


class _Side(NamedTuple):
    """A side of a trial: its name, its file, its sound, and why it has none."""

    name: str
    file: str
    sound: str
    note: str


def _trial_rows(
    trials: Sequence[Sequence], sounds: Sounds, players: Players | None
) -> list[tuple[str, list[_Side]]]:
    """Score and sides of each trial; without players if None."""
    rows = []
    for *names, score in trials:
        rows.append((f"{score:.4g}", [_side(name, sounds, players) for name in names]))
    return rows


def _side(name: str, sounds: Sounds, players: Players | None) -> _Side:
    """An utterance or model as a side of a trial."""
    entry, seconds = sounds.of(name)
    file = entry
    if seconds:
        file += f" {seconds[0]:g} to {seconds[1]:g} s"
    sound, note = "", ""
    if players:
        sound, note = players.sound(entry, seconds, sounds.channel)
    return _Side(name, file, sound, note)
