"""Networks by name.  To add one: a module here, a line in MODELS, a YAML in conf/."""

from steps.models.ghostvlad import ThinResNet34GhostVlad
from steps.models.network import EmbeddingNetwork

MODELS: dict[str, type[EmbeddingNetwork]] = {"ghostvlad": ThinResNet34GhostVlad}
