"""Sound in a box: the response of a rectangular room by the method of image sources, with walls that give it the reverberation time asked for.

Each reflection off a wall is a sound from behind it: a wall mirrors the source, its mirror images are mirrored again, and each image is as far away
as its sound has travelled and as weak as that distance and its reflections make it.  This is our own since it is short, needs no compiled package,
and takes the reverberation time that is to be measured instead of a wall's absorption.

References
----------
Allen and Berkley, "Image method for efficiently simulating small-room acoustics", J. Acoust. Soc. Am. 65, 1979.
Lehmann and Johansson, "Prediction of energy decay in room impulse responses simulated with an image-source model", J. Acoust. Soc. Am. 124, 2008.
De Sena, Antonello, Moonen and van Waterschoot, "On the modeling of rectangular geometries in room acoustic simulations", IEEE/ACM TASLP 23, 2015.
"""

import numpy as np

SOUND_METRES_PER_SECOND = 343.0  # in air of 20 degrees Celsius
OVERSAMPLING = (
    8  # arrivals are entered at this many times the rate: a sixteenth of a sample wrong at most
)
DISPLACEMENT_METRES = 0.08  # De Sena et al.: what walls are out of true; without it the images of a perfect box sound as a sweep
REFLECTION_BOUNDS = (0.01, 0.9999)


def room_response(
    room_metres: np.ndarray,
    source_metres: np.ndarray,
    microphone_metres: np.ndarray,
    rt60_seconds: float,
    sample_rate_hz: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Impulse response from a source to a microphone.

    Parameters
    ----------
    room_metres : (3,) float array
        Length, width and height of the room.
    source_metres, microphone_metres : (3,) float arrays
        Places in it, from one of its corners.
    rt60_seconds : float
        Time in which the energy of the echo falls by 60 dB, measured on the slope from -5 to -35 dB.
    sample_rate_hz : int
        Rate of the response.
    rng : numpy Generator
        Draws by how much each image is out of its place.

    Returns
    -------
    (n,) float32 array
        Its time starts when the sound leaves the source; the direct sound is 1; it ends ``rt60_seconds`` after the direct sound.

    Raises
    ------
    ValueError
        No wall, dead or hard, gives this room this reverberation time.
    """
    direct_metres = float(np.linalg.norm(np.subtract(source_metres, microphone_metres)))
    metres, bounces = image_sources(
        room_metres,
        source_metres,
        microphone_metres,
        direct_metres + SOUND_METRES_PER_SECOND * rt60_seconds,
    )
    reflection = wall_reflection(metres, bounces, rt60_seconds)
    # each wall turns the sign (Lehmann and Johansson): pulses of one sign sum to a low rumble that decays too slowly
    pressure = (-reflection) ** bounces * (direct_metres / metres)
    displaced = metres + np.where(
        bounces, rng.uniform(-DISPLACEMENT_METRES, DISPLACEMENT_METRES, len(metres)), 0
    )
    arrivals = np.rint(
        np.maximum(displaced, direct_metres)
        * (OVERSAMPLING * sample_rate_hz / SOUND_METRES_PER_SECOND)
    ).astype(np.int64)
    return sampled(np.bincount(arrivals, pressure), sample_rate_hz)


def image_sources(
    room_metres: np.ndarray,
    source_metres: np.ndarray,
    microphone_metres: np.ndarray,
    max_metres: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The images of a source in the walls of a room.

    Parameters
    ----------
    room_metres, source_metres, microphone_metres : (3,) float arrays
        As for `room_response`.
    max_metres : float
        Images that are farther away from the microphone are left out.

    Returns
    -------
    metres : (N,) float64 array
        Distance of each image from the microphone.
    bounces : (N,) int16 array
        Walls that its sound has been reflected by; 0 for the source itself.
    """
    axes = []
    for length, source, microphone in zip(
        room_metres, source_metres, microphone_metres, strict=True
    ):
        periods = np.arange(-int(max_metres / (2 * length)) - 1, int(max_metres / (2 * length)) + 2)
        offset = (
            np.concatenate([2 * periods * length + source, 2 * periods * length - source])
            - microphone
        )
        walls = np.concatenate([np.abs(2 * periods), np.abs(2 * periods - 1)])
        axes.append(
            (
                offset[np.abs(offset) <= max_metres] ** 2,
                walls[np.abs(offset) <= max_metres].astype(np.int16),
            )
        )
    squares, bounces = axes[0]
    for more_squares, more_bounces in axes[1:]:
        squares, bounces = (
            np.add.outer(squares, more_squares).ravel(),
            np.add.outer(bounces, more_bounces).ravel(),
        )
        near = squares <= max_metres**2
        squares, bounces = squares[near], bounces[near]
    return np.sqrt(squares), bounces


def wall_reflection(metres: np.ndarray, bounces: np.ndarray, rt60_seconds: float) -> float:
    """The walls' reflection coefficient of pressure that gives a reverberation time.

    Formulas after Sabine suppose a diffuse field, which a box does not have; here the energy of the images themselves is fitted.

    Parameters
    ----------
    metres, bounces : (N,) arrays
        The images, from `image_sources`.
    rt60_seconds : float
        As for `room_response`.

    Raises
    ------
    ValueError
        As for `room_response`.
    """
    from scipy.optimize import brentq

    bin_seconds = 0.001
    bins = (metres / (SOUND_METRES_PER_SECOND * bin_seconds)).astype(np.int64)
    width = int(bins.max()) + 1
    energies = np.bincount(
        bounces.astype(np.int64) * width + bins, metres**-2.0, (int(bounces.max()) + 1) * width
    ).reshape(-1, width)
    powers = 2.0 * np.arange(len(energies))

    def excess_seconds(reflection: float) -> float:
        return decay_seconds(reflection**powers @ energies, 1 / bin_seconds) - rt60_seconds

    if excess_seconds(REFLECTION_BOUNDS[0]) > 0 or excess_seconds(REFLECTION_BOUNDS[1]) < 0:
        raise ValueError(
            f"rt60_seconds: no walls give this room a reverberation time of {rt60_seconds} s"
        )
    return brentq(excess_seconds, *REFLECTION_BOUNDS, xtol=1e-5)


def decay_seconds(energy: np.ndarray, rate_hz: float) -> float:
    """Reverberation time by Schroeder's integral: the slope from -5 to -35 dB, carried on to -60 dB (ISO 3382-1: T30).

    Parameters
    ----------
    energy : (n,) float array
        Energy over time, a response's squares for example.
    rate_hz : float
        Values per second.

    References
    ----------
    Schroeder, "New method of measuring reverberation time", J. Acoust. Soc. Am. 37, 1965.
    """
    left_db = 10 * np.log10(np.maximum(np.cumsum(energy[::-1])[::-1], 1e-300) / energy.sum())
    slope = np.flatnonzero((left_db <= -5) & (left_db >= -35))
    if len(slope) < 2:
        return 0.0
    db_per_value = np.polyfit(slope, left_db[slope], 1)[0]
    return -60 / (db_per_value * rate_hz)


def sampled(oversampled: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Pulses at the high rate as a response at the rate asked for.

    Parameters
    ----------
    oversampled : (OVERSAMPLING * n,) float array
        Pressure of the arrivals.
    sample_rate_hz : int
        Rate of the result.

    Returns
    -------
    (n,) float32 array
        A pulse of 1 on a sample of the result is 1 there.
    """
    from scipy import signal

    return (OVERSAMPLING * signal.resample_poly(oversampled, 1, OVERSAMPLING)).astype(np.float32)
