#!/usr/bin/env bash
# Speaker verification on a small generated corpus: all stages in minutes on two CPU cores, without
# downloads.
#
#   recipes/mini/run.sh                            all stages
#   recipes/mini/run.sh --stage 3 --stop-stage 6   some of them
#   recipes/mini/run.sh --size tiny                a few speakers and a dozen steps: what the tests use

set -euo pipefail
here=$(dirname "$0")
cd "$here/../.." && . ./path.sh

# Options: name=default  # kind: meaning
size=full                       # one of full, tiny: minutes, or seconds
seed=1                          # number from 0: of the corpus, the first weights and all random choices
config=                         # file: network, loss and training; default: conf/ghostvlad_mini.yaml here,
                                # or ghostvlad_tiny.yaml with --size tiny
. utils/stages.sh "$@"

variant=$size
append variant "seed$seed" seed1
append_audio variant

suffix=
append suffix "$variant" full
append suffix "$cutting"
append suffix "$sample_rate_hz" 16000

config=${config:-recipes/mini/conf/ghostvlad_${size/full/mini}.yaml}
config_name=$(stem "$config")
exp=$workdir/exp/$config_name$suffix
append_training exp
untrained=$(before_training "$exp" "$config")
mfcc=$workdir/exp/mfcc_stats$suffix
channel_stats=$workdir/exp/channel_stats$suffix

data=$workdir/data/$variant
packed=$data/packed_$sample_rate_hz${cutting:+_$cutting}
bank=$packed/bank
augmenting=(--bank "$bank" --seed "$seed")  # options that training crops depend on
[ -z "$augmentation" ] || augmenting+=(--augmentation "$augmentation")
[ -z "$override" ] || augmenting+=(--override "$override")

if at_stage 0 "prepare data directories"; then
  run python3 -m local.prepare_mini "$data" --size "$size" --seed "$seed" --jobs "$nj"
fi

if at_stage 1 "VAD decisions"; then
  detect_speech "$data" train,dev,test
fi

if at_stage 2 "pack audio and prepare augmentation"; then
  pack_sets "$data" "$packed" train,dev,test
  make_noise_bank "$bank" --noise "$data/noise" --rirs "$data/rirs"
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
  draw_training "$data"
  run python3 -m steps.extract_channel_stats "$data" "$channel_stats/embeddings" --sets "[$drawn, dev, test]"
fi

if at_stage 5 "train the back end"; then
  train_backends "$exp/embeddings/$backend_train" "$packed/$backend_train/utt2spk" "$exp/backend" \
    --adaptation "$exp/embeddings/dev"
  train_baseline "$untrained"
  for baseline in "$mfcc" "$channel_stats"; do
    train_baseline "$baseline" --config conf/backends/scaled_cosine.yaml
  done
fi

if at_stage 6 "score dev and test trials"; then
  score_systems "$exp" "$exp/embeddings/$backend_train" "$packed" dev test
  for baseline in "$untrained" "$mfcc" "$channel_stats"; do
    score_whole "$baseline/backend/cosine" "$baseline" "$packed" dev test
  done
fi

if at_stage 7 "report"; then
  evaluate_systems "$exp" "$packed" "$packed/train" "$packed/dev" "$untrained" "$mfcc" "$channel_stats"
  run python3 -m steps.illustrate "$data/train" "$packed/train" "$config" "$exp/pictures" "${augmenting[@]}" \
    --channel "$channel"
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
