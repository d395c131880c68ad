#!/usr/bin/env bash
# Published networks on speechocean762, over its four folds: cosine as it is and centred by the fold's
# training mean, adaptive s-norm by the training speakers and by the rows of the network's own head, LDA and
# PLDA of the fold.  All are calibrated on the dev trials of their fold.
#
#   recipes/speechocean762/compare_published.sh --corpus DIR [--workdir DIR] [--device cuda ...]
#
# Options are those of run.sh that do not change the folder of an experiment.  MODELS="campplus ecapa": other
# networks; BESIDE=recipes/speechocean762/exp/ecapa_512_cpu: an experiment of run.sh over the four folds, with
# --calibrate true, that is compared, too.
# Result: exp/published/{report.html,results.md,...} and exp/published-<network>/calibration/published, the
# calibration of plain cosine by all speakers, beside run.sh or under --workdir.

set -euo pipefail
here=$(dirname "$0")
# shellcheck source=recipes/speechocean762/folds.sh
. "$here/folds.sh"
read_options "$@"
cd "$root"
read -ra models <<<"${MODELS:-campplus ecapa resemblyzer}"

packed_of() { echo "$home/data/fold$1/packed_16000"; }

beside_of() {  # FOLD: the experiment of compare_back_ends.sh
  if [ "$1" = 1 ]; then echo "$BESIDE"; else echo "$BESIDE-fold$1"; fi
}

# All utterances are embedded once: the folds share them.
whole=$home/data/all
for fold in "${folds[@]}"; do
  "$recipe/run.sh" "$@" --fold "$fold" --stop-stage 2
done
first=$(packed_of "${folds[0]}")
if [ ! -f "$whole/trials" ]; then
  rm -rf "$whole"
  python3 -m utils.data_dir combine "$first/train" "$first/dev" "$first/test" "$whole"
  rm -f "$whole/trials"  # of two of the three; those of all speakers follow
fi
step make_trials "$whole" --random 10

score_backend() {  # EXP BACKEND: test and dev trials of a fold
  local set
  for set in dev test; do
    step score "$1/backend/$2" "$1/embeddings/$set" "$packed/$set/trials" "$1/scores/$set/$2.scores"
  done
  calibrate_system "$1" "$2"
}

normalise_system() {  # EXP BACKEND COHORT NAME
  local set
  for set in dev test; do
    step normalise_scores "$1/scores/$set/$2.scores" "$1/backend/$2" "$1/embeddings/$set" "$packed/$set" \
      "$3" "$1/scores/$set/$4.scores"
  done
  calibrate_system "$1" "$4"
}

calibrate_system() {  # EXP SCORER
  local learned=$1/calibration/$2_calibrated
  step calibrate "$1/scores/dev/$2.scores" "$packed/dev" "$learned"
  step apply_calibration "$learned" "$1/scores/test/$2.scores" "$packed/test" \
    "$1/scores/test/$2_calibrated.scores"
}

experiments=()
data=()
for fold in "${folds[@]}"; do
  packed=$(packed_of "$fold")
  data+=("$packed")
done
for model in "${models[@]}"; do
  network=models/$model
  step fetch_pretrained "$model"
  exp=$home/exp/published-$model
  for job in 1 2; do
    step extract "$network" "$whole" "$exp/embeddings/all" --job "$job/2" &
  done
  wait
  step collect_embeddings "$whole" "$exp/embeddings/all" --jobs 2
  step train_backend "$exp/embeddings/all" "$exp/backend/plain_cosine" --subtract-mean false
  step score "$exp/backend/plain_cosine" "$exp/embeddings/all" "$whole/trials" \
    "$exp/scores/all/plain_cosine.scores"
  step calibrate "$exp/scores/all/plain_cosine.scores" "$whole" "$exp/calibration/published"
  for fold in "${folds[@]}"; do
    packed=$(packed_of "$fold")
    part=$exp-fold$fold
    step select_embeddings "$exp/embeddings/all" "$packed" "$part/embeddings" --sets "[train, dev, test]"
    train=$part/embeddings/train
    step train_backend "$train" "$part/backend/plain_cosine" --subtract-mean false
    step train_backend "$train" "$part/backend/cosine"
    for name in lda60_plda plda; do
      step train_backend "$train" "$part/backend/$name" --config "conf/backends/$name.yaml" \
        --utt2spk "$packed/train/utt2spk"
    done
    for name in plain_cosine cosine lda60_plda plda; do score_backend "$part" "$name"; done
    normalise_system "$part" cosine "$train" cosine_as_norm1
    [ ! -f "$network/head.safetensors" ] ||
      normalise_system "$part" plain_cosine "$network" plain_cosine_head
  done
done
for fold in "${folds[@]}"; do  # all systems of a fold, then those of the next one
  for model in "${models[@]}"; do experiments+=("$home/exp/published-$model-fold$fold"); done
  if [ -n "${BESIDE:-}" ]; then
    beside=$(beside_of "$fold")
    experiments+=("$beside")
  fi
done
systems=(plain_cosine cosine cosine_as_norm1 plain_cosine_head lda60_plda plda)
scorers=$(printf '%s_calibrated, ' "${systems[@]}")
listed=$(IFS=,; echo "${experiments[*]}")
step compare "${data[@]}" "$home/exp/published" --sets "[test]" --experiments "[$listed]" \
  --scorers "[${scorers%, }]"
