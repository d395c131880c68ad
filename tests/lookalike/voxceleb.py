"""Small trees with the folders, file names and lists of VoxCeleb 1 and 2, VGG and voxceleb_trainer.

The official list of VoxCeleb1-O can be given: then every file of it exists.  A few voices are
synthesised; the files of a speaker are parts of one sound, in noise of
their own: cheap, alike within a speaker, and no two files the same.
"""

import struct
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.lookalike.speechocean762 import SAMPLE_RATE_HZ, draw_voice, speak

# Names as in the corpora: the first speakers of VoxCeleb1 dev with their rows of vox1_meta.csv;
# test has the ids 10270 to 10309.
DEV = [
    ("id10001", "A.J._Buckley", "m", "Ireland", "1zcIwhmdeo4"),
    ("id10002", "A.R._Rahman", "m", "India", "0_laIeN-Q44"),
    ("id10003", "Aamir_Khan", "m", "India", "5ablueV_1tw"),
    ("id10004", "Aaron_Tveit", "m", "USA", "6WxS8rpNjmk"),
    ("id10005", "Aaron_Yoo", "m", "USA", "3ceM_-EyoRo"),
    ("id10006", "Abbie_Cornish", "f", "Australia", "2Onl6s0OHuo"),
    ("id10007", "Abigail_Breslin", "f", "USA", "7yFGIbEnVM4"),
    ("id10008", "Abigail_Spencer", "f", "USA", "2BfvGD2fvS8"),
    ("id10009", "Adam_Beach", "m", "Canada", "7hpSiT9_gCE"),
    ("id10010", "Adam_Brody", "m", "USA", "3n9yFoJQmTg"),
]
VOXCELEB2 = [f"id{number:05d}" for number in (12, 15, 16, 18, 19, 20, 22, 24, 25, 26, 27, 28)]
VOXCELEB2_TEST = ["id00017", "id00061"]
VIDEOS2 = ("21Uxsk56VDQ", "2DLq_Kkc1r8")
META1 = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"
META2 = "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set "
O_NAMES, E_NAMES = ("veri_test.txt", "veri_test2.txt"), ("list_test_all.txt", "list_test_all2.txt")
H_NAMES = ("list_test_hard.txt", "list_test_hard2.txt")
FLAWS = ("missing_wave", "truncated_wave", "empty_wave", "duplicate_speaker", "half_extracted")


class Voices:
    """Sounds of speakers.

    Parameters
    ----------
    seconds : float
        Length of a file.
    num_voices : int
        How many are synthesised; speakers share them.
    seed : int
        Of everything that is drawn.
    """

    def __init__(self, seconds: float, num_voices: int = 12, seed: int = 1):
        self.seconds, self.random = seconds, np.random.default_rng(seed)
        self.sounds = [
            speak(self.random, draw_voice(self.random, "mf"[number % 2], False), seconds + 1)
            for number in range(num_voices)
        ]

    def write(self, path: Path, voice: int) -> None:
        """One file, of a speaker's voice."""
        start, length = self.random.integers(SAMPLE_RATE_HZ), round(self.seconds * SAMPLE_RATE_HZ)
        samples = self.sounds[voice % len(self.sounds)][start : start + length]
        samples = (
            samples
            + self.random.uniform(-1, 1)
            * 1e-3
            * self.sounds[(voice + 1) % len(self.sounds)][: len(samples)]
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".m4a":
            write_m4a(path, samples)
        else:
            write_wave(path, samples)


def write_wave(path: Path, samples: np.ndarray) -> None:
    """A wave file of 16 bits: header and samples; a hundred times as fast as a library."""
    data = (samples * 32767).astype("<i2").tobytes()
    path.write_bytes(
        struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            b"RIFF",
            36 + len(data),
            b"WAVE",
            b"fmt ",
            16,
            1,
            1,
            SAMPLE_RATE_HZ,
            2 * SAMPLE_RATE_HZ,
            2,
            16,
            b"data",
            len(data),
        )
        + data
    )


def write_m4a(path: Path, samples: np.ndarray) -> None:
    """AAC by ffmpeg; a test that asks for it skips where there is none."""
    source = path.with_suffix(".source.wav")
    write_wave(source, samples)
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-i", source, "-c:a", "aac", f"file:{path}"],
        check=True,
    )
    source.unlink()


def write_m4a_header(path: Path, seconds: float) -> None:
    """The boxes of an m4a of that length, and noise for its sound: enough to read the header."""

    def box(name, *contents):
        return struct.pack(">I4s", 8 + sum(map(len, contents)), name) + b"".join(contents)

    ticks = round(seconds * SAMPLE_RATE_HZ)
    description = box(
        b"stsd",
        struct.pack(">II", 0, 1),
        box(b"mp4a", bytes(24), struct.pack(">HH", SAMPLE_RATE_HZ, 0)),
    )
    media = box(
        b"mdia",
        box(b"mdhd", struct.pack(">IIIII", 0, 0, 0, SAMPLE_RATE_HZ, ticks)),
        box(b"hdlr", bytes(8), b"soun", bytes(13)),
        box(b"minf", box(b"stbl", description)),
    )
    movie = box(
        b"moov",
        box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, round(1000 * seconds)), bytes(80)),
        box(b"trak", media),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(box(b"ftyp", b"M4A ") + movie + box(b"mdat", bytes(500)))


def make_voxceleb1(
    folder: Path,
    *,
    official: Sequence[Path] = (),
    layout: str = "apart",
    dev_speakers: int = 10,
    utterances: int = 4,
    seconds: float = 0.6,
    seed: int = 1,
    flaws: Sequence[str] = (),
) -> Path:
    """Make VoxCeleb1 with its lists and vox1_meta.csv.

    Parameters
    ----------
    folder : path
        Made.
    official : sequence of path
        veri_test.txt and veri_test2.txt: they are copied, and every file of them is made.  Without
        them: six test speakers, lists of the same format.
    layout : str
        ``apart`` (dev/wav, test/wav), ``merged`` (wav), ``ids`` (the speakers alone), or ``names``
        (the first release).
    dev_speakers : int
        Of dev, at most 10.
    utterances : int
        Files of each dev speaker, half of them of one video; the test speakers' too, without an
        official list.
    seconds : float
        Length of a file.
    seed : int
        Same seed, same bytes.
    flaws : sequence of str
        Of `FLAWS`; the files that are spoilt are the first of dev.

    Returns
    -------
    path
        The folder.
    """
    assert set(flaws) <= set(FLAWS)
    folder, voices = Path(folder), Voices(seconds, seed=seed)
    names = {speaker: name for speaker, name, *_ in DEV} | {
        f"id{number}": f"Ed_Speaker{number}" for number in range(10270, 10310)
    }
    of_dev = [
        f"{speaker}/{video if n < utterances / 2 else video[::-1]}/{n + 1:05d}.wav"
        for speaker, _, _, _, video in DEV[:dev_speakers]
        for n in range(utterances)
    ]
    of_test = sorted(
        {
            path
            for file in official
            for line in file.read_text().split("\n")
            for path in line.split()[1:]
        }
    ) or [
        f"id{10270 + s}/x6uYqmx31k{'EF'[n % 2]}/{n + 1:05d}.wav"
        for s in range(6)
        for n in range(utterances)
    ]
    for path in of_dev + of_test:
        voices.write(
            folder / place(path, layout, path in of_dev[: len(of_dev)], names), int(path[2:7])
        )
    write_lists1(folder, of_dev, of_test, official)
    write_meta1(folder, names)
    spoil(folder, [place(path, layout, True, names) for path in of_dev], flaws)
    return folder


def place(path: str, layout: str, is_dev: bool, names: dict[str, str]) -> str:
    """Where a file lies: ``id10001/<video>/00001.wav`` in a layout."""
    speaker, video, segment = path.split("/")
    part = "dev" if is_dev else "test"
    return {
        "apart": f"{part}/wav/{path}",
        "merged": f"wav/{path}",
        "ids": path,
        "names": f"voxceleb1_wav/{names[speaker]}/{video}_00{segment}",
    }[layout]


def write_lists1(
    folder: Path, of_dev: Sequence[str], of_test: Sequence[str], official: Sequence[Path]
) -> None:
    """The six lists of trials, with CR LF, without a last line end, or without endings of names."""
    for path in official:
        (folder / path.name).write_bytes(path.read_bytes())
    trials = [] if official else pairs(of_test)
    everybody = pairs([*of_dev, *of_test[:24]])
    for names, lines in (
        (() if official else O_NAMES, trials),
        (E_NAMES, everybody),
        (H_NAMES, everybody[::2] + everybody[1:4:2]),
    ):
        for name, chosen, end in zip(names, (lines, lines[3:]), ("\r\n", "\n"), strict=False):
            text = end.join(chosen) + (end if name in H_NAMES else "")
            (folder / name).write_bytes(
                (text.replace(".wav", "") if name == "list_test_all2.txt" else text).encode()
            )


def pairs(files: Sequence[str]) -> list[str]:
    """Trials of each file with the five behind it, and with two that are far away."""
    found = [
        (files[n], files[(n + step) % len(files)])
        for n in range(len(files))
        for step in (1, 2, len(files) // 2, len(files) // 2 + 1)
    ]
    return [
        f"{int(one[:7] == other[:7])} {one} {other}"
        for one, other in dict.fromkeys(found)
        if one != other
    ]


def write_meta1(folder: Path, names: dict[str, str]) -> None:
    """vox1_meta.csv, of the speakers of the look-alike."""
    facts = {speaker: (sex, country) for speaker, _, sex, country, _ in DEV}
    rows = [
        [
            speaker,
            name,
            *facts.get(
                speaker, ("mf"[int(speaker[-1]) % 2], ("USA", "New Zealand")[int(speaker[-2]) % 2])
            ),
            "dev" if speaker in facts else "test",
        ]
        for speaker, name in names.items()
    ]
    (folder / "vox1_meta.csv").write_text(
        "".join("\t".join(row) + "\n" for row in [META1.split("\t"), *rows])
    )


def make_voxceleb2(
    folder: Path,
    *,
    suffix: str = ".wav",
    layout: str = "apart",
    speakers: int = 12,
    utterances: int = 4,
    seconds: float = 0.6,
    seed: int = 2,
    with_test: bool = False,
    with_meta: bool = False,
    header_only: bool = False,
    flaws: Sequence[str] = (),
) -> Path:
    """Make VoxCeleb2.

    Parameters
    ----------
    folder : path
        Made.
    suffix : str
        ``.wav``, in wav/, or ``.m4a``, in aac/.
    layout : str
        ``apart`` (dev/aac, test/aac) or ``merged`` (aac).
    speakers, utterances : int
        Of dev, at most 12, and files of each, in two videos.
    seconds, seed, flaws
        As of `make_voxceleb1`.
    with_test : bool
        Two speakers of test too.
    with_meta : bool
        vox2_meta.csv too.
    header_only : bool
        Of m4a the header alone is right, and no ffmpeg is needed.

    Returns
    -------
    path
        The folder.
    """
    assert set(flaws) <= set(FLAWS)
    folder, voices, made = Path(folder), Voices(seconds, seed=seed), []
    kind = "aac" if suffix == ".m4a" else "wav"
    for part, ids in (("dev", VOXCELEB2[:speakers]), ("test", VOXCELEB2_TEST if with_test else ())):
        for speaker in ids:
            for n in range(utterances):
                part_folder = f"{part}/" if layout == "apart" else ""
                name = f"{VIDEOS2[n % 2]}/{n + 1:05d}{suffix}"
                path = f"{part_folder}{kind}/{speaker}/{name}"
                made += [path]
                if header_only:
                    write_m4a_header(folder / path, seconds)
                else:
                    voices.write(folder / path, int(speaker[2:]))
    if with_meta:
        rows = [
            f"{speaker} ,n{number:06d} ,{'mf'[number % 2]} ,{part} "
            for part, ids in (("dev", VOXCELEB2), ("test", VOXCELEB2_TEST))
            for number, speaker in enumerate(ids, 1)
        ]
        (folder / "vox2_meta.csv").write_text(
            "".join(f"{row}\n" for row in ["\ufeff" + META2, *rows]), encoding="utf-8"
        )
    spoil(folder, made, flaws)
    return folder


def training_list(style: str, files: Iterable[str]) -> str:
    """A list of files like id00012/21Uxsk56VDQ/00001.wav, of ``voxceleb_trainer`` or ``vgg``."""
    label = {speaker: number for number, speaker in enumerate(sorted({file[:7] for file in files}))}
    return "".join(
        f"{file[:7]} {file}\n" if style == "voxceleb_trainer" else f"{file} {label[file[:7]]}\n"
        for file in files
    )


def spoil(folder: Path, files: Sequence[str], flaws: Sequence[str]) -> None:
    """Plant faults in the first file, the second, and so on, in the order of `FLAWS`.

    A half-extracted archive lacks the last two speakers.
    """
    for number, flaw in enumerate(FLAWS):
        path = folder / files[number]
        if flaw not in flaws:
            continue
        if flaw == "missing_wave":
            path.unlink()
        elif flaw == "truncated_wave":
            path.write_bytes(path.read_bytes()[:100])
        elif flaw == "empty_wave":
            path.write_bytes(b"")
        elif flaw == "duplicate_speaker":
            again = folder / "copy" / "/".join(files[number].split("/")[-3:])
            again.parent.mkdir(parents=True)
            again.write_bytes(path.read_bytes())
        else:
            speakers = sorted({str(Path(file).parents[1]) for file in files})
            for file in (file for file in files if str(Path(file).parents[1]) in speakers[-2:]):
                (folder / file).unlink()
            (folder / "vox1_dev_wav_partad").write_bytes(b"PK")


def read_seconds(path: Path) -> float:
    """Length of a file by an independent reader."""
    info = soundfile.info(path)
    return info.frames / info.samplerate
