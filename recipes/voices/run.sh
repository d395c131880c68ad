#!/usr/bin/env bash
# Far-field speech of VOiCES 2019, scored by a network that is trained already: error rates by room,
# distractor, microphone and angle.
#
#   recipes/voices/run.sh --voices DIR --model recipes/voxceleb1/exp/ecapa_512
#       the development set
#   recipes/voices/run.sh --voices DIR --model EXP --test-seconds 2
#       short tests against whole enrolments
#   recipes/voices/run.sh --voices DIR --model EXP --backend EXP/backend/plda
#       what the network's own recipe trained, instead of cosine
#   recipes/voices/run.sh --voices DIR --model EXP --set both --train-data TRAIN \
#     --backend conf/backends/kaldi_sre16.yaml --score-norm as_norm1 --calibrate
#       the evaluation set; adapted to and calibrated by the development set;
#       TRAIN: the network's packed training set

set -euo pipefail
here=$(dirname "$0")
cd "$here/../.." && . ./path.sh

# Options: name=default  # meaning
voices=                 # path: the corpus; Development_Data/ or Evaluation_Data/ is found at any depth
set=dev                 # one of dev, eval, both: of the challenge; both: dev, without its labels, adapts
                        # back ends, and with them calibrates; eval is the test
model=                  # path: experiment of the network, trained by a recipe or made by
                        # steps.import_model
train_data=             # path: packed training set whose embeddings --model has: --backend's YAMLs and
                        # --score-norm learn from them
test_seconds=           # one of 1, 2, 3, 5: cut test sides to so many seconds around the centre;
                        # default: whole
allow_incomplete=false  # go on without files that are missing or unreadable; their trials are lost, and
                        # every result says so
. utils/stages.sh "$@"

[ -n "$voices" ] || fail_usage "--voices is needed: a folder that holds VOiCES 2019" \
  "(see recipes/voices/README.md)"
[ -n "$model" ] || fail_usage "--model is needed: the experiment of a trained network," \
  "for example recipes/voxceleb1/exp/ecapa_512"
[ -f "$model/config.yaml" ] || fail_usage "--model $model: no config.yaml in it," \
  "expected an experiment of a recipe or of steps.import_model"
[ -z "$copies$augmentation$steps" ] || fail_usage "no network is trained here:" \
  "--copies, --augmentation and --steps belong to the network's own recipe"
[ "$processes $nodes $split" = "1 1 false" ] || fail_usage "no network is trained here:" \
  "--processes, --nodes and --split belong to the network's own recipe"
train_name=$(stem "$train_data" "")
heard=$model/embeddings/$train_name  # what back ends and cohorts are made of
[ -z "$train_data" ] || [ -f "$train_data/utt2spk" ] || fail_usage "--train-data $train_data:" \
  "no utt2spk in it, expected the packed training set of the network"
[ -z "$train_data" ] || [ -f "$heard/xvector.scp" ] || fail_usage "--train-data $train_data:" \
  "its embeddings are expected in $heard, which has no xvector.scp"
[ -n "$train_data" ] || [ "$score_norm" = none ] || fail_usage "--score-norm needs --train-data:" \
  "its cohort are the speakers of the network's training"
[ -n "$train_data" ] || [ "${backend/.yaml/}" = "$backend" ] || fail_usage "--backend of a YAML" \
  "needs --train-data; a folder of a trained back end does not"
[ "$set" = both ] || [ "$calibrate$fuse" = falsefalse ] || fail_usage "--calibrate and --fuse" \
  "need --set both: the development set teaches them"

variant=$set
append_heard variant
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
enrolled="voices_dev voices_eval"
cuts=${test_seconds:+centre_${test_seconds}s}
own_backend=plain_cosine

if at_stage 0 "prepare data directories"; then
  for part in $parts; do
    run python3 -m local.prepare_voices "$voices" "$data" --part "$part" --jobs "$nj" \
      --allow-incomplete "$allow_incomplete"
  done
fi

if at_stage 1 "VAD decisions"; then
  for part in $parts; do
    $cmd JOB=1:"$nj" "$data/voices_$part/log/vad.JOB.log" \
      python3 -m steps.compute_vad "$data/voices_$part" ${vad:+--config "$vad"} --channel "$channel" \
      --job "JOB/$nj"
    run python3 -m steps.collect_vad "$data/voices_$part" --jobs "$nj"
  done
fi

if at_stage 2 "pack audio"; then
  for part in $parts; do
    $cmd JOB=1:"$nj" "$packed/voices_$part/log/pack.JOB.log" \
      python3 -m steps.pack_audio "$data/voices_$part" "$packed/voices_$part" --trim "$trim" \
      --sample-rate-hz "$sample_rate_hz" --channel "$channel" --job "JOB/$nj"
    run python3 -m steps.collect_packed "$data/voices_$part" "$packed/voices_$part" \
      --allow-missing-trials "$allow_incomplete" --jobs "$nj"
  done
fi

if at_stage 3 "train the network: empty, see --model"; then
  :
fi

if at_stage 4 "extract embeddings"; then
  extract_embeddings "$model" "$exp" "$packed" "" "${dev:+$dev,}$test"
fi

if at_stage 5 "train back ends that are not trained already"; then
  if [ -n "$backend" ]; then
    train_backends "$heard" "$train_data/utt2spk" "$exp/backend" ${dev:+--adaptation "$exp/embeddings/$dev"}
  else  # cosine of the embeddings as they are
    train_backends "$exp/embeddings/$test" "" "$exp/backend" --subtract-mean false
  fi
fi

if at_stage 6 "score the trials"; then
  score_systems "$exp" "$heard" "$packed" "$dev" "$test"
fi

if at_stage 7 "report"; then
  evaluate_systems "$exp" "$packed" "$train_data" "${dev:+$packed/$dev}"
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
