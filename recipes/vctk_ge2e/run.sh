#!/usr/bin/env bash
# Speaker verification on VCTK with the generalized end-to-end loss, text-dependent (in noise) and
# text-independent.
#
#   recipes/vctk_ge2e/run.sh --vctk DIR --noisy-vctk DIR
#       prompted sentences, which all speakers read; --protocol seed: one sentence, the same
#       recordings in other noise
#   recipes/vctk_ge2e/run.sh --vctk DIR --mode ti
#       any text

set -euo pipefail
here=$(dirname "$0")
cd "$here/../.." && . ./path.sh

# Options: name=default  # kind: meaning
vctk=                   # path: VCTK 0.80 (contains wav48/) or 0.92 (wav48_silence_trimmed/)
noisy_vctk=             # path: noisy VCTK (contains clean_testset_wav/ and noisy_testset_wav/); td needs it
mode=td                 # one of td, ti: text-dependent, text-independent
protocol=prompted       # one of prompted, seed: in mode td
mic=1                   # one of 1, 2: microphone of VCTK 0.92
top_db=                 # silence is this far below the loudest frame, in dB;
                        # default: 14 (td: ends are trimmed), 20 (ti: split at silences)
dev_speakers=           # number from 0: this many training speakers, the last, become dev; default: a tenth;
                        # 0: none, and the last checkpoint is taken
allow_incomplete=false  # go on when speakers or recordings are missing
utterances=5            # number: utterances of a speaker model, and of each test speaker against all models
seed=1                  # number from 0: of the trials, the noise of the test, the first weights and all
                        # random choices
config=                 # file: network, loss and training; default: that of the reference code for mode and
                        # protocol; *_paper.yaml: the paper's
. utils/stages.sh "$@"

[ -n "$vctk" ] || fail_usage "--vctk is needed: the folder that contains wav48/ or wav48_silence_trimmed/" \
  "(see recipes/vctk_ge2e/README.md)"
[ "$mode$noisy_vctk" != td ] || fail_usage "--noisy-vctk is needed in mode td:" \
  "the folder that contains clean_testset_wav/ and noisy_testset_wav/"
[ -z "$copies" ] || [ -n "$noisy_vctk" ] || fail_usage "--copies needs --noisy-vctk:" \
  "the noise of the copies is from there"
[ "$trim$split" = falsefalse ] || fail_usage "--trim and --split are not for this recipe:" \
  "--mode decides (td: trimmed, ti: split)"

if [ "$mode" = td ]; then
  kind=td-$protocol
  cutting="trim"
  packing=(--trim true)
  packing_limits=(--max-policy-fraction 0.01)
else  # as published: pieces of 180 frames; recordings without any are left out
  kind=ti
  cutting="split"
  packing=(--split true --min-seconds 1.825)
  packing_limits=(--max-policy-fraction 0.9)
fi
noises=1
if [ "$kind" = td-seed ]; then  # as published: 80 frames, in as many noises as there are utterances
  packing+=(--last-seconds 0.79)
  noises=$utterances
fi

. recipes/vctk_ge2e/names.sh

if at_stage 0 "prepare data directories"; then
  run python3 -m local.prepare_vctk "$vctk" "$data" --mode "$mode" --protocol "$protocol" --mic "$mic" \
    --allow-incomplete "$allow_incomplete" ${noisy_vctk:+--noisy-vctk "$noisy_vctk"} \
    ${dev_speakers:+--dev-speakers "$dev_speakers"} --jobs "$nj"
fi

if at_stage 1 "VAD decisions"; then
  detect_speech "$data" "train,$sets" ${top_db:+--top-db "$top_db"}
fi

if at_stage 2 "pack audio and prepare augmentation"; then
  pack_audio "$data" "$clean" "train,$sets" "${packing[@]}"
  make_noise_bank "$bank" --noise "$data/noise"
  copy_train "$clean" "$bank"
  [ "$mode" = ti ] || make_noise_bank "${bank}_test" --noise "$data/noise_test"
  for set in ${sets//,/ }; do
    if [ "$mode" = td ]; then
      make_copies "$clean/$set" "${bank}_test" recipes/vctk_ge2e/conf/augmentation/test.yaml \
        "$noisy/$set" --one-copy-per-transform true --copies "$noises"
      run python3 -m steps.collect_copies "$clean/$set" "$noisy/$set" --jobs "$nj"
    fi
    [ "$set" = test ] || run python3 -m steps.make_enrolment "$noisy/$set" "$tested/$set" "${design[@]}" \
      --single true
    [ "$set" = dev ] || run python3 -m steps.make_enrolment "$noisy/$set" "$tested/$set" "${design[@]}" \
      --single false
  done
fi

if at_stage 3 "train the network"; then
  train_network "$clean/train" "${dev:-none}" "$config" "$exp" "${augmenting[@]}"
fi

if at_stage 4 "extract embeddings"; then
  extract_whole "$exp" "$exp" "$clean" "$backend_train"
  extract_embeddings "$exp" "$exp" "$tested" "" "$sets"
  # Baselines.
  draw_training "$clean"
  extract_baselines "$exp" "$untrained" "$mfcc" "$clean" "$drawn"
  extract_baselines "$exp" "$untrained" "$mfcc" "$tested" "$sets"
fi

if at_stage 5 "train the back end"; then
  train_backends "$exp/embeddings/$backend_train" "$clean/$backend_train/utt2spk" "$exp/backend" \
    ${dev:+--adaptation "$exp/embeddings/dev"} ${plain[@]+"${plain[@]}"}
  train_baseline "$untrained"
  train_baseline "$mfcc" --config conf/backends/scaled_cosine.yaml
fi

if at_stage 6 "score dev and test trials"; then
  score_systems "$exp" "$exp/embeddings/$backend_train" "$tested" "${dev:+dev}" test
  for system in "$untrained" "$mfcc"; do
    score_whole "$system/backend/plain_cosine" "$system" "$tested" "$sets"
  done
fi

if at_stage 7 "report"; then
  evaluate_systems "$exp" "$tested" "$clean/train" "$dev" "$untrained" "$mfcc"
  run python3 -m steps.similarity_matrix "$exp/scores/test/$scorer.scores" "$tested/test" \
    "$exp/similarity/test"
  run python3 -m steps.illustrate "$data/train" "$clean/train" "$config" "$exp/pictures" "${augmenting[@]}" \
    --channel "$channel"
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
