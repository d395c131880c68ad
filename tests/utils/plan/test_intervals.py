"""Trial lists with too few speakers, named before anything is scored."""

import pytest

from utils.plan.intervals import lists_without_intervals
from utils.receipts import Task


def scoring(folder, speakers):
    """A task that scores trials of some speakers; None: of a set that does not exist yet."""
    if speakers is not None:
        folder.mkdir(parents=True)
        lines = [
            f"s{number:03d}-{k} s{number:03d}\n" for number in range(speakers) for k in range(2)
        ]
        (folder / "utt2spk").write_text("".join(lines))
    inputs = {"trials": folder / "trials"}
    return Task(folder / "scores", "score_cosine", format=1, inputs=inputs, options={})


@pytest.mark.parametrize(
    ("speakers", "expected"),
    [
        (
            2,
            [
                (
                    "test: 2 speakers: no interval of EER (needs 5), minDCF 0.01 (needs 400), "
                    "minDCF 0.05 (needs 5)"
                )
            ],
        ),
        (40, ["test: 40 speakers: no interval of minDCF 0.01 (needs 400)"]),
        (400, []),
        (None, []),
    ],
)  # fmt: skip
def test_a_list_of_too_few_speakers_is_named_once(tmp_path, speakers, expected):
    tasks = [scoring(tmp_path / name / "test", speakers) for name in ("data", "packed")]
    other = Task(tmp_path, "other", format=1, inputs={}, options={})
    assert lists_without_intervals([*tasks, other]) == expected
