# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # options and run are of utils/stages.sh, packing_limits of a recipe
# Sourced by utils/stages.sh: stages 1 and 2 of every recipe.  What --vad, --channel, --trim, --split,
# --sample-rate-hz, --copies and, in a recipe that has it, --allow-pipes ask for happens here.
#   detect_speech DATA SETS [OPTION...]
#       VAD decisions of DATA/<set>; options are those of steps.compute_vad
#   pack_audio DATA PACKED SETS OPTION...
#       DATA/<set> -> PACKED/<set>; options are those of steps.pack_audio
#   pack_sets DATA PACKED SETS
#       by --trim, --sample-rate-hz and --channel, and train by --split
#   make_noise_bank BANK [--noise FOLDER] [--rirs FOLDER]
#       packed noises and room impulse responses; nothing where BANK is empty
#   make_copies SOURCE BANK POLICY COPIES [OPTION...]
#       augmented copies of the utterances of SOURCE; options are those of steps.augment_copies
#   copy_train PACKED BANK
#       where --copies is given: PACKED/train and its copies -> PACKED/$backend_train
# SETS may be several, joined by commas.  A recipe may set above its stages:
#   packing_limits=(--max-policy-fraction 0.9)   options of steps.collect_packed, for pack_audio

backend_train=train$policy  # the set that back ends are trained on

detect_speech() {
  local set named
  IFS=, read -ra named <<<"$2"
  for set in "${named[@]}"; do
    $cmd JOB=1:"$nj" "$1/$set/log/vad.JOB.log" python3 -m steps.compute_vad "$1/$set" \
      ${vad:+--config "$vad"} "${@:3}" --channel "$channel" \
      ${allow_pipes+--allow-pipes "$allow_pipes"} --job "JOB/$nj"
    run python3 -m steps.collect_vad "$1/$set" --jobs "$nj"
  done
}

pack_audio() {
  local set named
  IFS=, read -ra named <<<"$3"
  for set in "${named[@]}"; do
    $cmd JOB=1:"$nj" "$2/$set/log/pack.JOB.log" python3 -m steps.pack_audio "$1/$set" "$2/$set" \
      "${@:4}" ${allow_pipes+--allow-pipes "$allow_pipes"} --job "JOB/$nj"
    run python3 -m steps.collect_packed "$1/$set" "$2/$set" --jobs "$nj" \
      ${packing_limits[@]+"${packing_limits[@]}"}
  done
}

pack_sets() {
  local set named cut
  IFS=, read -ra named <<<"$3"
  for set in "${named[@]}"; do
    cut=false
    [ "$set" != train ] || cut=$split
    pack_audio "$1" "$2" "$set" --trim "$trim" --sample-rate-hz "$sample_rate_hz" \
      --channel "$channel" --split "$cut"
  done
}

make_noise_bank() {
  [ -z "$1" ] || run python3 -m steps.augment "$1" --sample-rate-hz "$sample_rate_hz" "${@:2}"
}

make_copies() {
  $cmd JOB=1:"$nj" "$4/log/copies.JOB.log" python3 -m steps.augment_copies "$1" "$2" "$3" "$4" \
    "${@:5}" --seed "$seed" --job "JOB/$nj"
}

copy_train() {
  [ -n "$copies" ] || return 0
  make_copies "$1/train" "${2:-none}" "$copies" "$1/$backend_train" --one-copy-per-transform
  run python3 -m steps.collect_copies "$1/train" "$1/$backend_train" --include-originals --jobs "$nj"
}
