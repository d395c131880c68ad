#!/usr/bin/env bash
# Lint and tests, in an environment made like that of ./run.sh (requirements.txt and requirements-test.txt,
# for the site requirements-docs.txt too).
# System packages are never installed.
#
#   tests/run.sh                            lint, the fast tests, mini whole, one tiny run of every recipe
#   tests/run.sh --rest                     what the first leaves out: slow tests, schedulers, the site
#   tests/run.sh -m long                    very long proofs: docs/promises.md
#   tests/run.sh --lint                     ruff, mypy, import-linter, shellcheck
#   tests/run.sh --site                     the pages of docs/ and the reference, into docs/_build
#   tests/run.sh -m "not slow"              whatever pytest takes: here the fast tests alone
#   tests/run.sh tests/utils -k archive
#   tests/run.sh -m cluster -n 0            launchers against a false scheduler, and a real Slurm and
#                                           Grid Engine where they are installed

set -euo pipefail
cd "$(dirname "$0")/.."
. ./path.sh
requirements=(requirements.txt requirements-test.txt)
case ${1-} in --rest | --site) requirements+=(requirements-docs.txt) ;; esac
use_environment "${requirements[@]}"
export OMP_NUM_THREADS=1  # of each of the two test processes

step() {  # COMMAND...: say it, do it
  echo "== $*" >&2
  "$@"
}

both_cores() {  # ARGUMENT...: pytest in two processes
  step python3 -m pytest -n 2 --dist worksteal "$@"
}

lint() {
  step ruff format --check --quiet
  step ruff check --quiet
  step lint-imports --no-logo
  step mypy
  step shellcheck -x run.sh path.sh utils/*.sh recipes/*/*.sh tests/run.sh .ci/run
}

site() {  # a warning, a dead link or a malformed docstring fails; its line says file and line
  step python3 -m sphinx -q -E -W --keep-going -c docs . docs/_build
}

case ${1-} in
  "")
    lint
    step python3 -m pytest -s tests/recipes/test_mini.py  # alone: it is timed, and takes both cores
    both_cores -m "not slow or whole"
    ;;
  --lint)
    lint
    ;;
  --site)
    site
    ;;
  --rest)
    site
    both_cores -m "slow and not (whole or cluster or long)" --ignore tests/recipes/test_mini.py
    # Schedulers start processes of their own: alone.
    step python3 -m pytest -m "cluster and not long" tests/cluster tests/utils/launchers
    ;;
  *)
    lint
    both_cores "$@"
    ;;
esac
