"""Packed audio: 16-bit waves in a few large Kaldi archives.

`packer` writes them, `reader` reads crops of them (`PackedReader`), `facts` tells what was done to
the audio (`vad_of`, `cut_of`, `augmentation_of`).
"""
