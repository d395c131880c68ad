#!/usr/bin/env bash
# Speaker verification from a folder of audio to error rates: runs one recipe, by default the small generated one.
#
#   ./run.sh                                   recipes/mini whole: minutes on two CPU cores, no download
#   ./run.sh --stage 3 --stop-stage 6          some stages of it
#   ./run.sh --recipe speechocean762 --help    another recipe's options and stages
#   ./run.sh --list                            the recipes

set -euo pipefail
root=$(cd "$(dirname "$0")" && pwd)

recipe=mini
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --recipe) [ $# -ge 2 ] || { echo "run.sh: option --recipe needs a value" >&2; exit 2; }; recipe=$2; shift 2 ;;
    --recipe=*) recipe=${1#*=}; shift ;;
    --list) for script in "$root"/recipes/*/run.sh; do printf '%-16s %s\n' "$(basename "$(dirname "$script")")" "$(sed -n '2s/^# //p' "$script")"; done; exit ;;
    *) options+=("$1"); shift ;;
  esac
done
[ -f "$root/recipes/$recipe/run.sh" ] || { echo "run.sh: no recipe '$recipe'; there are: $(cd "$root/recipes" && echo *)" >&2; exit 2; }
exec "$root/recipes/$recipe/run.sh" ${options[@]+"${options[@]}"}
