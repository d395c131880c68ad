"""Files of other programs, read without running code that they contain.

`torch_state` (PyTorch), `keras`, `tensorflow`, `hdf5` and `pickles` each have a function for one
format, ``read_*``.  All of them read in the same sandbox: `sandbox.read_in_sandbox` starts
`child`, a process that does not load torch, can write no file, and has limits of memory and time.
The child calls the second function of the format's module (``state_arrays``, ``keras_weights``
...) and returns a line of JSON (names, types and shapes) and the raw bytes of the arrays; the
parent checks every size before it makes an array.  A new format needs such a pair of functions and
nothing else.  A fault of a file is a ValueError, OSError and the like in the second function, or an
UnexpectedContentError where the message is better without "damaged".

A pickle may name only what is in the allow-lists `pickles.NAMES` and `torch_state.TORCH_NAMES`;
each name there stands for a function of ours, never for the object of that name.  Whoever adds a
name checks that its function does nothing with its arguments that a hostile file could use.

`tables`, `assign` and `transforms` map the arrays to our networks, by one YAML for each kind of
file.  Our own checkpoints are not read here: utils.training.torch_load reads them by
``torch.load(weights_only=True)``.
"""
