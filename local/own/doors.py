"""Which way to a system a corpus of so many speakers recommends: test, centre, or train.

Fine-tuning is shown and not recommended: what it costs on other speech was not measured, and its
run says whether it helps.
"""

from dataclasses import dataclass

MEASURED = "the four folds of speechocean762, 125 speakers"
TABLE = "recipes/own/README.md"


@dataclass(frozen=True)
class Door:
    """A way to a system: from how many speakers on, by which options, with which error rates."""

    least_speakers: int
    name: str
    options: str
    figures: str  # EER in percent, of MEASURED
    is_recommended: bool = True


# Figures and their conditions are those of the table in recipes/own/README.md.
DOORS = (
    Door(2, "test a published network", "--model campplus", "1.47"),
    Door(
        30,
        "centre it by the speakers that are not tested (20 or more)",
        "--model campplus --backend conf/backends/cosine.yaml",
        "1.31; PLDA of 84 speakers: 2.16",
    ),
    Door(
        100,
        "fine-tune it on the speakers that are not tested; the run says whether it helps",
        "--model campplus --fine-tune true",
        "1.31 -> 0.99",
        is_recommended=False,
    ),
    Door(
        1000,
        "train a network on the speakers that are not tested, and compare",
        "--config conf/ecapa_512.yaml",
        "6.11 with 84 speakers and conf/ecapa_512_cpu.yaml, in 12 minutes",
    ),
)


def recommended_door(num_speakers: int) -> Door:
    """The last recommended door that a corpus has the speakers for."""
    fit = [door for door in DOORS if door.is_recommended and num_speakers >= door.least_speakers]
    return fit[-1]


def describe_doors(num_speakers: int) -> list[str]:
    """Lines with all doors and the recommended one."""
    chosen = recommended_door(num_speakers)
    lines = [f"  doors, with EER in % on {MEASURED} ({TABLE}):"]
    for door in DOORS:
        mark = ""
        if door is chosen:
            mark = f" <- recommended for {num_speakers:,} speakers"
        lines.append(f"    from {door.least_speakers:,} speakers: {door.name}{mark}")
        lines.append(f"      {door.options}  ({door.figures})")
    return lines
