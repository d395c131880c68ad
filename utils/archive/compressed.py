"""Kaldi's compressed matrices, the numbers alone: codes of 8 or 16 bits to floats and back, rounded as Kaldi does.

``CM``: 8 bits a value, between the quartiles of its column, column after column.  ``CM2``, ``CM3``: 16 or 8 bits over the range of the matrix, row
after row.  Shapes: ``T`` rows (frames), ``F`` columns (features).

References
----------
Kaldi, src/matrix/compressed-matrix.cc.
"""

import struct

import numpy as np

FEW_ROWS = 8  # up to so many rows the quartiles of columns cost more than they save: Kaldi's automatic choice
CODES: dict[bytes, np.dtype] = {
    b"CM": np.dtype("u1"),
    b"CM2": np.dtype("<u2"),
    b"CM3": np.dtype("u1"),
}
COLUMNS_AT_A_TIME = 1024  # each takes a table of kilobytes, and may have one byte of codes
_PIECES = np.array([0, 64, 192, 255])  # codes of the quartiles: minimum, 25 %, 75 %, maximum
# Of each code: between which two of them it lies, how many codes above the lower one, and which share
# of the way a code is; float64, as Kaldi's constants.
_PIECE_OF = np.repeat([0, 1, 2], [65, 128, 63])
_BEYOND = (np.arange(256) - _PIECES[_PIECE_OF]).astype(np.float32)
_SHARE = 1 / np.diff(_PIECES)[_PIECE_OF]


def decode_even(minimum: float, extent: float, codes_TF: np.ndarray) -> np.ndarray:
    """Values of codes that are spread evenly over the range of a matrix (``CM2``, ``CM3``).

    Parameters
    ----------
    minimum, extent : float
        Of the matrix, as its header says.
    codes_TF : (T, F) uint16 or uint8 array
        Any rows of it.

    Returns
    -------
    (T, F) float32 array
    """
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite range is data, as NaN is
        return np.float32(minimum) + codes_TF.astype(np.float32) * np.float32(
            extent * (1.0 / np.iinfo(codes_TF.dtype).max)
        )


def decode_quartiles(
    minimum: float, extent: float, quartiles_F4: np.ndarray, codes_FT: np.ndarray
) -> np.ndarray:
    """Values of codes that are spread between the quartiles of each column (``CM``).

    Parameters
    ----------
    minimum, extent : float
        Of the matrix, as its header says.
    quartiles_F4 : (F, 4) uint16 array
        Minimum, 25 %, 75 % and maximum of each column, over the range of the matrix.
    codes_FT : (F, T) uint8 array
        Any rows of it, transposed as they are stored.

    Returns
    -------
    (T, F) float32 array
    """
    if len(codes_FT) > COLUMNS_AT_A_TIME:
        some = [
            slice(start, start + COLUMNS_AT_A_TIME)
            for start in range(0, len(codes_FT), COLUMNS_AT_A_TIME)
        ]
        return np.concatenate(
            [
                decode_quartiles(minimum, extent, quartiles_F4[part], codes_FT[part])
                for part in some
            ],
            axis=1,
        )
    with np.errstate(over="ignore", invalid="ignore"):
        knots_F4 = _knots(minimum, extent, quartiles_F4)
        rise_F3 = knots_F4[:, 1:] - knots_F4[:, :-1]
        table_FC = (knots_F4[:, _PIECE_OF] + rise_F3[:, _PIECE_OF] * _BEYOND * _SHARE).astype(
            np.float32
        )  # of all 256 codes of each column
    return table_FC.reshape(-1)[codes_FT.T + 256 * np.arange(len(codes_FT))]


def encode_compressed(matrix_TF: np.ndarray) -> bytes:
    """Kaldi's bytes of a matrix by the method that its programs choose with ``--compress=true``: ``CM``, and ``CM2`` for few rows.

    Parameters
    ----------
    matrix_TF : (T, F) float32 array
        Features; finite, not empty.

    Returns
    -------
    bytes
        Behind a key and one blank: an entry of an archive.

    Raises
    ------
    ValueError
        No such matrix: Kaldi's format has no code for NaN and Inf.
    """
    if (
        matrix_TF.ndim != 2
        or matrix_TF.dtype != np.float32
        or not matrix_TF.size
        or not np.isfinite(matrix_TF).all()
    ):
        raise ValueError(
            f"found a {matrix_TF.dtype} array of {' x '.join(map(str, matrix_TF.shape))}, expected a float32 matrix of finite values"
        )
    minimum = matrix_TF.min()
    extent = matrix_TF.max() - minimum
    if extent == 0:  # a constant matrix
        extent = (minimum + (1 + abs(minimum))) - minimum
    header = struct.pack("<ffii", minimum, extent, *matrix_TF.shape)
    if len(matrix_TF) <= FEW_ROWS:
        return b"\0BCM2 " + header + _over_range(minimum, extent, matrix_TF).astype("<u2").tobytes()
    quartiles_F4 = _quartiles(minimum, extent, matrix_TF)
    codes_FT = _between_quartiles(_knots(minimum, extent, quartiles_F4), matrix_TF.T)
    return b"\0BCM " + header + quartiles_F4.astype("<u2").tobytes() + codes_FT.tobytes()


def _knots(minimum, extent, quartiles_F4):
    return np.float32(minimum) + np.float32(extent) * np.float32(1 / 65535) * quartiles_F4.astype(
        np.float32
    )


def _over_range(minimum, extent, values):
    share = ((values - minimum) / extent).clip(0, 1)
    return (np.multiply(share, 65535, dtype=np.float32).astype(np.float64) + 0.499).astype(
        np.int64
    )  # Kaldi adds in double precision


def _quartiles(minimum, extent, matrix_TF):
    """Codes of four values of each column, in strictly rising order."""
    rows = len(matrix_TF)
    sorted_TF = np.sort(matrix_TF, axis=0)
    lowest_F, low_F, high_F, highest_F = _over_range(
        minimum, extent, sorted_TF[[0, rows // 4, 3 * (rows // 4), rows - 1]]
    )
    lowest_F = lowest_F.clip(max=65532)
    low_F = np.maximum(low_F, lowest_F + 1).clip(max=65533)
    high_F = np.maximum(high_F, low_F + 1).clip(max=65534)
    return np.stack([lowest_F, low_F, high_F, np.maximum(highest_F, high_F + 1)], axis=1)


def _between_quartiles(knots_F4, values_FT):
    piece_FT = (values_FT >= knots_F4[:, 1:2]).astype(int) + (values_FT >= knots_F4[:, 2:3])
    left_FT, right_FT = (
        np.take_along_axis(knots_F4, piece_FT, 1),
        np.take_along_axis(knots_F4, piece_FT + 1, 1),
    )
    first_FT, last_FT = _PIECES[piece_FT], _PIECES[piece_FT + 1]
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # quartiles may be one and the same float where the range is narrow beside the values
        share_FT = np.nan_to_num((values_FT - left_FT) / (right_FT - left_FT)).clip(0, 1)
    beyond_FT = np.multiply(share_FT, last_FT - first_FT, dtype=np.float32).astype(np.float64)
    return (first_FT + (beyond_FT + 0.5).astype(int)).astype(np.uint8)
