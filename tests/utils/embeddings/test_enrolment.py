"""One vector of a person from those of several files."""

import numpy as np
import pytest

from utils.embeddings.enrolment import average_enrolment, take_averaging
from utils.embeddings.protocols import make_protocol, read_protocol
from utils.errors import UserError

VECTORS = np.array([[3.0, 0.0], [0.0, 1.0]], np.float32)


def test_each_file_counts_alike_and_the_length_is_that_of_the_files():
    assert average_enrolment(VECTORS) == pytest.approx(np.sqrt([2.0, 2.0]))
    assert average_enrolment(VECTORS, "mean") == pytest.approx([1.5, 0.5])


def test_scaling_a_file_changes_the_length_alone():
    scaled = average_enrolment(VECTORS * np.array([[1.0], [5.0]], np.float32))
    assert scaled / np.linalg.norm(scaled) == pytest.approx(np.sqrt([0.5, 0.5]))


def test_a_single_file_is_taken_as_it_is():
    assert np.array_equal(average_enrolment(VECTORS[:1]), VECTORS[0])


def test_matrices_are_averaged_row_by_row():
    average = average_enrolment(VECTORS[:, None])
    assert average.shape == (1, 2)
    assert average.dtype == np.float32
    assert np.array_equal(average[0], average_enrolment(VECTORS))


def test_a_protocol_states_another_rule_and_no_unknown_one(tmp_path):
    path = tmp_path / "kaldi.yaml"
    path.write_text("name: whole\naveraging: mean\n")
    protocol, options = read_protocol(str(path))
    assert protocol.averaging == options["averaging"] == "mean"
    assert make_protocol(options).averaging == "mean"
    protocol, options = read_protocol("whole")
    assert protocol.averaging == "unit"
    assert "averaging" not in options
    with pytest.raises(UserError, match="averaging is 'sum', expected one of unit, mean"):
        take_averaging({"averaging": "sum"}, "x.yaml")
