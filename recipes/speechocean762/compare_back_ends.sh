#!/usr/bin/env bash
# Comparison of back ends for one network.  The recipe runs over its four folds with each back end; then one
# table shows means over the folds and, for calibrated scores, all trials pooled, with intervals, subsets of
# the trials and paired tests.
#
#   recipes/speechocean762/compare_back_ends.sh conf/resnet34_cpu.yaml --corpus DIR --noise DIR --rirs DIR \
#     [--num-threads 1 ...]
#
# The first argument is the network's YAML; the others are options of run.sh, except those that change the
# folder of the experiment.  FOLDS="1 2": fewer folds.
# Result: exp/back_ends-<config>/{report.html,results.md,results.json,differences.json} beside run.sh,
# or under --workdir.
# Systems: cosine; cosine and adaptive s-norm; LDA and PLDA, trained on whole utterances, on their 2 s
# crops, or on augmented copies too; b-vector; the fusion of cosine, PLDA and b-vector.  All are calibrated
# on the dev trials of their fold.

set -euo pipefail
here=$(dirname "$0")
# shellcheck source=recipes/speechocean762/folds.sh
. "$here/folds.sh"
config=$(realpath "${1:?the YAML of a network, then options of run.sh}")
shift
read_options "$@"

config_name=$(basename "$config" .yaml)
cosine=$root/conf/backends/cosine.yaml
lda_plda=$root/conf/backends/lda60_plda.yaml
bvector=$recipe/conf/backends/bvector.yaml
crops=lda60_plda_2s
data=()
experiments=()

for fold in "${folds[@]}"; do
  run=("$recipe/run.sh" "$@" --workdir "$workdir" --config "$config" --fold "$fold" --calibrate true)
  "${run[@]}" --backend "$cosine,$lda_plda,$bvector" --fuse true
  "${run[@]}" --backend "$cosine" --score-norm as_norm1
  "${run[@]}" --backend "$lda_plda" --copies "$recipe/conf/augmentation/copies.yaml"

  packed=$home/data/fold$fold/packed_16000
  exp=$home/exp/$config_name
  [ "$fold" = 1 ] || exp=$exp-fold$fold
  step extract "$exp" "$packed" "$exp/embeddings" --sets "[train]" --protocol centre_2s
  step collect_embeddings "$packed/train" "$exp/embeddings/train/centre_2s"
  step train_backend "$exp/embeddings/train/centre_2s" "$exp/backend/$crops" \
    --config "$lda_plda" --utt2spk "$packed/train/utt2spk"
  for set in dev test; do
    step score "$exp/backend/$crops" "$exp/embeddings/$set" "$packed/$set/trials" \
      "$exp/scores/$set/$crops.scores"
  done
  learned=$exp/calibration/${crops}_calibrated
  step calibrate "$exp/scores/dev/$crops.scores" "$packed/dev" "$learned"
  step apply_calibration "$learned" "$exp/scores/test/$crops.scores" "$packed/test" \
    "$exp/scores/test/${crops}_calibrated.scores"
  data+=("$packed")
  experiments+=("$exp")
done

systems=(cosine cosine_as_norm1 lda60_plda lda60_plda_2s lda60_plda_copies bvector)
scorers=$(printf '%s_calibrated, ' "${systems[@]}")
listed=$(IFS=,; echo "${experiments[*]}")
step compare "${data[@]}" "$home/exp/back_ends-$config_name" --sets "[test]" \
  --experiments "[$listed]" --scorers "[${scorers}fused]"
