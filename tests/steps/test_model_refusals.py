"""Commands that work on experiments refuse a model folder by name."""

import importlib

import numpy as np
import pytest

from utils.errors import UserError
from utils.pretrained import weights_as_bytes, write_model

NONE = {}
# step -> arguments; MODEL is the model folder, other names are missing paths
CALLS = {
    "train": (["data", "none", "config.yaml", "MODEL"], NONE),
    "train_backend": (["MODEL", "backend"], NONE),
    "evaluate": (["MODEL", "data"], NONE),
    "report": (["MODEL", "data"], NONE),
    "compare": ([["data"], "output"], {"experiments": ["MODEL", "exp"]}),
    "normalise_scores": (["a.scores", "MODEL", "test", "data", "cohort", "b.scores"], NONE),
    "import_model": (["weights.pt", "MODEL"], {"kind": "rawnet3"}),
    "calibrate": ([["a.scores"], "data", "MODEL"], NONE),
    "apply_calibration": (["MODEL", ["a.scores"], "data", "b.scores"], NONE),
    "package": (["MODEL", "output"], NONE),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_model_folder_is_refused_by_name(tmp_path, name):
    contents = {
        "config.yaml": b"model: {name: ecapa}\n",
        "weights.safetensors": weights_as_bytes({"a": np.ones(1, np.float32)}),
        "provenance.json": b"{}\n",
    }
    write_model(tmp_path / "MODEL", contents)

    def path(word):
        if isinstance(word, list):
            return [tmp_path / part for part in word]
        return tmp_path / word

    words, options = CALLS[name]
    given = {key: value if key == "kind" else path(value) for key, value in options.items()}
    function = getattr(importlib.import_module(f"steps.{name}"), name)
    with pytest.raises(UserError, match="MODEL: a model folder, which only steps.extract"):
        function(*map(path, words), **given)
