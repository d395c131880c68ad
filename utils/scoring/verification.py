"""What a model says of an enrolment and a test: score, log-likelihood ratio, decision.

Scores are those of the model's back end, or plain cosine, normalised by its cohort if it has one.
What they mean is in a fitted threshold (``threshold.json``) or in the model's calibration.

Shapes: ``N`` vectors of an enrolment, ``E`` embedding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from utils.archive.iterate import iterate_archive
from utils.embeddings.enrolment import USUAL, Averaging
from utils.embeddings.recordings import average_vectors
from utils.errors import UserError
from utils.pretrained import Model, read_model_calibration
from utils.pretrained.calibration import BACKEND, COHORT, NORM, has_backend, scores_made_by
from utils.scoring.backend_files import Families, TrainedBackend, read_backend, transform_embeddings
from utils.scoring.cohort_scores import CohortScores, NoSpread
from utils.scoring.normalise import Normalisation, normalise
from utils.scoring.thresholds import Calibration, Decision, Threshold, read_threshold

THRESHOLD = "threshold.json"
TRIALS_AT_A_TIME = 16384


@dataclass(frozen=True)
class OperatingPoint:
    """Prior and costs that a user asks for; None: those of the threshold, or 0.5, 1 and 1."""

    p_target: float | None = None
    c_miss: float | None = None
    c_fa: float | None = None

    def filled(self, p_target: float = 0.5, c_miss: float = 1.0, c_fa: float = 1.0) -> dict:
        """All three, by name."""
        default = {"p_target": p_target, "c_miss": c_miss, "c_fa": c_fa}
        given = {name: value for name, value in vars(self).items() if value is not None}
        return default | given


@dataclass(frozen=True)
class Rule:
    """How a score is decided on, and a text of what that rests on."""

    fitted: Threshold
    threshold: float  # the lowest score that is accepted at the operating point
    p_target: float
    c_miss: float
    c_fa: float
    basis: str
    is_own: bool  # of the model's calibration

    def __str__(self) -> str:
        return (
            f"prior {self.p_target:g}, costs {self.c_miss:g} of a miss and {self.c_fa:g} of a "
            f"false alarm: scores of at least {self.threshold:.4f} are accepted"
        )


class ModelScoring:
    """Back end, norm and calibration of a model; ``families`` are those of `read_backend`.

    Without a ``model``, of an experiment: plain cosine.  ``digest`` is that of the network;
    ``maker`` are the digests of ``model`` and ``backend``, and the ``norm``.
    """

    def __init__(self, model: Model | None, digest: str, families: Families, where: Path):
        self.digest, self.where, self.model = digest, where, model
        self.averaging: Averaging = USUAL
        self.maker: dict[str, Any] = {"model": digest, "backend": None, "norm": None}
        if model is not None:
            self.maker = scores_made_by(model)
        plain = families["backends"]["cosine"](subtract_mean=False)
        self.backend: TrainedBackend | None = None
        if model is not None and has_backend(model):
            self.backend = read_backend(model.folder / BACKEND, families)
        self.scorer: Any = plain
        if self.backend is not None:
            self.scorer = self.backend.scorer
        self.norm: Mapping[str, Any] | None = self.maker["norm"]
        if model is not None and NORM in model.files:
            vectors = [vector for _, vector in iterate_archive(model.folder / COHORT)]
            self.cohort_rows = self._transform(np.stack(vectors), np.ones(len(vectors), int))

    @property
    def is_plain(self) -> bool:
        """Whether scores are cosines, without a back end or a norm."""
        return self.backend is None and self.norm is None

    def _transform(self, vectors_NE: np.ndarray, num_utts: np.ndarray) -> np.ndarray:
        """Rows that the scorer compares."""
        if self.backend is None:
            return self.scorer.transform(vectors_NE)
        names = [f"recording {number + 1}" for number in range(len(vectors_NE))]
        return transform_embeddings(self.backend, names, vectors_NE, num_utts, self.where)

    def score(self, enrol_NE: np.ndarray, test_E: np.ndarray, rule: Rule | None = None) -> float:
        """The score of a test with the person whom N vectors enrol, as the rule needs it."""
        if rule is not None and not rule.is_own and rule.fitted.is_plain:
            return rule.fitted.score(enrol_NE, test_E)
        sides = np.stack([average_vectors(enrol_NE, self.averaging), test_E])
        rows = self._transform(sides, np.array([len(enrol_NE), 1]))
        scores = np.asarray(self.scorer.score(rows[:1], rows[1:]), np.float64)
        return float(self._normalise(scores, rows, np.array([0]), np.array([1]))[0])

    def trial_scores(
        self, vectors_FE: np.ndarray, enrol_TN: np.ndarray, test_T: np.ndarray
    ) -> np.ndarray:
        """Scores (T,) of trials by back end and norm; both sides are rows of vectors (F, E)."""
        persons_PN, person_T = np.unique(enrol_TN, axis=0, return_inverse=True)
        persons_PE = np.stack(
            [average_vectors(vectors_FE[files], self.averaging) for files in persons_PN]
        )
        num_utts = np.full(len(persons_PN), persons_PN.shape[1])
        enrolled = self._transform(persons_PE, num_utts)
        tested = self._transform(vectors_FE, np.ones(len(vectors_FE), int))
        scores = np.empty(len(test_T))
        for start in range(0, len(test_T), TRIALS_AT_A_TIME):
            piece = slice(start, start + TRIALS_AT_A_TIME)
            rows = enrolled[person_T[piece]], tested[test_T[piece]]
            scores[piece] = self.scorer.score(*rows)
        sides = np.concatenate([enrolled, tested])
        return self._normalise(scores, sides, person_T, len(enrolled) + test_T)

    def _normalise(
        self, scores: np.ndarray, sides: np.ndarray, enrol_rows: np.ndarray, test_rows: np.ndarray
    ) -> np.ndarray:
        """Scores (T,) of trials normalised by the cohort, if there is one."""
        if self.norm is None:
            return scores
        cohort = CohortScores(self.scorer.score_matrices, sides, self.cohort_rows)
        kind = Normalisation(self.norm["method"], self.norm["top_k"] or len(self.cohort_rows))
        try:
            return normalise(scores, enrol_rows, test_rows, cohort, kind)[0]
        except NoSpread as error:
            raise UserError(f"{self.where}: {error}; leave the recording out") from None

    def decide(self, score: float, rule: Rule) -> Decision:
        """Ratio and decision of a score."""
        return rule.fitted.decide(score, rule.threshold)

    def rule(self, path: Path | None, wanted: OperatingPoint) -> Rule | None:
        """The threshold of a file, else the model's own one, else its calibration; None: none.

        UserError: it belongs to another model, or has no ratio and another prior is asked for.
        """
        if path is None and self.model is not None and THRESHOLD in self.model.files:
            path = self.model.folder / THRESHOLD
        if path is not None:
            return self._fitted_rule(path, wanted)
        calibration = None
        if self.model is not None:
            calibration = read_model_calibration(self.model)
        if calibration is None:
            return None
        point = wanted.filled()
        affine = Calibration(calibration.offset, calibration.slope)
        threshold = _checked_threshold(affine.threshold, point)
        fitted = Threshold(**self.maker, threshold=threshold, calibration=affine, **point)
        basis = f"calibration of {self.where}: {calibration.domain}"
        return Rule(fitted, threshold, basis=basis, is_own=True, **point)

    def refuse_other_scores(self, path: Path, fitted: Threshold) -> None:
        """UserError for a threshold of scores of another back end or norm."""
        if (fitted.backend, fitted.norm) != (self.maker["backend"], self.maker["norm"]):
            raise UserError(
                f"{path}: fitted for scores of another back end or score normalisation; fit it "
                "again with steps.fit_threshold"
            )

    def _fitted_rule(self, path: Path, wanted: OperatingPoint) -> Rule:
        fitted = read_threshold(path, self.digest)
        if not fitted.is_plain:
            self.refuse_other_scores(path, fitted)
        point = wanted.filled(fitted.p_target, fitted.c_miss, fitted.c_fa)
        threshold = _checked_threshold(fitted.at_prior, point)
        if threshold is None:
            raise UserError(
                f"{path}: a threshold of scores for prior {fitted.p_target:g} and costs "
                f"{fitted.c_miss:g} and {fitted.c_fa:g} only, since no ratio could be fitted; "
                "leave the prior and the costs out, or fit it again for those wanted"
            )
        speakers = fitted.counts.get("speakers")
        basis = f"{path}, fitted on recordings of {speakers} speakers"
        if speakers is None:
            basis = str(path)
        return Rule(fitted, threshold, basis=basis, is_own=False, **point)


def _checked_threshold(compute: Any, point: Mapping[str, float]) -> Any:
    """The threshold of an operating point; UserError if that is out of range."""
    try:
        return compute(**point)
    except ValueError as error:
        raise UserError(f"--p-target, --c-miss, --c-fa: {error}") from None
