#!/usr/bin/env bash
# Speaker verification on a corpus generated on the spot: the whole chain in minutes on two CPU cores.
#
#   recipes/mini/run.sh                            all stages
#   recipes/mini/run.sh --stage 3 --stop-stage 6   some of them
#   recipes/mini/run.sh --size tiny                a few speakers and a dozen steps: what the tests use

set -euo pipefail
here=$(dirname "$0")
cd "$here/../.." && . ./path.sh

# Options: name=default  # meaning
size=full                       # one of full, tiny: minutes, or seconds
seed=1                          # of the corpus, the first weights and every draw
config=                         # path: network, loss and regime; default: conf/ghostvlad_mini.yaml here,
                                # or ghostvlad_tiny.yaml with --size tiny
. utils/stages.sh "$@"

variant=$size
append variant "seed$seed" seed1
append_heard variant

suffix=
append suffix "$variant" full
append suffix "$cutting"
append suffix "$sample_rate_hz" 16000

config=${config:-recipes/mini/conf/ghostvlad_${size/full/mini}.yaml}
config_name=$(stem "$config")
exp=$workdir/exp/$config_name$suffix
append_stem exp "$augmentation"
append exp "$name"
untrained=$exp-untrained
mfcc=$workdir/exp/mfcc_stats$suffix
channel_stats=$workdir/exp/channel_stats$suffix

data=$workdir/data/$variant
packed=$data/packed_$sample_rate_hz${cutting:+_$cutting}
packing=(--trim "$trim" --sample-rate-hz "$sample_rate_hz" --channel "$channel")
bank=$packed/bank
drawing=(--bank "$bank" --seed "$seed")  # of what happens to training crops
[ -z "$augmentation" ] || drawing+=(--augmentation "$augmentation")
enlarged=train$policy           # what the back end is trained on

if at_stage 0 "prepare data directories"; then
  run python3 -m local.prepare_mini "$data" --size "$size" --seed "$seed" --jobs "$nj"
fi

if at_stage 1 "VAD decisions"; then
  for set in train dev test; do
    $cmd JOB=1:"$nj" "$data/$set/log/vad.JOB.log" \
      python3 -m steps.compute_vad "$data/$set" ${vad:+--config "$vad"} --channel "$channel" --job "JOB/$nj"
    run python3 -m steps.collect_vad "$data/$set" --jobs "$nj"
  done
fi

if at_stage 2 "pack audio and prepare augmentation"; then
  $cmd JOB=1:"$nj" "$packed/train/log/pack.JOB.log" python3 -m steps.pack_audio \
    "$data/train" "$packed/train" "${packing[@]}" --split "$split" --job "JOB/$nj"
  run python3 -m steps.collect_packed "$data/train" "$packed/train" --jobs "$nj"
  for set in dev test; do
    $cmd JOB=1:"$nj" "$packed/$set/log/pack.JOB.log" python3 -m steps.pack_audio \
      "$data/$set" "$packed/$set" "${packing[@]}" --split false --job "JOB/$nj"
    run python3 -m steps.collect_packed "$data/$set" "$packed/$set" --jobs "$nj"
  done
  run python3 -m steps.augment "$bank" --sample-rate-hz "$sample_rate_hz" \
    --noise "$data/noise" --rirs "$data/rirs"
  if [ -n "$copies" ]; then
    $cmd JOB=1:"$nj" "$packed/$enlarged/log/copies.JOB.log" \
      python3 -m steps.augment_copies "$packed/train" "$bank" "$copies" "$packed/$enlarged" \
      --one-copy-per-transform --seed "$seed" --job "JOB/$nj"
    run python3 -m steps.collect_copies "$packed/train" "$packed/$enlarged" --include-originals --jobs "$nj"
  fi
fi

if at_stage 3 "train the network"; then
  train_network "$packed/train" "$packed/dev" "$config" "$exp" "${drawing[@]}"
fi

if at_stage 4 "extract embeddings"; then
  extract_embeddings "$exp" "$exp" "$packed" "$enlarged" dev,test
  # What the trained network has to beat.
  draw_training "$packed"
  extract_baselines "$exp" "$untrained" "$mfcc" "$packed" "$drawn,dev,test"
  draw_training "$data"
  run python3 -m steps.extract_channel_stats "$data" "$channel_stats/embeddings" --sets "[$drawn, dev, test]"
fi

if at_stage 5 "train the back end"; then
  train_backends "$exp/embeddings/$enlarged" "$packed/$enlarged/utt2spk" "$exp/backend" \
    --adaptation "$exp/embeddings/dev"
  train_baseline "$untrained"
  for baseline in "$mfcc" "$channel_stats"; do
    train_baseline "$baseline" --config conf/backends/scaled_cosine.yaml
  done
fi

if at_stage 6 "score dev and test trials"; then
  score_systems "$exp" "$exp/embeddings/$enlarged" "$packed" dev test
  for baseline in "$untrained" "$mfcc" "$channel_stats"; do
    score_whole "$baseline/backend/cosine" "$baseline" "$packed" dev test
  done
fi

if at_stage 7 "report"; then
  evaluate_systems "$exp" "$packed" "$packed/train" "$packed/dev" "$untrained" "$mfcc" "$channel_stats"
  run python3 -m steps.illustrate "$data/train" "$packed/train" "$config" "$exp/pictures" "${drawing[@]}" \
    --channel "$channel"
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
