"""Make a data directory of simulated room responses, if there are no measured ones.

    python -m local.simulate_rooms data/rirs --rooms 200 --rt60-seconds "[0.2, 0.8]"

For the noise bank: python -m steps.augment data/packed_16000/bank --rirs data/rirs
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from local.image_sources import SOUND_METRES_PER_SECOND, decay_seconds, room_response
from utils.cli import run
from utils.errors import UserError
from utils.receipts import Task

FORMAT = 1
HEIGHT_METRES = (2.0, 5.0)
WALL_METRES = 0.3  # smallest distance of source and microphone from a wall
ABSORPTION = (0.1, 0.8)  # of energy by the walls, on average: from bare to padded
RT60_TOLERANCE = 0.1  # relative; a response that is off by more is drawn again
# A reverberation time in which sound crosses the room less often means single echoes.
MIN_CROSSINGS = 7
MAX_DRAWS = 1000  # before a range is called impossible
PEAK = 0.5  # of full scale


@dataclass(frozen=True)
class _Room:
    """Length, width and height of a rectangular room, (3,), and its reverberation time."""

    metres: np.ndarray
    rt60_seconds: float


def simulate_rooms(
    output: Path,
    *,
    rooms: int = 60,
    responses_per_room: int = 5,
    small_metres: tuple[float, float] | None = (2.0, 10.0),
    medium_metres: tuple[float, float] | None = (10.0, 30.0),
    large_metres: tuple[float, float] | None = None,
    rt60_seconds: tuple[float, float] = (0.1, 1.0),
    distance_metres: tuple[float, float] = (0.5, 5.0),
    sample_rate_hz: int = 16000,
    seed: int = 1,
) -> dict:
    """Write responses of rectangular rooms by the image-source method, as 16-bit waves.

    ``rirs.ark``, ``wav.scp``, ``utt2spk`` (response -> room), ``utt2dur``, and of each response
    ``utt2room`` (``<length>x<width>x<height>`` in metres), ``utt2rt60`` (seconds) and
    ``utt2distance`` (metres from source to microphone). Rooms are small, medium and large in turn.

    Parameters
    ----------
    output : path
        Data directory to make.
    rooms : int
        Number of rooms.
    responses_per_room : int
        Number of positions of source and microphone in each room.
    small_metres : (shortest, longest) or None
        Range of length and width of small rooms; None: no small rooms. Heights are 2 to 5 m.
    medium_metres : (shortest, longest) or None
        The same for medium rooms.
    large_metres : (shortest, longest) or None
        The same for large rooms.
    rt60_seconds : (shortest, longest)
        Range of reverberation times, as far as a room's size allows.
    distance_metres : (nearest, farthest)
        Range of distances from source to microphone.
    sample_rate_hz : int
        Rate of the responses.
    seed : int
        Seed of every draw, 0 or more.

    Returns
    -------
    dict
        Numbers of ``responses`` and of ``rooms``.

    Raises
    ------
    UserError
        A number or range is impossible, or no room of a size can have such a reverberation time.

    References
    ----------
    Ko et al., "A study on data augmentation of reverberant speech for robust speech recognition",
    ICASSP 2017: the sizes.
    """
    of_size = {"small": small_metres, "medium": medium_metres, "large": large_metres}
    sizes = {name: bounds for name, bounds in of_size.items() if bounds}
    ranges = {f"--{name}-metres": bounds for name, bounds in sizes.items()}
    ranges |= {"--rt60-seconds": rt60_seconds, "--distance-metres": distance_metres}
    _refuse_ranges(ranges)
    numbers = {
        "--rooms": rooms,
        "--responses-per-room": responses_per_room,
        "--sample-rate-hz": sample_rate_hz,
    }
    _refuse_numbers(numbers)
    if seed < 0 or not sizes:
        raise UserError(
            f"--seed is {seed} and there are {len(sizes)} sizes of rooms, "
            "expected a seed of 0 or more and one size or more"
        )
    options = {
        "rooms": rooms,
        "responses_per_room": responses_per_room,
        "sizes": sizes,
        "rt60_seconds": rt60_seconds,
        "distance_metres": distance_metres,
        "sample_rate_hz": sample_rate_hz,
        "seed": seed,
    }
    task = Task(output, "made", format=FORMAT, inputs={}, options=options)
    if task.is_done():
        return task.counts
    from utils.archive import ArchiveWriter, read_scp
    from utils.audio import to_int16
    from utils.data_dir import DataDir, write_data_dir

    maps: dict[str, dict[str, str]] = {
        name: {} for name in ("utt2dur", "utt2room", "utt2rt60", "utt2distance")
    }
    utt2spk = {}
    with ArchiveWriter(output / "rirs.ark", output / "wav.scp") as writer:
        for name, size in sorted(_room_names(rooms, list(sizes)).items()):
            rng = np.random.default_rng([seed, *name.encode()])
            room = _draw_room(size, sizes[size], rt60_seconds, distance_metres[0], rng)
            for number in range(1, responses_per_room + 1):
                response, metres = _draw_response(room, distance_metres, sample_rate_hz, rng)
                key = f"{name}-{number:0{len(str(responses_per_room))}d}"
                scaled = response * (PEAK / np.abs(response).max())
                writer.write_wave(key, to_int16(scaled), sample_rate_hz)
                utt2spk[key] = name
                maps["utt2dur"][key] = f"{len(response) / sample_rate_hz:.4f}"
                maps["utt2room"][key] = "x".join(f"{side:.2f}" for side in room.metres)
                maps["utt2rt60"][key] = f"{room.rt60_seconds:.4f}"
                maps["utt2distance"][key] = f"{metres:.4f}"
    data = DataDir(output, read_scp(output / "wav.scp"), utt2spk, None, maps)
    write_data_dir(data, output)
    print(f"{output}: {len(utt2spk)} responses of {rooms} rooms")
    lists = [output / file for file in [*data.keyed, "spk2utt"] if file != "wav.scp"]
    return task.finish([writer, *lists], {"responses": len(utt2spk), "rooms": rooms})


def _refuse_ranges(ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise UserError for options that are not ranges of positive numbers."""
    for option, (low, high) in ranges.items():
        if not 0 < low <= high:
            raise UserError(
                f"{option}: from {low} to {high}, "
                "expected two positive numbers, the lower one first"
            )


def _refuse_numbers(numbers: Mapping[str, int]) -> None:
    """Raise UserError for options below 1."""
    for option, number in numbers.items():
        if number < 1:
            raise UserError(f"{option}: {number}, expected 1 or more")


def _room_names(rooms: int, sizes: list[str]) -> dict[str, str]:
    """Name of each room -> its size; the sizes alternate."""
    names, digits = {}, len(str(rooms))
    for index in range(rooms):
        size, number = sizes[index % len(sizes)], index // len(sizes) + 1
        names[f"{size}-{number:0{digits}d}"] = size
    return names


def _draw_room(
    size: str,
    metres: tuple[float, float],
    rt60_seconds: tuple[float, float],
    nearest_metres: float,
    rng: np.random.Generator,
) -> _Room:
    """Draw a room, and a reverberation time in the range out of those that it can have.

    `metres` is the range of length and width; the room has positions at least 1.5 times
    `nearest_metres` apart. Reverberation time by absorption: Eyring, "Reverberation time in 'dead'
    rooms", J. Acoust. Soc. Am. 1, 1930. UserError, which names the size: there is no such room.
    """
    for _ in range(MAX_DRAWS):
        sides = np.array([*rng.uniform(*metres, 2), rng.uniform(*HEIGHT_METRES)])
        surface = 2 * (sides[0] * sides[1] + sides[0] * sides[2] + sides[1] * sides[2])
        bare, padded = (
            0.161 * sides.prod() / (-surface * np.log(1 - absorption)) for absorption in ABSORPTION
        )
        crossed = MIN_CROSSINGS * sides.max() / SOUND_METRES_PER_SECOND
        low, high = max(rt60_seconds[0], padded, crossed), min(rt60_seconds[1], bare)
        if low <= high and np.linalg.norm(sides - 2 * WALL_METRES) > 1.5 * nearest_metres:
            return _Room(sides, float(rng.uniform(low, high)))
    raise UserError(
        f"--rt60-seconds: no {size} room ({metres[0]} to {metres[1]} m) has a reverberation "
        f"time of {rt60_seconds[0]} to {rt60_seconds[1]} s and positions {nearest_metres} m apart; "
        f"change it, --{size}-metres or --distance-metres"
    )


def _draw_response(
    room: _Room, distance_metres: tuple[float, float], sample_rate_hz: int, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Response between two positions drawn uniformly in a room, and their distance.

    Drawn again until the distance is in range and the response has the room's reverberation time.
    """
    for _ in range(MAX_DRAWS):
        source, microphone = rng.uniform(WALL_METRES, room.metres - WALL_METRES, (2, 3))
        metres = float(np.linalg.norm(source - microphone))
        if not distance_metres[0] <= metres <= distance_metres[1]:
            continue
        try:
            response = room_response(
                room.metres, source, microphone, room.rt60_seconds, sample_rate_hz, rng
            )
        except ValueError:  # no walls give these positions the room's reverberation time
            continue
        measured_seconds = decay_seconds(response.astype(np.float64) ** 2, sample_rate_hz)
        if abs(measured_seconds / room.rt60_seconds - 1) <= RT60_TOLERANCE:
            return response, metres
    sides = "x".join(f"{side:.1f}" for side in room.metres)
    raise UserError(
        f"--distance-metres: no positions {distance_metres[0]} to {distance_metres[1]} m apart "
        f"give a room of {sides} m its reverberation time; widen the range"
    )


if __name__ == "__main__":
    run(simulate_rooms)
