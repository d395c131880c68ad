#!/usr/bin/env bash
# Speaker verification on a corpus of your own: a folder for each speaker, a table, or a Kaldi
# directory.
#
#   recipes/own/run.sh --corpus PATH --dry-run
#       what the corpus contains and what would run, from 50 of its files; without --dry-run: the
#       whole run

set -euo pipefail
here=$(dirname "$0")
cd "$here/../.." && . ./path.sh

# Options: name=default  # kind: meaning
corpus=              # path: folder of <speaker>/.../<file>, table (.csv, .tsv), or Kaldi directory
root=                # path: where relative paths of a table or of wav.scp start; default: the table's
                     # folder, or the checkout
columns=             # of a table: our names -> its own, for example {speaker: who, start_ms: begin}
formats=             # of a folder: take only files with these endings, for example wav,flac
dev_share=0.1        # fraction of the speakers for dev, if the corpus names no sets
test_share=0.2       # the same for test
sessions=any         # one of any, across, within: sessions of the two sides of a trial
enrol_utterances=1   # number: utterances of a speaker model in the test trials
targets_per_speaker= # number: most target trials of a speaker, for large corpora; default: all pairs
allow_pipes=false    # run the commands that wav.scp may contain
public_corpus=false  # the corpus is published: a network with unknown training speakers may have heard it,
                     # and its results say so
noise=               # path: folder of noise files for augmentation
rirs=                # path: folder of room impulse responses for augmentation
simulate_rooms=false # simulate room impulse responses (image-source method), instead of --rirs
seed=1               # number from 0: of the sets, the trials, the first weights and all random choices
config=              # file: network, loss and training; default: speechocean762's, for a small corpus and a
                     # CPU
. utils/stages.sh "$@"

[ -n "$corpus" ] || fail_usage "--corpus is needed: a folder of speakers, a table or a Kaldi directory" \
  "(see recipes/own/README.md)"
variant=$(basename "$corpus" | sed 's/[^A-Za-z0-9._-]/_/g')
append variant "seed$seed" seed1
append variant "$dev_share-$test_share" 0.1-0.2
append variant "$sessions" any
append variant "models$enrol_utterances" models1
append variant "targets$targets_per_speaker" targets
append variant "${formats//[!A-Za-z0-9]/}"
append_audio variant

suffix=-$variant
append suffix "$cutting"
append suffix "$sample_rate_hz" 16000

data=$workdir/data/$variant
packed=$data/packed_$sample_rate_hz${cutting:+_$cutting}
enrolled="test"
[ "$enrol_utterances" != 1 ] || [ -f "$corpus/test/enroll.spk2utt" ] || enrolled=
design=(--sessions "$sessions" --seed "$seed")
[ -z "$targets_per_speaker" ] || design+=(--targets-per-speaker "$targets_per_speaker")
preview=$([ "$dry_run" = false ] || echo 50)
rooms=${rirs:+rirs}
[ "$simulate_rooms" = false ] || rooms=simulated_rooms
bank=${noise:-$rooms}
bank=${bank:+$packed/bank}
augmenting=(${bank:+--bank "$bank"} --seed "$seed")  # options of the augmentation of training crops
[ -z "$augmentation" ] || augmenting+=(--augmentation "$augmentation")

default_config=recipes/speechocean762/conf/ghostvlad_fbank_clean.yaml
[ -z "$noise" ] || [ -z "$rooms" ] || default_config=recipes/speechocean762/conf/ghostvlad_fbank.yaml
config=${config:-$default_config}
config_name=$(stem "$config")
exp=$workdir/exp/$config_name$suffix
append_stem exp "$augmentation"
append exp "$name"
untrained=$exp-untrained
mfcc=$workdir/exp/mfcc_stats$suffix

if at_stage 0 "prepare data directories"; then
  run python3 -m local.prepare_folder "$corpus" "$data" --dev-share "$dev_share" --test-share "$test_share" \
    --sessions "$sessions" --enrol-utterances "$enrol_utterances" --channel "$channel" --seed "$seed" \
    --sample-rate-hz "$sample_rate_hz" ${root:+--root "$root"} ${columns:+--columns "$columns"} \
    ${formats:+--formats "$formats"} --allow-pipes "$allow_pipes" --jobs "$nj" \
    ${noise:+--noise "$noise"} ${rirs:+--rirs "$rirs"} ${preview:+--preview "$preview"}
  run python3 -m steps.make_trials "$data/dev" "${design[@]}"
  run python3 -m steps.make_trials "$data/test" "${design[@]}" --enrol-utterances "$enrol_utterances"
  [ "$simulate_rooms" = false ] || run python3 -m local.simulate_rooms "$data/$rooms" --seed "$seed"
fi

if at_stage 1 "VAD decisions"; then
  detect_speech "$data" train,dev,test
fi

if at_stage 2 "pack audio and prepare augmentation"; then
  pack_train_and_tests "$data" "$packed" dev,test
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
    --channel "$channel" --allow-pipes "$allow_pipes"
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
