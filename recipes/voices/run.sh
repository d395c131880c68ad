#!/usr/bin/env bash
# Far-field speech of VOiCES 2019, scored by a network that is trained already: error rates by room, distractor, microphone and angle.
#
#   recipes/voices/run.sh --voices DIR --model recipes/voxceleb1/exp/ecapa_512              the development set
#   recipes/voices/run.sh --voices DIR --model EXP --test-seconds 2                         short tests against whole enrolments
#   recipes/voices/run.sh --voices DIR --model EXP --set eval --backend-dir EXP/backend/kaldi_sre16_voices   the evaluation set, adapted PLDA

set -euo pipefail
cd "$(dirname "$0")/../.." && . ./path.sh

# Options: name=default  # meaning
voices=                         # path: the corpus; Development_Data/ or Evaluation_Data/ is found at any depth
set=dev                         # one of dev, eval: which set of the challenge
model=                          # path: experiment of the network, trained by a recipe or made by steps.import_model
backend_dir=                    # path: back end trained on embeddings of that network (README: adapted PLDA); default: cosine of the embeddings as they are
test_seconds=                   # one of 1, 2, 3, 5: cut test sides to so many seconds around the centre; default: whole
allow_incomplete=false          # go on without files that are missing or unreadable; their trials are lost, and every result says so
. utils/stages.sh "$@"

[ -n "$voices" ] || fail_usage "--voices is needed: a folder that holds VOiCES 2019 (see recipes/voices/README.md)"
[ -n "$model" ] || fail_usage "--model is needed: the experiment of a trained network, for example recipes/voxceleb1/exp/ecapa_512"
[ -f "$model/config.yaml" ] || fail_usage "--model $model: no config.yaml in it, expected an experiment of a recipe or of steps.import_model"
[ -z "$backend_dir" ] || [ -f "$backend_dir/backend.json" ] || fail_usage "--backend-dir $backend_dir: no backend.json in it, expected a folder of steps.train_backend"
[ -z "$backend$copies$augmentation$steps" ] || fail_usage "nothing is trained here: --backend, --copies, --augmentation and --steps belong to the network's own recipe"
[ "$score_norm$calibrate$fuse" = nonefalsefalse ] || fail_usage "no dev set and no cohort here: --score-norm, --calibrate and --fuse belong to the network's own recipe"
[ "$processes $split" = "1 false" ] || fail_usage "nothing is trained here: --processes and --split belong to the network's own recipe"

variant=$set${vad:+-$(basename "$vad" .yaml)}
test=voices_$set cut=${test_seconds:+centre_${test_seconds}s} enrolled=voices_$set cuts=${test_seconds:+centre_${test_seconds}s}
data=$workdir/data/$variant
packed=$data/packed_$sample_rate_hz$([ "$trim" = false ] || echo _trim)
suffix=$([ "$variant" = dev ] || echo "-$variant")$([ "$trim" = false ] || echo -trim)$([ "$sample_rate_hz" = 16000 ] || echo "-$sample_rate_hz")
exp=$workdir/exp/$(basename "$model")$suffix${name:+-$name}
trained=${backend_dir:-$exp/backend/cosine}
embeddings=$exp/embeddings/$test

if at_stage 0 "prepare data directories"; then
  run python3 -m local.prepare_voices "$voices" "$data" --part "$set" --jobs "$nj" --allow-incomplete "$allow_incomplete"
fi

if at_stage 1 "VAD decisions"; then
  $cmd JOB=1:"$nj" "$data/$test/log/vad.JOB.log" python3 -m steps.compute_vad "$data/$test" ${vad:+--config "$vad"} --job "JOB/$nj"
  run python3 -m steps.collect_vad "$data/$test" --jobs "$nj"
fi

if at_stage 2 "pack audio"; then
  $cmd JOB=1:"$nj" "$packed/$test/log/pack.JOB.log" python3 -m steps.pack_audio "$data/$test" "$packed/$test" --trim "$trim" \
    --sample-rate-hz "$sample_rate_hz" --job "JOB/$nj"
  run python3 -m steps.collect_packed "$data/$test" "$packed/$test" --allow-missing-trials "$allow_incomplete" --jobs "$nj"
fi

if at_stage 3 "train the network: empty, see --model"; then
  :
fi

if at_stage 4 "extract embeddings"; then
  extract_embeddings "$model" "$exp" "$packed" "" "$test"
fi

if at_stage 5 "train the back end without --backend-dir"; then
  [ -n "$backend_dir" ] || run python3 -m steps.train_backend "$embeddings" "$exp/backend/cosine" --subtract-mean false
fi

if at_stage 6 "score the trials"; then
  score_trials "$trained" "$exp" "$packed" "$test"
fi

if at_stage 7 "report"; then
  evaluate_systems "$exp" "$packed" "" ""
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
