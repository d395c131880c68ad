# shellcheck shell=bash
# Sourced by every script from the checkout's root: byte order, PYTHONPATH, and a Python with the packages of
# requirements.txt: the caller's own if it has them (a conda environment, a container), else a virtual
# environment in .venv, which is made once.

export LC_ALL=C PYTHONUTF8=1 PYTHONPATH=$PWD
export OMP_WAIT_POLICY=passive  # threads that wait sleep: spinning ones stall a shared machine

# PYTHON REQUIREMENTS...: true if that Python is recent enough and has every package in a sufficient version.
has_packages() {
  "$1" -m utils.requirements "${@:2}" 2>/dev/null
}

# REQUIREMENTS...: puts a suitable python3 first on PATH; false if neither the caller's nor .venv's is.
find_environment() {
  has_packages python3 "$@" || { has_packages "$PWD/.venv/bin/python3" "$@" && PATH=$PWD/.venv/bin:$PATH; }
}

fail_environment() {  # MESSAGE...: why there is no environment, and what to do
  echo "path.sh: $*" >&2
  exit 1
}

use_environment() {  # REQUIREMENTS...: as find_environment, but installs missing packages into .venv
  local python venv=$PWD/.venv
  if ! find_environment "$@"; then
    for python in python3 python3.13 python3.12 python3.11 ""; do
      if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        break
      fi
    done
    [ -n "$python" ] || fail_environment "no Python 3.11, 3.12 or 3.13 on PATH;" \
      "install one, or activate an environment that has it"
    echo "== installing $* into .venv ($("$python" --version); about 2 GB, minutes on the first run)" >&2
    [ -x "$venv/bin/pip" ] || "$python" -m venv --clear "$venv" ||
      fail_environment "cannot make .venv (Debian: apt install python3-venv)"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${@/#/-r}" ||
      fail_environment "pip could not install $*; its message is above"
    find_environment "$@" || fail_environment ".venv still lacks packages of $*; remove .venv and try again"
  fi
}

case " $* " in
  *" --doctor "* | *" --doctor=true "*)  # the doctor reports what is missing, and installs nothing
    find_environment requirements.txt || command -v python3 >/dev/null || {
      echo "bad      Python           no python3 on PATH"
      echo "         -> install Python 3.11, 3.12 or 3.13, or activate an environment that has it"
      exit 1
    } ;;
  *) use_environment requirements.txt ;;
esac
