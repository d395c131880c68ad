"""What scores trials: a trained back end, or a model folder in its place."""

from collections.abc import Sequence
from pathlib import Path

from utils.embeddings.provenance import compare_provenance, refuse_other_network
from utils.pretrained import is_model, open_model
from utils.pretrained.calibration import BACKEND, backend_receipt, has_backend
from utils.pretrained.folder import IDENTITY
from utils.scoring.backend_files import Families, TrainedBackend, read_backend, read_declared


def scoring_input(source: Path) -> Path:
    """The input of a step that scores with a back end or a model: what identifies it.

    Of a model without a back end this is the network: scores are plain cosine.
    """
    if not is_model(source):
        return backend_receipt(source)
    if has_backend(open_model(source)):
        return backend_receipt(source / BACKEND)
    return source / IDENTITY


def open_backend(
    source: Path, embeddings: Sequence[Path], families: Families, dimensions: int
) -> TrainedBackend:
    """The trained back end of a folder or of a model; plain cosine for a model without one.

    Facts in which the folders of ``embeddings`` differ from those of its training are printed.
    UserError: the embeddings are of another network, or files are damaged.
    """
    if not is_model(source):
        return _trained(source, embeddings, families)
    model = open_model(source)
    for folder in embeddings:
        refuse_other_network(model.provenance, source, folder)
    if has_backend(model):
        return _trained(source / BACKEND, embeddings, families)
    cosine = families["backends"]["cosine"](subtract_mean=False)
    return TrainedBackend(cosine.from_parts({}), dimensions, source)


def read_declared_source(source: Path) -> tuple[Path, dict]:
    """The folder that a back end is read from, and the content of its backend.json.

    A model without a back end is one of plain cosine.
    """
    if not is_model(source):
        return source, read_declared(source)
    if has_backend(open_model(source)):
        return source / BACKEND, read_declared(source / BACKEND)
    return source, {"options": {"name": "cosine", "links": []}, "parts": []}


def _trained(folder: Path, embeddings: Sequence[Path], families: Families) -> TrainedBackend:
    """A back end, after a comparison of its provenance with that of the embeddings."""
    for tested in embeddings:
        for difference in compare_provenance(folder, tested):
            print(difference)
    return read_backend(folder, families)
