r"""Normalise scores by a cohort of other speakers: z-, t-, s-norm and adaptive s-norm.

    python -m steps.normalise_scores exp/x/scores/test/cosine.scores exp/x/backend/cosine exp/x/embeddings/test data/full/test \
      exp/x/embeddings/train exp/x/scores/test/cosine_asnorm.scores --method as_norm1
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from utils.cli import run
from utils.embeddings.folders import TrialVectors, embeddings_inputs, read_trial_vectors
from utils.embeddings.provenance import compare_provenance
from utils.errors import UserError
from utils.files import atomic_write
from utils.receipts import Task
from utils.scoring.score_files import read_scores, receipt_of, write_scores

FORMAT = 1
MOST_CLOSEST = 300  # usual where the cohort has some thousand speakers


def normalise_scores(
    scores: Path,
    backend: Path,
    embeddings: Path,
    data: Path,
    cohort: Path,
    output: Path,
    *,
    method: Literal["z_norm", "t_norm", "s_norm", "as_norm1", "as_norm2"] = "as_norm1",
    top_k: int | None = None,
    cohort_of: Literal["speakers", "utterances"] = "speakers",
    cohort_list: Path | None = None,
    cohort_utt2spk: Path | None = None,
    enroll_spk2utt: Path | None = None,
    enrol_embeddings: Path | None = None,
    allow_leakage: bool = False,
    device: Literal["cpu", "cuda"] = "cpu",
    num_threads: int = 2,
) -> dict:
    """Tell every score in standard deviations of the scores of its two sides against a cohort.

    Beside the scores, in a folder of their name: ``cohort``, who was in it, and of each side ``utt2cohort_mean`` and ``utt2cohort_deviation``,
    as quality measures for ``steps.calibrate`` (not by as_norm2, whose statistics depend on the trial, nor with ``enrol_embeddings``).

    Parameters
    ----------
    scores : path
        Score file of ``steps.score``; every pair in it is normalised.
    backend : path
        The back end that made them.
    embeddings : path
        Folder of the embeddings that it compared.
    data : path
        Data directory of the trials, whose ``utt2spk`` says whose speakers may not be in the cohort.
    cohort : path
        Folder of the cohort's embeddings, of the same network; each counts as one utterance.
    output : path
        Score file.
    method : str
        ``as_norm1``: by the closest members of each side; ``as_norm2``: by those of the other side; ``s_norm``: by all; ``z_norm``, ``t_norm``: by
        all, for the enrolment or the test side alone.
    top_k : int or None
        Closest members that the adaptive methods take; None: 300, or a quarter of a cohort of fewer than 1,200.
    cohort_of : str
        ``speakers``: means, from spk_xvector.scp; ``utterances``: from xvector.scp.
    cohort_list : path or None
        Names of those to take, one at the head of each line; None: all.
    cohort_utt2spk : path or None
        Speakers of the cohort's utterances.
    enroll_spk2utt : path or None
        As for ``steps.score``.
    enrol_embeddings : path or None
        As for ``steps.score``.
    allow_leakage : bool
        Go on though test speakers are in the cohort, and mark the result.
    device : str
        ``cuda``: cohort scores on the GPU, for cosine.
    num_threads : int
        Blocks of sides that are worked on at the same time; changes nothing in the result.

    Returns
    -------
    dict
        Numbers of ``trials``, ``sides`` and members of the ``cohort``, the ``protocol``, and ``watermarks``.

    Raises
    ------
    UserError
        A test speaker is in the cohort; the cohort is too small, or scores against it do not vary; another back end made the scores.
    """
    inputs = {
        "scores": receipt_of(scores) if receipt_of(scores).exists() else scores,
        "backend": backend / "receipts" / "train_backend.json",
        **embeddings_inputs(embeddings),
        "utt2spk": data / "utt2spk",
        "cohort": embeddings_inputs(cohort)["embeddings"],
    }
    lists = {
        "cohort_list": cohort_list,
        "cohort_utt2spk": cohort_utt2spk,
        "enroll_spk2utt": enroll_spk2utt,
    }
    inputs |= {name: path for name, path in lists.items() if path}
    inputs |= (
        {"enrol_embeddings": embeddings_inputs(enrol_embeddings)["embeddings"]}
        if enrol_embeddings
        else {}
    )
    options = {"method": method, "cohort_of": cohort_of, "allow_leakage": allow_leakage} | (
        {"top_k": top_k} if method.startswith("as_") else {}
    )
    options |= {"device": device} if device != "cpu" else {}
    if not output.suffix:
        raise UserError(
            f"{output}: a name without an ending, expected such as {output}.scores: the folder of the name before it gets the cohort"
        )
    task = Task(
        output.parent, receipt_of(output).stem, format=FORMAT, inputs=inputs, options=options
    )
    if task.is_done():
        return task.counts
    from utils.scoring.cohort import cohort_members, refuse_other_scores, refuse_shared_speakers

    facts = refuse_other_scores(scores, inputs)
    for folder in filter(None, (enrol_embeddings, cohort, embeddings)):
        for difference in compare_provenance(backend, folder):
            print(difference)
    enrol, test, raw = read_scores(scores)
    members = cohort_members(cohort, cohort_of, cohort_list)
    top_k = max(2, min(MOST_CLOSEST, len(members) // 4)) if top_k is None else top_k
    marks = refuse_shared_speakers(
        members, cohort_of, cohort_utt2spk, {*enrol, *test}, data, enroll_spk2utt, allow_leakage
    )
    sides = sides_of_trials(scores, enrol, test, embeddings, enroll_spk2utt, enrol_embeddings)
    normalised, statistics = normalised_scores(
        backend,
        embeddings,
        sides,
        raw,
        cohort,
        cohort_of,
        members,
        output.parent,
        method,
        top_k,
        device,
        num_threads,
    )
    write_scores(output, enrol, test, normalised)
    written = write_cohort(
        output.with_suffix(""), list(members), sides.names, None if enrol_embeddings else statistics
    )
    closest = f"the {top_k:,} closest of " if method.startswith("as_") else ""
    print(
        f"{output}: {method} of {len(raw):,} trials, {len(sides.names):,} sides, by {closest}a cohort of {len(members):,} {cohort_of}"
    )
    return task.finish(
        [output, *written],
        {
            "trials": len(raw),
            "sides": len(sides.names),
            "cohort": len(members),
            "protocol": facts.get("protocol", "whole"),
            "watermarks": [*facts.get("watermarks", []), *marks],
        },
    )


def sides_of_trials(
    scores: Path,
    enrol: list[str],
    test: list[str],
    embeddings: Path,
    enroll_spk2utt: Path | None,
    enrol_embeddings: Path | None,
) -> TrialVectors:
    """Embeddings of the sides that occur, and of no other.

    Parameters
    ----------
    scores : path
        Where the pairs are from, for messages.
    enrol, test : lists of P str
        Both sides of each.
    embeddings, enroll_spk2utt, enrol_embeddings : path or None
        As for `normalise_scores`.
    """
    from utils.data_dir.lists import read_spk2utt

    sides = read_trial_vectors(
        embeddings,
        enrol,
        test,
        scores,
        read_spk2utt(enroll_spk2utt) if enroll_spk2utt else None,
        enrol_embeddings,
    )
    used, rows = np.unique(np.concatenate([sides.enrol_rows, sides.test_rows]), return_inverse=True)
    names = [sides.names[row] for row in used.tolist()]
    return TrialVectors(
        names, sides.vectors[used], rows[: len(enrol)], rows[len(enrol) :], sides.num_utts[used]
    )


def normalised_scores(
    backend: Path,
    embeddings: Path,
    sides: TrialVectors,
    raw: np.ndarray,
    cohort: Path,
    cohort_of: str,
    members: Mapping[str, str],
    scratch: Path,
    method: str,
    top_k: int,
    device: str,
    num_threads: int,
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """What `utils.scoring.normalise.normalise` gives for a trained back end.

    Parameters
    ----------
    backend, embeddings : path
        As for `normalise_scores`.
    sides : TrialVectors
        From `sides_of_trials`.
    raw : (P,) float array
        Scores.
    cohort, cohort_of : path, str
        As for `normalise_scores`.
    members : mapping of str to str
        From `utils.scoring.cohort.cohort_members`.
    scratch : path
        Folder with room for a large cohort.
    method, top_k, device, num_threads
        As for `normalise_scores`.

    Raises
    ------
    UserError
        As `normalise_scores`.
    """
    from steps.backends import FAMILIES
    from utils.scoring.backend_files import read_backend, rows_of_backend
    from utils.scoring.cohort import cohort_rows
    from utils.scoring.cohort_scores import NoSpread
    from utils.scoring.normalise import normalise

    scorer, dimensions = read_backend(backend, FAMILIES)
    if device != "cpu" and (
        type(scorer) is not FAMILIES["backends"]["cosine"] or method == "as_norm2"
    ):
        raise UserError(
            f"{backend}: --device {device} is for cosine by z_norm, t_norm, s_norm and as_norm1; leave it out"
        )
    rows = rows_of_backend(
        scorer, dimensions, sides.names, sides.vectors, sides.num_utts, embeddings, backend
    )
    closest = cohort_rows(
        cohort,
        cohort_of,
        members,
        lambda names, vectors: rows_of_backend(
            scorer, dimensions, names, vectors, np.ones(len(names), np.int64), cohort, backend
        ),
        scratch,
    )
    num_threads = (
        1 if hasattr(scorer, "num_threads") else num_threads
    )  # it has threads of its own, as many as its sums depend on
    try:
        return normalise(
            raw,
            score_matrix_of(scorer),
            rows,
            sides.enrol_rows,
            sides.test_rows,
            closest,
            method,
            top_k,
            num_threads,
            device,
        )
    except NoSpread as error:
        raise UserError(
            f"{cohort}: the cohort scores of '{sides.names[error.side]}' are all alike: nothing to divide by; take a larger cohort, "
            "or other members"
        ) from None
    except ValueError as error:
        raise UserError(f"{cohort}: {error}; take a larger cohort, or give --top-k") from None


def score_matrix_of(scorer: object) -> object:
    """Scores of sides (B, D), or (B, R, D) of which the rows' scores are averaged, against members of a cohort (M, D).

    Parameters
    ----------
    scorer : back end
        Trained; a side is scored as the enrolment, a member as the test.
    """

    def score_matrix(sides: np.ndarray, members: np.ndarray) -> np.ndarray:
        scores = scorer.score_matrices(sides.reshape(-1, sides.shape[-1]), members)
        return scores if sides.ndim == 2 else scores.reshape(*sides.shape[:2], -1).mean(axis=1)

    return score_matrix


def write_cohort(
    folder: Path,
    members: list[str],
    names: list[str],
    statistics: tuple[np.ndarray, np.ndarray] | None,
) -> list[Path]:
    """Write who was in the cohort, and statistics of each side.

    Parameters
    ----------
    folder : path
        Output.
    members : list of str
        The cohort.
    names : list of N str
        The sides.
    statistics : (N,), (N,) float arrays or None
        From `utils.scoring.normalise.normalise`.
    """
    lines = {"cohort": [f"{member}\n" for member in members]}
    for name, column in zip(
        ("utt2cohort_mean", "utt2cohort_deviation"), statistics or (), strict=False
    ):
        lines[name] = [
            f"{side} {value:.7g}\n"
            for side, value in sorted(zip(names, column.tolist(), strict=True))
            if value == value
        ]
    for name, content in lines.items():
        with atomic_write(folder / name) as file:
            file.writelines(content)
    return [folder / name for name in lines]


if __name__ == "__main__":
    run(normalise_scores)
