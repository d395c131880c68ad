"""Small trees with the folders, file names and lists of VCTK 0.80 and 0.92 and of the noisy VCTK.

Names and layouts are copied from the READMEs of the corpora, not from the code that reads them.
Their oddities are here too: p315 has no texts, p280 and p315 have no second microphone in 0.92, s5
is called differently, and speaker-info.txt has two blanks between its fields and no `p` before
numbers in 0.80.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.lookalike.speechocean762 import draw_voice, speak

SAMPLE_RATE_HZ = 48000
# ID, age, sex, accent, region of some speakers as in the corpus' own list; s5 is in 0.92 only.
SPEAKERS = [
    ("p225", "23  F    English    Southern  England"),
    ("p226", "22  M    English    Surrey"),
    ("p227", "38  M    English    Cumbria"),
    ("p228", "22  F    English    Southern  England"),
    ("p234", "22  F    Scottish  West  Dumfries"),
    ("p237", "22  M    Scottish  Fife"),
    ("p248", "23  F    Indian"),
    ("p253", "22  F    Welsh  Cardiff"),
    ("p280", "25  F    Unknown  France"),
    ("p292", "23  M    NorthernIrish  Belfast"),
    ("p294", "33  F    American  San  Francisco"),
    ("p298", "19  M    Irish  Tipperary"),
    ("p302", "20  M    Canadian  Montreal"),
    ("p314", "26  F    SouthAfrican  Cape  Town"),
    ("p315", "18  M    American  New  England"),
    ("p326", "26  M    Australian  English  Sydney"),
    ("p335", "25  F    NewZealand  English"),
    ("p345", "22  M    American  Florida"),
    ("p362", "29  F    American"),
    ("p364", "23  M    Irish  Donegal"),
    ("p376", "22  M    Indian"),
    ("s5", "20  F    British  Southern  England"),
]
# What all speakers read first: the elicitation paragraph of the speech accent archive, and the
# rainbow passage.
PASSAGES = [
    "Please call Stella.",
    "Ask her to bring these things with her from the store.",
    (
        "Six spoons of fresh snow peas, five thick slabs of blue cheese, and maybe a snack for "
        "her brother Bob."
    ),
    "We also need a small plastic snake and a big toy frog for the kids.",
    (
        "She can scoop these things into three red bags, and we will go meet her Wednesday at "
        "the train station."
    ),
    "When the sunlight strikes raindrops in the air, they act as a prism and form a rainbow.",
    "The rainbow is a division of white light into many beautiful colors.",
    (
        "These take the shape of a long round arch, with its path high above, and its two ends "
        "apparently beyond the horizon."
    ),
]
FLAWS = (
    "missing_text",
    "other_text",
    "raw_file",
    "unreadable",
    "empty_file",
    "duplicate",
    "foreign",
    "half_extracted",
    "empty_folder",
    "unlisted_speaker",
    "listed_twice",
    "bad_age",
    "no_texts",
    "no_passages",
)
NOISY_FLAWS = ("length", "unpaired", "unreadable", "no_clean", "rate")


def make_vctk(
    folder: Path,
    version: str = "0.80",
    num_speakers: int = 20,
    sentences: int = 4,
    others: int = 1,
    seconds: float = 1.2,
    *,
    flaws: Sequence[str] = (),
) -> Path:
    """Make one version of the corpus.

    Parameters
    ----------
    folder : path
        Made; holds VCTK-Corpus/ (0.80), or wav48_silence_trimmed/ and the rest itself, as the two
        archives unpack.
    version : str
        ``0.80`` or ``0.92``.
    num_speakers : int
        The last of `SPEAKERS`, without s5 in 0.80: p315 is among them from eight on.
    sentences, others : int
        Of the passages, and of sentences that one speaker reads alone.
    seconds : float
        Of a recording.
    flaws : sequence of str
        What is wrong, of `FLAWS`.

    Returns
    -------
    path
        The folder.
    """
    assert set(flaws) <= set(FLAWS), f"no such flaw: {set(flaws) - set(FLAWS)}"
    root = Path(folder) / "VCTK-Corpus" if version == "0.80" else Path(folder)
    speakers = [entry for entry in SPEAKERS if version == "0.92" or entry[0] != "s5"][
        -num_speakers:
    ]
    (root / "txt").mkdir(parents=True)
    for number, (speaker, _) in enumerate(speakers):
        voice = draw_voice(np.random.default_rng([7, number]), "fm"[number % 2], False)
        for sentence in range(1, sentences + others + 1):
            utterance = f"{speaker}_{sentence:03d}"
            if speaker != "p315" and "no_texts" not in flaws:
                alone = sentence > sentences or "no_passages" in flaws
                text = (
                    f"Sentence {sentence} is read by speaker {number} alone."
                    if alone
                    else PASSAGES[sentence - 1]
                )
                (root / "txt" / speaker).mkdir(exist_ok=True)
                (root / "txt" / speaker / f"{utterance}.txt").write_text(text + "\n")
            sound = speak(np.random.default_rng([8, number, sentence]), voice, seconds)
            write_recordings(root, version, speaker, utterance, np.repeat(sound, 3))
    blank = "p" if version == "0.80" else ""
    lines = ["ID  AGE  GENDER  ACCENTS  REGION " + ("" if version == "0.80" else " COMMENTS ")]
    lines += [
        f"{speaker.removeprefix(blank)}  {rest}{comment(version, speaker)}"
        for speaker, rest in speakers
    ]
    (root / "speaker-info.txt").write_text("\n".join(lines) + "\n")
    spoil(root, version, [speaker for speaker, _ in speakers], flaws)
    return Path(folder)


def comment(version: str, speaker: str) -> str:
    """What 0.92 adds to a speaker's line."""
    return "  (mic2 files unavailable)" if version == "0.92" and speaker in ("p280", "p315") else ""


def write_recordings(
    root: Path, version: str, speaker: str, utterance: str, sound: np.ndarray
) -> None:
    """Write an utterance as the version has it: one .wav, or one .flac of each microphone."""
    folder = root / ("wav48" if version == "0.80" else "wav48_silence_trimmed") / speaker
    folder.mkdir(parents=True, exist_ok=True)
    if version == "0.80":
        soundfile.write(folder / f"{utterance}.wav", sound, SAMPLE_RATE_HZ, subtype="PCM_16")
        return
    for mic in (1,) if speaker in ("p280", "p315") else (1, 2):
        soundfile.write(
            folder / f"{utterance}_mic{mic}.flac", sound / mic, SAMPLE_RATE_HZ, subtype="PCM_16"
        )


def spoil(root: Path, version: str, speakers: Sequence[str], flaws: Sequence[str]) -> None:
    """Plant flaws: of single files in the first speaker, of folders in the last ones."""
    audio = root / ("wav48" if version == "0.80" else "wav48_silence_trimmed")
    first, second, last = speakers[0], speakers[1], speakers[-1]
    end = ".wav" if version == "0.80" else "_mic1.flac"
    text, sound, info = (
        root / "txt" / first / f"{first}_002.txt",
        audio / first / f"{first}_003{end}",
        root / "speaker-info.txt",
    )
    lines = info.read_text().splitlines()
    plant = {
        "missing_text": text.unlink,
        "other_text": lambda: text.write_text("This is quite another sentence.\n"),
        "raw_file": lambda: sound.rename(sound.with_suffix(".raw")),
        "unreadable": lambda: sound.write_bytes(
            sound.read_bytes()[:-2000] if version == "0.80" else b"no flac"
        ),
        "empty_file": lambda: sound.write_bytes(b""),
        "duplicate": lambda: soundfile.write(
            sound.with_suffix(".flac" if version == "0.80" else ".wav"),
            np.zeros(4800),
            SAMPLE_RATE_HZ,
        ),
        "foreign": lambda: (audio / second / f"{second}_001{end}").rename(
            audio / first / f"{second}_001{end}"
        ),
        "half_extracted": lambda: [
            path.unlink()
            for speaker in speakers[len(speakers) // 2 :]
            for path in (audio / speaker).iterdir()
        ],
        "empty_folder": lambda: [path.unlink() for path in (audio / last).iterdir()],
        "unlisted_speaker": lambda: info.write_text("\n".join(lines[:-1]) + "\n"),
        "listed_twice": lambda: info.write_text("\n".join([*lines, lines[1]]) + "\n"),
        "bad_age": lambda: info.write_text(
            "\n".join([*lines[:-1], f"{lines[-1].split()[0]}  old  F  English"]) + "\n"
        ),
    }
    for flaw in flaws:
        plant.get(flaw, lambda: None)()


def make_noisy_vctk(
    folder: Path,
    pairs: int = 10,
    seconds: float = 1.5,
    *,
    parts: Sequence[str] = ("testset",),
    flaws: Sequence[str] = (),
) -> Path:
    """Make parts of the noisy VCTK: speech of p232 and p257, clean and noisy.

    Parameters
    ----------
    folder : path
        Made; holds clean_<part>_wav and noisy_<part>_wav.
    pairs : int
        Of each part.
    seconds : float
        Of a recording.
    parts : sequence of str
        ``testset``, ``trainset_28spk``, ``trainset_56spk``.
    flaws : sequence of str
        What is wrong, of `NOISY_FLAWS`: with the second pair, or with the whole clean folder.
    """
    assert set(flaws) <= set(NOISY_FLAWS), f"no such flaw: {set(flaws) - set(NOISY_FLAWS)}"
    for part in parts:
        folders = [Path(folder) / f"{side}_{part}_wav" for side in ("clean", "noisy")]
        for place in folders:
            place.mkdir(parents=True)
        for number in range(1, pairs + 1):
            random = np.random.default_rng([9, number, len(part)])
            speaker = ("p232", "p257")[2 * number > pairs]
            clean = 0.5 * np.repeat(
                speak(random, draw_voice(random, "mf"[speaker == "p257"], False), seconds), 3
            )
            noise = random.uniform(0.01, 0.05) * np.convolve(
                random.standard_normal(len(clean)), np.ones(20) / 20, "same"
            )
            for place, sound in zip(folders, (clean, clean + noise), strict=True):
                soundfile.write(
                    place / f"{speaker}_{number:03d}.wav", sound, SAMPLE_RATE_HZ, subtype="PCM_16"
                )
        spoil_pair(*(place / "p232_002.wav" for place in folders), flaws)
    return Path(folder)


def spoil_pair(clean: Path, noisy: Path, flaws: Sequence[str]) -> None:
    """Plant the flaws of the noisy set that were asked for."""
    samples, rate = soundfile.read(noisy)
    if "length" in flaws:
        soundfile.write(noisy, samples[:-100], rate)
    if "rate" in flaws:
        soundfile.write(noisy, samples[::3], rate // 3)
    if "unpaired" in flaws:
        clean.unlink()
    if "unreadable" in flaws:
        noisy.write_bytes(b"")
    if "no_clean" in flaws:
        for path in clean.parent.iterdir():
            path.unlink()
