"""What a YAML says, compared in place of its bytes: comments, and how a value is spelt, make nothing stale."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from utils.config import differences, shown
from utils.receipts.contents import Change


def nothing_recorded(_recorded: object) -> None:
    """Say that nothing but the receipt records values."""
    return


def as_recorded(values: Mapping) -> Mapping:
    """Leave values as they are."""
    return values


@dataclass(frozen=True)
class Values:
    """What an input that is a YAML, or an option taken from one, stands for.

    Attributes
    ----------
    now : callable
        Gives the resolved values: every section with its defaults filled in.  It may have to import torch.
    before : callable
        Of finished work whose receipt records no values: called with the content, or the option, that it does record; gives the values that
        the work was made with, or None where nobody knows them.
    plain : mapping
        What the YAML says outright, section by section: looked at before `now` is asked.
    completed : callable
        Fills defaults into values that were recorded without them.
    """

    now: Callable[[], Mapping]
    before: Callable[[object], Mapping | None] = nothing_recorded
    plain: Mapping = field(default_factory=dict)
    completed: Callable[[Mapping], Mapping] = as_recorded

    def changes(self, label: str, before: Mapping) -> Iterator[Change]:
        """Each value that differs from those before, by name: old and new.

        Parameters
        ----------
        label : str
            Path of the YAML, or name of the option.
        before : mapping
            The values then.
        """
        told = set()
        for name, old, new in self.plain_differences(before):
            told.add(name)
            yield _change(label, name, old, new)
        now = json.loads(json.dumps(self.now(), default=str))
        for name, old, new in differences(self.completed(before), now):
            if name not in told:
                yield _change(label, name, old, new)

    def plain_differences(self, before: Mapping) -> Iterator[tuple[str, object, object]]:
        """Of the numbers and words that stand in the YAML itself, those that were others before: name, old, new.

        Parameters
        ----------
        before : mapping
            As of `changes`.
        """
        for section, options in self.plain.items():
            recorded = before.get(section)
            if not isinstance(options, Mapping) or not isinstance(recorded, Mapping):
                continue
            simple = {
                key: value for key, value in options.items() if not isinstance(value, dict | list)
            }
            known = {key: recorded.get(key) for key in simple}
            yield from differences(known, simple, section)


def _change(label: str, name: str, old: object, new: object) -> Change:
    """A value that differs: in words, and whole."""
    phrase = f"{label}: {name} was {shown(old)}, is {shown(new)}"
    return Change(phrase, f"{label}: {name}: {json.dumps(old)} -> {json.dumps(new)}")
