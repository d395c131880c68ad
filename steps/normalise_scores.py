r"""Normalise scores by a cohort of other speakers: z-, t-, s-norm and adaptive s-norm.

    python -m steps.normalise_scores exp/x/scores/test/cosine.scores exp/x/backend/cosine \
      exp/x/embeddings/test data/full/test exp/x/embeddings/train \
      exp/x/scores/test/cosine_asnorm.scores --method as_norm1

The cohort may be the network's model folder: then it is the rows of its classification head.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from utils.cli import run
from utils.data_dir.lists import read_spk2utt
from utils.embeddings.enrolment import SpeakerModels
from utils.embeddings.folders import TrialVectors, embeddings_inputs, read_trial_vectors
from utils.embeddings.provenance import compare_provenance
from utils.errors import UserError
from utils.files import atomic_write
from utils.pretrained import is_model, refuse_model
from utils.receipts import Task
from utils.scoring.backend_files import Backend, TrainedBackend, read_backend, transform_embeddings
from utils.scoring.cohort import (
    Cohort,
    MembersOf,
    cohort_rows,
    cohort_speakers,
    read_cohort,
    refuse_other_scores,
)
from utils.scoring.cohort_scores import CohortScores, NoSpread, ScoreMatrix
from utils.scoring.head import cohort_inputs, head_speakers, read_head
from utils.scoring.normalise import Method, Normalisation, Statistics, normalise, usual_top_k
from utils.scoring.score_files import (
    averaging_in_scores,
    read_scores,
    score_input,
    score_receipt,
    write_scores,
)
from utils.trials.leakage import refuse_leakage
from utils.trials.speakers import speakers_of_sides

FORMAT = 2


def normalise_scores(
    scores: Path,
    backend: Path,
    embeddings: Path,
    data: Path,
    cohort: Path,
    output: Path,
    *,
    method: Method = "as_norm1",
    top_k: int | None = None,
    cohort_of: MembersOf = "speakers",
    cohort_list: Path | None = None,
    cohort_utt2spk: Path | None = None,
    enroll_spk2utt: Path | None = None,
    enrol_embeddings: Path | None = None,
    allow_leakage: bool = False,
    device: Literal["cpu", "cuda"] = "cpu",
    num_threads: int = 2,
) -> dict:
    """Write scores in standard deviations of the scores of their sides against a cohort.

    Beside the scores, in a folder of their name, are the ``cohort``'s members and, for each side,
    ``utt2cohort_mean`` and ``utt2cohort_deviation``: quality measures for ``steps.calibrate`` (not
    by as_norm2, whose statistics depend on the trial, nor with ``enrol_embeddings``).

    Parameters
    ----------
    scores : path
        Score file of ``steps.score``; every pair in it is normalised.
    backend : path
        The back end that made them.
    embeddings : path
        Folder of the embeddings that it compared.
    data : path
        Data directory of the trials; speakers of its ``utt2spk`` may not be in the cohort.
    cohort : path
        Folder of the cohort's embeddings, of the same network; each counts as one utterance.  Or
        the network's model folder: the cohort are the rows of its head, for cosine of unchanged
        embeddings only.
    output : path
        Score file.
    method : str
        ``as_norm1``: by the closest members of each side; ``as_norm2``: by those of the other side;
        ``s_norm``: by all; ``z_norm``, ``t_norm``: by all, for the enrolment or test side alone.
    top_k : int or None
        Closest members that the adaptive methods use; None: 300, or a quarter of a cohort of fewer
        than 1,200.
    cohort_of : str
        ``speakers``: means, from spk_xvector.scp; ``utterances``: from xvector.scp.
    cohort_list : path or None
        Names of the members to use, one at the start of each line; None: all.
    cohort_utt2spk : path or None
        Speakers of the cohort's utterances.
    enroll_spk2utt : path or None
        As for ``steps.score``.
    enrol_embeddings : path or None
        As for ``steps.score``.
    allow_leakage : bool
        Go on if test speakers are in the cohort, and mark the result.
    device : str
        ``cuda``: cohort scores on the GPU, for cosine.
    num_threads : int
        Blocks of sides that are computed at a time; changes nothing in the result.

    Returns
    -------
    dict
        Numbers of ``trials``, ``sides`` and members of the ``cohort``, the ``protocol``, what the
        embeddings are ``centred`` by, and ``watermarks``.

    Raises
    ------
    UserError
        A test speaker is in the cohort; the cohort is too small, or scores against it do not vary;
        another back end made the scores; the rows of a head would be compared behind a mean, LDA or
        PLDA.
    """
    refuse_model(backend, embeddings)
    inputs = {
        "scores": score_input(scores),
        "backend": backend / "receipts" / "train_backend.json",
        **embeddings_inputs(embeddings),
        "utt2spk": data / "utt2spk",
        **cohort_inputs(cohort),
    }
    lists = {
        "cohort_list": cohort_list,
        "cohort_utt2spk": cohort_utt2spk,
        "enroll_spk2utt": enroll_spk2utt,
    }
    inputs |= {name: path for name, path in lists.items() if path}
    if enrol_embeddings:
        inputs["enrol_embeddings"] = embeddings_inputs(enrol_embeddings)["embeddings"]
    options: dict = {"method": method, "cohort_of": cohort_of, "allow_leakage": allow_leakage}
    if method.startswith("as_"):
        options["top_k"] = top_k
    if device != "cpu":
        options["device"] = device
    require_ending(output)
    task = Task(
        output.parent, score_receipt(output).stem, format=FORMAT, inputs=inputs, options=options
    )
    if task.is_done():
        return task.counts
    score_counts = refuse_other_scores(scores, inputs)
    for folder in filter(None, (enrol_embeddings, embeddings)):
        print_differences(backend, folder)
    enrol, test, raw = read_scores(scores)
    tested = speakers_of_sides({*enrol, *test}, data, enroll_spk2utt)
    choice = Choice(cohort_of, cohort_list, cohort_utt2spk)
    chosen_cohort, learned = choose_members(cohort, choice, backend, embeddings, tested)
    marks = refuse_leakage({data.name: tested}, {"cohort": learned}, allow=allow_leakage)
    sides = read_sides(scores, enrol, test, embeddings, enroll_spk2utt, enrol_embeddings)
    if top_k is None:
        top_k = usual_top_k(len(chosen_cohort.members))
    normalisation = Normalisation(method, top_k, device)
    trained = backend_for(normalisation, backend)
    against = cohort_scores(trained, sides, embeddings, chosen_cohort, output.parent, num_threads)
    normalised, statistics = normalised_scores(raw, sides, against, normalisation, cohort)
    write_scores(output, enrol, test, normalised)
    if enrol_embeddings:
        statistics = None
    written = write_cohort(output.with_suffix(""), chosen_cohort, sides.names, statistics)
    print(
        f"{output}: {method} of {len(raw):,} trials, {len(sides.names):,} sides, by "
        f"{describe_members(chosen_cohort, normalisation)}"
    )
    counts = {
        "trials": len(raw),
        "sides": len(sides.names),
        "cohort": len(chosen_cohort.members),
        **copied_facts(score_counts, inputs),
        "watermarks": [*score_counts.get("watermarks", []), *marks],
    }
    return task.finish([output, *written], counts)


def print_differences(backend: Path, embeddings: Path) -> None:
    """Print in what a back end and embeddings differ; UserError for another network."""
    for difference in compare_provenance(backend, embeddings):
        print(difference)


class Choice(NamedTuple):
    """Options of the members of a cohort."""

    cohort_of: MembersOf
    cohort_list: Path | None
    cohort_utt2spk: Path | None


def choose_members(
    cohort: Path, choice: Choice, backend: Path, embeddings: Path, tested: set[str]
) -> tuple[Cohort, set[str]]:
    """The members of a cohort, and its speakers, of a head those who are ``tested``."""
    if not is_model(cohort):
        print_differences(backend, cohort)
        members = read_cohort(cohort, choice.cohort_of, choice.cohort_list)
        return members, cohort_speakers(members, choice.cohort_utt2spk)
    given = {
        "--cohort-of utterances": choice.cohort_of != "speakers",
        "--cohort-list": choice.cohort_list,
        "--cohort-utt2spk": choice.cohort_utt2spk,
    }
    for option, is_given in given.items():
        if is_given:
            raise UserError(
                f"{option}: has no effect with the head of {cohort}, whose rows are the cohort; "
                "leave it out"
            )
    require_plain_cosine(backend, cohort)
    return read_head(cohort, embeddings), head_speakers(cohort, tested)


def require_plain_cosine(backend: Path, model: Path) -> None:
    """UserError for a back end that changes embeddings before their cosine, or has another score.

    The rows of a head are weights: a mean, LDA or PLDA that embeddings trained does not fit them.
    """
    from steps.backends import FAMILIES, Cosine

    scorer = read_backend(backend, FAMILIES).scorer
    found = f"{type(scorer).__name__} of changed embeddings"
    if type(scorer) is Cosine:
        if not scorer.chain.links:
            return
        links = [type(link).__name__ for link in scorer.chain.links]
        found = f"cosine behind {', '.join(links)}"
    raise UserError(
        f"{backend}: {found}, expected cosine of unchanged embeddings: the head of {model} has "
        "weights and no embeddings, which no mean, LDA or PLDA fits; give a cohort of embeddings, "
        "or score by conf/backends/plain_cosine.yaml"
    )


def copied_facts(facts: Mapping, inputs: Mapping[str, Path]) -> dict[str, str | None]:
    """Facts that normalised scores share with the raw ones: protocol, and centring."""
    from steps.backends import FAMILIES
    from utils.scoring.centring import centring_from_inputs

    centred = centring_from_inputs(inputs.values(), FAMILIES)
    return {"protocol": facts.get("protocol", "whole"), "centred": centred}


def require_ending(output: Path) -> None:
    """UserError for a score file without an ending: the cohort's folder would have its name."""
    if not output.suffix:
        raise UserError(
            f"{output}: a name without an ending, expected such as {output}.scores: the cohort is "
            f"written to the folder {output}"
        )


def read_sides(
    scores: Path,
    enrol: list[str],
    test: list[str],
    embeddings: Path,
    enroll_spk2utt: Path | None,
    enrol_embeddings: Path | None,
) -> TrialVectors:
    """Embeddings of the sides that occur; ``scores`` is the file of the pairs, for messages."""
    models = None
    if enroll_spk2utt:
        averaging = averaging_in_scores(scores, embeddings)
        models = SpeakerModels(read_spk2utt(enroll_spk2utt), averaging)
    sides = read_trial_vectors(embeddings, enrol, test, scores, models, enrol_embeddings)
    used, rows = np.unique(np.concatenate([sides.enrol_rows, sides.test_rows]), return_inverse=True)
    enrol_rows, test_rows = rows[: len(enrol)], rows[len(enrol) :]
    names = [sides.names[row] for row in used.tolist()]
    return TrialVectors(names, sides.vectors[used], enrol_rows, test_rows, sides.num_utts[used])


def backend_for(normalisation: Normalisation, backend: Path) -> TrainedBackend:
    """The trained back end; UserError if it is damaged, or has no scores on that device."""
    from steps.backends import FAMILIES, Cosine

    trained = read_backend(backend, FAMILIES)
    is_dot_product = type(trained.scorer) is Cosine and normalisation.method != "as_norm2"
    if normalisation.device != "cpu" and not is_dot_product:
        raise UserError(
            f"{backend}: --device {normalisation.device} is for cosine by z_norm, t_norm, s_norm "
            "and as_norm1; leave it out"
        )
    return trained


def cohort_scores(
    trained: TrainedBackend,
    sides: TrialVectors,
    embeddings: Path,
    cohort: Cohort,
    scratch: Path,
    num_threads: int,
) -> CohortScores:
    """Sides and a cohort, as the back end compares them; a large cohort is stored in `scratch`."""

    def transform(names: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        num_utts = np.ones(len(names), np.int64)
        return transform_embeddings(trained, names, vectors, num_utts, cohort.folder)

    rows = transform_embeddings(trained, sides.names, sides.vectors, sides.num_utts, embeddings)
    members = cohort_rows(cohort, transform, scratch)
    if hasattr(trained.scorer, "num_threads"):
        num_threads = 1  # the scorer has threads of its own
    return CohortScores(make_score_matrix(trained.scorer), rows, members, num_threads)


def make_score_matrix(scorer: Backend) -> ScoreMatrix:
    """Function of sides (B, D), or (B, R, D) whose rows' scores are averaged, and members (M, D).

    A side is scored as the enrolment, a member as the test.
    """

    def score_matrix(sides: np.ndarray, members: np.ndarray) -> np.ndarray:
        scores = scorer.score_matrices(sides.reshape(-1, sides.shape[-1]), members)
        if sides.ndim == 3:
            scores = scores.reshape(*sides.shape[:2], -1).mean(axis=1)
        return scores

    return score_matrix


def normalised_scores(
    raw: np.ndarray,
    sides: TrialVectors,
    against: CohortScores,
    normalisation: Normalisation,
    cohort: Path,
) -> tuple[np.ndarray, Statistics | None]:
    """As `utils.scoring.normalise.normalise`; UserError for a cohort too small or uniform."""
    try:
        return normalise(raw, sides.enrol_rows, sides.test_rows, against, normalisation)
    except NoSpread as error:
        raise UserError(
            f"{cohort}: the cohort scores of '{sides.names[error.side]}' are all alike: nothing to "
            "divide by; use a larger cohort, or other members"
        ) from None
    except ValueError as error:
        raise UserError(f"{cohort}: {error}; use a larger cohort, or give --top-k") from None


def write_cohort(
    folder: Path, cohort: Cohort, names: list[str], statistics: Statistics | None
) -> list[Path]:
    """Write the members of the cohort, and statistics of each side."""
    lines = {"cohort": [f"{member}\n" for member in cohort.members]}
    if statistics:
        means, deviations = statistics
        lines["utt2cohort_mean"] = side_lines(names, means)
        lines["utt2cohort_deviation"] = side_lines(names, deviations)
    written = []
    for name, content in lines.items():
        with atomic_write(folder / name) as file:
            file.writelines(content)
        written.append(folder / name)
    return written


def side_lines(names: list[str], column: np.ndarray) -> list[str]:
    """``<side> <value>`` of each side with a value (not NaN), sorted by name."""
    lines = []
    for side, value in sorted(zip(names, column.tolist(), strict=True)):
        if not math.isnan(value):
            lines.append(f"{side} {value:.7g}\n")
    return lines


def describe_members(cohort: Cohort, normalisation: Normalisation) -> str:
    """The members that the statistics of each side are computed from, as text."""
    whole_cohort = f"a cohort of {len(cohort.members):,} {cohort.kind}"
    if normalisation.method.startswith("as_"):
        return f"the {normalisation.top_k:,} closest of {whole_cohort}"
    return whole_cohort


if __name__ == "__main__":
    run(normalise_scores)
