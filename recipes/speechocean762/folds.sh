# shellcheck shell=bash
# shellcheck disable=SC2034  # what read_options sets is for the scripts
# Sourced by the comparisons over the four folds, from the folder that they were called in.
#   read_options OPTION...   refuses options of run.sh that change the folder of an experiment, and sets
#     recipe    the folder of run.sh
#     root      the checkout, whose environment is in use then
#     workdir   of --workdir, or the recipe
#     home      the same, relative to the checkout if it is inside
#     folds     of FOLDS="1 2", or all four
#   step NAME ARGUMENT...   runs one step in the checkout, as a recipe does

read_options() {
  local here options=("$@") index
  here=$(dirname "${BASH_SOURCE[0]}")
  recipe=$(realpath "$here")
  root=$(realpath "$recipe/../..")
  workdir=$recipe
  for ((index = 0; index < $#; index++)); do
    case ${options[index]} in
      --workdir) workdir=${options[index + 1]} ;;
      --workdir=*) workdir=${options[index]#*=} ;;
      --fold* | --seed* | --name* | --vad* | --trim* | --split* | --augmentation* | --copies* | --sample* | \
        --backend* | --config*)
        echo "$0: ${options[index]} is not for this comparison" >&2
        exit 2 ;;
    esac
  done
  workdir=$(realpath -m "$workdir")
  home=${workdir#"$root"/}
  read -ra folds <<<"${FOLDS:-1 2 3 4}"
  here=$PWD
  cd "$root" && . ./path.sh && cd "$here" || exit
}

step() { (cd "$root" && python3 -m "steps.$1" "${@:2}"); }
