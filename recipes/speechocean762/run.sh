#!/usr/bin/env bash
# Speaker verification on speechocean762: 250 speakers, openly licensed, minutes on a CPU.
#
#   recipes/speechocean762/run.sh --corpus DIR                              fold 1 of 4, all stages
#   recipes/speechocean762/run.sh --corpus DIR --fold 2                     other test speakers
#   recipes/speechocean762/run.sh --corpus DIR --noise DIR --rirs DIR       with noise and rooms for augmentation
#   recipes/speechocean762/run.sh --corpus DIR --stage 3 --stop-stage 6     some stages

set -euo pipefail
cd "$(dirname "$0")/../.."
. ./path.sh

# Options: name=default  # meaning
corpus=                         # path: the corpus (holds WAVE/, train/ and, where it is whole, test/)
noise=                          # path: tree of noise files for augmentation
rirs=                           # path: tree of room responses for augmentation
fold=1                          # which quarter of the speakers is tested, 1 to 4, where test/ is missing
seed=1                          # of the folds, the trials, the first weights and every draw
config=                         # path: network, loss and regime; default: conf/ghostvlad_fbank.yaml here, ghostvlad_fbank_clean.yaml without noise and rooms
steps=                          # length of the training instead of the YAML's
trim=false                      # cut silence out when packing
processes=1                     # training processes (torchrun)
num_threads=2                   # threads of the training; sums depend on it
device=cpu                      # one of cpu, cuda: of training and extraction
. utils/stages.sh "$@"

[ -n "$corpus" ] || fail_usage "--corpus is needed: the folder that holds WAVE/ and train/ (see recipes/speechocean762/README.md)"
variant=fold$fold$([ "$seed" = 1 ] || echo "-seed$seed")
[ -n "$config" ] || config=recipes/speechocean762/conf/ghostvlad_fbank$([ -n "$noise" ] && [ -n "$rirs" ] || echo _clean).yaml
suffix=$([ "$variant" = fold1 ] || echo "-$variant")$([ "$trim" = false ] || echo -trim)

data=$workdir/data/$variant
packed=$data/packed_16000$([ "$trim" = false ] || echo _trim)
bank=$([ -z "$noise$rirs" ] || echo "$packed/bank")
exp=$workdir/exp/$(basename "$config" .yaml)$suffix${name:+-$name}
untrained=$exp-untrained
mfcc=$workdir/exp/mfcc_stats$suffix
trainer=python3
[ "$processes" = 1 ] || trainer="torchrun --standalone --nproc-per-node $processes"

if at_stage 0 "prepare data directories"; then
  run python3 -m local.prepare_speechocean762 "$corpus" "$data" --fold "$fold" --seed "$seed" ${noise:+--noise "$noise"} ${rirs:+--rirs "$rirs"}
fi

if at_stage 1 "VAD decisions"; then
  for set in train dev test; do
    $cmd JOB=1:"$nj" "$data/$set/log/vad.JOB.log" python3 -m steps.compute_vad "$data/$set" --job "JOB/$nj"
    run python3 -m steps.collect_vad "$data/$set" --jobs "$nj"
  done
fi

if at_stage 2 "pack audio and prepare augmentation"; then
  for set in train dev test; do
    $cmd JOB=1:"$nj" "$packed/$set/log/pack.JOB.log" python3 -m steps.pack_audio "$data/$set" "$packed/$set" --trim "$trim" --job "JOB/$nj"
    run python3 -m steps.collect_packed "$data/$set" "$packed/$set" --jobs "$nj"
  done
  [ -z "$bank" ] || run python3 -m steps.augment "$bank" ${noise:+--noise "$data/noise"} ${rirs:+--rirs "$data/rirs"}
fi

if at_stage 3 "train the network"; then
  run $trainer -m steps.train "$packed/train" "$packed/dev" "$config" "$exp" \
    ${bank:+--bank "$bank"} --seed "$seed" --num-threads "$num_threads" --device "$device" ${steps:+--steps "$steps"}
fi

if at_stage 4 "extract embeddings"; then
  $cmd JOB=1:"$nj" "$exp/log/extract.JOB.log" \
    python3 -m steps.extract "$exp" "$packed" "$exp/embeddings" --sets "[train, dev, test]" --device "$device" --job "JOB/$nj"
  for set in train dev test; do
    run python3 -m steps.collect_embeddings "$packed/$set" "$exp/embeddings/$set" --jobs "$nj"
  done
  $cmd JOB=1:"$nj" "$untrained/log/extract.JOB.log" \
    python3 -m steps.extract "$exp" "$packed" "$untrained/embeddings" --sets "[dev, test]" --checkpoint step-0000000 --device "$device" --job "JOB/$nj"
  for set in dev test; do  # what the trained network has to beat
    run python3 -m steps.collect_embeddings "$packed/$set" "$untrained/embeddings/$set" --jobs "$nj"
    run python3 -m steps.extract_mfcc_stats "$packed/$set" "$mfcc/embeddings/$set"
  done
fi

if at_stage 5 "train the back end"; then
  run python3 -m steps.train_backend "$exp/embeddings/train" "$exp/backend/cosine"
  run python3 -m steps.train_backend "$untrained/embeddings/dev" "$untrained/backend/cosine"
  run python3 -m steps.train_backend "$mfcc/embeddings/dev" "$mfcc/backend/cosine" --subtract-mean false
fi

if at_stage 6 "score dev and test trials"; then
  for system in "$exp" "$untrained" "$mfcc"; do
    for set in dev test; do
      run python3 -m steps.score "$system/backend/cosine" "$system/embeddings/$set" "$packed/$set/trials" "$system/scores/$set/cosine.scores"
    done
  done
fi

if at_stage 7 "report"; then
  run python3 -m steps.evaluate "$exp" "$packed" --others "[$untrained, $mfcc]"
  run python3 -m steps.report "$exp" "$data"
fi
