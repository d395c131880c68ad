"""Configuration: YAML files read strictly, and objects built from their sections.

`files` reads a YAML file, with the file that it is based on; `sections` checks a section against
the signature of a class or function and builds it; `differences` compares resolved values;
`messages` describes values and types.  The names below are for other packages.
"""

from utils.config.differences import differences, first_difference, shown
from utils.config.files import read_yaml, yaml_files
from utils.config.sections import build, check_options, make, resolved_options, signature_parameters

__all__ = [
    "build",
    "check_options",
    "differences",
    "first_difference",
    "make",
    "read_yaml",
    "resolved_options",
    "shown",
    "signature_parameters",
    "yaml_files",
]
