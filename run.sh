#!/usr/bin/env bash
# Speaker verification from a folder of audio to error rates: runs one recipe, by default mini, which
# generates its corpus.
#
#   ./run.sh                                   all of recipes/mini: minutes on two CPU cores, no download
#   ./run.sh --stage 3 --stop-stage 6          some stages of it
#   ./run.sh --recipe speechocean762 --help    options and stages of another recipe
#   ./run.sh --list                            the recipes

set -euo pipefail
root=$(cd "$(dirname "$0")" && pwd)

fail_usage() { echo "run.sh: $*" >&2; exit 2; }

list_recipes() {  # each with the first sentence of its head
  local script folder title
  for script in "$root"/recipes/*/run.sh; do
    folder=$(dirname "$script")
    title=$(sed -n '2,/^#$/s/^# //p' "$script" | tr '\n' ' ')
    printf '%-16s %s\n' "${folder##*/}" "${title% }"
  done
}

recipe=mini
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --recipe)
      [ $# -ge 2 ] || fail_usage "option --recipe needs a value"
      recipe=$2
      shift 2 ;;
    --recipe=*)
      recipe=${1#*=}
      shift ;;
    --list)
      list_recipes
      exit ;;
    *)
      options+=("$1")
      shift ;;
  esac
done
[ -f "$root/recipes/$recipe/run.sh" ] ||
  fail_usage "no recipe '$recipe'; there are: $(cd "$root/recipes" && echo *)"
exec "$root/recipes/$recipe/run.sh" ${options[@]+"${options[@]}"}
