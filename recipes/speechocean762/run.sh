#!/usr/bin/env bash
# Speaker verification on speechocean762: 250 speakers, openly licensed, minutes on a CPU.
#
#   recipes/speechocean762/run.sh --corpus DIR
#       fold 1 of 4 (--fold 2, 3, 4: other test speakers)
#   recipes/speechocean762/run.sh --corpus DIR --noise DIR --rirs DIR
#       with noise and rooms for augmentation

set -euo pipefail
here=$(dirname "$0")
cd "$here/../.." && . ./path.sh

# Options: name=default  # meaning
corpus=                         # path: the corpus (holds WAVE/, train/ and, where it is whole, test/)
noise=                          # path: tree of noise files for augmentation
rirs=                           # path: tree of room responses for augmentation
simulate_rooms=false            # make room responses by the image-source method, instead of --rirs
fold=1                          # which quarter of the speakers is tested, 1 to 4, where test/ is missing
seed=1                          # of the folds, the trials, the first weights and every draw
config=                         # path: network, loss and regime; default: conf/ghostvlad_fbank.yaml here,
                                # ghostvlad_fbank_clean.yaml without noise and rooms
. utils/stages.sh "$@"

[ -n "$corpus" ] || fail_usage "--corpus is needed: the folder that holds WAVE/ and train/" \
  "(see recipes/speechocean762/README.md)"
variant=fold$fold
append variant "seed$seed" seed1
append_heard variant

suffix=
append suffix "$variant" fold1
append suffix "$cutting"
append suffix "$sample_rate_hz" 16000

data=$workdir/data/$variant
packed=$data/packed_$sample_rate_hz${cutting:+_$cutting}
packing=(--trim "$trim" --sample-rate-hz "$sample_rate_hz" --channel "$channel")
rooms=${rirs:+rirs}
[ "$simulate_rooms" = false ] || rooms=simulated_rooms
bank=
[ -z "$noise$rooms" ] || bank=$packed/bank
drawing=(${bank:+--bank "$bank"} --seed "$seed")  # of what happens to training crops
[ -z "$augmentation" ] || drawing+=(--augmentation "$augmentation")
enlarged=train$policy           # what the back end is trained on

if [ -n "$noise" ] && [ -n "$rooms" ]; then
  default_config=recipes/speechocean762/conf/ghostvlad_fbank.yaml
else
  default_config=recipes/speechocean762/conf/ghostvlad_fbank_clean.yaml
fi
config=${config:-$default_config}
config_name=$(stem "$config")
exp=$workdir/exp/$config_name$suffix
append_stem exp "$augmentation"
append exp "$name"
untrained=$exp-untrained
mfcc=$workdir/exp/mfcc_stats$suffix

if at_stage 0 "prepare data directories"; then
  run python3 -m local.prepare_speechocean762 "$corpus" "$data" --fold "$fold" --seed "$seed" \
    ${noise:+--noise "$noise"} ${rirs:+--rirs "$rirs"}
  [ "$simulate_rooms" = false ] || run python3 -m local.simulate_rooms "$data/$rooms" --seed "$seed"
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
  [ -z "$bank" ] || run python3 -m steps.augment "$bank" --sample-rate-hz "$sample_rate_hz" \
    ${noise:+--noise "$data/noise"} ${rooms:+--rirs "$data/$rooms"}
  if [ -n "$copies" ]; then
    $cmd JOB=1:"$nj" "$packed/$enlarged/log/copies.JOB.log" \
      python3 -m steps.augment_copies "$packed/train" "${bank:-none}" "$copies" "$packed/$enlarged" \
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
fi

if at_stage 5 "train the back end"; then
  train_backends "$exp/embeddings/$enlarged" "$packed/$enlarged/utt2spk" "$exp/backend" \
    --adaptation "$exp/embeddings/dev"
  train_baseline "$untrained"
  train_baseline "$mfcc" --config conf/backends/scaled_cosine.yaml
fi

if at_stage 6 "score dev and test trials"; then
  score_systems "$exp" "$exp/embeddings/$enlarged" "$packed" dev test
  for baseline in "$untrained" "$mfcc"; do
    score_whole "$baseline/backend/cosine" "$baseline" "$packed" dev test
  done
fi

if at_stage 7 "report"; then
  evaluate_systems "$exp" "$packed" "$packed/train" "$packed/dev" "$untrained" "$mfcc"
  run python3 -m steps.illustrate "$data/train" "$packed/train" "$config" "$exp/pictures" "${drawing[@]}" \
    --channel "$channel"
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
