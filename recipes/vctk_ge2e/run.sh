#!/usr/bin/env bash
# Speaker verification on VCTK with the generalized end-to-end loss, text-dependent (in noise) and
# text-independent.
#
#   recipes/vctk_ge2e/run.sh --vctk DIR --noisy-vctk DIR
#       sentences that everybody reads; --protocol seed: one, the same recordings in other noise
#   recipes/vctk_ge2e/run.sh --vctk DIR --mode ti
#       any text

set -euo pipefail
here=$(dirname "$0")
cd "$here/../.." && . ./path.sh

# Options: name=default  # meaning
vctk=                   # path: VCTK 0.80 (holds wav48/) or 0.92 (wav48_silence_trimmed/)
noisy_vctk=             # path: noisy VCTK (holds clean_testset_wav/ and noisy_testset_wav/); td needs it
mode=td                 # one of td, ti: text-dependent, text-independent
protocol=prompted       # one of prompted, seed: in mode td
mic=1                   # one of 1, 2: microphone of VCTK 0.92
top_db=                 # silence lies so far below the loudest frame;
                        # default: 14 (td: ends are trimmed), 20 (ti: split at silences)
dev_speakers=           # the last so many training speakers; default: a tenth;
                        # 0: none, and the last checkpoint
allow_incomplete=false  # go on where speakers or recordings are missing
utterances=5            # M of a model, and M others of each speaker tried against all models
seed=1                  # of the trials, the test's noise, the first weights and every draw
config=                 # path: network, loss and regime; default: the seed's numbers for mode and
                        # protocol; *_paper.yaml: the paper's
. utils/stages.sh "$@"

[ -n "$vctk" ] || fail_usage "--vctk is needed: the folder that holds wav48/ or wav48_silence_trimmed/" \
  "(see recipes/vctk_ge2e/README.md)"
[ "$mode$noisy_vctk" != td ] || fail_usage "--noisy-vctk is needed in mode td:" \
  "the folder that holds clean_testset_wav/ and noisy_testset_wav/"
[ -z "$copies" ] || [ -n "$noisy_vctk" ] || fail_usage "--copies needs --noisy-vctk:" \
  "their noise is from there"
[ "$trim$split" = falsefalse ] || fail_usage "--trim and --split are not for this recipe:" \
  "--mode decides (td: trimmed, ti: split)"

if [ "$mode" = td ]; then
  kind=td-$protocol
  cutting="trim"
  packing=(--trim true)
  lost=0.01
else  # as published: pieces of 180 frames; recordings without any are left out
  kind=ti
  cutting="split"
  packing=(--split true --min-seconds 1.825)
  lost=0.9
fi
noises=1
if [ "$kind" = td-seed ]; then  # as published: 80 frames, in so many noises
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
  for set in train $sets; do
    $cmd JOB=1:"$nj" "$data/$set/log/vad.JOB.log" python3 -m steps.compute_vad "$data/$set" \
      --config "$vad" ${top_db:+--top-db "$top_db"} --channel "$channel" --job "JOB/$nj"
    run python3 -m steps.collect_vad "$data/$set" --jobs "$nj"
  done
fi

if at_stage 2 "pack audio and prepare augmentation"; then
  for set in train $sets; do
    $cmd JOB=1:"$nj" "$spoken/$set/log/pack.JOB.log" \
      python3 -m steps.pack_audio "$data/$set" "$spoken/$set" "${packing[@]}" --job "JOB/$nj"
    run python3 -m steps.collect_packed "$data/$set" "$spoken/$set" --jobs "$nj" \
      --max-policy-fraction "$lost"
  done
  [ -z "$bank" ] || run python3 -m steps.augment "$bank" --sample-rate-hz "$sample_rate_hz" \
    --noise "$data/noise"
  if [ -n "$copies" ]; then
    $cmd JOB=1:"$nj" "$spoken/$enlarged/log/copies.JOB.log" \
      python3 -m steps.augment_copies "$spoken/train" "$bank" "$copies" "$spoken/$enlarged" \
      --one-copy-per-transform --seed "$seed" --job "JOB/$nj"
    run python3 -m steps.collect_copies "$spoken/train" "$spoken/$enlarged" --include-originals --jobs "$nj"
  fi
  [ "$mode" = ti ] || run python3 -m steps.augment "${bank}_test" --sample-rate-hz "$sample_rate_hz" \
    --noise "$data/noise_test"
  for set in $sets; do
    if [ "$mode" = td ]; then
      $cmd JOB=1:"$nj" "$heard/$set/log/copies.JOB.log" python3 -m steps.augment_copies \
        "$spoken/$set" "${bank}_test" recipes/vctk_ge2e/conf/augmentation/test.yaml "$heard/$set" \
        --one-copy-per-transform true --copies "$noises" --seed "$seed" --job "JOB/$nj"
      run python3 -m steps.collect_copies "$spoken/$set" "$heard/$set" --jobs "$nj"
    fi
    [ "$set" = test ] || run python3 -m steps.make_enrolment "$heard/$set" "$tested/$set" "${design[@]}" \
      --single true
    [ "$set" = dev ] || run python3 -m steps.make_enrolment "$heard/$set" "$tested/$set" "${design[@]}" \
      --single false
  done
fi

if at_stage 3 "train the network"; then
  train_network "$spoken/train" "${dev:-none}" "$config" "$exp" "${drawing[@]}"
fi

if at_stage 4 "extract embeddings"; then
  extract_whole "$exp" "$exp" "$spoken" "$enlarged"
  extract_embeddings "$exp" "$exp" "$tested" "" "${sets/ /,}"
  # What the trained network has to beat.
  draw_training "$spoken"
  extract_baselines "$exp" "$untrained" "$mfcc" "$spoken" "$drawn"
  extract_baselines "$exp" "$untrained" "$mfcc" "$tested" "${sets/ /,}"
fi

if at_stage 5 "train the back end"; then
  train_backends "$exp/embeddings/$enlarged" "$spoken/$enlarged/utt2spk" "$exp/backend" \
    ${dev:+--adaptation "$exp/embeddings/dev"} ${plain[@]+"${plain[@]}"}
  train_baseline "$untrained"
  train_baseline "$mfcc" --config conf/backends/scaled_cosine.yaml
fi

if at_stage 6 "score dev and test trials"; then
  score_systems "$exp" "$exp/embeddings/$enlarged" "$tested" "${dev:+dev}" test
  for system in "$untrained" "$mfcc"; do
    score_whole "$system/backend/plain_cosine" "$system" "$tested" "${sets/ /,}"
  done
fi

if at_stage 7 "report"; then
  evaluate_systems "$exp" "$tested" "$spoken/train" "$dev" "$untrained" "$mfcc"
  run python3 -m steps.similarity_matrix "$exp/scores/test/$scorer.scores" "$tested/test" \
    "$exp/similarity/test"
  run python3 -m steps.illustrate "$data/train" "$spoken/train" "$config" "$exp/pictures" "${drawing[@]}" \
    --channel "$channel"
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
