"""Parts of a job array as the step that collects them sees them: by their receipts."""

from collections.abc import Mapping
from pathlib import Path

from utils.receipts.contents import existing_receipt


def part_receipts(home: Path, name: str, jobs: int) -> dict[str, Path]:
    """The receipts of an array's jobs, as inputs of the step that collects them; of another split of the array where only that one is finished.

    Parameters
    ----------
    home : path
        Folder of the jobs' outputs.
    name : str
        Name of their step.
    jobs : int
        How many jobs there are.

    Returns
    -------
    dict of str to path
        ``job 3/8`` -> receipt, in order.
    """
    folder = Path(home) / "receipts"
    splits = [
        jobs,
        *sorted(int(path.stem.rpartition("of")[2]) for path in folder.glob(f"{name}.1of*.json")),
    ]
    receipts = [
        {
            f"job {job}/{split}": folder / f"{name}.{job}of{split}.json"
            for job in range(1, split + 1)
        }
        for split in splits
    ]
    return next(
        (found for found in receipts if all(path.exists() for path in found.values())), receipts[0]
    )


class Parts:
    """What finished jobs wrote and counted.

    Parameters
    ----------
    home : path
        Folder of the jobs' outputs.
    receipts : mapping of str to path
        From `part_receipts`; all exist.

    Attributes
    ----------
    outputs : dict
        Path -> size and checksum, as in the receipts: for `Task.finish`, so that the collected receipt stands for the archives too.
    options : dict
        Options of the jobs.
    """

    def __init__(self, home: Path, receipts: Mapping[str, Path]):
        contents = [existing_receipt(path) for path in receipts.values()]
        self.outputs = {
            Path(home) / name: facts
            for receipt in contents
            for name, facts in receipt["outputs"].items()
        }
        self.options = contents[0]["options"]
        self._counts = [receipt["counts"] for receipt in contents]

    def files(self, suffix: str) -> list[Path]:
        """The parts' files of one kind, in the order of the jobs.

        Parameters
        ----------
        suffix : str
            How their names end, after the number of the job: ``scp``.
        """
        return [path for path in self.outputs if path.name.rpartition(".")[2] == suffix]

    def table(self, suffix: str) -> dict[str, str]:
        """The parts' files of one kind, of two columns each, in one; a job that had nothing to do has an empty one.

        Parameters
        ----------
        suffix : str
            As for `files`.
        """
        from utils.archive import read_scp

        return {key: value for path in self.files(suffix) for key, value in read_scp(path).items()}

    def total(self, count: str) -> int:
        """Sum of one of the counts over the jobs.

        Parameters
        ----------
        count : str
            Its name.
        """
        return sum(counts.get(count, 0) for counts in self._counts)

    def named(self, beginnings: tuple[str, ...]) -> dict[str, int]:
        """Sums of all counts whose names begin so.

        Parameters
        ----------
        beginnings : tuple of str
            Beginnings of names.
        """
        names = {name for counts in self._counts for name in counts if name.startswith(beginnings)}
        return {name: self.total(name) for name in sorted(names)}
