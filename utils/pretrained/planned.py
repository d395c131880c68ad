"""Model folders that do not exist yet, for the commands of a plan."""

from pathlib import Path

from utils.receipts import MODE

FETCHED = "fetched"


def note_fetched(model: Path) -> None:
    """Note that a model folder will be there."""
    MODE.note(FETCHED, model, True)


def will_be_fetched(model: Path) -> bool:
    """Whether an earlier command of the plan makes a model folder."""
    return bool(MODE.noted(FETCHED, model))
