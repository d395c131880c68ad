"""Links one after the other, and what they learned as Kaldi's files: mean.vec, transform.mat."""

from collections.abc import Mapping, Sequence

import numpy as np

from steps.backends.links import Amount, LengthNorm, Link, Mean
from steps.backends.matrices import affine


class Chain:
    """Links in the order in which they act.

    Neighbouring affine maps are multiplied into one, so that the chains of Kaldi's recipes are
    stored as Kaldi does: mean.vec (a mean that comes first), transform.mat, then length
    normalisation.  A second transform, after a length normalisation, is transform2.mat.
    """

    def __init__(self, links: Sequence[Link]):
        self.links = tuple(links)
        self.needs_speakers = any(link.needs_speakers for link in links)
        self.needs_adaptation = any(link.needs_adaptation for link in links)
        self.takes = {link.takes for link in links if link.takes}
        # name of each stored part, "" for a length normalisation, and its links
        self.stages: list[tuple[str, list[Link]]] = []
        num_matrices = 0
        for link in self.links:
            if not link.acts_on_trials:
                continue
            if isinstance(link, LengthNorm):
                self.stages.append(("", [link]))
            elif isinstance(link, Mean) and not self.stages:
                self.stages.append(("mean.vec", [link]))
            elif self.stages and self.stages[-1][0].endswith(".mat"):
                self.stages[-1][1].append(link)
            else:
                num_matrices += 1
                name = "transform.mat"
                if num_matrices > 1:
                    name = f"transform{num_matrices}.mat"
                self.stages.append((name, [link]))

    def fit(
        self, rows: np.ndarray, speakers: Sequence[str] | None, adaptation: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Fit each link on the output of the links before it, with arguments as of `Link.fit`.

        Gives the chain's output for the rows and the adaptation.
        """
        for link in self.links:
            link.fit(rows, speakers, adaptation)
            rows = link.transform_training(rows)
            if adaptation is not None:
                adaptation = link.transform(adaptation)
        self.parts_: dict[str, np.ndarray] = {}
        for name, links in self.stages:
            if name == "mean.vec":
                assert isinstance(links[0], Mean)
                self.parts_[name] = links[0].mean_
            elif name:
                self.parts_[name] = _product(links)
        return rows, adaptation

    def check(self, dimensions: int, amount: Amount) -> int:
        """Dimensions of the chain's output; each link is checked for those of its input."""
        for link in self.links:
            dimensions = link.check(dimensions, amount)
        return dimensions

    def map_block(self, block: np.ndarray) -> np.ndarray:
        """Embeddings (B, D) float64, which may be changed, taken through the chain.

        A vector of length 0 becomes NaN where lengths are normalised.
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
        """Take over Kaldi's files by name; others are ignored.

        Raises ValueError if one is missing, is not finite, or does not fit the one before it.
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
                    f"{name} takes vectors of {part.shape[1]} dimensions, "
                    f"what comes before it leaves {dimensions}"
                )
            dimensions = len(part)
        return self

    def output_dimensions(self) -> int:
        """Dimensions of the output of the last stored part; 0 if nothing is stored."""
        dimensions = 0
        for part in self.parts_.values():
            dimensions = len(part)
        return dimensions


def _product(links: Sequence[Link]) -> np.ndarray:
    """Affine maps of fitted links, one after the other, as one (R, C + 1)."""
    total = _homogeneous(links[0].matrix_)
    for link in links[1:]:
        total = _homogeneous(link.matrix_) @ total
    return total[:-1]


def _homogeneous(matrix: np.ndarray) -> np.ndarray:
    """An affine map (R, C + 1) as a linear one (R + 1, C + 1) of vectors with a 1 at their end."""
    last = np.zeros(matrix.shape[1])
    last[-1] = 1.0
    return np.vstack([matrix, last])
