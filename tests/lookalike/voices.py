"""A tree with the folders, file names, lists and keys of VOiCES 2019, small and made on the spot.

The names come from the corpus' own description and from public recipes (recipes/voices/README.md),
not from the parser. The voices are those of the speechocean762 look-alike; rooms are a decaying
tail, distractors some noise.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.lookalike.speechocean762 import SAMPLE_RATE_HZ, draw_voice, speak

PREFIX = "Lab41-SRI-VOiCES"
MICROPHONES = [
    ("mc01", "stu", "clo"),
    ("mc06", "lav", "far"),
    ("mc12", "lav", "wlo"),
    ("mc05", "stu", "far"),
]  # of the corpus' twelve
ROOMS, DISTRACTORS, DEGREES = (
    {"dev": ("rm1", "rm2"), "eval": ("rm3", "rm4")},
    ("none", "babb", "musi", "tele"),
    ("000", "010", "090", "180"),
)
DEV_HOME, DEV_LISTS = (
    "Development_Data/Speaker_Recognition/sid_dev",
    "Development_Data/Speaker_Recognition/sid_dev_lists_and_keys",
)
EVAL_HOME, EVAL_LISTS = (
    "Evaluation_Data/Speaker_Recognition/sid_eval",
    "Evaluation_Data/Speaker_Recognition/sid_eval_lists",
)
EVAL_KEYS = "VOiCES_challenge_2019_post-eval-release"
FLAWS = (
    "missing_file",
    "unreadable_file",
    "truncated_file",
    "unknown_in_keys",
    "unknown_enrolment",
    "wrong_speaker_in_keys",
    "no_keys",
    "no_map",
    "copied_file",
    "crlf",
    "no_final_newline",
    "listed_twice",
    "keys_without_class",
    "one_key_without_class",
    "odd_name",
    "other_folder",
)


def make_voices(
    folder: Path,
    part: str = "dev",
    num_speakers: int = 6,
    tests_per_speaker: int = 4,
    seed: int = 1,
    *,
    seconds: float = 1.2,
    flaws: Sequence[str] = (),
) -> Path:
    """Make the look-alike: an enrolment per speaker, tests, and keys of all pairs.

    The tests take rooms, distractors, microphones and angles in turn.

    Parameters
    ----------
    folder : path
        Gets ``Development_Data/...`` or ``Evaluation_Data/...`` and the keys; the other set may be
        there already.
    part : str
        ``dev`` or ``eval``.
    num_speakers, tests_per_speaker : int
        Size.
    seed : int
        Same seed, same bytes.
    seconds : float
        Mean duration of a file.
    flaws : sequence of str
        What is wrong, of `FLAWS`; the first test file is the one that is spoilt.

    Returns
    -------
    path
        The folder.
    """
    assert set(flaws) <= set(FLAWS), flaws
    first = {"dev": 32, "eval": 3032}[part]  # no speaker is in both sets
    folder, speakers = (
        Path(folder),
        [f"sp{first + 7 * number:04d}" for number in range(num_speakers)],
    )
    enrolments, tests = [], []  # (speaker, name)
    for index, speaker in enumerate(speakers):
        random = np.random.default_rng([seed, index, *([1] if part == "eval" else [])])
        voice = draw_voice(random, "mf"[index % 2], False)
        for number in range(tests_per_speaker + 1):
            name = recording_name(part, speaker, index, number)
            (tests if number else enrolments).append((speaker, name))
            write_recording(
                folder,
                part,
                speaker,
                name,
                far_field(random, speak(random, voice, seconds * random.uniform(0.9, 1.1)), number),
            )
    lists = dev_lists(enrolments, tests) if part == "dev" else eval_lists(enrolments, tests)
    spoil_lists(lists, flaws)
    spoil_files(folder, part, tests[0], flaws)
    end = "\r\n" if "crlf" in flaws else "\n"
    for path, lines in lists.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(
            (end.join(lines) + ("" if "no_final_newline" in flaws else end)).encode()
        )
    return folder


def recording_name(part: str, speaker: str, index: int, number: int) -> str:
    """Name of a speaker's n-th recording; the first, for enrolment, is close and undisturbed."""
    chapter, segment = f"ch{100000 + 31 * index + number // 3:06d}", f"sg{number:04d}"
    if number == 0:
        return f"{PREFIX}-{ROOMS[part][0]}-none-{speaker}-{chapter}-{segment}-mc01-stu-clo-dg000"
    turn = index + number
    microphone = "-".join(MICROPHONES[turn % 4])
    room = ROOMS[part][number % 2]
    distractor, degrees = DISTRACTORS[(turn // 2) % 4], DEGREES[(turn // 3) % 4]
    room_part, speaker_part = f"{PREFIX}-{room}-{distractor}", f"{speaker}-{chapter}-{segment}"
    return f"{room_part}-{speaker_part}-{microphone}-dg{degrees}"


def anonymous(name: str) -> str:
    """The evaluation set's name of a recording."""
    fields = name.split("-")
    return f"VOiCES_2019_Challenge_SID_eval_{int(fields[5][2:]):04d}{int(fields[7][2:]):02d}"


def path_of(part: str, speaker: str, name: str) -> str:
    """Path of a recording as the lists write it."""
    return f"sid_dev/{speaker}/{name}.wav" if part == "dev" else f"sid_eval/{anonymous(name)}.wav"


def write_recording(folder: Path, part: str, speaker: str, name: str, samples: np.ndarray) -> None:
    """One file, where the set has it."""
    path = (folder / (DEV_HOME if part == "dev" else EVAL_HOME)).parent / path_of(
        part, speaker, name
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype="PCM_16")


def far_field(random: np.random.Generator, speech: np.ndarray, number: int) -> np.ndarray:
    """Speech with a tail of 0.1 s and noise, more of both in later recordings."""
    tail = 0.05 * number * random.standard_normal(1600) * np.exp(-np.arange(1600) / 400)
    tail[0] = 1.0
    signal = np.convolve(speech, tail)[: len(speech)] + 0.002 * number * random.standard_normal(
        len(speech)
    )
    return 0.4 * signal / np.abs(signal).max()


def dev_lists(
    enrolments: Sequence[tuple[str, str]], tests: Sequence[tuple[str, str]]
) -> dict[str, list[str]]:
    """The three lists of the development set: path -> lines."""
    pairs = [
        (model, test, "tgt" if one == other else "imp")
        for one, model in enrolments
        for other, test in [(speaker, path_of("dev", speaker, name)) for speaker, name in tests]
    ]
    return {
        f"{DEV_LISTS}/dev-enroll.lst": [
            f"{name} {path_of('dev', speaker, name)}" for speaker, name in enrolments
        ],
        f"{DEV_LISTS}/dev-test.lst": [path_of("dev", speaker, name) for speaker, name in tests],
        f"{DEV_LISTS}/dev-trial-keys.lst": [" ".join(pair) for pair in pairs],
    }


def eval_lists(
    enrolments: Sequence[tuple[str, str]], tests: Sequence[tuple[str, str]]
) -> dict[str, list[str]]:
    """The lists of the evaluation set; its later keys have other names, and come with a map."""
    pairs = [
        f"{anonymous(model)} {anonymous(test)}.wav {'tgt' if one == other else 'imp'}"
        for one, model in enrolments
        for other, test in tests
    ]
    return {
        f"{EVAL_LISTS}/eval-enroll.lst": [
            f"{anonymous(name)} {path_of('eval', speaker, name)}" for speaker, name in enrolments
        ],
        f"{EVAL_LISTS}/eval-test.lst": [path_of("eval", speaker, name) for speaker, name in tests],
        f"{EVAL_LISTS}/eval-trial.lst": [
            " ".join([pair.split()[0], "sid_eval/" + pair.split()[1]]) for pair in pairs
        ],
        f"{EVAL_KEYS}/VOiCES_challenge_2019_eval.SID.trial-keys.lst": pairs,
        f"{EVAL_KEYS}/VOiCES_challenge_2019_eval.SID.map": [
            f"{anonymous(name)} {name}.wav" for _, name in [*enrolments, *tests]
        ],
    }


def spoil_lists(lists: dict[str, list[str]], flaws: Sequence[str]) -> None:
    """Put the faults of lists that were asked for into them."""
    by_kind = {
        kind: next(lines for path, lines in lists.items() if kind in path.rpartition("/")[2])
        for kind in ("enroll", "test", "keys")
    }
    keys = by_kind["keys"]
    enrol, test, kind = keys[3].split()
    if "unknown_in_keys" in flaws:
        keys[3] = f"{enrol} {test.replace('sg0004', 'sg0999').replace('04.wav', '99.wav')} {kind}"
    if "unknown_enrolment" in flaws:
        keys[3] = f"{enrol}x {test} {kind}"
    if "wrong_speaker_in_keys" in flaws:
        keys[3] = f"{enrol} {test} {'imp' if kind == 'tgt' else 'tgt'}"
    if "keys_without_class" in flaws:
        keys[:] = [line.rpartition(" ")[0] for line in keys]
    if "one_key_without_class" in flaws:
        keys[5] = keys[5].rpartition(" ")[0]
    if "listed_twice" in flaws:
        by_kind["test"].append(by_kind["test"][0])
    if "odd_name" in flaws:
        by_kind["test"][0] = by_kind["test"][0].replace("-none-", "-").replace("-babb-", "-")
    if "other_folder" in flaws:
        by_kind["test"][0] = by_kind["test"][0].replace("/sp0032/", "/sp0039/")
    for flaw, word in (("no_keys", "trial-keys"), ("no_map", ".map")):
        for path in [path for path in lists if flaw in flaws and word in path]:
            del lists[path]


def spoil_files(folder: Path, part: str, first: tuple[str, str], flaws: Sequence[str]) -> None:
    """Put the faults of files that were asked for into the first test file."""
    path = (folder / (DEV_HOME if part == "dev" else EVAL_HOME)).parent / path_of(part, *first)
    if "missing_file" in flaws:
        path.unlink()
    if "unreadable_file" in flaws:
        path.write_bytes(b"RIFF")
    if "truncated_file" in flaws:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if "copied_file" in flaws:
        (path.parents[1] / "sp9999").mkdir()
        (path.parents[1] / "sp9999" / path.name).write_bytes(path.read_bytes())
