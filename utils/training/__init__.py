"""Training a network: settings, draws, the loop, checkpoints.

`settings` is the YAML (`read_phases`, `Settings`), with `phases`, `crops` and `precision`;
`sampling` and `draw_order` say which crop is drawn when; `schedules` and `optimizers` are by name.
`objective` is network and loss, `setup` what they begin with; `trainer` is the loop, `validation`
its EER; `checkpoints`, `experiment` and `log` are what it leaves.  Settings load no torch.
"""
