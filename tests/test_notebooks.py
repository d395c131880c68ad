"""The cells of the notebooks run in order, on a tiny model and recordings."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.models_for_tests import make_calibrated_model, write_voice

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def code_of(notebook):
    """The code of all cells, as one script."""
    cells = json.loads(notebook.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_there_is_a_notebook_and_none_keeps_outputs():
    assert NOTEBOOKS
    for notebook in NOTEBOOKS:
        cells = json.loads(notebook.read_text())["cells"]
        assert not any(cell.get("outputs") for cell in cells), notebook.name


@pytest.mark.slow
def test_the_cells_run_in_order(tmp_path):
    make_calibrated_model(tmp_path / "model")
    for speaker, hz in {"a": 100, "b": 120, "c": 250}.items():
        for number in range(2):
            write_voice(tmp_path / "audio" / speaker / f"{number}.wav", hz, seed=number)
    (notebook,) = NOTEBOOKS
    script = tmp_path / "notebook.py"
    script.write_text(code_of(notebook))
    paths = {"SV_MODEL": str(tmp_path / "model"), "SV_RECORDINGS": str(tmp_path / "audio")}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, script],
        cwd=notebook.parent,
        env=environment | paths,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.split("\n")
    assert lines[0] == "3 speakers, 16 dimensions"
    assert [line.split()[-1] for line in lines if line.endswith(("accept", "reject"))] == [
        "accept",
        "reject",
    ]
    assert lines[-2] == "True"
