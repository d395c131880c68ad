"""Make a data directory of simulated room responses, where no measured ones are at hand.

    python -m local.simulate_rooms data/rirs --rooms 200 --responses-per-room 5 --rt60-seconds "[0.2, 0.8]"

For the bank of augmentation: python -m steps.augment data/packed_16000/bank --rirs data/rirs
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
WALL_METRES = 0.3  # nobody speaks or listens nearer to a wall
ABSORPTION = (0.1, 0.8)  # of energy by the walls, on the average: from bare to padded
RT60_TOLERANCE = 0.1  # a response whose slope is farther from the room's is drawn anew
CROSSINGS = 7  # a room that dies away before its sound has crossed it so often has single echoes and no reverberation time
MOST_DRAWS = 1000  # before a wish is called impossible
PEAK = 0.5  # of full scale


@dataclass(frozen=True)
class Room:
    """A rectangular room and how long it sounds.

    Parameters
    ----------
    metres : (3,) float array
        Length, width, height.
    rt60_seconds : float
        Time in which its echo falls by 60 dB.
    """

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
    """Write responses of rectangular rooms by the method of image sources (local/image_sources.py) as 16-bit waves in one archive.

    ``rirs.ark``, ``wav.scp``, ``utt2spk`` (response -> room), ``utt2dur``, and of each response ``utt2room`` (``<length>x<width>x<height>`` in
    metres), ``utt2rt60`` (seconds) and ``utt2distance`` (metres from source to microphone).  Sizes take turns.

    Parameters
    ----------
    output : path
        Data directory to make.
    rooms : int
        How many.
    responses_per_room : int
        Places of source and microphone in each.
    small_metres : (shortest, longest) or None
        Range of length and width of small rooms; None: there are no such rooms.  Heights are 2 to 5 m.
    medium_metres : (shortest, longest) or None
        The same of medium rooms.
    large_metres : (shortest, longest) or None
        The same of large rooms.
    rt60_seconds : (shortest, longest)
        Range of reverberation times; a room has one that its size allows.
    distance_metres : (nearest, farthest)
        Range of distances from source to microphone.
    sample_rate_hz : int
        Rate of the responses.
    seed : int
        Of everything that is drawn, not negative.

    Returns
    -------
    dict
        Number of responses and of rooms.

    Raises
    ------
    UserError
        A number or range makes no sense, or no room of a size can have such a reverberation time.

    References
    ----------
    Ko et al., "A study on data augmentation of reverberant speech for robust speech recognition", ICASSP 2017: the sizes.
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
            f"--seed is {seed} and there are {len(sizes)} sizes of rooms, expected a seed of 0 or more and one size or more"
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
            room = draw_room(size, sizes[size], rt60_seconds, distance_metres[0], rng)
            for number in range(1, responses_per_room + 1):
                response, metres = _draw_response(room, distance_metres, sample_rate_hz, rng)
                key = f"{name}-{number:0{len(str(responses_per_room))}d}"
                writer.write_wave(
                    key, to_int16(response * (PEAK / np.abs(response).max())), sample_rate_hz
                )
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
    """Refuse options that are no ranges of positive numbers."""
    for option, (low, high) in ranges.items():
        if not 0 < low <= high:
            raise UserError(
                f"{option}: from {low} to {high}, expected two positive numbers, the lower one first"
            )


def _refuse_numbers(numbers: Mapping[str, int]) -> None:
    """Refuse options that count nothing."""
    for option, number in numbers.items():
        if number < 1:
            raise UserError(f"{option}: {number}, expected 1 or more")


def _room_names(rooms: int, sizes: list[str]) -> dict[str, str]:
    """Name of each room -> its size; the sizes take turns."""
    turns = [(sizes[number % len(sizes)], number // len(sizes) + 1) for number in range(rooms)]
    return {f"{size}-{number:0{len(str(rooms))}d}": size for size, number in turns}


def draw_room(
    size: str,
    metres: tuple[float, float],
    rt60_seconds: tuple[float, float],
    nearest_metres: float,
    rng: np.random.Generator,
) -> Room:
    """A room that can have a reverberation time in the range asked for, and that time, drawn from those it can have.

    Parameters
    ----------
    size : str
        For the message.
    metres : (float, float)
        Range of length and width.
    rt60_seconds : (float, float)
        Range of the reverberation time.
    nearest_metres : float
        So far apart, and half as much again, must its places be somewhere.
    rng : numpy Generator
        Draws it.

    Raises
    ------
    UserError
        No such room was found.

    References
    ----------
    Eyring, "Reverberation time in 'dead' rooms", J. Acoust. Soc. Am. 1, 1930.
    """
    for _ in range(MOST_DRAWS):
        sides = np.array([*rng.uniform(*metres, 2), rng.uniform(*HEIGHT_METRES)])
        surface = 2 * (sides[0] * sides[1] + sides[0] * sides[2] + sides[1] * sides[2])
        longest, dead = (
            0.161 * sides.prod() / (-surface * np.log(1 - absorption)) for absorption in ABSORPTION
        )
        crossed = CROSSINGS * sides.max() / SOUND_METRES_PER_SECOND
        low, high = max(rt60_seconds[0], dead, crossed), min(rt60_seconds[1], longest)
        if low <= high and np.linalg.norm(sides - 2 * WALL_METRES) > 1.5 * nearest_metres:
            return Room(sides, float(rng.uniform(low, high)))
    raise UserError(
        f"--rt60-seconds: no {size} room ({metres[0]} to {metres[1]} m) found with a reverberation time of {rt60_seconds[0]} to "
        f"{rt60_seconds[1]} s and places {nearest_metres} m apart; change it, --{size}-metres or --distance-metres"
    )


def _draw_response(
    room: Room, distance_metres: tuple[float, float], sample_rate_hz: int, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Response between two places in a room, evenly drawn among those so far apart that measure the room's reverberation time."""
    for _ in range(MOST_DRAWS):
        source, microphone = rng.uniform(WALL_METRES, room.metres - WALL_METRES, (2, 3))
        metres = float(np.linalg.norm(source - microphone))
        if distance_metres[0] <= metres <= distance_metres[1]:
            try:
                response = room_response(
                    room.metres, source, microphone, room.rt60_seconds, sample_rate_hz, rng
                )
            except ValueError:  # between these two no walls give the room's reverberation time
                continue
            measured = decay_seconds(response.astype(np.float64) ** 2, sample_rate_hz)
            if abs(measured / room.rt60_seconds - 1) <= RT60_TOLERANCE:
                return response, metres
    raise UserError(
        f"--distance-metres: no places {distance_metres[0]} to {distance_metres[1]} m apart found in a room of "
        f"{'x'.join(f'{side:.1f}' for side in room.metres)} m; widen the range"
    )


if __name__ == "__main__":
    run(simulate_rooms)
