"""The report: one HTML file that opens offline.

`page` is the frame; `results`, `decisions`, `facts`, `trials`, `ledger`, `sound` and `similarity`
say what its parts show, and `render` makes HTML of that by the files of templates/; `plots` draws
the DET curve and histograms, `svg` and `pictures` draw without matplotlib.
"""
