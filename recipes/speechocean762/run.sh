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

# Options: name=default  # kind: meaning
corpus=                         # path: the corpus (contains WAVE/, train/ and, if complete, test/)
noise=                          # path: folder of noise files for augmentation
rirs=                           # path: folder of room impulse responses for augmentation
simulate_rooms=false            # simulate room impulse responses (image-source method), instead of --rirs
fold=1                          # number: the quarter of the speakers that is tested, 1 to 4, where test/ is
                                # missing
seed=1                          # number from 0: of the folds, the trials, the first weights and all random
                                # choices
config=                         # file: network, loss and training; default: conf/ghostvlad_fbank.yaml here,
                                # ghostvlad_fbank_clean.yaml without noise and rooms
. utils/stages.sh "$@"

[ -n "$corpus" ] || fail_usage "--corpus is needed: the folder that contains WAVE/ and train/" \
  "(see recipes/speechocean762/README.md)"
variant=fold$fold
append variant "seed$seed" seed1
append_audio variant

suffix=
append suffix "$variant" fold1
append suffix "$cutting"
append suffix "$sample_rate_hz" 16000

data=$workdir/data/$variant
packed=$data/packed_$sample_rate_hz${cutting:+_$cutting}
rooms=${rirs:+rirs}
[ "$simulate_rooms" = false ] || rooms=simulated_rooms
bank=
[ -z "$noise$rooms" ] || bank=$packed/bank
augmenting=(${bank:+--bank "$bank"} --seed "$seed")  # options that training crops depend on
[ -z "$augmentation" ] || augmenting+=(--augmentation "$augmentation")
[ -z "$override" ] || augmenting+=(--override "$override")

if [ -n "$noise" ] && [ -n "$rooms" ]; then
  default_config=recipes/speechocean762/conf/ghostvlad_fbank.yaml
else
  default_config=recipes/speechocean762/conf/ghostvlad_fbank_clean.yaml
fi
config=${config:-$default_config}
config_name=$(stem "$config")
exp=$workdir/exp/$config_name$suffix
append_training exp
untrained=$(before_training "$exp" "$config")
mfcc=$workdir/exp/mfcc_stats$suffix

if at_stage 0 "prepare data directories"; then
  run python3 -m local.prepare_speechocean762 "$corpus" "$data" --fold "$fold" --seed "$seed" \
    ${noise:+--noise "$noise"} ${rirs:+--rirs "$rirs"}
  [ "$simulate_rooms" = false ] || run python3 -m local.simulate_rooms "$data/$rooms" --seed "$seed"
fi

if at_stage 1 "VAD decisions"; then
  detect_speech "$data" train,dev,test
fi

if at_stage 2 "pack audio and prepare augmentation"; then
  pack_sets "$data" "$packed" train,dev,test
  make_noise_bank "$bank" ${noise:+--noise "$data/noise"} ${rooms:+--rirs "$data/$rooms"}
  copy_train "$packed" "$bank"
fi

if at_stage 3 "train the network"; then
  train_network "$packed/train" "$packed/dev" "$config" "$exp" "${augmenting[@]}"
fi

if at_stage 4 "extract embeddings"; then
  extract_embeddings "$exp" "$exp" "$packed" "$backend_train" dev,test
  # Baselines.
  draw_training "$packed"
  extract_baselines "$exp" "$untrained" "$mfcc" "$packed" "$drawn,dev,test"
fi

if at_stage 5 "train the back end"; then
  train_backends "$exp/embeddings/$backend_train" "$packed/$backend_train/utt2spk" "$exp/backend" \
    --adaptation "$exp/embeddings/dev"
  train_baseline "$untrained"
  train_baseline "$mfcc" --config conf/backends/scaled_cosine.yaml
fi

if at_stage 6 "score dev and test trials"; then
  score_systems "$exp" "$exp/embeddings/$backend_train" "$packed" dev test
  for baseline in "$untrained" "$mfcc"; do
    score_whole "$baseline/backend/cosine" "$baseline" "$packed" dev test
  done
fi

if at_stage 7 "report"; then
  evaluate_systems "$exp" "$packed" "$packed/train" "$packed/dev" "$untrained" "$mfcc"
  run python3 -m steps.illustrate "$data/train" "$packed/train" "$config" "$exp/pictures" "${augmenting[@]}" \
    --channel "$channel"
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
