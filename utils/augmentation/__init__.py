"""Augmentation of training crops and of copies on disk.

`augmenter` is the section ``augmentation`` of a YAML (`Augmenter`); `chain` has the transforms by
name; `signal`, `noise`, `channel` and `codecs` hold them; `bank` opens noise and rooms; `device`
runs a chain on the training device; `copies` makes augmented copies on disk; `record` writes down
what was drawn.
"""
