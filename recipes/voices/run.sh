#!/usr/bin/env bash
# Far-field speech of VOiCES 2019, scored with a trained network: error rates by room, distractor,
# microphone and angle.
#
#   recipes/voices/run.sh --voices DIR --model campplus
#       the development set, by a published network
#   recipes/voices/run.sh --voices DIR --model EXP --test-seconds 2
#       short tests against whole enrolments
#   recipes/voices/run.sh --voices DIR --model EXP --backend EXP/backend/plda
#       a back end that the network's own recipe trained, instead of cosine
#   recipes/voices/run.sh --voices DIR --model EXP --set both --train-data TRAIN \
#     --backend conf/backends/kaldi_sre16.yaml --score-norm as_norm1 --calibrate
#       the evaluation set; adapted to and calibrated by the development set;
#       TRAIN: the network's packed training set

set -euo pipefail
here=$(dirname "$0")
cd "$here/../.." && . ./path.sh

# Options: name=default  # kind: meaning
voices=                 # path: the corpus; Development_Data/ or Evaluation_Data/ may be at any depth
set=dev                 # one of dev, eval, both: sets of the challenge; both: eval is tested, dev adapts
                        # back ends (without its labels) and calibrates scores (with them)
model=                  # model: the network: an experiment, trained by a recipe or made by
                        # steps.import_model, a model folder, or one of campplus, ecapa, resemblyzer, which
                        # are fetched
train_data=             # path: packed training set of which --model has embeddings: the YAMLs of --backend
                        # and --score-norm learn from them
test_seconds=           # one of 1, 2, 3, 5: cut test sides to this many seconds around the centre;
                        # default: whole utterances
allow_incomplete=false  # go on without files that are missing or unreadable; their trials are left out, and
                        # every result says so
. utils/stages.sh "$@"

[ -n "$voices" ] || fail_usage "--voices is needed: a folder that contains VOiCES 2019" \
  "(see recipes/voices/README.md)"
[ -n "$model" ] || fail_usage "--model is needed: a trained network," \
  "for example campplus, or recipes/voxceleb1/exp/ecapa_512"
use_model "$model"
train_name=$(stem "$train_data" "")
train_embeddings=$model/embeddings/$train_name  # of back ends and cohorts
[ -z "$train_data" ] || [ -f "$train_data/utt2spk" ] || fail_usage "--train-data $train_data:" \
  "no utt2spk in it, expected the packed training set of the network"
[ -z "$train_data" ] || [ -f "$train_embeddings/xvector.scp" ] || fail_usage "--train-data $train_data:" \
  "its embeddings are expected in $train_embeddings, which has no xvector.scp"
[ -n "$train_data" ] || [ "$score_norm" = none ] || [ "$cohort" = head ] || fail_usage "--score-norm needs" \
  "--train-data, whose speakers are its cohort, or --cohort head"
[ -n "$train_data" ] || [ "${backend/.yaml/}" = "$backend" ] || fail_usage "--backend of a YAML" \
  "needs --train-data; a folder of a trained back end does not"
[ "$set" = both ] || [ "$calibrate$fuse" = falsefalse ] || fail_usage "--calibrate and --fuse" \
  "need --set both: they learn from the development set"

variant=$set
append_audio variant
suffix=
append suffix "$variant" dev
append suffix "$cutting"
append suffix "$sample_rate_hz" 16000

data=$workdir/data/$variant
packed=$data/packed_$sample_rate_hz${cutting:+_$cutting}
model_name=$(stem "$model" "")
exp=$workdir/exp/$model_name$suffix
append exp "$name"

parts=${set/both/dev eval}
dev=
[ "$set" != both ] || dev=voices_dev
test=voices_${set/both/eval}
sets=${dev:+$dev,}$test
enrolled="voices_dev voices_eval"
cuts=${test_seconds:+centre_${test_seconds}s}
packing_limits=(--allow-missing-trials "$allow_incomplete")

if at_stage 0 "prepare data directories"; then
  fetch_model "$model"
  for part in $parts; do
    run python3 -m local.prepare_voices "$voices" "$data" --part "$part" --jobs "$nj" \
      --allow-incomplete "$allow_incomplete"
  done
fi

if at_stage 1 "VAD decisions"; then
  detect_speech "$data" "$sets"
fi

if at_stage 2 "pack audio"; then
  pack_audio "$data" "$packed" "$sets" --trim "$trim" --sample-rate-hz "$sample_rate_hz" \
    --channel "$channel"
fi

if at_stage 3 "train the network: empty, see --model"; then
  :
fi

if at_stage 4 "extract embeddings"; then
  extract_embeddings "$model" "$exp" "$packed" "" "$sets"
fi

if at_stage 5 "train back ends that are not trained already"; then
  if [ -n "$backend" ]; then
    train_backends "$train_embeddings" "$train_data/utt2spk" "$exp/backend" \
      ${dev:+--adaptation "$exp/embeddings/$dev"}
  else  # cosine of unchanged embeddings
    train_backends "$exp/embeddings/$test" "" "$exp/backend" --subtract-mean false
  fi
fi

if at_stage 6 "score the trials"; then
  score_systems "$exp" "$train_embeddings" "$packed" "$dev" "$test"
fi

if at_stage 7 "report"; then
  evaluate_systems "$exp" "$packed" "$train_data" "${dev:+$packed/$dev}"
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
