"""Configuration: YAML files read strictly, and objects built from their sections.

`files` reads a YAML file, with the file that it is based on; `override` reads values of the
command line that replace those of a YAML; `sections` checks a section against
the signature of a class or function and builds it; `differences` compares resolved values;
`messages` describes values and types.  The names below are for other packages.
"""

from utils.config.differences import differences, first_difference, shown
from utils.config.files import merge, read_yaml, yaml_files
from utils.config.override import (
    WITH_OVERRIDE,
    canonical_override,
    override_leaves,
    override_name,
    override_option,
    parse_override,
    section_of_override,
)
from utils.config.sections import (
    build,
    check_options,
    make,
    refusal,
    resolved_options,
    signature_parameters,
)

__all__ = [
    "WITH_OVERRIDE",
    "build",
    "canonical_override",
    "check_options",
    "differences",
    "first_difference",
    "make",
    "merge",
    "override_leaves",
    "override_name",
    "override_option",
    "parse_override",
    "read_yaml",
    "refusal",
    "resolved_options",
    "section_of_override",
    "shown",
    "signature_parameters",
    "yaml_files",
]
