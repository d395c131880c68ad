"""Kaldi's compressed matrices: codes of 8 or 16 bits to floats and back, rounded as Kaldi does.

``CM``: 8 bits a value, between the quartiles of its column, stored column after column.
``CM2`` and ``CM3``: 16 or 8 bits a value over the range of the matrix, stored row after row.
Source: Kaldi, src/matrix/compressed-matrix.cc.  Shapes: ``T`` rows (frames), ``F`` columns.

kaldiio is not used here: its decoded floats differ from Kaldi's in the last bits, and about one in
seven of the matrices that it encodes has other codes (tests/utils/archive/test_kaldiio.py).
"""

import struct

import numpy as np

MAX_ROWS_CM2 = 8  # as in Kaldi: for so few rows quartiles need more space than they save
CODES: dict[bytes, np.dtype] = {
    b"CM": np.dtype("u1"),
    b"CM2": np.dtype("<u2"),
    b"CM3": np.dtype("u1"),
}
# decoding takes a table of kilobytes per column, for as little as one byte of codes
COLUMNS_PER_BLOCK = 1024
_QUARTILE_CODES = np.array([0, 64, 192, 255])  # minimum, 25 %, 75 %, maximum
# For each of the 256 codes: the interval it lies in, its distance from the interval's first code,
# and the step of one code as a share of the interval; float64, as Kaldi's constants.
_INTERVAL = np.repeat([0, 1, 2], [65, 128, 63])
_DISTANCE = (np.arange(256) - _QUARTILE_CODES[_INTERVAL]).astype(np.float32)
_STEP = 1 / np.diff(_QUARTILE_CODES)[_INTERVAL]


def decode_even(minimum: float, extent: float, codes_TF: np.ndarray) -> np.ndarray:
    """Decode ``CM2`` and ``CM3``: codes spread evenly over the range of the matrix.

    ``minimum`` and ``extent`` are those of the header; codes are uint16 or uint8, of some rows.
    """
    max_code = np.iinfo(codes_TF.dtype).max
    # an infinite range is data, as NaN is
    with np.errstate(over="ignore", invalid="ignore"):
        step = np.float32(extent * (1.0 / max_code))
        return np.float32(minimum) + codes_TF.astype(np.float32) * step


def decode_quartiles(
    minimum: float, extent: float, quartiles_F4: np.ndarray, codes_FT: np.ndarray
) -> np.ndarray:
    """Decode ``CM``: codes spread between the quartiles of each column; (T, F) float32.

    ``quartiles_F4`` (uint16) are minimum, 25 %, 75 % and maximum of each column, as codes over the
    range of the matrix; ``codes_FT`` (uint8) of some rows, transposed as in the file.
    """
    blocks = []
    for start in range(0, max(len(codes_FT), 1), COLUMNS_PER_BLOCK):
        block = slice(start, start + COLUMNS_PER_BLOCK)
        blocks.append(_decode_block(minimum, extent, quartiles_F4[block], codes_FT[block]))
    if len(blocks) == 1:
        return blocks[0]
    return np.concatenate(blocks, axis=1)


def _decode_block(minimum, extent, quartiles_F4, codes_FT):
    with np.errstate(over="ignore", invalid="ignore"):
        values_F4 = _quartile_values(minimum, extent, quartiles_F4)
        rise_F3 = values_F4[:, 1:] - values_F4[:, :-1]
        # the values of all 256 codes of each column
        table_FC = values_F4[:, _INTERVAL] + rise_F3[:, _INTERVAL] * _DISTANCE * _STEP
        table_FC = table_FC.astype(np.float32)
    first_entry_F = 256 * np.arange(len(codes_FT))
    return table_FC.reshape(-1)[codes_FT.T + first_entry_F]


def encode_compressed(matrix_TF: np.ndarray) -> bytes:
    """Encode a float32 matrix as Kaldi does by default: ``CM``, or ``CM2`` for few rows.

    ValueError for anything else, for an empty matrix, and for NaN and Inf, which have no code.
    """
    is_float32_matrix = matrix_TF.ndim == 2 and matrix_TF.dtype == np.float32 and matrix_TF.size > 0
    if not is_float32_matrix or not np.isfinite(matrix_TF).all():
        shape = " x ".join(map(str, matrix_TF.shape))
        raise ValueError(
            f"found a {matrix_TF.dtype} array of {shape}, "
            "expected a float32 matrix of finite values"
        )
    minimum = matrix_TF.min()
    extent = matrix_TF.max() - minimum
    if extent == 0:  # a constant matrix: the maximum becomes minimum + 1 + |minimum|, as in Kaldi
        extent = (minimum + (1 + abs(minimum))) - minimum
    header = struct.pack("<ffii", minimum, extent, *matrix_TF.shape)
    if len(matrix_TF) <= MAX_ROWS_CM2:
        codes_TF = _even_codes(minimum, extent, matrix_TF)
        return b"\0BCM2 " + header + codes_TF.astype("<u2").tobytes()
    quartiles_F4 = _quartile_codes(minimum, extent, matrix_TF)
    values_F4 = _quartile_values(minimum, extent, quartiles_F4)
    codes_FT = _codes_between_quartiles(values_F4, matrix_TF.T)
    return b"\0BCM " + header + quartiles_F4.astype("<u2").tobytes() + codes_FT.tobytes()


def _quartile_values(minimum, extent, quartiles_F4):
    step = np.float32(extent) * np.float32(1 / 65535)
    return np.float32(minimum) + step * quartiles_F4.astype(np.float32)


def _even_codes(minimum, extent, values):
    share = ((values - minimum) / extent).clip(0, 1)
    scaled = np.multiply(share, 65535, dtype=np.float32)
    return (scaled.astype(np.float64) + 0.499).astype(np.int64)  # Kaldi adds in double precision


def _quartile_codes(minimum, extent, matrix_TF):
    """Codes of the four quartile values of each column, in strictly increasing order."""
    rows = len(matrix_TF)
    sorted_TF = np.sort(matrix_TF, axis=0)
    quartile_rows = [0, rows // 4, 3 * (rows // 4), rows - 1]
    lowest_F, low_F, high_F, highest_F = _even_codes(minimum, extent, sorted_TF[quartile_rows])
    lowest_F = lowest_F.clip(max=65532)
    low_F = np.maximum(low_F, lowest_F + 1).clip(max=65533)
    high_F = np.maximum(high_F, low_F + 1).clip(max=65534)
    highest_F = np.maximum(highest_F, high_F + 1)
    return np.stack([lowest_F, low_F, high_F, highest_F], axis=1)


def _codes_between_quartiles(quartiles_F4, values_FT):
    is_above_low = (values_FT >= quartiles_F4[:, 1:2]).astype(int)
    interval_FT = is_above_low + (values_FT >= quartiles_F4[:, 2:3])
    left_FT = np.take_along_axis(quartiles_F4, interval_FT, 1)
    right_FT = np.take_along_axis(quartiles_F4, interval_FT + 1, 1)
    first_FT = _QUARTILE_CODES[interval_FT]
    last_FT = _QUARTILE_CODES[interval_FT + 1]
    # two quartiles may be the same float where the range is narrow relative to the values
    with np.errstate(divide="ignore", invalid="ignore"):
        share_FT = np.nan_to_num((values_FT - left_FT) / (right_FT - left_FT)).clip(0, 1)
    distance_FT = np.multiply(share_FT, last_FT - first_FT, dtype=np.float32).astype(np.float64)
    return (first_FT + (distance_FT + 0.5).astype(int)).astype(np.uint8)
