"""Time of the front ends per crop: one crop at a time on one core, or batches on a device.

kaldi-native-fbank and librosa run on one core for comparison.

    python -m tests.bench.bench_features
    python -m tests.bench.bench_features --device cuda
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from utils.cli import run
from utils.features.registry import make_front_end
from utils.features.sinc import AnalyticSincBank, SincBank

RATE = 16000
FRONT_ENDS = {
    "kaldi_fbank 80": {"name": "kaldi_fbank"},
    "kaldi_fbank 80, utterance mean": {"name": "kaldi_fbank", "normalisation": "utterance_mean"},
    "kaldi_fbank 80, sliding mean": {"name": "kaldi_fbank", "normalisation": "sliding"},
    "kaldi_mfcc 30, no snipped edges": {"name": "kaldi_mfcc"},
    "spectrogram, frame": {"name": "spectrogram", "normalisation": "frame"},
    "librosa_log_mel 40, 16 kHz": {
        "name": "librosa_log_mel",
        "sample_rate_hz": RATE,
        "window_samples": 400,
        "hop_samples": 160,
    },
    "psf_fbank 64": {"name": "psf_fbank"},
    "waveform of RawNet3": {
        "name": "waveform",
        "preemphasis": 0.97,
        "preemphasis_edge": "mirror",
        "instance_norm": "trained",
    },
}
BANKS = {
    "sinc bank of RawNet2": SincBank,
    "analytic sinc bank of RawNet3": lambda: AnalyticSincBank(stride_samples=10),
}


def bench_features(
    *, crop_seconds: float = 2.0, num_crops: int = 200, device: str = "cpu", batch: int = 256
) -> dict:
    """Print the time of every front end.

    Parameters
    ----------
    crop_seconds : float
        Length of the crops.
    num_crops : int
        Number of timed crops, one at a time; on another device than ``cpu``: of batches.
    device : str
        ``cpu``: one core; otherwise where the batches are computed.
    batch : int
        Crops of a batch, on another device than ``cpu``.

    Returns
    -------
    dict
        Milliseconds a crop of each row.
    """
    torch.set_num_threads(1)
    rows = 1 if device == "cpu" else batch
    crops_BS = torch.from_numpy(
        np.random.default_rng(0)
        .normal(0, 0.1, (rows, round(crop_seconds * RATE)))
        .astype(np.float32)
    )
    lengths_B = torch.full((rows,), crops_BS.shape[1])
    others = reference_calls(crops_BS[0].numpy())
    milliseconds = {name: timed(work, min(num_crops, 50)) for name, work in others.items()}
    on_device_BS = crops_BS.to(device)
    with torch.no_grad():
        for name, options in FRONT_ENDS.items():
            front_end = make_front_end(options).to(device)
            milliseconds[name] = (
                timed(
                    lambda front_end=front_end: front_end(on_device_BS, lengths_B),
                    num_crops,
                    device,
                )
                / rows
            )
        for name, kind in BANKS.items():
            bank = kind().to(device)
            milliseconds[name] = (
                timed(lambda bank=bank: bank(on_device_BS), num_crops, device) / rows
            )
    kaldi = milliseconds["kaldi-native-fbank 80"]
    where = f"{device}, batches of {batch}"
    if device == "cpu":
        where = "one core"
    elif "cuda" in device:
        where = f"{torch.cuda.get_device_name()}, batches of {batch}"
    title = f"crops of {crop_seconds} s, {where}"
    print(f"{title:60}{'ms a crop':>12}{'crops a second':>16}{'of kaldi-native-fbank':>24}")
    for name, value in milliseconds.items():
        label = name
        if name in others and device != "cpu":
            label = f"{name} (one core)"
        print(f"{label:60}{value:12.4f}{1000 / value:16,.0f}{value / kaldi:24.3f}")
    return milliseconds


def reference_calls(samples: np.ndarray) -> dict[str, Callable]:
    """Calls that compute features of one crop, at 16 kHz, with other packages."""
    import kaldi_native_fbank
    import librosa

    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither, options.mel_opts.num_bins = 0, 80
    scaled = (samples * 32768).tolist()  # its fastest input; making the list is not counted

    def fbank():
        computer = kaldi_native_fbank.OnlineFbank(options)
        computer.accept_waveform(RATE, scaled)
        computer.input_finished()
        return np.stack([computer.get_frame(k) for k in range(computer.num_frames_ready)])

    sizes = {"n_fft": 512, "win_length": 400, "hop_length": 160, "pad_mode": "reflect"}
    return {
        "kaldi-native-fbank 80": fbank,
        "librosa, magnitudes of stft": lambda: np.abs(librosa.stft(samples, **sizes)),
        "librosa, log mel 40": lambda: np.log10(
            librosa.feature.melspectrogram(y=samples, sr=RATE, n_mels=40, **sizes) + 1e-6
        ),
    }


def timed(work: Callable[[], object], count: int, device: str = "cpu") -> float:
    """Median milliseconds of a call, after ten to warm up: core time on the CPU, else elapsed."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    durations = []
    for _ in range(10 + count):
        start = clock()
        work()
        if device != "cpu":
            torch.accelerator.synchronize()
        durations.append(clock() - start)
    return 1000 * float(np.median(durations[10:]))


if __name__ == "__main__":
    run(bench_features)
