"""Packed audio: 16-bit waves in a few large Kaldi archives.

`packer` writes them (`Packer`), `reader` reads crops of them (`PackedReader`), `facts` has how the
audio was made (`vad_when_packed`, `describe_cut`, `describe_augmentation`).
"""
