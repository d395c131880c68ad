"""Parts of a job array, read from their receipts by the step that collects them."""

from collections.abc import Mapping
from pathlib import Path

from utils.receipts.contents import existing_receipt


def part_receipts(home: Path, name: str, jobs: int) -> dict[str, Path]:
    """Receipts of an array's jobs below home, ``job 3/8`` -> path, for a step with this name.

    If only an array with another number of jobs is finished, its receipts.
    """
    folder = Path(home) / "receipts"
    others = [int(path.stem.rpartition("of")[2]) for path in folder.glob(f"{name}.1of*.json")]
    for split in (jobs, *sorted(others)):
        receipts = _receipts_of_split(folder, name, split)
        if all(path.exists() for path in receipts.values()):
            return receipts
    return _receipts_of_split(folder, name, jobs)


def _receipts_of_split(folder: Path, name: str, jobs: int) -> dict[str, Path]:
    return {
        f"job {job}/{jobs}": folder / f"{name}.{job}of{jobs}.json" for job in range(1, jobs + 1)
    }


class Parts:
    """Outputs, options and counts of finished jobs, from the receipts of `part_receipts`.

    ``outputs`` are path -> size and checksum, for `Task.finish`: the receipt of the collected work
    vouches for the archives too.
    """

    def __init__(self, home: Path, receipts: Mapping[str, Path]):
        contents = [existing_receipt(path) for path in receipts.values()]
        self.outputs: dict[Path, dict] = {}
        for receipt in contents:
            for name, facts in receipt["outputs"].items():
                self.outputs[Path(home) / name] = facts
        self.options = contents[0]["options"]
        self._counts = [receipt["counts"] for receipt in contents]

    def files(self, suffix: str) -> list[Path]:
        """The parts' files with a suffix such as ``scp``, in the order of the jobs."""
        return [path for path in self.outputs if path.name.rpartition(".")[2] == suffix]

    def table(self, suffix: str) -> dict[str, str]:
        """The parts' files with a suffix, of two columns each, in one mapping."""
        from utils.archive import read_scp

        rows: dict[str, str] = {}
        for path in self.files(suffix):
            rows |= read_scp(path)
        return rows

    def total(self, count: str) -> int:
        """Sum of a count over the jobs."""
        return sum(counts.get(count, 0) for counts in self._counts)

    def totals(self, prefixes: tuple[str, ...]) -> dict[str, int]:
        """Sums over the jobs of all counts whose names start with one of the prefixes."""
        names: set[str] = set().union(*self._counts)
        return {name: self.total(name) for name in sorted(names) if name.startswith(prefixes)}
