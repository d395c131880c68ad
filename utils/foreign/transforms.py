"""Transforms of published tensors into ours, and the values of tensors that hold no weights."""

import math
from collections.abc import Callable

import numpy as np


def as_is(array: np.ndarray) -> np.ndarray:
    """The array itself."""
    return array


def keras_kernel(kernel: np.ndarray) -> np.ndarray:
    """A Keras kernel (..., in, out) as torch has it, (out, in, ...).

    Of dense layers, and of convolutions of one or two dimensions.
    """
    if kernel.ndim < 2:
        return kernel
    return kernel.transpose(-1, -2, *range(kernel.ndim - 2))


def transposed(matrix: np.ndarray) -> np.ndarray:
    """The array with its axes reversed."""
    return matrix.T


def swapped_axes(kernel_OIXY: np.ndarray) -> np.ndarray:
    """The kernel of a 2-D convolution (O, I, X, Y) as (O, I, Y, X)."""
    return kernel_OIXY.swapaxes(-1, -2)


def matrix(kernel_OI1: np.ndarray) -> np.ndarray:
    """The kernel of a convolution of 1 frame as a matrix (O, I)."""
    return kernel_OI1.squeeze(-1)


def first_eighth_last(array: np.ndarray) -> np.ndarray:
    """The rows with the first of eight groups behind the others; a single number as it is."""
    if array.ndim == 0:
        return array
    return np.roll(array, -(len(array) // 8), axis=0)


def first_columns_last(kernel_OIK: np.ndarray) -> np.ndarray:
    """The kernel with the first of eight groups of inputs behind the others."""
    return first_eighth_last(kernel_OIK.swapaxes(0, 1)).swapaxes(0, 1)


def tf_lstm_bias(bias: np.ndarray) -> np.ndarray:
    """The bias (4 * H,) of TensorFlow's LSTM in torch's order: input, forget, candidate, output.

    TensorFlow's order is input, candidate, forget, output; it adds 1 to the forget gate when it
    computes, which is part of the bias here.
    """
    of_input, of_candidate, of_forget, of_output = np.split(bias, 4)
    return np.concatenate([of_input, of_forget + 1, of_candidate, of_output])


def tf_lstm_kernel(kernel: np.ndarray) -> np.ndarray:
    """Rows of the kernel (I, 4 * H) of TensorFlow's LSTM as torch has them, (4 * H, I).

    The rows are those of the inputs or those of the recurrence; the order of the gates is that of
    `tf_lstm_bias`.
    """
    of_input, of_candidate, of_forget, of_output = np.split(kernel.T, 4)
    return np.concatenate([of_input, of_forget, of_candidate, of_output])


def scalar(array: np.ndarray) -> np.ndarray:
    """An array of one number without axes."""
    if array.size == 1:
        return array.reshape(())
    return array


def preemphasis_filter(shape: tuple[int, ...]) -> np.ndarray:
    """Pre-emphasis of 0.97 as a filter of torch's convolution, (1, 1, 2)."""
    return np.array([-0.97, 1]).reshape(shape)


def half_hamming_window(shape: tuple[int, ...]) -> np.ndarray:
    """The first half, (K // 2,), of the Hamming window of a sinc filter of odd length K."""
    half = math.prod(shape)
    return np.hamming(2 * half + 1)[:half].reshape(shape)


def sinc_times(shape: tuple[int, ...]) -> np.ndarray:
    """2 pi times the seconds, at 16 kHz, of the first half (1, K // 2) of a sinc filter.

    Time 0 is in the middle of the filter.
    """
    return (2 * np.pi * np.arange(-math.prod(shape), 0) / 16000).reshape(shape)


TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as_is": as_is,
    "keras_kernel": keras_kernel,
    "transposed": transposed,
    "swapped_axes": swapped_axes,
    "matrix": matrix,
    "first_eighth_last": first_eighth_last,
    "first_columns_last": first_columns_last,
    "tf_lstm_kernel": tf_lstm_kernel,
    "tf_lstm_bias": tf_lstm_bias,
    "scalar": scalar,
}
CONSTANTS: dict[str, Callable[[tuple[int, ...]], np.ndarray]] = {
    "preemphasis_filter": preemphasis_filter,
    "half_hamming_window": half_hamming_window,
    "sinc_times": sinc_times,
}
