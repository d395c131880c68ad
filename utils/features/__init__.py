"""Front ends, which turn waveforms into features, as torch modules; and stored features.

`registry` has them by name (`FRONT_ENDS`, `make_front_end`); `base` is what they share
(`FrontEnd`); `kaldi`, `mel`, `spectra`, `sinc`, `waveform` and `precomputed` are the front ends;
`normalisation` is their last step; `offline` computes features to store, `reader` reads a
feats.scp without torch.
"""
