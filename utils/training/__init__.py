"""Training a network: settings, draws, the loop, checkpoints.

`settings` is the YAML (`read_phases`, `Settings`) and `phases` its phases; `sampling` and `draw_order` say which crop is drawn when; `schedules` and
`optimizers` are by name; `objective` is network and loss; `trainer` is the loop; `checkpoints`, `experiment`, `log` are what it leaves.  Settings load
no torch.
"""
