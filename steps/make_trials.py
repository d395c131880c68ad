"""Make trials of a given design for a data directory that has none.

    python -m steps.make_trials data/full/test --targets-per-speaker 100 --same-sex 5 --cross-sex 5
    python -m steps.make_trials data/full/test --sessions across --enrol-utterances 3

Models of several utterances are in ``enroll.spk2utt``: score with
``steps.score --enroll-spk2utt``.
"""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from utils.cli import run
from utils.errors import UserError, WrongArguments
from utils.files import atomic_write, read_lines, split_words
from utils.receipts import Task, data_dir_inputs
from utils.receipts.contents import read_receipt
from utils.trials.pairs import Sessions

if TYPE_CHECKING:
    from utils.trials.design import Design, Trials

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
    """Write ``trials`` and ``trials.json``, and ``enroll.spk2utt`` if models are asked for.

    ``trials.json`` has the numbers of each kind that were wanted, exist and were drawn.  Pairs are
    drawn without replacement, in memory that grows with the utterances and the trials, not with
    the pairs.

    Parameters
    ----------
    data : path
        Data directory; trials that came with its corpus are not changed.
    targets_per_speaker : int or None
        Target trials of each speaker at most; None: all pairs.
    same_sex, cross_sex, random : int or None
        Impostor trials of each kind per target trial; none given: 5 same_sex and 5 cross_sex if
        there is a spk2gender, else 10 random.
    sessions : str
        ``across``: the sides of a trial are of two sessions; ``within``: of one; ``any``.
        Impostor trials follow it only if speakers share sessions, so that a session does not
        reveal the class of a trial.
    session_map : str
        Name of the list of sessions, any ``utt2*``.
    enrol_utterances : int
        More than 1: each speaker has a model of that many utterances, which are in no test side.
    enrol_sessions : int or None
        Number of sessions of a model's utterances; None: any, or one unless ``sessions`` is any.
    seed : int
        Seed of all draws, 0 or more.

    Returns
    -------
    dict
        Numbers of ``targets``, ``nontargets`` and ``models``.

    Raises
    ------
    UserError
        The directory has trials of unknown origin, lacks a list that the design needs, or has no
        trial of a class.
    """
    counted = {
        "targets_per_speaker": targets_per_speaker,
        "enrol_utterances": enrol_utterances,
        "enrol_sessions": enrol_sessions,
    }
    impostors = {"same_sex": same_sex, "cross_sex": cross_sex, "random": random}
    _refuse_small(counted, 1)
    _refuse_small(impostors | {"seed": seed}, 0)
    if enrol_sessions is not None and not enrol_sessions <= enrol_utterances:
        raise WrongArguments(
            f"--enrol-sessions is {enrol_sessions}, "
            f"expected at most the {enrol_utterances} of --enrol-utterances"
        )
    if enrol_sessions is None and enrol_utterances > 1 and sessions != "any":
        enrol_sessions = 1
    given = {kind: number for kind, number in impostors.items() if number is not None}
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
    from utils.trials.design import Design, make_pairs

    if _came_with_the_corpus(data):
        lines = read_lines(data / "trials")
        print(f"{data}: keeps the {len(lines):,} trials that came with the corpus")
        return task.finish([data / "trials"], _count(lines, {}))
    spk2utt = _utterances_of_speakers(data / "utt2spk")
    spk2sex = read_map(data / "spk2gender") if (data / "spk2gender").exists() else {}
    wanted = _wanted_impostors(given, data / "spk2gender", bool(spk2sex))
    needs_sessions = sessions != "any" or enrol_sessions is not None
    utt2session = _read_sessions(data / session_map) if needs_sessions else {}
    design = Design(targets_per_speaker, wanted, sessions, enrol_utterances, enrol_sessions, seed)
    trials = make_pairs(spk2utt, spk2sex, utt2session, design)
    counts = _count(trials.lines, trials.models)
    if not counts["targets"] or not counts["nontargets"]:
        reason = "; ".join(trials.shortages) or "no impostors were asked for"
        raise UserError(
            f"{data}: the design has {counts['targets']} target and {counts['nontargets']} "
            f"nontarget trials, expected some of both ({reason}); {_remedy(design)}"
        )
    written = _write_trials(data, trials)
    summary = (
        f"{counts['targets']:,} target and {counts['nontargets']:,} nontarget trials, "
        f"{counts['models']:,} models"
    )
    print(f"{data}: {'; '.join([summary, *trials.shortages])}")
    return task.finish(written, counts)


def _remedy(design: "Design") -> str:
    """The options that ask for less, if there are any."""
    weaker = []
    if design.sessions != "any":
        weaker.append("--sessions any")
    if design.enrol_utterances > 1:
        weaker.append(f"--enrol-utterances {design.enrol_utterances - 1} or less")
    if not sum(design.impostors.values()):
        weaker.append("--random 10")
    asked = f"ask for less ({', '.join(weaker)}), or " if weaker else ""
    return f"{asked}add speakers or utterances"


def _refuse_small(options: dict[str, int | None], least: int) -> None:
    """Refuse options below the least number."""
    for name, value in options.items():
        if value is not None and value < least:
            raise UserError(f"--{name.replace('_', '-')} is {value}, expected {least} or more")


def _came_with_the_corpus(data: Path) -> bool:
    """Whether the directory was made with trials; refuses trials of unknown origin."""
    made = read_receipt(data / "receipts" / "made.json")
    if made and "trials" in made["outputs"]:
        return True
    foreign = [name for name in ("trials", "enroll.spk2utt") if (data / name).exists()]
    if foreign and not (data / "trials.json").exists():
        raise UserError(
            f"{data / foreign[0]}: exists and was not made here; "
            "move it away to have trials designed"
        )
    return False


def _utterances_of_speakers(utt2spk: Path) -> dict[str, list[str]]:
    """Speaker -> utterances, both in the order of the list."""
    from utils.data_dir import read_map

    spk2utt: dict[str, list[str]] = {}
    for utterance, speaker in read_map(utt2spk).items():
        spk2utt.setdefault(speaker, []).append(utterance)
    return spk2utt


def _wanted_impostors(given: dict[str, int], spk2gender: Path, has_sexes: bool) -> dict[str, int]:
    """Impostor trials of each kind per target trial: those asked for, or the defaults."""
    if given:
        wanted = given
    else:
        wanted = {"same_sex": 5, "cross_sex": 5} if has_sexes else {"random": 10}
    wanted = {kind: number for kind, number in wanted.items() if number}
    if not has_sexes and wanted.keys() & {"same_sex", "cross_sex"}:
        raise UserError(
            f"{spk2gender}: no such file, but impostors are asked for by sex; "
            "write it, or ask for others by --random of steps.make_trials"
        )
    return wanted


def _read_sessions(path: Path) -> dict[str, str]:
    """Utterance -> session, from ``utt2session`` or another map."""
    from utils.data_dir import read_map

    if not path.exists():
        raise UserError(
            f"{path}: no such file, but the design asks for sessions; write it, "
            "take --sessions any, or name another by --session-map of steps.make_trials"
        )
    return read_map(path)


def _count(lines: list[str], models: dict[str, list[str]]) -> dict[str, int]:
    """Numbers for the receipt."""
    kinds = Counter(kind for line in lines for kind in split_words(line)[2:])
    return {
        "targets": kinds["target"],
        "nontargets": kinds["nontarget"],
        "models": len(models),
    }


def _write_trials(data: Path, trials: "Trials") -> list[Path]:
    """Write trials, their design and models; remove the models of an earlier design."""
    from utils.data_dir import write_map

    written = [data / "trials", data / "trials.json"]
    design = {"kinds": trials.counts, "models": len(trials.models), "shortages": trials.shortages}
    # first: it marks the trials as this step's
    with atomic_write(data / "trials.json") as file:
        json.dump(design, file, indent=1)
        file.write("\n")
    models = data / "enroll.spk2utt"
    if trials.models:
        members = {name: " ".join(utterances) for name, utterances in trials.models.items()}
        write_map(models, members)
        written.append(models)
    else:
        models.unlink(missing_ok=True)
    with atomic_write(data / "trials") as file:
        file.writelines(f"{line}\n" for line in trials.lines)
    return written


if __name__ == "__main__":
    run(make_trials)
