"""The compute device of a process, and the processes of a distributed training (torchrun)."""

import ctypes
import os
import sys

import numpy as np
import torch

from utils.errors import UserError

# Values of ONEDNN_MAX_CPU_ISA that disable a processor's bf16 units.
WITHOUT_BF16 = {
    "SSE41",
    "AVX",
    "AVX2",
    "AVX2_VNNI",
    "AVX2_VNNI_2",
    "AVX512_CORE",
    "AVX512_CORE_VNNI",
}


def use_device(device: str, num_threads: int) -> None:
    """Set up this process for ``cpu`` or ``cuda``; sums on a CPU depend on the number of threads.

    Raises
    ------
    UserError
        There is no such device.
    """
    require_device(device)
    torch.set_num_threads(num_threads)
    keep_freed_memory()
    # torch.use_deterministic_algorithms would import the compiler: a second per process.
    if device == "cpu":
        torch.set_deterministic_debug_mode("error")
    else:
        torch.set_deterministic_debug_mode("default")  # some layers have no deterministic form
    # Filling new memory guards against bugs in operators; it costs 5 % of a step.
    deterministic = torch.utils.deterministic
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property


def require_device(device: str) -> None:
    """Refuse ``cuda`` where there is none.

    Raises
    ------
    UserError
        There is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "--device cuda: no CUDA device is visible, or this torch is built without CUDA; "
            "choose --device cpu"
        )


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for later tensors; without glibc nothing changes.

    By default it returns large blocks to the kernel, which clears each page before it is used
    again: more than half of a training step on a CPU (tests/bench/bench_training.py,
    `--return-memory true`).
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt:
        m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4  # malloc.h
        mallopt(m_mmap_max, 0)  # take large blocks from the heap, too
        mallopt(m_trim_threshold, -1)  # and never shrink the heap
        mallopt(m_top_pad, 2**28)


def multiplies_bf16(device: str) -> bool:
    """Whether a device multiplies bf16 in hardware; else bf16 is 5 to 11 times slower than fp32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    if limit.upper() in WITHOUT_BF16:
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def join_processes(device: str) -> None:
    """Join the process group of torchrun; on ``cuda`` the local rank is the number of the GPU."""
    if "WORLD_SIZE" not in os.environ:
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        torch.distributed.init_process_group("nccl")
    else:
        torch.distributed.init_process_group("gloo")


def rank_and_world() -> tuple[int, int]:
    """Rank of this process, from 0, and the number of processes."""
    if not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def sum_over_processes(array: np.ndarray, device: torch.device) -> np.ndarray:
    """Sum of the arrays of all processes, of the same shape in each; NCCL needs them on the GPU."""
    if rank_and_world()[1] == 1:
        return array
    total = torch.from_numpy(array).to(device)
    torch.distributed.all_reduce(total)
    return total.cpu().numpy()
