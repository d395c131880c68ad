"""Back ends by name.

A back end works on arrays: ``fit(embeddings, speakers)`` learns; ``transform(embeddings)`` brings the rows of one side into
the space where they are compared; ``score(enrol, test)`` compares transformed rows pairwise.  What it learned are attributes
that end in ``_``; they leave as ``parts()``, by the names of Kaldi's own files (mean.vec, transform.mat), and come back by
``from_parts``.  Reading and writing those files is the steps' affair.
"""

from steps.backends.cosine import Cosine

BACKENDS = {"cosine": Cosine}
