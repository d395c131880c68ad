"""The report: one HTML file that opens offline.

`page` is the frame.  `results`, `decisions`, `facts`, `trials`, `ledger`, `sound` and `similarity`
prepare the content of its parts; `render` makes HTML of it with the files of templates/.  `plots`
draws DET curves and histograms on the SVG drawings of `svg`; `pictures` draws sound.
"""
