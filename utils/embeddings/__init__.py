"""Embeddings: from a trained network into folders of Kaldi archives, and out of them.

`inputs` opens the data of a network, `inference` embeds, `protocols` define the pieces of an
utterance; `folders` and `rows` read folders of embeddings, `provenance` has their origin, `export`
and `kaldi_folders` write them for others; `baselines` are MFCC statistics.
"""
