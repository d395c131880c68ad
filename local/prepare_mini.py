"""Make the data directories of mini, a corpus that is generated on the spot: speakers, two recording conditions, noise, babble, music and rooms.

    python -m local.prepare_mini recipes/mini/data/full --size full --seed 1 --jobs 2

Each utterance is drawn from the seed and its own name alone, its channel without looking at the speaker.
Same seed: same bytes, however many processes work.
"""

import functools
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from local.mini import channels
from local.mini.espeak import Espeak
from local.mini.sentences import make_sentence
from local.mini.synthesis import SAMPLE_RATE_HZ, make_speakers, synthesise
from utils.archive import ArchiveWriter, read_scp
from utils.audio import to_int16
from utils.augmentation.planned import note_noise_types
from utils.cli import die_with_parent, run
from utils.data_dir import DataDir, write_data_dir
from utils.errors import UserError
from utils.receipts import Task

FORMAT = 1
BABBLERS = range(901, 999)  # numbers of the people heard in babble, who are in no list
NOISE_RMS = 0.1
SECONDS_OF_A_SENTENCE = 4.5  # with the silence around it, over the 1,800 of seed 1
SECONDS_OF_A_ROOM = 0.4  # of its response
BYTES_PER_SECOND = 2 * SAMPLE_RATE_HZ
IMPOSTORS = ("one sex", "two sexes")


@dataclass(frozen=True)
class Size:
    """How much is made.

    Parameters
    ----------
    train, dev, test : int
        Number of speakers, half of them women.
    utterances : int
        Per speaker and condition.
    noises, babbles, musics, rooms : int
        Number of recordings for augmentation.
    noise_seconds : float
        Length of each noise, babble and music.
    """

    train: int
    dev: int
    test: int
    utterances: int
    noises: int
    babbles: int
    musics: int
    rooms: int
    noise_seconds: float


SIZES = {
    "full": Size(
        train=100,
        dev=10,
        test=40,
        utterances=6,
        noises=40,
        babbles=20,
        musics=20,
        rooms=60,
        noise_seconds=8,
    ),
    "tiny": Size(
        train=6,
        dev=4,
        test=4,
        utterances=2,
        noises=3,
        babbles=2,
        musics=2,
        rooms=4,
        noise_seconds=3,
    ),
}
Recording = tuple[np.ndarray, str]  # 16-bit samples, text


def prepare_mini(output: Path, *, size: str = "full", seed: int = 1, jobs: int = 2) -> dict:
    """Generate train, dev and test with their trials, and noise and rirs for augmentation.

    Parameters
    ----------
    output : path
        Gets the five data directories; their audio is in wave archives.
    size : str
        ``full``: 150 speakers, 1800 utterances; ``tiny``: 14 speakers, 56 utterances, for structural tests.
    seed : int
        Of everything that is drawn, not negative.
    jobs : int
        Number of processes.

    Returns
    -------
    dict
        Set -> counts of utterances, speakers and trials.

    Raises
    ------
    UserError
        There is no such size, or the package that speaks is missing.
    """
    if size not in SIZES:
        raise UserError(f"--size is '{size}', expected {' or '.join(SIZES)}")
    if seed < 0 or jobs < 1:
        raise UserError(
            f"--seed is {seed} and --jobs is {jobs}, expected a seed of 0 or more and 1 job or more"
        )
    plans = plan(SIZES[size])
    tasks = {}
    for name, recordings in plans.items():
        hours = len(recordings) * _expected_seconds(SIZES[size], name) / 3600
        tasks[name] = Task(
            output / name,
            "made",
            format=FORMAT,
            inputs={},
            options={"size": size, "seed": seed},
            expected_audio=(len(recordings), hours),
            expected_bytes=lambda hours=hours: int(3600 * hours * BYTES_PER_SECOND),
        )
    note_noise_types(output / "noise", {sound.split("-")[0] for sound in plans["noise"]})
    pending = [name for name in plans if not tasks[name].is_done()]
    if pending:
        Espeak().close()  # a missing package is told here, in one line, and not by every process
        with ProcessPoolExecutor(
            jobs, multiprocessing.get_context("spawn"), die_with_parent
        ) as pool:
            for name in pending:
                print(f"{output / name}: {len(plans[name])} recordings", flush=True)
                make = functools.partial(make_recording, SIZES[size], seed)
                made = pool.map(make, plans[name], chunksize=4)
                _write_set(tasks[name], dict(zip(plans[name], made, strict=True)), seed)
    return {name: task.counts for name, task in tasks.items()}


def plan(size: Size) -> dict[str, list[str]]:
    """Names of all recordings of each set, in byte order: ``f001-close-1``, ``babble-01``, ``room-01``.

    Parameters
    ----------
    size : Size
        How much.
    """
    plans, first = {}, 1
    for name in ("train", "dev", "test"):
        speakers = [speaker.name for speaker in make_speakers(getattr(size, name), 0, first=first)]
        first += len(speakers)
        plans[name] = [
            f"{speaker}-{condition}-{k + 1}"
            for speaker in speakers
            for condition in channels.CONDITIONS
            for k in range(size.utterances)
        ]
    counts = {"noise": size.noises, "babble": size.babbles, "music": size.musics}
    plans["noise"] = [f"{kind}-{k + 1:02d}" for kind, count in counts.items() for k in range(count)]
    plans["rirs"] = [f"room-{k + 1:02d}" for k in range(size.rooms)]
    return {name: sorted(names) for name, names in plans.items()}


def _expected_seconds(size: Size, name: str) -> float:
    """Length of a recording, on the average, for the dry run."""
    return {"noise": size.noise_seconds, "rirs": SECONDS_OF_A_ROOM}.get(name, SECONDS_OF_A_SENTENCE)


@functools.cache
def voices() -> Espeak:
    """This process' helper that speaks; it ends with this process."""
    return Espeak()


def make_recording(size: Size, seed: int, name: str) -> Recording:
    """Generate one recording.

    Parameters
    ----------
    size : Size
        Says how long noises are.
    seed : int
        Of the corpus.
    name : str
        One of `plan`: says what to make.

    Returns
    -------
    samples : (n,) int16 array
        At 16 kHz.
    text : str
        What is said; empty where nobody speaks.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    kind, *rest = name.split("-")
    num_samples = int(size.noise_seconds * SAMPLE_RATE_HZ)
    if kind == "room":
        return to_int16(
            0.5 * channels.room_response(rng.uniform(0.1, 0.7), rng.uniform(-3, 15), rng)
        ), ""
    if kind == "noise":
        return to_int16(NOISE_RMS * channels.make_noise(num_samples, rng)), ""
    if kind == "music":
        return to_int16(NOISE_RMS * channels.make_music(num_samples, rng)), ""
    if kind == "babble":
        talkers = [
            _say(number, seed, rng)[0]
            for number in rng.choice(BABBLERS, rng.integers(3, 7), replace=False)
        ]
        return to_int16(NOISE_RMS * channels.make_babble(talkers, num_samples, rng)), ""
    speech, text = _say(int(kind[1:]), seed, rng)
    return channels.record(speech, channels.CONDITIONS[rest[0]], rng), text


def _say(number: int, seed: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Have a speaker of the corpus say something."""
    text = make_sentence(rng)
    (speaker,) = make_speakers(1, seed, first=number)
    return synthesise(voices(), speaker, text, int(rng.integers(2**31))), text


def _write_set(task: Task, recordings: Mapping[str, Recording], seed: int) -> None:
    """Write one data directory and its receipt."""
    home, name = task.home, task.home.name
    with ArchiveWriter(home / "audio.ark", home / "wav.scp") as writer:
        for utterance, (samples, _) in recordings.items():
            writer.write_wave(utterance, samples, SAMPLE_RATE_HZ)
    is_speech = name in ("train", "dev", "test")
    utt2spk = {
        utterance: utterance.split("-")[0] if is_speech else utterance for utterance in recordings
    }
    maps = {
        "utt2dur": {
            utterance: f"{len(samples) / SAMPLE_RATE_HZ:.4f}"
            for utterance, (samples, _) in recordings.items()
        }
    }
    if is_speech:
        maps["spk2gender"] = {speaker: speaker[0] for speaker in utt2spk.values()}
        maps["utt2condition"] = {utterance: utterance.split("-")[1] for utterance in recordings}
        maps["text"] = {utterance: text for utterance, (_, text) in recordings.items()}
    if name == "noise":
        maps["utt2type"] = {utterance: utterance.split("-")[0] for utterance in recordings}
    data = DataDir(home, read_scp(home / "wav.scp"), utt2spk, None, maps)
    counts = {"utterances": len(utt2spk), "speakers": len(set(utt2spk.values()))}
    if name in ("dev", "test"):
        data.trials = design_trials(utt2spk, maps["spk2gender"], maps["utt2condition"], seed)
        targets = sum(trial.endswith(" target") for trial in data.trials)
        counts |= {"targets": targets, "nontargets": len(data.trials) - targets}
    write_data_dir(data, home)
    lists = [
        home / file
        for file in [*data.keyed, "spk2utt", *(["trials"] if data.trials else [])]
        if file != "wav.scp"
    ]
    task.finish([writer, *lists], counts)


def design_trials(
    utt2spk: Mapping[str, str],
    spk2gender: Mapping[str, str],
    utt2condition: Mapping[str, str],
    seed: int,
) -> list[str]:
    """All target pairs; for each of them, within the same pair of conditions, two impostor pairs of one sex and two of two sexes.

    So the conditions of a trial say nothing of its class.  Across conditions the enrolment is the one whose condition comes first in byte order.
    Where speakers are too few for two and two, it is one and one.

    Parameters
    ----------
    utt2spk, spk2gender, utt2condition : mappings of str to str
        Lists of the set.
    seed : int
        Decides on impostors.

    Returns
    -------
    list of str
        Lines ``<enrol> <test> target|nontarget``, in byte order.
    """
    utterances = sorted(utt2spk, key=lambda utterance: (utt2condition[utterance], utterance))
    pairs: dict[tuple[str, str, str], list[str]] = {}
    for index, enrol in enumerate(utterances):
        for test in utterances[index + 1 :]:
            same_speaker, same_sex = (
                utt2spk[enrol] == utt2spk[test],
                spk2gender[utt2spk[enrol]] == spk2gender[utt2spk[test]],
            )
            kind = "target" if same_speaker else IMPOSTORS[0] if same_sex else IMPOSTORS[1]
            pairs.setdefault((utt2condition[enrol], utt2condition[test], kind), []).append(
                f"{enrol} {test}"
            )
    conditions = sorted({key[:2] for key in pairs})
    ratio = min(
        2,
        *(
            len(pairs[*both, kind]) // len(pairs[*both, "target"])
            for both in conditions
            for kind in IMPOSTORS
        ),
    )
    rng = np.random.default_rng(seed)
    trials = []
    for both in conditions:
        targets = pairs[*both, "target"]
        trials += [f"{pair} target" for pair in targets]
        for kind in IMPOSTORS:
            trials += [
                f"{pair} nontarget"
                for pair in rng.choice(pairs[*both, kind], ratio * len(targets), replace=False)
            ]
    return sorted(trials)


if __name__ == "__main__":
    run(prepare_mini)
