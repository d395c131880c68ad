"""Back ends by name, and their parts.

A back end works on arrays.  ``fit(embeddings, speakers, adaptation)`` learns; its attributes say
what it needs (``needs_speakers``, ``needs_adaptation``) and what it does with the training vectors:
``takes`` has ``mean`` if it subtracts theirs and ``deviation`` if it divides by theirs.
``transform(embeddings, num_utts)`` maps one side of the trials; ``score(enrol, test)`` compares
transformed rows in pairs, ``score_matrices(enrol, test)`` each with each.  ``parts()`` gives what
it learned, under the names of Kaldi's files (mean.vec, transform.mat, plda), and ``from_parts``
takes it back; ``report_`` describes the training.  The steps read and write the files.
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
