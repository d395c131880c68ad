"""Embeddings: from a trained network into folders of Kaldi archives, and out of them.

`inputs` opens what a network is fed from, `inference` embeds, `protocols` says which pieces of an
utterance; `folders` and `rows` read folders of embeddings, `provenance` tells where they come from,
`export` and `kaldi_folders` hand them on; `baselines` are MFCC statistics.
"""
