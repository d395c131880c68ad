"""Files that others wrote: pickles, torch, HDF5, Keras and TensorFlow weights, read without running
anything that stands in them.

`pickles` is the restricted unpickler, `torch_load` and `torch_state` read torch's files, `hdf5`
guards HDF5's library, `keras` and `tensorflow` read weights, `tables` and `assign` map them to our
networks (one YAML for each kind).
"""
