"""What is done to a published tensor before it is ours, and what those of its tensors must hold that are no weights."""

import math
from collections.abc import Callable

import numpy as np


def as_is(array: np.ndarray) -> np.ndarray:
    """The array itself.

    Parameters
    ----------
    array : array
        Any.
    """
    return array


def keras_kernel(kernel: np.ndarray) -> np.ndarray:
    """The kernel of a Keras layer, (..., in, out), as torch has it, (out, in, ...): of dense layers and convolutions of one or two dimensions.

    Parameters
    ----------
    kernel : (..., I, O) array
        The axes before the last two are those of the convolution.
    """
    return kernel.transpose(-1, -2, *range(kernel.ndim - 2)) if kernel.ndim > 1 else kernel


def transposed(matrix: np.ndarray) -> np.ndarray:
    """The array with its axes reversed.

    Parameters
    ----------
    matrix : array
        Any.
    """
    return matrix.T


def swapped_axes(kernel_OIXY: np.ndarray) -> np.ndarray:
    """A kernel for maps whose two axes change places.

    Parameters
    ----------
    kernel_OIXY : (O, I, X, Y) array
        Of a convolution of two dimensions.
    """
    return kernel_OIXY.swapaxes(-1, -2)


def tf_lstm_bias(bias: np.ndarray) -> np.ndarray:
    """The bias of TensorFlow's LSTM as torch has it: input, forget, candidate, output; the 1 that TensorFlow adds to the forget gate is part of it.

    Parameters
    ----------
    bias : (4 * H,) array
        Input, candidate, forget, output.
    """
    of_input, of_candidate, of_forget, of_output = np.split(bias, 4)
    return np.concatenate([of_input, of_forget + 1, of_candidate, of_output])


def tf_lstm_kernel(kernel: np.ndarray) -> np.ndarray:
    """Rows of the kernel of TensorFlow's LSTM, those of the inputs or those of the recurrence, as torch has them.

    Parameters
    ----------
    kernel : (I, 4 * H) array
        Columns: input, candidate, forget, output.
    """
    of_input, of_candidate, of_forget, of_output = np.split(kernel.T, 4)
    return np.concatenate([of_input, of_forget, of_candidate, of_output])


def scalar(array: np.ndarray) -> np.ndarray:
    """An array of one number as a number.

    Parameters
    ----------
    array : array
        Of any shape.
    """
    return array.reshape(()) if array.size == 1 else array


def preemphasis_filter(shape: tuple[int, ...]) -> np.ndarray:
    """Pre-emphasis of 0.97, as a filter of torch's kind.

    Parameters
    ----------
    shape : tuple of int
        (1, 1, 2).
    """
    return np.array([-0.97, 1]).reshape(shape)


def half_hamming_window(shape: tuple[int, ...]) -> np.ndarray:
    """The first half of the window of a sinc filter of odd length.

    Parameters
    ----------
    shape : tuple of int
        (K // 2,).
    """
    return np.hamming(2 * math.prod(shape) + 1)[: math.prod(shape)].reshape(shape)


def sinc_times(shape: tuple[int, ...]) -> np.ndarray:
    """2 pi times the seconds of the first half of a sinc filter, at 16 kHz; 0 is in the middle of the filter.

    Parameters
    ----------
    shape : tuple of int
        (1, K // 2).
    """
    return (2 * np.pi * np.arange(-math.prod(shape), 0) / 16000).reshape(shape)


TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as_is": as_is,
    "keras_kernel": keras_kernel,
    "transposed": transposed,
    "swapped_axes": swapped_axes,
    "tf_lstm_kernel": tf_lstm_kernel,
    "tf_lstm_bias": tf_lstm_bias,
    "scalar": scalar,
}
CONSTANTS: dict[str, Callable[[tuple[int, ...]], np.ndarray]] = {
    "preemphasis_filter": preemphasis_filter,
    "half_hamming_window": half_hamming_window,
    "sinc_times": sinc_times,
}
