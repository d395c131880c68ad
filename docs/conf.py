"""How Sphinx builds the site: `tests/run.sh --site`, whose command stands in that script.

The source folder is the checkout, so that a link between two pages is the same here and on a code
host. Nothing is fetched while it builds.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

project = "Speaker-verification recipes"
copyright = "2026, the authors of this repository"
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/**",
    "recipes/*/*.md",
    "conf/cluster/README.md",
    "tests/fuzz/README.md",
    "tests/bench/*.md",
    "tests/golden/**.md",
]
exclude_patterns = ["docs/_build", "docs/extra", ".venv", ".git", "recipes/*/data", "recipes/*/exp"]

# A heading is a target as it is on a code host: #what-you-can-rely-on.
myst_heading_anchors = 4

default_role = "literal"
autodoc_typehints = (
    "none"  # the signature shows them; numpydoc's entries repeat the types that matter
)
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
add_module_names = False
nitpicky = False

html_theme = "pydata_sphinx_theme"
html_title = project
html_extra_path = ["extra"]  # index.html, which leads to docs/index.html
html_show_sourcelink = False
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False}
