#!/usr/bin/env bash
# Speaker verification on a corpus of your own: a folder for each speaker, a table, or a Kaldi directory.
#   recipes/own/run.sh --corpus PATH --dry-run     what was found and what would happen, after a look at 50 files; without --dry-run: all of it

set -euo pipefail
cd "$(dirname "$0")/../.." && . ./path.sh
# Options: name=default  # meaning
corpus=                         # path: folder of <speaker>/.../<file>, table (.csv, .tsv) with columns path and speaker, or Kaldi directory
root=                           # path: where relative paths of a table or of wav.scp start, if not at the table's folder or the checkout
dev_share=0.1                   # of the speakers, for sets that the corpus does not name
test_share=0.2                  # the same
sessions=any                    # one of any, across, within: sessions of the two sides of a trial
enrol_utterances=1              # more: test trials are of models of so many utterances
targets_per_speaker=            # most target trials of each speaker, for large corpora; default: all pairs
allow_pipes=false               # run the commands that wav.scp may hold
noise=                          # path: tree of noise files for augmentation
rirs=                           # path: tree of room responses for augmentation
simulate_rooms=false            # make room responses by the image-source method, instead of --rirs
seed=1                          # of the sets, the trials, the first weights and every draw
config=                         # path: network, loss and regime; default: speechocean762's, for a small corpus and a CPU
. utils/stages.sh "$@"
[ -n "$corpus" ] || fail_usage "--corpus is needed: a folder of speakers, a table or a Kaldi directory (see recipes/own/README.md)"
enrolled=$([ "$enrol_utterances" = 1 ] || echo test) shares=$([ "$dev_share/$test_share" = 0.1/0.2 ] || echo "$dev_share-$test_share")
variant=$(basename "$corpus" | sed 's/[^A-Za-z0-9._-]/_/g')$([ "$seed" = 1 ] || echo "-seed$seed")${shares:+-$shares}$([ "$sessions" = any ] || echo "-$sessions")
variant=$variant${enrolled:+-models$enrol_utterances}${targets_per_speaker:+-targets$targets_per_speaker}${vad:+-$(basename "$vad" .yaml)}
cut=$([ "$trim" = false ] || echo trim)$([ "$split" = false ] || echo split) rooms=$([ "$simulate_rooms" = true ] && echo simulated_rooms || echo "${rirs:+rirs}")
[ -n "$config" ] || config=recipes/speechocean762/conf/ghostvlad_fbank$([ -n "$noise" ] && [ -n "$rooms" ] || echo _clean).yaml
suffix=-$variant${cut:+-$cut}$([ "$sample_rate_hz" = 16000 ] || echo "-$sample_rate_hz")
data=$workdir/data/$variant packed=$workdir/data/$variant/packed_$sample_rate_hz${cut:+_$cut} bank=$([ -z "$noise$rooms" ] || echo "$packed/bank")
exp=$workdir/exp/$(basename "$config" .yaml)$suffix${augmentation:+-$(basename "$augmentation" .yaml)}${name:+-$name}
policy=${copies:+_$(basename "$copies" .yaml)} enlarged=train$policy drawing=(${bank:+--bank "$bank"} --seed "$seed" ${augmentation:+--augmentation "$augmentation"})
design=(--sessions "$sessions" --seed "$seed" ${targets_per_speaker:+--targets-per-speaker "$targets_per_speaker"})
untrained=$exp-untrained mfcc=$workdir/exp/mfcc_stats$suffix preview=$([ "$dry_run" = false ] || echo 50)

if at_stage 0 "prepare data directories"; then
  run python3 -m local.prepare_folder "$corpus" "$data" --dev-share "$dev_share" --test-share "$test_share" --seed "$seed" --jobs "$nj" \
    ${root:+--root "$root"} --allow-pipes "$allow_pipes" ${noise:+--noise "$noise"} ${rirs:+--rirs "$rirs"} ${preview:+--preview "$preview"}
  run python3 -m steps.make_trials "$data/dev" "${design[@]}"
  run python3 -m steps.make_trials "$data/test" "${design[@]}" --enrol-utterances "$enrol_utterances"
  [ "$simulate_rooms" = false ] || run python3 -m local.simulate_rooms "$data/$rooms" --seed "$seed"
fi

if at_stage 1 "VAD decisions"; then
  for set in train dev test; do
    $cmd JOB=1:"$nj" "$data/$set/log/vad.JOB.log" python3 -m steps.compute_vad "$data/$set" ${vad:+--config "$vad"} --allow-pipes "$allow_pipes" --job "JOB/$nj"
    run python3 -m steps.collect_vad "$data/$set" --jobs "$nj"
  done
fi

if at_stage 2 "pack audio and prepare augmentation"; then
  for set in train dev test; do
    $cmd JOB=1:"$nj" "$packed/$set/log/pack.JOB.log" python3 -m steps.pack_audio "$data/$set" "$packed/$set" --trim "$trim" \
      --sample-rate-hz "$sample_rate_hz" --split "$([ "$set" = train ] && echo "$split" || echo false)" --allow-pipes "$allow_pipes" --job "JOB/$nj"
    run python3 -m steps.collect_packed "$data/$set" "$packed/$set" --jobs "$nj"
  done
  [ -z "$bank" ] || run python3 -m steps.augment "$bank" --sample-rate-hz "$sample_rate_hz" ${noise:+--noise "$data/noise"} ${rooms:+--rirs "$data/$rooms"}
  [ -z "$copies" ] || $cmd JOB=1:"$nj" "$packed/$enlarged/log/copies.JOB.log" python3 -m steps.augment_copies \
    "$packed/train" "${bank:-none}" "$copies" "$packed/$enlarged" --one-copy-per-transform --seed "$seed" --job "JOB/$nj"
  [ -z "$copies" ] || run python3 -m steps.collect_copies "$packed/train" "$packed/$enlarged" --include-originals --jobs "$nj"
fi

if at_stage 3 "train the network"; then
  run $trainer -m steps.train "$packed/train" "$packed/dev" "$config" "$exp" "${drawing[@]}" \
    --num-threads "$num_threads" --device "$device" ${steps:+--steps "$steps"}
fi

if at_stage 4 "extract embeddings"; then
  extract_embeddings "$exp" "$exp" "$packed" "$enlarged" dev,test
  extract_whole "$exp" "$untrained" "$packed" dev,test --checkpoint step-0000000  # what the trained network has to beat
  run python3 -m steps.extract_mfcc_stats "$packed" "$mfcc/embeddings" --sets "[dev, test]"
fi

if at_stage 5 "train the back end"; then
  train_backends "$exp/embeddings/$enlarged" "$packed/$enlarged/utt2spk" "$exp/backend" --adaptation "$exp/embeddings/dev"
  run python3 -m steps.train_backend "$untrained/embeddings/dev" "$untrained/backend/cosine"
  run python3 -m steps.train_backend "$mfcc/embeddings/dev" "$mfcc/backend/cosine" --subtract-mean false
fi

if at_stage 6 "score dev and test trials"; then
  score_systems "$exp" "$exp/embeddings/$enlarged" "$packed" dev test
  for baseline in "$untrained" "$mfcc"; do
    score_whole "$baseline/backend/cosine" "$baseline" "$packed" dev test
  done
fi

if at_stage 7 "report"; then
  evaluate_systems "$exp" "$packed" "$packed/train" "$packed/dev" "$untrained" "$mfcc"
  run python3 -m steps.illustrate "$data/train" "$packed/train" "$config" "$exp/pictures" "${drawing[@]}" --allow-pipes "$allow_pipes"
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
