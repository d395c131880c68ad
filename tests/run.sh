#!/usr/bin/env bash
# Lint and tests, in an environment made like that of ./run.sh (requirements.txt and requirements-test.txt); system packages are never installed.
#
#   tests/run.sh                            everything, the whole mini recipe included
#   tests/run.sh -m "not slow"              the fast ones: a few minutes
#   tests/run.sh -m cluster -n 0            launchers against a false scheduler, and a real Slurm and Grid Engine where installed
#   tests/run.sh tests/utils -k archive     whatever pytest takes

set -euo pipefail
cd "$(dirname "$0")/.."
. ./path.sh
use_environment requirements.txt requirements-test.txt
export OMP_NUM_THREADS=1  # of each of the two test processes

step() {  # COMMAND...: say it, do it
  echo "== $*" >&2
  "$@"
}

step ruff check
step shellcheck -x run.sh path.sh utils/stages.sh recipes/*/run.sh tests/run.sh .ci/run
if [ $# -gt 0 ]; then
  step python3 -m pytest -n 2 --dist worksteal "$@"
else
  step python3 -m pytest -s tests/recipes/test_mini.py  # alone: it is timed, and takes both cores
  step python3 -m pytest -n 2 --dist worksteal -m "not cluster" --ignore tests/recipes/test_mini.py
  step python3 -m pytest -m cluster  # schedulers start processes of their own: alone
fi
