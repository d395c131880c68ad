"""Make the data directories of mini, a generated corpus: speakers, two conditions, noises, rooms.

    python -m local.prepare_mini recipes/mini/data/full --size full --seed 1 --jobs 2

Each utterance is drawn from the seed and its own name alone, and its channel independently of the
speaker. The same seed gives the same bytes with any number of processes.
"""

import functools
import multiprocessing
from collections import defaultdict
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
BABBLERS = range(901, 999)  # numbers of the speakers in babble, who are in no set
NOISE_RMS = 0.1
SECONDS_PER_SENTENCE = 4.5  # with the silence around it, mean of the 1,800 of seed 1
SECONDS_PER_RESPONSE = 0.4
BYTES_PER_SECOND = 2 * SAMPLE_RATE_HZ
NONTARGET_KINDS = ("one sex", "two sexes")


@dataclass(frozen=True)
class Size:
    """Numbers of speakers (half of them women) of each set and of recordings for augmentation.

    ``utterances`` is per speaker and condition, ``noise_seconds`` the length of noises, babbles and
    musics.
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
        ``full``: 150 speakers, 1800 utterances; ``tiny``: 14 speakers, 56 utterances, for
        structural tests.
    seed : int
        Seed of all draws, 0 or more.
    jobs : int
        Number of processes.

    Returns
    -------
    dict
        Set -> counts of utterances, speakers and trials.

    Raises
    ------
    UserError
        The size is unknown, or the package for speech synthesis is missing.
    """
    if size not in SIZES:
        raise UserError(f"--size is '{size}', expected {' or '.join(SIZES)}")
    if seed < 0:
        raise UserError(f"--seed is {seed}, expected 0 or more")
    if jobs < 1:
        raise UserError(f"--jobs is {jobs}, expected 1 or more")
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
        Espeak().close()  # a missing package is reported here, once, and not by every process
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
    """Recordings of each set in byte order: ``f001-close-1``, ``babble-01``, ``room-01``."""
    plans: dict[str, list[str]] = {"train": [], "dev": [], "test": [], "noise": [], "rirs": []}
    first = 1
    for name, num_speakers in (("train", size.train), ("dev", size.dev), ("test", size.test)):
        for speaker in make_speakers(num_speakers, 0, first=first):
            for condition in channels.CONDITIONS:
                numbers = range(1, size.utterances + 1)
                plans[name] += [f"{speaker.name}-{condition}-{number}" for number in numbers]
        first += num_speakers
    for name, kind, count in (
        ("noise", "noise", size.noises),
        ("noise", "babble", size.babbles),
        ("noise", "music", size.musics),
        ("rirs", "room", size.rooms),
    ):
        plans[name] += [f"{kind}-{number:02d}" for number in range(1, count + 1)]
    return {name: sorted(names) for name, names in plans.items()}


def _expected_seconds(size: Size, name: str) -> float:
    """Mean length of a recording of a set, for the dry run."""
    if name == "noise":
        return size.noise_seconds
    if name == "rirs":
        return SECONDS_PER_RESPONSE
    return SECONDS_PER_SENTENCE


@functools.cache
def speech_synthesiser() -> Espeak:
    """The synthesiser of this process; it ends with the process."""
    return Espeak()


def make_recording(size: Size, seed: int, name: str) -> Recording:
    """A recording of `plan`: (n,) int16 samples at 16 kHz, and the text, empty for noises."""
    rng = np.random.default_rng([seed, *name.encode()])
    kind, *rest = name.split("-")
    num_samples = int(size.noise_seconds * SAMPLE_RATE_HZ)
    if kind == "room":
        rt60_seconds, direct_db = rng.uniform(0.1, 0.7), rng.uniform(-3, 15)
        return to_int16(0.5 * channels.room_response(rt60_seconds, direct_db, rng)), ""
    if kind == "noise":
        return to_int16(NOISE_RMS * channels.make_noise(num_samples, rng)), ""
    if kind == "music":
        return to_int16(NOISE_RMS * channels.make_music(num_samples, rng)), ""
    if kind == "babble":
        numbers = rng.choice(BABBLERS, rng.integers(3, 7), replace=False)
        talkers = [_say(number, seed, rng)[0] for number in numbers]
        return to_int16(NOISE_RMS * channels.make_babble(talkers, num_samples, rng)), ""
    speech, text = _say(int(kind[1:]), seed, rng)
    return channels.record(speech, channels.CONDITIONS[rest[0]], rng), text


def _say(number: int, seed: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Samples of a drawn sentence by a speaker of the corpus, and its text."""
    text = make_sentence(rng)
    (speaker,) = make_speakers(1, seed, first=number)
    return synthesise(speech_synthesiser(), speaker, text, int(rng.integers(2**31))), text


def _write_set(task: Task, recordings: Mapping[str, Recording], seed: int) -> None:
    """Write one data directory and its receipt."""
    home, name = task.home, task.home.name
    with ArchiveWriter(home / "audio.ark", home / "wav.scp") as writer:
        for utterance, (samples, _) in recordings.items():
            writer.write_wave(utterance, samples, SAMPLE_RATE_HZ)
    is_speech = name in ("train", "dev", "test")
    utt2spk = {utterance: utterance for utterance in recordings}
    maps: dict[str, dict[str, str]] = {"utt2dur": {}}
    for utterance, (samples, _) in recordings.items():
        maps["utt2dur"][utterance] = f"{len(samples) / SAMPLE_RATE_HZ:.4f}"
    if is_speech:
        maps |= {"spk2gender": {}, "utt2condition": {}, "text": {}}
        for utterance, (_, text) in recordings.items():
            speaker, condition, _ = utterance.split("-")
            utt2spk[utterance] = speaker
            maps["spk2gender"][speaker] = speaker[0]
            maps["utt2condition"][utterance] = condition
            maps["text"][utterance] = text
    if name == "noise":
        maps["utt2type"] = {utterance: utterance.split("-")[0] for utterance in recordings}
    data = DataDir(home, read_scp(home / "wav.scp"), utt2spk, None, maps)
    counts = {"utterances": len(utt2spk), "speakers": len(set(utt2spk.values()))}
    if name in ("dev", "test"):
        data.trials = design_trials(utt2spk, maps["spk2gender"], maps["utt2condition"], seed)
        targets = sum(trial.endswith(" target") for trial in data.trials)
        counts |= {"targets": targets, "nontargets": len(data.trials) - targets}
    write_data_dir(data, home)
    names = [file for file in data.keyed if file != "wav.scp"]  # `writer` has it
    names.append("spk2utt")
    if data.trials:
        names.append("trials")
    task.finish([writer, *[home / file for file in names]], counts)


def design_trials(
    utt2spk: Mapping[str, str],
    spk2gender: Mapping[str, str],
    utt2condition: Mapping[str, str],
    seed: int,
) -> list[str]:
    """All target pairs, and for each of them nontarget pairs of the same conditions.

    These are two within a sex and two across the sexes, or one of each where speakers are too few.
    So the conditions of a trial carry no information about its class. Across conditions the
    enrolment side has the condition that is first in byte order. Returns lines
    ``<enrol> <test> target|nontarget`` in byte order.
    """
    pairs = _group_pairs(utt2spk, spk2gender, utt2condition)
    condition_pairs = sorted({key[:2] for key in pairs})
    ratio = 2
    for condition_pair in condition_pairs:
        num_targets = len(pairs[*condition_pair, "target"])
        for kind in NONTARGET_KINDS:
            ratio = min(ratio, len(pairs[*condition_pair, kind]) // num_targets)
    rng = np.random.default_rng(seed)
    trials = []
    for condition_pair in condition_pairs:
        targets = pairs[*condition_pair, "target"]
        trials += [f"{pair} target" for pair in targets]
        for kind in NONTARGET_KINDS:
            chosen = rng.choice(pairs[*condition_pair, kind], ratio * len(targets), replace=False)
            trials += [f"{pair} nontarget" for pair in chosen]
    return sorted(trials)


def _group_pairs(
    utt2spk: Mapping[str, str], spk2gender: Mapping[str, str], utt2condition: Mapping[str, str]
) -> dict[tuple[str, str, str], list[str]]:
    """Condition of enrolment, condition of test, kind of trial -> all pairs of utterances."""

    def condition_and_name(utterance):
        return utt2condition[utterance], utterance

    utterances = sorted(utt2spk, key=condition_and_name)
    pairs: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for index, enrol in enumerate(utterances):
        for test in utterances[index + 1 :]:
            speaker, other = utt2spk[enrol], utt2spk[test]
            if speaker == other:
                kind = "target"
            elif spk2gender[speaker] == spk2gender[other]:
                kind = "one sex"
            else:
                kind = "two sexes"
            pairs[utt2condition[enrol], utt2condition[test], kind].append(f"{enrol} {test}")
    return pairs


if __name__ == "__main__":
    run(prepare_mini)
