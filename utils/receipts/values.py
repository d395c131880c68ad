"""Values of a YAML, compared in place of its bytes: comments and spelling make nothing stale."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from utils.config import differences, shown
from utils.receipts.contents import Change


def nothing_recorded(_recorded: object) -> None:
    """For receipts without values: the values that the work was made with are not known."""
    return


def as_recorded(values: Mapping) -> Mapping:
    """The values unchanged."""
    return values


@dataclass(frozen=True)
class Values:
    """The values of an input that is a YAML, or of an option that comes from one.

    Attributes
    ----------
    now : callable
        Returns the resolved values: every section with its defaults.  It may import torch.
    before : callable
        For work whose receipt records no values: takes the content, or the option, that the receipt
        records; returns the values that the work was made with, or None if they are not known.
    plain : mapping
        What the YAML itself has, section by section: compared before `now` is called.
    completed : callable
        Fills defaults into values that were recorded without them.
    """

    now: Callable[[], Mapping]
    before: Callable[[object], Mapping | None] = nothing_recorded
    plain: Mapping = field(default_factory=dict)
    completed: Callable[[Mapping], Mapping] = as_recorded

    def changes(self, label: str, before: Mapping) -> Iterator[Change]:
        """The changes of all values since ``before``; the label names the YAML or the option."""
        seen = set()
        for name, old, new in self.plain_differences(before):
            seen.add(name)
            yield _change(label, name, old, new)
        now = json.loads(json.dumps(self.now(), default=str))
        for name, old, new in differences(self.completed(before), now):
            if name not in seen:
                yield _change(label, name, old, new)

    def plain_differences(self, before: Mapping) -> Iterator[tuple[str, object, object]]:
        """The numbers and strings in the YAML itself that differ: name, old, new."""
        for section, options in self.plain.items():
            recorded = before.get(section)
            if not isinstance(options, Mapping) or not isinstance(recorded, Mapping):
                continue
            now = {
                name: value for name, value in options.items() if not isinstance(value, dict | list)
            }
            before_now = {name: recorded.get(name) for name in now}
            yield from differences(before_now, now, section)


def _change(label: str, name: str, old: object, new: object) -> Change:
    summary = f"{label}: {name} was {shown(old)}, is {shown(new)}"
    return Change(summary, f"{label}: {name}: {json.dumps(old)} -> {json.dumps(new)}")
