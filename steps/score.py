r"""Score trials with a trained back end, or with a model folder.

    python -m steps.score exp/x/backend/cosine exp/x/embeddings/test data/full/test/trials \
      exp/x/scores/test/cosine.scores
    python -m steps.score models/campplus exp/x/embeddings/test data/full/test/trials \
      exp/x/scores/test/campplus.scores
"""

from pathlib import Path

from utils.cli import run
from utils.data_dir.lists import read_spk2utt
from utils.embeddings.enrolment import USUAL, Averaging, SpeakerModels, read_averaging
from utils.embeddings.folders import embeddings_inputs, read_trial_vectors
from utils.embeddings.provenance import protocol_name, read_comparison
from utils.embeddings.rows import Compare, score_pairs
from utils.receipts import Task
from utils.scoring.model_backend import open_backend, scoring_input
from utils.scoring.score_files import score_receipt, write_scores
from utils.trials.checked import read_trials_to_score

FORMAT = 4


def score(
    backend: Path,
    embeddings: Path,
    trials: Path,
    output: Path,
    *,
    enroll_spk2utt: Path | None = None,
    enrol_embeddings: Path | None = None,
    compare: Compare | None = None,
    averaging: Averaging | None = None,
) -> dict:
    """Score every trial of a list, in its order.

    Parameters
    ----------
    backend : path
        Folder that ``steps.train_backend`` wrote; or a model folder: its back end, or plain cosine
        if it has none.
    embeddings : path
        Folder with ``xvector.scp`` of both sides; an enrolment side may also be a speaker of
        ``spk_xvector.scp``.
    trials : path
        ``<enrol> <test> target|nontarget`` on each line, or no class on any line, as scores do
        not need it.  Classes have to agree with the ``utt2spk`` beside the list.
    output : path
        Score file, ``<enrol> <test> <score>``.
    enroll_spk2utt : path, optional
        ``<model> <utterance> ...``: enrolment sides are these models, each an average of its
        utterances.
    enrol_embeddings : path, optional
        Folder of the enrolment sides' embeddings, if ``embeddings`` has only those of the test
        sides: whole enrolment, short tests.
    compare : str or None
        For utterances with matrices: ``all``: the mean of the scores of all pairs of rows;
        ``paired``: of the i-th row with the i-th; None: as the test protocol specifies.
    averaging : str or None
        For models of several utterances: ``unit``: vectors of length 1 are averaged, and the mean
        is scaled to their mean length; ``mean``: the plain mean, as Kaldi's ivector-mean; None: as
        the test protocol specifies, which is ``unit`` unless it says otherwise.

    Returns
    -------
    dict
        Number of ``trials`` scored, the test ``protocol`` of the embeddings, and what these are
        ``centred`` by.

    Raises
    ------
    UserError
        A trial's side has no embedding, or its class is not that of its speakers; the back end was
        trained on embeddings of another network; an embedding is zero or not finite.
    """
    comparison = compare or read_comparison(embeddings)
    inputs = {
        "backend": scoring_input(backend),
        **embeddings_inputs(embeddings),
        "trials": trials,
    }
    if enroll_spk2utt:
        inputs["enroll_spk2utt"] = enroll_spk2utt
    if enrol_embeddings:
        inputs["enrol_embeddings"] = embeddings_inputs(enrol_embeddings)["embeddings"]
    options: dict[str, str] = {}
    if comparison != "all":
        options["compare"] = comparison
    rule = averaging or read_averaging(embeddings)
    if rule != USUAL:
        options["averaging"] = rule
    task = Task(
        home=output.parent,
        name=score_receipt(output).stem,
        format=FORMAT,
        options=options,
        inputs=inputs,
    )
    if task.is_done():
        return task.counts
    from steps.backends import FAMILIES
    from utils.scoring.backend_files import transform_embeddings
    from utils.scoring.centring import centring_from_inputs

    listed = read_trials_to_score(trials, enrol_embeddings or embeddings, enroll_spk2utt)
    enrol, test = listed.enrol, listed.test
    models = None
    if enroll_spk2utt:
        models = SpeakerModels(read_spk2utt(enroll_spk2utt), rule)
    sides = read_trial_vectors(embeddings, enrol, test, trials, models, enrol_embeddings)
    folders = [folder for folder in (enrol_embeddings, embeddings) if folder]
    trained = open_backend(backend, folders, FAMILIES, sides.vectors.shape[-1])
    rows = transform_embeddings(trained, sides.names, sides.vectors, sides.num_utts, embeddings)
    scores = score_pairs(trained.scorer, rows, sides.enrol_rows, sides.test_rows, comparison)
    write_scores(output, enrol, test, scores)
    counts = {
        "trials": len(scores),
        "protocol": protocol_name(embeddings, enrol_embeddings),
        "centred": centring_from_inputs(task.inputs.values(), FAMILIES),
    }
    return task.finish([output], counts)


if __name__ == "__main__":
    run(score)
