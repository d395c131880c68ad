"""Links one after the other, and what they learned as Kaldi's files: mean.vec, transform.mat, and between them length normalisation."""

from collections.abc import Mapping, Sequence

import numpy as np

from steps.backends.links import Amount, LengthNorm, Link, Mean
from steps.backends.matrices import affine


class Chain:
    """Links in a row.

    Neighbours that are affine maps are multiplied into one, so that a chain that Kaldi's recipes have is stored as theirs: mean.vec (a mean that
    comes first), transform.mat, then length normalisation.  A second transform, behind a length normalisation, is transform2.mat.

    Parameters
    ----------
    links : sequence of Link
        In the order in which they act.
    """

    def __init__(self, links: Sequence[Link]):
        self.links = tuple(links)
        self.needs_speakers = any(link.needs_speakers for link in links)
        self.needs_adaptation = any(link.needs_adaptation for link in links)
        self.takes = {link.takes for link in links if link.takes}
        self.stages: list[tuple[str, list[Link]]] = []
        names = iter(
            ["transform.mat", *(f"transform{number}.mat" for number in range(2, len(links) + 1))]
        )
        for link in filter(lambda link: link.acts_on_trials, links):
            if isinstance(link, LengthNorm):
                self.stages.append(("", [link]))
            elif isinstance(link, Mean) and not self.stages:
                self.stages.append(("mean.vec", [link]))
            elif self.stages and self.stages[-1][0].endswith(".mat"):
                self.stages[-1][1].append(link)
            else:
                self.stages.append((next(names), [link]))

    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Fit each link on what the links before leave.

        Parameters
        ----------
        rows : (N, D) float array
            Training embeddings.
        speakers : sequence of N str, optional
            Their speakers.
        adaptation : (A, D) float array, optional
            Embeddings of the domain of the trials.

        Returns
        -------
        rows, adaptation : float arrays
            What a back end behind the chain learns from.
        """
        for link in self.links:
            link.fit(rows, speakers, adaptation)
            rows = link.transform_training(rows)
            adaptation = None if adaptation is None else link.transform(adaptation)
        self.parts_ = {
            name: _mean_of(links[0]) if name == "mean.vec" else product(links)
            for name, links in self.stages
            if name
        }
        return rows, adaptation

    def check(self, dimensions: int, amount: Amount) -> int:
        """Dimensions that the chain leaves, each link checked on what the links before leave.

        Parameters
        ----------
        dimensions, amount
            As of `Link.check`.
        """
        for link in self.links:
            dimensions = link.check(dimensions, amount)
        return dimensions

    def map_block(self, block: np.ndarray) -> np.ndarray:
        """Take some embeddings through the chain.

        Parameters
        ----------
        block : (B, D) float64 array
            Embeddings; may be changed.  Those that have no length where it is normalised become NaN.
        """
        for name, links in self.stages:
            if name == "mean.vec":
                block -= self.parts_[name]
            elif name:
                block = affine(block, self.parts_[name])
            else:
                block = links[0].map_block(block)
        return block

    def from_parts(self, parts: Mapping[str, np.ndarray]) -> "Chain":
        """Take over what another chain of the same links learned.

        Parameters
        ----------
        parts : mapping of str to array
            Kaldi's files by name; others are left aside.

        Raises
        ------
        ValueError
            One is missing, is not finite, or does not fit what comes before it.
        """
        self.parts_, dimensions = {}, 0
        for name, _ in self.stages:
            if not name:
                continue
            if name not in parts:
                raise ValueError(f"no {name}")
            part = self.parts_[name] = np.asarray(parts[name], np.float64)
            if not np.isfinite(part).all():
                raise ValueError(f"{name} has values that are not finite")
            if dimensions and part.shape[1] not in (dimensions, dimensions + 1):
                raise ValueError(
                    f"{name} takes vectors of {part.shape[1]} dimensions, what comes before it leaves {dimensions}"
                )
            dimensions = len(part)
        return self

    def leaves(self) -> int:
        """Dimensions that the last stored part leaves; 0 where nothing is stored."""
        return len(list(self.parts_.values())[-1]) if self.parts_ else 0


def _mean_of(link: Link) -> np.ndarray:
    assert isinstance(link, Mean)  # the one kind that mean.vec is written of
    return link.mean_


def product(links: Sequence[Link]) -> np.ndarray:
    """Affine maps one after the other as one matrix with an offset column.

    Parameters
    ----------
    links : sequence of Link
        Fitted ones.
    """
    total = homogeneous(links[0].matrix_)
    for link in links[1:]:
        total = homogeneous(link.matrix_) @ total
    return total[:-1]


def homogeneous(matrix: np.ndarray) -> np.ndarray:
    """An affine map as a linear one of vectors with a 1 at their end.

    Parameters
    ----------
    matrix : (R, C + 1) float array
        The last column is added.

    Returns
    -------
    (R + 1, C + 1) float array
        With a last row that keeps the 1.
    """
    last = np.zeros(matrix.shape[1])
    last[-1] = 1.0
    return np.vstack([matrix, last])
