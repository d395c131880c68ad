"""Prints the part of a folder's name that an override gives.

    python -m utils.config "optimizer.learning_rate=1e-3,loss.margin=0.3"

Exit code 2: the override is wrong.
"""

import sys

from utils.config.override import override_name, parse_override
from utils.errors import UserError


def main(text: str) -> int:
    """Print the name of an override."""
    try:
        print(override_name(parse_override(text)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
