"""Make trials of a stated design for a data directory that has none.

    python -m steps.make_trials data/full/test --targets-per-speaker 100 --same-sex 5 --cross-sex 5
    python -m steps.make_trials data/full/test --sessions across --enrol-utterances 3 --enrol-sessions 1

Models of several utterances stand in ``enroll.spk2utt``: score with ``steps.score --enroll-spk2utt``.
"""

import json
from pathlib import Path

from utils.cli import run
from utils.errors import UserError
from utils.receipts import Task, data_dir_inputs
from utils.receipts.contents import read_receipt
from utils.trials.pairs import Sessions

FORMAT = 1


def make_trials(
    data: Path,
    *,
    targets_per_speaker: int | None = None,
    same_sex: int | None = None,
    cross_sex: int | None = None,
    random: int | None = None,
    sessions: Sessions = "any",
    session_map: str = "utt2session",
    enrol_utterances: int = 1,
    enrol_sessions: int | None = None,
    seed: int = 1,
) -> dict:
    """Write ``trials`` and ``trials.json`` (how many of each kind were wanted, there and drawn), and ``enroll.spk2utt`` where models are asked for.

    Pairs are drawn from all of their kind without repetition, in memory that grows with the utterances and the trials, not with the pairs.

    Parameters
    ----------
    data : path
        Data directory; trials that came with its corpus stay as they are.
    targets_per_speaker : int or None
        At most so many target trials of each speaker; None: all pairs.
    same_sex, cross_sex, random : int or None
        Impostor trials of each kind for each target trial; none given: 5 same_sex and 5 cross_sex where there is a spk2gender, else 10 random.
    sessions : str
        ``across``: the sides of a trial are of two sessions; ``within``: of one; ``any``.  Impostor trials are held to it where speakers share
        sessions, so that a session tells nothing of a trial's class.
    session_map : str
        Name of the list of sessions; any other ``utt2*`` may stand for it.
    enrol_utterances : int
        More than 1: each speaker has a model of so many utterances, which are in no test.
    enrol_sessions : int or None
        Sessions that a model's utterances are of; None: whatever, or one where ``sessions`` is a rule.
    seed : int
        Of all draws, 0 or more.

    Returns
    -------
    dict
        Numbers of ``targets``, ``nontargets`` and ``models``.

    Raises
    ------
    UserError
        The directory has trials of other origin, lacks a list that the design asks for, or has no trial of a class.
    """
    check_numbers(
        {
            "targets_per_speaker": targets_per_speaker,
            "enrol_utterances": enrol_utterances,
            "enrol_sessions": enrol_sessions,
        },
        1,
    )
    check_numbers({"same_sex": same_sex, "cross_sex": cross_sex, "random": random, "seed": seed}, 0)
    if enrol_sessions is not None and not enrol_sessions <= enrol_utterances:
        raise UserError(
            f"--enrol-sessions is {enrol_sessions}, expected at most the {enrol_utterances} of --enrol-utterances"
        )
    if enrol_sessions is None and enrol_utterances > 1 and sessions != "any":
        enrol_sessions = 1
    given = {
        kind: number
        for kind, number in (("same_sex", same_sex), ("cross_sex", cross_sex), ("random", random))
        if number is not None
    }
    task = Task(
        data,
        "make_trials",
        format=FORMAT,
        inputs={"utt2spk": data / "utt2spk"} | data_dir_inputs(data, "spk2gender", session_map),
        options={
            "targets_per_speaker": targets_per_speaker,
            "impostors": given,
            "sessions": sessions,
            "session_map": session_map,
            "enrol_utterances": enrol_utterances,
            "enrol_sessions": enrol_sessions,
            "seed": seed,
        },
    )
    if task.is_done():
        return task.counts
    from utils.data_dir import read_map
    from utils.files import atomic_write
    from utils.trials.design import Design, make_pairs

    if came_with_the_corpus(data):
        lines = (data / "trials").read_text(encoding="utf-8").splitlines()
        print(f"{data}: keeps the {len(lines):,} trials that came with the corpus")
        return task.finish([data / "trials"], count(lines, {}))
    utt2spk, spk2sex = (
        read_map(data / "utt2spk"),
        read_map(data / "spk2gender") if (data / "spk2gender").exists() else {},
    )
    impostors = {
        kind: number
        for kind, number in (
            given or ({"same_sex": 5, "cross_sex": 5} if spk2sex else {"random": 10})
        ).items()
        if number
    }
    if not spk2sex and impostors.keys() & {"same_sex", "cross_sex"}:
        raise UserError(
            f"{data}/spk2gender: no such file, but impostors are asked for by sex; write it, or ask for --random ones"
        )
    needs_sessions = sessions != "any" or enrol_sessions is not None
    utt2session = read_sessions(data / session_map) if needs_sessions else {}
    spk2utt: dict[str, list[str]] = {}
    for utterance, speaker in utt2spk.items():
        spk2utt.setdefault(speaker, []).append(utterance)
    trials = make_pairs(
        spk2utt,
        spk2sex,
        utt2session,
        Design(targets_per_speaker, impostors, sessions, enrol_utterances, enrol_sessions, seed),
    )
    counts = count(trials.lines, trials.models)
    if not counts["targets"] or not counts["nontargets"]:
        raise UserError(
            f"{data}: the design has {counts['targets']} target and {counts['nontargets']} impostor trials, expected some of both "
            f"({'; '.join(trials.shortages) or 'no impostors were asked for'}); ask for another design, or add speakers or utterances"
        )
    with atomic_write(
        data / "trials.json"
    ) as file:  # first: whoever finds it knows that the trials are this step's
        json.dump(
            {"kinds": trials.counts, "models": len(trials.models), "shortages": trials.shortages},
            file,
            indent=1,
        )
        file.write("\n")
    write_models(data / "enroll.spk2utt", trials.models)
    with atomic_write(data / "trials") as file:
        file.writelines(f"{line}\n" for line in trials.lines)
    said = f"{counts['targets']:,} target and {counts['nontargets']:,} impostor trials, {counts['models']:,} models"
    print(f"{data}: {'; '.join([said, *trials.shortages])}")
    return task.finish(
        [
            data / name
            for name in ("trials", "trials.json", *(["enroll.spk2utt"] if trials.models else []))
        ],
        counts,
    )


def check_numbers(options: dict[str, int | None], least: int) -> None:
    """Refuse numbers that make no sense.

    Parameters
    ----------
    options : dict of str to int or None
        By the name of the option.
    least : int
        The smallest that does.
    """
    for name, value in options.items():
        if value is not None and value < least:
            raise UserError(f"--{name.replace('_', '-')} is {value}, expected {least} or more")


def came_with_the_corpus(data: Path) -> bool:
    """Whether the step that made the directory gave it its trials; trials of which nobody knows the origin are refused.

    Parameters
    ----------
    data : path
        Data directory.
    """
    made = read_receipt(data / "receipts" / "made.json")
    if made and "trials" in made["outputs"]:
        return True
    foreign = [name for name in ("trials", "enroll.spk2utt") if (data / name).exists()]
    if foreign and not (data / "trials.json").exists():
        raise UserError(
            f"{data / foreign[0]}: is there already and was not made here; move it away to have trials designed"
        )
    return False


def read_sessions(path: Path) -> dict[str, str]:
    """Utterance -> session.

    Parameters
    ----------
    path : path
        ``utt2session`` or another map.
    """
    from utils.data_dir import read_map

    if not path.exists():
        raise UserError(
            f"{path}: no such file, but the design asks for sessions; write it, name another --session-map, or take --sessions any"
        )
    return read_map(path)


def count(lines: list[str], models: dict[str, list[str]]) -> dict[str, int]:
    """Numbers for the receipt.

    Parameters
    ----------
    lines : list of str
        Trials.
    models : dict of str to list of str
        Enrolment models.
    """
    targets = sum(line.endswith(" target") for line in lines)
    return {"targets": targets, "nontargets": len(lines) - targets, "models": len(models)}


def write_models(path: Path, models: dict[str, list[str]]) -> None:
    """Write enrolment models, or take away those of an earlier design.

    Parameters
    ----------
    path : path
        ``enroll.spk2utt``.
    models : dict of str to list of str
        None: there is no such list.
    """
    from utils.data_dir import write_map

    if models:
        write_map(path, {model: " ".join(utterances) for model, utterances in models.items()})
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    run(make_trials)
