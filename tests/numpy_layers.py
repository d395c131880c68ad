"""Layers of Keras and TensorFlow in NumPy, in float64, channels last, from the weights of files.

They are independent of the project's layers: its imported networks are checked against them.
Shapes: ``T`` frames, ``F`` features, ``C`` channels; one utterance, no batch.
"""

import numpy as np

KERAS_EPSILON = 1e-3


def layer_weights(state: dict[str, np.ndarray], layer: str) -> dict[str, np.ndarray]:
    """The weights of one layer, by the last word of their keys."""
    weights = {}
    for key, array in state.items():
        folder, _, name = key.rpartition("/")
        if folder == layer:
            weights[name] = array.astype(np.float64)
    return weights


def convolution(x: np.ndarray, weights: dict, *, stride: int = 1, same: bool = True) -> np.ndarray:
    """Over all axes of ``x`` but the last: sums over windows of products with the kernel."""
    kernel = weights["kernel"]
    sizes = kernel.shape[:-2]
    if same:
        x = np.pad(x, [((size - 1) // 2, size // 2) for size in sizes] + [(0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, sizes, axis=tuple(range(len(sizes))))
    windows = windows[(slice(None, None, stride),) * len(sizes)]  # (positions..., C, window...)
    axes = list(range(len(sizes)))
    window_axes = list(range(len(sizes), 2 * len(sizes) + 1))
    output = np.tensordot(windows, kernel, (window_axes, [len(sizes), *axes]))
    return output + weights.get("bias", 0.0)


def batch_norm(x: np.ndarray, weights: dict) -> np.ndarray:
    """With the running statistics."""
    deviation = np.sqrt(weights["moving_variance"] + KERAS_EPSILON)
    return (x - weights["moving_mean"]) / deviation * weights["gamma"] + weights["beta"]


def leaky_relu(x: np.ndarray) -> np.ndarray:
    """Keras' default slope."""
    return np.where(x > 0, x, 0.3 * x)


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0)."""
    return np.maximum(x, 0)


def max_pool(x: np.ndarray, sizes: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    """The largest value of each whole window."""
    windows = np.lib.stride_tricks.sliding_window_view(x, sizes, axis=tuple(range(len(sizes))))
    steps = tuple(slice(None, None, stride) for stride in strides)
    return windows[steps].max(axis=tuple(range(-len(sizes), 0)))


def softmax(x: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def gru_last_state(x_TC: np.ndarray, weights: dict) -> np.ndarray:
    """Keras' GRU before 2.3: update, reset, candidate; hard sigmoids; reset before the product."""

    def hard_sigmoid(value):
        return np.clip(0.2 * value + 0.5, 0, 1)

    update_x, reset_x, candidate_x = np.split(weights["kernel"], 3, axis=-1)
    update_h, reset_h, candidate_h = np.split(weights["recurrent_kernel"], 3, axis=-1)
    update_b, reset_b, candidate_b = np.split(weights["bias"], 3, axis=-1)
    state = np.zeros(len(weights["recurrent_kernel"]))
    for x in x_TC:
        z = hard_sigmoid(x @ update_x + update_b + state @ update_h)
        r = hard_sigmoid(x @ reset_x + reset_b + state @ reset_h)
        h = np.tanh(x @ candidate_x + candidate_b + (r * state) @ candidate_h)
        state = z * state + (1 - z) * h
    return state


def lstm(
    x_TC: np.ndarray, kernel: np.ndarray, bias: np.ndarray, projection: np.ndarray
) -> np.ndarray:
    """TensorFlow's LSTMCell with a projection: input, candidate, forget (+ 1) and output gates."""

    def sigmoid(value):
        return 1 / (1 + np.exp(-value))

    cell, output, outputs = np.zeros(projection.shape[0]), np.zeros(projection.shape[1]), []
    for x in x_TC:
        i, j, f, o = np.split(np.concatenate([x, output]) @ kernel + bias, 4)
        cell = sigmoid(f + 1) * cell + sigmoid(i) * np.tanh(j)
        output = (sigmoid(o) * np.tanh(cell)) @ projection
        outputs.append(output)
    return np.array(outputs)


def vlad(
    frames_TD: np.ndarray, scores_TK: np.ndarray, centres_KD: np.ndarray, clusters: int
) -> np.ndarray:
    """Sums over frames of weighted differences from each centre, each of unit length.

    The centres after the first ``clusters`` are dropped.
    """
    weights_TK = softmax(scores_TK)
    normalised = []
    for k, centre in enumerate(centres_KD[:clusters]):
        total = np.zeros(len(centre))
        for weight, frame in zip(weights_TK[:, k], frames_TD, strict=True):
            total += weight * (frame - centre)
        normalised.append(total / np.linalg.norm(total))
    return np.concatenate(normalised)
