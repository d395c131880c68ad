"""Front ends on a GPU give what they give on the host; skipped where there is none."""

import pytest
import torch

from tests.utils.features.test_registry import CASES, input_of, named
from tests.utils.features.test_waveform import BANKS
from utils.features.registry import make_front_end

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("lengths_on", ["cpu", "cuda"])
@pytest.mark.parametrize("normalisation", ["none", "frame", "utterance_mean_variance", "sliding"])
@pytest.mark.parametrize("options", CASES, ids=named)
def test_features_of_host_and_gpu_agree(options, normalisation, lengths_on):
    front_end = make_front_end(options | {"normalisation": normalisation})
    for lengths in ([8000, 8000], [8000, 5001, front_end.min_samples(2)]):
        lengths_B = torch.tensor(lengths)
        padded = torch.stack([input_of(front_end, 8000, seed=row) for row in range(len(lengths))])
        host_BTF, host_frames_B = front_end.to("cpu")(padded, lengths_B)
        found_BTF, found_frames_B = front_end.to("cuda")(padded.cuda(), lengths_B.to(lengths_on))
        assert found_frames_B.tolist() == host_frames_B.tolist()
        assert found_BTF.is_cuda
        scale = max(1.0, host_BTF.abs().max().item())
        print(
            f"{named(options)}, {normalisation}: largest difference "
            f"{(found_BTF.cpu() - host_BTF).abs().max().item() / scale:.1e} of {scale:.1e}"
        )
        torch.testing.assert_close(found_BTF.cpu() / scale, host_BTF / scale, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", BANKS)
def test_sinc_banks_of_host_and_gpu_agree(name, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    kind, options = BANKS[name]
    bank, waveforms_BS = (
        kind(**options),
        torch.stack([torch.sin(torch.arange(8000) * 0.3), torch.cos(torch.arange(8000) * 0.7)]),
    )
    host_BCT = bank(waveforms_BS)
    torch.testing.assert_close(
        bank.cuda()(waveforms_BS.cuda()).cpu(), host_BCT, atol=1e-4, rtol=1e-4
    )
