"""Score trials with a trained back end.

python -m steps.score exp/x/backend/cosine exp/x/embeddings/test data/full/test/trials exp/x/scores/test/cosine.scores
"""

import json
from pathlib import Path

import numpy as np

from utils.archive import read_vector
from utils.cli import run
from utils.data_dir import read_trials
from utils.embeddings import TrialVectors, embeddings_inputs, read_spk2utt, read_trial_vectors, refuse_not_finite
from utils.errors import UserError
from utils.provenance import compare_provenance
from utils.receipts import Task
from utils.scores import receipt_of, write_scores

FORMAT = 1
PAIRS_AT_A_TIME = 1024  # two blocks of rows that stay in the processor's cache


def score(backend: Path, embeddings: Path, trials: Path, output: Path, *, enroll_spk2utt: Path | None = None) -> dict:
    """Score every trial of a list, in its order.

    Parameters
    ----------
    backend : path
        Folder that ``steps.train_backend`` wrote.
    embeddings : path
        Folder with ``xvector.scp`` of the test side, and of the enrolment side too, which may also be a speaker of ``spk_xvector.scp``.
    trials : path
        ``<enrol> <test> target|nontarget`` on each line.
    output : path
        Score file, ``<enrol> <test> <score>``.
    enroll_spk2utt : path, optional
        ``<model> <utterance> ...``: enrolment sides are these models, each the mean of its utterances.

    Returns
    -------
    dict
        Number of ``trials`` scored.

    Raises
    ------
    UserError
        A trial's side has no embedding; the back end was trained on embeddings of another network; an embedding is zero or not finite.
    """
    task = Task(home=output.parent, name=receipt_of(output).stem, format=FORMAT, options={},
                inputs={"backend": backend / "receipts" / "train_backend.json", **embeddings_inputs(embeddings), "trials": trials,
                        **({"enroll_spk2utt": enroll_spk2utt} if enroll_spk2utt else {})})
    if task.is_done():
        return task.counts
    for difference in compare_provenance(backend, embeddings):
        print(difference)
    enrol, test, _ = read_trials(trials)
    sides = read_trial_vectors(embeddings, enrol, test, trials, read_spk2utt(enroll_spk2utt) if enroll_spk2utt else None)
    scorer, rows = prepared(backend, sides, embeddings)
    scores = np.empty(len(enrol))
    for start in range(0, len(scores), PAIRS_AT_A_TIME):
        block = slice(start, start + PAIRS_AT_A_TIME)
        scores[block] = scorer.score(rows[sides.enrol_rows[block]], rows[sides.test_rows[block]])
    write_scores(output, enrol, test, scores)
    return task.finish([output], {"trials": len(scores)})


def prepared(folder: Path, sides: TrialVectors, embeddings: Path) -> tuple[object, np.ndarray]:
    """The trained back end, and all embeddings brought into its space.

    Parameters
    ----------
    folder : path
        Folder of the back end.
    sides : TrialVectors
        Embeddings of utterances and models.
    embeddings : path
        Where they are from, for messages.

    Raises
    ------
    UserError
        Other dimensions than those that the back end was trained on, or a vector that is zero or not finite.
    """
    from steps.backends import BACKENDS

    declared = json.loads((folder / "backend.json").read_text(encoding="utf-8"))
    if declared["dimensions"] != sides.vectors.shape[1]:
        raise UserError(f"{embeddings}: embeddings of {sides.vectors.shape[1]} dimensions, {folder} was trained on {declared['dimensions']}")
    scorer = BACKENDS[declared["name"]](**declared["options"])
    scorer.from_parts({path.name: read_vector(str(path)) for path in sorted(folder.glob("*.vec"))})
    rows = scorer.transform(sides.vectors)
    refuse_not_finite(sides.names, rows, embeddings, "zero or not finite")
    return scorer, rows


if __name__ == "__main__":
    run(score)
