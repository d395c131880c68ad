"""What the tests of plans share."""

import sys

import pytest

from tests.planned import STEPS, PlannedRecipe


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> PlannedRecipe:
    """See `PlannedRecipe`."""
    import local

    for name in ("planned_one", "planned_two"):
        (tmp_path / f"{name}.py").write_text(STEPS.format(name=name))
        monkeypatch.delitem(sys.modules, f"local.{name}", raising=False)
    monkeypatch.setattr(local, "__path__", [*local.__path__, str(tmp_path)])
    return PlannedRecipe(tmp_path)
