"""Augmentation of training crops, and of copies on disk.

`augmenter` is the section ``augmentation`` of a YAML (`Augmenter`), `chain` its transforms by name.
A transform is a class with everything about it: `noise` has `Reverb`, `Noise` and `Babble`,
`channel` has `Volume`, `BandLimit`, `Codec` and `Reverse`, `chain` has `OneOf` and `AllOf`.
`bank` reads noises and rooms, `device` runs a chain on the training device, `copies` makes
augmented copies on disk.
"""
