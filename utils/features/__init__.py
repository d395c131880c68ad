"""Front ends: waveforms in, features out, as torch modules.

`registry` has them by name (`FRONT_ENDS`, `make_front_end`); `base` is what they share
(`FrontEnd`); `kaldi`, `mel`, `spectra`, `sinc`, `waveform` and `precomputed` are the front ends;
`normalisation` what they end with; `offline` writes feats.scp, `reader` reads it, without torch.
"""
