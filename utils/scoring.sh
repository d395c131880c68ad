# shellcheck shell=bash
# shellcheck disable=SC2154  # options, run and fail_usage are of utils/stages.sh, policy of the recipe
# Sourced by utils/stages.sh: what stages 5 to 7 of every recipe have in common.  What --backend, --score-norm, --calibrate, --fuse and
# --operating-points ask for happens here, so that no recipe says it again.  A scorer is a back end's name, and that of the augmented copies behind it.
#   train_backends EMBEDDINGS UTT2SPK OUTPUT [OPTION...]  each back end, as OUTPUT/<scorer>; options are those of steps.train_backend
#   score_trials BACKEND EMBEDDINGS DATA SET...           one back end; EMBEDDINGS/<set>, DATA/<set>/trials -> scores/<set>/ beside EMBEDDINGS
#   score_systems EXP COHORT DATA DEV TEST...             each back end of EXP, normalised by the speakers of EXP/embeddings/COHORT; calibrated and fused
#                                                         by the trials of DEV
#   evaluate_systems EXP DATA TRAIN DEV [OTHER...]        error rates of EXP and of other experiments; TRAIN and DEV: data directories

IFS=, read -ra backends <<<"$backend"
leave=()
[ "$allow_leakage" = false ] || leave=(--allow-leakage true)
[ ${#backends[@]} -gt 0 ] || backends=("")
IFS=, read -ra fused_with <<<"$fuse_with"
[ "$fuse" = false ] || [ $((${#backends[@]} * (1 + ${#fused_with[@]}))) -gt 1 ] || fail_usage "--fuse needs several systems: --backend A,B or --fuse-with EXP"

scorer_of() {  # [YAML]
  local name=${1:-cosine}
  name=${name##*/}
  echo "${name%.yaml}${policy-}"
}

train_backends() {
  local file
  for file in "${backends[@]}"; do
    run python3 -m steps.train_backend "$1" "$3/$(scorer_of "$file")" ${file:+--config "$file" --utt2spk "$2"} "${@:4}"
  done
}

score_trials() {
  local set
  for set in "${@:4}"; do
    run python3 -m steps.score "$1" "$2/$set" "$3/$set/trials" "$(dirname "$2")/scores/$set/${1##*/}.scores"
  done
}

score_systems() {
  local exp=$1 cohort=$2 data=$3 dev=$4 tests=("${@:5}") suffix=calibrated file scorer set other scorers=() all=()
  for file in "${backends[@]}"; do
    scorer=$(scorer_of "$file")
    score_trials "$exp/backend/$scorer" "$exp/embeddings" "$data" "$dev" "${tests[@]}"
    if [ "$score_norm" != none ]; then
      for set in "$dev" "${tests[@]}"; do
        run python3 -m steps.normalise_scores "$exp/scores/$set/$scorer.scores" "$exp/backend/$scorer" "$exp/embeddings/$set" "$data/$set" \
          "$exp/embeddings/$cohort" "$exp/scores/$set/${scorer}_$score_norm.scores" --method "$score_norm" ${top_k:+--top-k "$top_k"} \
          ${leave[@]+"${leave[@]}"}
      done
      scorer=${scorer}_$score_norm
    fi
    scorers+=("$scorer")
  done
  if [ "$calibrate" = quality ]; then
    suffix=quality
    for set in "$dev" "${tests[@]}"; do run python3 -m steps.measure_norms "$exp/embeddings/$set" "$exp/measures/$set"; done
  fi
  for scorer in "${scorers[@]}"; do
    [ "$calibrate" = false ] || calibrate_trials "${scorer}_$suffix" "$exp/scores//$scorer"
    for other in "$exp" ${fused_with[@]+"${fused_with[@]}"}; do all+=("$other/scores//$scorer"); done
  done
  [ "$fuse" = false ] || calibrate_trials fused "${all[@]}"
}

calibrate_trials() {  # NAME SYSTEM...  a system is EXP/scores//SCORER; called by score_systems, whose names it sees
  local set files measures
  files_of "$dev" "${@:2}"
  run python3 -m steps.calibrate "${files[@]}" "$data/$dev" "$exp/calibration/$1" ${measures[@]+"${measures[@]}"}
  for set in "${tests[@]}"; do
    files_of "$set" "${@:2}"
    run python3 -m steps.apply_calibration "$exp/calibration/$1" "${files[@]}" "$data/$set" "$exp/scores/$set/$1.scores" \
      ${measures[@]+"${measures[@]}"} ${leave[@]+"${leave[@]}"}
  done
}

files_of() {  # SET SYSTEM...
  local system
  files=() measures=()
  for system in "${@:2}"; do files+=("${system%%//*}/$1/${system##*//}.scores"); done
  [ "$calibrate" != quality ] || measures=(--measures "[$data/$1/utt2dur, $exp/measures/$1/utt2norm]")
}

evaluate_systems() {
  local exp=$1 data=$2 others learnt=(--train "[$3]" --dev "[$4]" --backend-training "[$3]")
  [ "$score_norm" = none ] || learnt+=(--cohort "[$3]")
  [ "$calibrate$fuse" = falsefalse ] || learnt+=(--calibration "[$4]")
  shift 4
  others=$(IFS=,; echo "$*")
  run python3 -m steps.evaluate "$exp" "$data" ${others:+--others "[$others]"} "${learnt[@]}" ${leave[@]+"${leave[@]}"} \
    ${operating_points:+--operating-points "$operating_points"}
}
