"""The plan of a recipe: its stages, their commands, and the state of each.

``python -m utils.plan status|verify|finished``; `accept`, `clean`, `dry_run`, `why` and
`submit_all` are commands of their own.
"""
