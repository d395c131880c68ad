"""Prepare augmentation: pack noises and room responses into a bank that training reads crops from.

python -m steps.augment data/full/packed_16000/bank --noise data/full/noise --rirs data/full/rirs
"""

from pathlib import Path

from utils.augmentation.planned import note_bank
from utils.cli import run
from utils.data_dir.ledger import MAX_POLICY_FRACTION, MAX_UNREADABLE_FRACTION
from utils.errors import UserError, WrongArguments
from utils.receipts import Task, data_dir_inputs

FORMAT = 1


def augment(
    bank: Path,
    *,
    noise: Path | None = None,
    rirs: Path | None = None,
    sample_rate_hz: int = 16000,
    allow_pipes: bool = False,
    root: Path | None = None,
    max_unreadable_fraction: float = MAX_UNREADABLE_FRACTION,
    max_policy_fraction: float = MAX_POLICY_FRACTION,
) -> dict:
    """Write the bank: ``noise`` and ``rirs`` with ``.{ark,scp,num_samples,dropped}``, and types.

    ``noise.utt2type`` has the types of the noises.  Room responses have their peak at 10 ms, at
    half of full scale.  Silence is dropped by policy.

    Parameters
    ----------
    bank : path
        Folder to write.
    noise : path or None
        Data directory of noises; ``utt2type`` or ``utt2condition`` has their types, which are
        ``noise`` otherwise.
    rirs : path or None
        Data directory of room impulse responses.
    sample_rate_hz : int
        Rate of the training audio.
    allow_pipes : bool
        Run the commands that a wav.scp may hold.
    root : path or None
        Folder that relative paths in the wav.scp start from.
    max_unreadable_fraction, max_policy_fraction : float
        Largest fraction of files that may be unreadable, or silent; one always may.

    Returns
    -------
    dict
        The ledgers' counts of noises and of rooms.

    Raises
    ------
    UserError
        Nothing to pack, or too much is dropped.
    """
    sources: dict[str, Path] = {}
    if noise is not None:
        sources["noise"] = noise
    if rirs is not None:
        sources["rirs"] = rirs
    if not sources:
        raise WrongArguments(f"{bank}: nothing to put into the bank; give --noise, --rirs or both")
    inputs: dict[str, Path] = {}
    for kind, source in sources.items():
        lists = data_dir_inputs(source, "wav.scp", "segments", "utt2type", "utt2condition")
        inputs |= {f"{kind} {label}": path for label, path in lists.items()}
    task = Task(
        bank,
        "augment",
        format=FORMAT,
        inputs=inputs,
        options={"sample_rate_hz": sample_rate_hz, "root": root},
        expensive=True,
    )
    note_bank(bank, noise, rirs)
    if task.is_done():
        return task.counts
    from utils.audio import UtteranceReader
    from utils.augmentation.signal import align_response
    from utils.data_dir import read_data_dir, write_map
    from utils.data_dir.ledger import Ledger
    from utils.packed.packer import Packer

    outputs, counts = [], {}
    for kind, source in sources.items():
        data = read_data_dir(source, allow_pipes=allow_pipes, needs_audio=True)
        reader = UtteranceReader(data.wav_scp, data.segments, allow_pipes=allow_pipes, root=root)
        transform = align_response if kind == "rirs" else None
        packer = Packer(reader, Ledger(source), sample_rate_hz, transform=transform)
        outputs += packer.write(bank / kind, sorted(data.utt2spk))
        if not packer.num_samples:
            raise UserError(
                f"{source}: no {kind} left to put into the bank; see {bank / kind}.dropped"
            )
        packer.ledger.check_limits(max_unreadable_fraction, max_policy_fraction)
        counts[kind] = packer.counts
        if kind == "noise":
            types = data.maps.get("utt2type") or data.maps.get("utt2condition") or {}
            packed_types = {name: types.get(name, "noise") for name in packer.num_samples}
            write_map(bank / "noise.utt2type", packed_types)
            outputs.append(bank / "noise.utt2type")
    return task.finish(outputs, counts)


if __name__ == "__main__":
    run(augment)
