"""A small tree with the folders, file names and list formats of speechocean762.

The voices are harmonics under moving formants: enough for speakers to differ and for every stage to
run.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE_HZ = 16000
VOWEL_FORMANTS_HZ = np.array(
    [[730, 1090, 2440], [270, 2290, 3010], [300, 870, 2240], [530, 1840, 2480], [570, 840, 2410]],
    float,
)
WORDS = ["ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE", "ZERO"]
LIST_FLAWS = ("crlf", "no_final_newline", "duplicate_utterance", "shared_speaker", "missing_age")
WAVE_FLAWS = ("missing_wave", "truncated_wave", "empty_wave", "silent_wave", "no_waves")


def make_corpus(
    folder: Path,
    num_speakers: int = 8,
    utterances_per_speaker: int = 4,
    seed: int = 1,
    *,
    with_test: bool = False,
    flaws: Sequence[str] = (),
    seconds: float = 2.0,
) -> Path:
    """Make the look-alike; half of the speakers are children, half of each age group female.

    Parameters
    ----------
    folder : path
        Made; holds WAVE/, train/ and, if asked for, test/.
    num_speakers : int
        In each part.
    utterances_per_speaker : int
        Files of each speaker.
    seed : int
        Same seed, same bytes.
    with_test : bool
        Whether test/ is there.
    flaws : sequence of str
        Faults, of `LIST_FLAWS` and `WAVE_FLAWS`; list faults are in train/, wave faults in the
        first utterance of train/.
    seconds : float
        Mean duration of a file.

    Returns
    -------
    path
        The folder.
    """
    unknown = set(flaws) - {*LIST_FLAWS, *WAVE_FLAWS}
    assert not unknown, f"no such flaw: {unknown}"
    folder = Path(folder)
    for part, first_speaker in [("train", 1), ("test", 3)][: 2 if with_test else 1]:
        speakers = [first_speaker + 4 * index for index in range(num_speakers)]
        lists = make_part(folder, speakers, utterances_per_speaker, seed, seconds)
        if part == "train":
            spoil_lists(lists, flaws)
            spoil_wave(folder / lists["wav.scp"][0].split("\t")[1], flaws)
        write_lists(folder / part, lists, flaws)
    if "shared_speaker" in flaws:
        write_lists(folder / "test", lists, flaws)
    if "no_waves" in flaws:
        (folder / "WAVE").rename(folder / "audio")
    return folder


def make_part(
    folder: Path, speakers: Sequence[int], utterances_per_speaker: int, seed: int, seconds: float
) -> dict[str, list[str]]:
    """Write the waves of one part; return the lines of its lists, unsorted as in the corpus."""
    lists = {
        name: [] for name in ("wav.scp", "utt2spk", "spk2utt", "spk2gender", "spk2age", "text")
    }
    for index, number in enumerate(speakers):
        random = np.random.default_rng([seed, number])
        speaker, gender, is_child = f"{number:04d}", "mf"[index % 2], index % 4 >= 2
        voice = draw_voice(random, gender, is_child)
        utterances = [
            f"{number:05d}{n:04d}"
            for n in sorted(random.choice(np.arange(1, 400), utterances_per_speaker, replace=False))
        ]
        for utterance in utterances:
            path = Path("WAVE") / f"SPEAKER{speaker}" / f"{utterance}.WAV"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(
                folder / path,
                speak(random, voice, seconds * random.uniform(0.9, 1.1)),
                SAMPLE_RATE_HZ,
                format="WAV",
                subtype="PCM_16",
            )
            lists["wav.scp"].append(f"{utterance}\t{path}")
            lists["utt2spk"].append(f"{utterance} {speaker}")
            lists["text"].append(f"{utterance}\t{' '.join(random.choice(WORDS, 4))}")
        lists["spk2utt"].append(" ".join([speaker, *utterances]))
        lists["spk2gender"].append(f"{speaker}\t{gender}")
        lists["spk2age"].insert(
            0, f"{speaker}\t{random.integers(6, 16) if is_child else random.integers(18, 40)}"
        )
    return lists


def spoil_lists(lists: dict[str, list[str]], flaws: Sequence[str]) -> None:
    """Put the faults of lists that were asked for into them."""
    if "duplicate_utterance" in flaws:
        lists["wav.scp"].insert(1, lists["wav.scp"][0])
    if "missing_age" in flaws:
        del lists["spk2age"][-1]


def spoil_wave(path: Path, flaws: Sequence[str]) -> None:
    """Put the faults of audio that were asked for into one file."""
    content = path.read_bytes()
    if "missing_wave" in flaws:
        path.unlink()
    elif "truncated_wave" in flaws:
        path.write_bytes(content[: len(content) // 2])
    elif "empty_wave" in flaws:
        path.write_bytes(b"")
    elif "silent_wave" in flaws:
        path.write_bytes(content[:44] + bytes(len(content) - 44))


def write_lists(folder: Path, lists: dict[str, list[str]], flaws: Sequence[str]) -> None:
    """Write one part's lists with the asked-for line ends."""
    folder.mkdir(parents=True, exist_ok=True)
    end = "\r\n" if "crlf" in flaws else "\n"
    for name, lines in lists.items():
        text = end.join(lines) + ("" if "no_final_newline" in flaws else end)
        (folder / name).write_bytes(text.encode())


def draw_voice(random: np.random.Generator, gender: str, is_child: bool) -> dict[str, float]:
    """Pitch (Hz), formant scale, tilt (dB per octave) and syllables per second of a speaker."""
    pitch_hz, formant_scale = (
        (270, 1.3) if is_child else (120, 1.0) if gender == "m" else (205, 1.15)
    )
    return {
        "pitch_hz": pitch_hz * random.uniform(0.85, 1.18),
        "formant_scale": formant_scale * random.uniform(0.93, 1.07),
        "tilt_db": random.uniform(-11, -5),
        "rate": random.uniform(3, 6),
    }


def speak(random: np.random.Generator, voice: dict[str, float], seconds: float) -> np.ndarray:
    """Syllables of one vowel each between silences, in noise: (samples,) in [-1, 1]."""
    num_samples = int(seconds * SAMPLE_RATE_HZ)
    margin = SAMPLE_RATE_HZ // 5
    signal = 0.001 * random.standard_normal(num_samples)
    start = margin
    while start < num_samples - margin - 800:
        length = min(
            int(SAMPLE_RATE_HZ / voice["rate"] * random.uniform(0.8, 1.2)),
            num_samples - margin - start,
        )
        signal[start : start + length] += vowel(random, voice, length)
        start += length + int(0.03 * SAMPLE_RATE_HZ)
    return 0.5 * signal / np.abs(signal).max()


def vowel(random: np.random.Generator, voice: dict[str, float], length: int) -> np.ndarray:
    """One vowel with falling pitch: harmonics up to 4 kHz, three resonances of 100 Hz width."""
    pitch_hz = voice["pitch_hz"] * random.uniform(0.9, 1.1)
    harmonics = np.arange(1, int(4000 / pitch_hz) + 1)
    formants_hz = (
        VOWEL_FORMANTS_HZ[random.integers(len(VOWEL_FORMANTS_HZ))]
        * voice["formant_scale"]
        * random.uniform(0.97, 1.03, 3)
    )
    resonance = (1 / (1 + ((harmonics[:, None] * pitch_hz - formants_hz) / 100) ** 2)).sum(1) + 0.01
    weights = resonance * harmonics ** (voice["tilt_db"] / 6.02)
    phase = 2 * np.pi * np.cumsum(pitch_hz * np.linspace(1.08, 0.92, length)) / SAMPLE_RATE_HZ
    return np.hanning(length) * (weights @ np.sin(harmonics[:, None] * phase))
