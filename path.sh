# shellcheck shell=bash
# Sourced by every script from the checkout's root: byte order, PYTHONPATH, and a Python that has what requirements.txt asks for:
# the caller's own if it has it (a conda environment, a container), else a virtual environment in .venv, made once.

export LC_ALL=C PYTHONUTF8=1 PYTHONPATH=$PWD OMP_WAIT_POLICY=passive  # threads that wait sleep: spinning ones stall a shared machine

has_packages() {  # python requirements...: true if that Python is recent enough and finds every package at the version asked for, or a newer one
  "$1" -m utils.requirements "${@:2}" 2>/dev/null
}

find_environment() {  # requirements...: put a fitting python3 first on PATH; false if neither the caller's nor that of .venv is one
  has_packages python3 "$@" || { has_packages "$PWD/.venv/bin/python3" "$@" && PATH=$PWD/.venv/bin:$PATH; }
}

use_environment() {  # requirements...: the same; what is missing is installed into .venv, saying so
  local python venv=$PWD/.venv
  if ! find_environment "$@"; then
    for python in python3 python3.13 python3.12 python3.11 ""; do
      if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then break; fi
    done
    [ -n "$python" ] || { echo "path.sh: no Python 3.11, 3.12 or 3.13 on PATH; install one, or activate an environment that has it" >&2; exit 1; }
    echo "== installing $* into .venv ($("$python" --version); about 2 GB, minutes on the first run)" >&2
    [ -x "$venv/bin/pip" ] || "$python" -m venv --clear "$venv" || { echo "path.sh: cannot make .venv (Debian: apt install python3-venv)" >&2; exit 1; }
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${@/#/-r}" || { echo "path.sh: pip could not install $*; its words are above" >&2; exit 1; }
    find_environment "$@" || { echo "path.sh: .venv still lacks packages of $*; remove .venv and try again" >&2; exit 1; }
  fi
}

case " $* " in
  *" --doctor "* | *" --doctor=true "*) find_environment requirements.txt || command -v python3 >/dev/null ||  # the doctor says what is missing, and installs nothing
    { echo "bad      Python           no python3 on PATH"; echo "         -> install Python 3.11, 3.12 or 3.13, or activate an environment that has it"; exit 1; } ;;
  *) use_environment requirements.txt ;;
esac
