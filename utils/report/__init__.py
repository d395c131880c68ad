"""The report: one HTML file that opens offline.

`page` is the frame; `results`, `trials`, `ledger`, `sound` and `similarity` are its parts; `plots`
draws the DET curve and histograms, `svg` and `pictures` draw without matplotlib.
"""
