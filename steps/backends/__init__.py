"""Back ends by name, and what they are made of.

A back end works on arrays: ``fit(embeddings, speakers, adaptation)`` learns (it says by ``needs_speakers`` and ``needs_adaptation`` what it wants,
and by ``takes`` whether the training vectors' ``mean`` is taken away and their ``deviation`` is the unit);
``transform(embeddings, num_utts)`` brings the rows of one side into the space where they are compared; ``score(enrol, test)`` compares transformed
rows pairwise, ``score_matrices(enrol, test)`` each with each.  What it learned leaves as ``parts()``, by the names of Kaldi's own files (mean.vec,
transform.mat, plda), and comes back by ``from_parts``; ``report_`` says how the training went.  Reading and writing files is the steps' affair.
"""

from steps.backends.adaptation import ADAPTATIONS
from steps.backends.bvector import BVector
from steps.backends.cosine import Cosine
from steps.backends.euclidean import Euclidean
from steps.backends.linear_links import Coral, Lda, Scale, Wccn, Whiten
from steps.backends.links import LengthNorm, Mean
from steps.backends.plda import Plda

BACKENDS: dict[str, type] = {
    "bvector": BVector,
    "cosine": Cosine,
    "euclidean": Euclidean,
    "plda": Plda,
}
LINKS: dict[str, type] = {
    "mean": Mean,
    "scale": Scale,
    "lda": Lda,
    "whiten": Whiten,
    "length_norm": LengthNorm,
    "wccn": Wccn,
    "coral": Coral,
}
FAMILIES: dict[str, dict[str, type]] = {
    "backends": BACKENDS,
    "links": LINKS,
    "adaptation": ADAPTATIONS,
}
