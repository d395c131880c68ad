#!/usr/bin/env bash
# Does fine-tuning a published network help?  recipes/own fine-tunes it in each of the four folds on the
# fold's training speakers; the dev speakers choose the step.  The test trials of all folds are then pooled.
#
#   recipes/speechocean762/compare_fine_tuning.sh --corpus DIR [--workdir DIR] [--num-threads 1 ...]
#
# Options are those of run.sh that do not change the folder of an experiment.  MODELS="ecapa": another network
# than campplus; FOLDS="1 2": fewer folds.
# Result: exp/fine_tuning-<network>/{report.html,results.md,...} beside run.sh or under --workdir: the network
# fine-tuned, and untouched, both centred by the mean of the training speakers, and untouched with plain
# cosine.  All are calibrated on the dev trials of their fold.

set -euo pipefail
here=$(dirname "$0")
# shellcheck source=recipes/speechocean762/folds.sh
. "$here/folds.sh"
read_options "$@"
cd "$root"
read -ra models <<<"${MODELS:-campplus}"

score_plain() {  # EXP DATA: untouched embeddings of dev and test, calibrated on dev
  local set learned=$1/calibration/plain_cosine_calibrated
  step train_backend "$1/embeddings/train" "$1/backend/plain_cosine" --subtract-mean false
  for set in dev test; do
    step score "$1/backend/plain_cosine" "$1/embeddings/$set" "$2/$set/trials" \
      "$1/scores/$set/plain_cosine.scores"
  done
  step calibrate "$1/scores/dev/plain_cosine.scores" "$2/dev" "$learned"
  step apply_calibration "$learned" "$1/scores/test/plain_cosine.scores" "$2/test" \
    "$1/scores/test/plain_cosine_calibrated.scores"
}

for fold in "${folds[@]}"; do
  "$recipe/run.sh" "$@" --fold "$fold" --stop-stage 2
done
for model in "${models[@]}"; do
  experiments=()
  data=()
  for fold in "${folds[@]}"; do
    corpus=$home/data/fold$fold
    recipes/own/run.sh "$@" --corpus "$corpus" --workdir "$workdir/own" --model "$model" --fine-tune \
      --public-corpus true --calibrate true
    packed=$home/own/data/fold$fold/packed_16000
    untouched=$home/own/exp/$model-fold$fold
    score_plain "$untouched" "$packed"
    experiments+=("$home/own/exp/${model}_finetune-$model-fold$fold" "$untouched")
    data+=("$packed")
  done
  listed=$(IFS=,; echo "${experiments[*]}")
  step compare "${data[@]}" "$home/exp/fine_tuning-$model" --sets "[test]" --experiments "[$listed]" \
    --scorers "[cosine_calibrated, plain_cosine_calibrated]"
done
