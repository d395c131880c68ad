"""Packed audio: 16-bit waves in a few large Kaldi archives.

`packer` writes them (`Packer`), `reader` reads crops of them (`PackedReader`), `facts` has how the
audio was made (`vad_of`, `cut_of`, `augmentation_of`).
"""
