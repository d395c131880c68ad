"""Room impulse responses of rectangular rooms by the image-source method.

Each reflection off a wall is the sound of a mirror image of the source behind it. Images are
mirrored again, and each one is as far away as its sound has travelled, and weaker by that distance
and by its reflections. The walls' absorption is fitted to the reverberation time asked for.

References
----------
Allen and Berkley, "Image method for efficiently simulating small-room acoustics",
J. Acoust. Soc. Am. 65, 1979.
Lehmann and Johansson, "Prediction of energy decay in room impulse responses simulated with an
image-source model", J. Acoust. Soc. Am. 124, 2008.
De Sena, Antonello, Moonen and van Waterschoot, "On the modeling of rectangular geometries in room
acoustic simulations", IEEE/ACM TASLP 23, 2015.
"""

import numpy as np

SOUND_METRES_PER_SECOND = 343.0  # in air of 20 degrees Celsius
OVERSAMPLING = 8  # of the rate for arrivals: their error is at most a sixteenth of a sample
# De Sena et al.: images of a perfect box sound like a sweep; real walls are not that regular.
DISPLACEMENT_METRES = 0.08
REFLECTION_BOUNDS = (0.01, 0.9999)
BIN_SECONDS = 0.001  # of the energy decay that absorption is fitted to


def room_response(
    room_metres: np.ndarray,
    source_metres: np.ndarray,
    microphone_metres: np.ndarray,
    rt60_seconds: float,
    sample_rate_hz: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Impulse response (float32) from a source to a microphone, from the emission of the sound on.

    Length, width and height of the room, and positions from one of its corners, are (3,) arrays.
    The direct sound is 1, and the response ends ``rt60_seconds`` after it; ``rng`` draws
    displacements of the images. ValueError: no walls give the room this reverberation time
    (`decay_seconds`).
    """
    direct_metres = float(np.linalg.norm(np.subtract(source_metres, microphone_metres)))
    max_metres = direct_metres + SOUND_METRES_PER_SECOND * rt60_seconds
    metres, bounces = image_sources(room_metres, source_metres, microphone_metres, max_metres)
    reflection = wall_reflection(metres, bounces, rt60_seconds)
    # Each wall turns the sign (Lehmann and Johansson): pulses of one sign sum to a low rumble that
    # decays too slowly.
    pressure = (-reflection) ** bounces * (direct_metres / metres)
    displacements = rng.uniform(-DISPLACEMENT_METRES, DISPLACEMENT_METRES, len(metres))
    displaced = metres + np.where(bounces, displacements, 0)
    samples_per_metre = OVERSAMPLING * sample_rate_hz / SOUND_METRES_PER_SECOND
    arrivals = np.rint(np.maximum(displaced, direct_metres) * samples_per_metre).astype(np.int64)
    return to_sample_rate(np.bincount(arrivals, pressure))


def image_sources(
    room_metres: np.ndarray,
    source_metres: np.ndarray,
    microphone_metres: np.ndarray,
    max_metres: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Distances from the microphone and numbers of reflections, (N,) each, of the images in range.

    The source itself has 0 reflections. Arguments are those of `room_response`; images farther
    than ``max_metres`` are left out.
    """
    axes = []
    for length, source, microphone in zip(
        room_metres, source_metres, microphone_metres, strict=True
    ):
        max_period = int(max_metres / (2 * length)) + 1
        periods = np.arange(-max_period, max_period + 1)
        positions = [2 * periods * length + source, 2 * periods * length - source]
        offsets = np.concatenate(positions) - microphone
        walls = np.concatenate([np.abs(2 * periods), np.abs(2 * periods - 1)])
        is_from_this_boot = np.abs(offsets) <= max_metres
        axes.append((offsets[is_from_this_boot] ** 2, walls[is_from_this_boot].astype(np.int16)))
    squares, bounces = axes[0]
    for axis_squares, axis_bounces in axes[1:]:
        squares = np.add.outer(squares, axis_squares).ravel()
        bounces = np.add.outer(bounces, axis_bounces).ravel()
        is_from_this_boot = squares <= max_metres**2
        squares, bounces = squares[is_from_this_boot], bounces[is_from_this_boot]
    return np.sqrt(squares), bounces


def wall_reflection(metres: np.ndarray, bounces: np.ndarray, rt60_seconds: float) -> float:
    """The walls' reflection coefficient of pressure that gives a reverberation time.

    Sabine's formula and its successors assume a diffuse field, which a box does not have, so the
    energy of the images themselves is fitted. ValueError as in `room_response`.
    """
    from scipy.optimize import brentq

    bins = (metres / (SOUND_METRES_PER_SECOND * BIN_SECONDS)).astype(np.int64)
    num_bins, num_orders = int(bins.max()) + 1, int(bounces.max()) + 1
    cells = bounces.astype(np.int64) * num_bins + bins
    energies = np.bincount(cells, metres**-2.0, num_orders * num_bins).reshape(-1, num_bins)
    powers = 2.0 * np.arange(len(energies))

    def excess_seconds(reflection: float) -> float:
        return decay_seconds(reflection**powers @ energies, 1 / BIN_SECONDS) - rt60_seconds

    if excess_seconds(REFLECTION_BOUNDS[0]) > 0 or excess_seconds(REFLECTION_BOUNDS[1]) < 0:
        raise ValueError(
            f"rt60_seconds: no walls give this room a reverberation time of {rt60_seconds} s"
        )
    return brentq(excess_seconds, *REFLECTION_BOUNDS, xtol=1e-5)


def decay_seconds(energy: np.ndarray, rate_hz: float) -> float:
    """Reverberation time of (n,) energies over time (a response's squares) by Schroeder's integral.

    The slope from -5 to -35 dB, extended to -60 dB (ISO 3382-1: T30). Schroeder, "New method of
    measuring reverberation time", J. Acoust. Soc. Am. 37, 1965.
    """
    remaining = np.cumsum(energy[::-1])[::-1]
    remaining_db = 10 * np.log10(np.maximum(remaining, 1e-300) / energy.sum())
    slope = np.flatnonzero((remaining_db <= -5) & (remaining_db >= -35))
    if len(slope) < 2:
        return 0.0
    db_per_value = np.polyfit(slope, remaining_db[slope], 1)[0]
    return -60 / (db_per_value * rate_hz)


def to_sample_rate(oversampled: np.ndarray) -> np.ndarray:
    """Float32 response from pulses at `OVERSAMPLING` times its rate; a pulse of 1 stays 1."""
    from scipy import signal

    return (OVERSAMPLING * signal.resample_poly(oversampled, 1, OVERSAMPLING)).astype(np.float32)
