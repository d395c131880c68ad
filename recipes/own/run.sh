#!/usr/bin/env bash
# Speaker verification on a corpus of your own: a folder for each speaker, a table, or a Kaldi
# directory.
#
#   recipes/own/run.sh --corpus PATH --dry-run
#       what the corpus contains, what is recommended for it, and what would run, from 50 of its
#       files
#   recipes/own/run.sh --corpus PATH --model campplus
#       a published network, tested on all speakers
#   recipes/own/run.sh --corpus PATH --model campplus --fine-tune
#       the same, trained further on most of the speakers; both networks are tested on the others
#   recipes/own/run.sh --corpus PATH
#       a network trained on most of the speakers, and tested on the others

set -euo pipefail
here=$(dirname "$0")
cd "$here/../.." && . ./path.sh

# Options: name=default  # kind: meaning
corpus=              # path: folder of <speaker>/.../<file>, table (.csv, .tsv), or Kaldi directory
root=                # path: where relative paths of a table or of wav.scp start; default: the table's
                     # folder, or the checkout
columns=             # of a table: our names -> its own, for example {speaker: who, start_ms: begin}
formats=             # of a folder: take only files with these endings, for example wav,flac
model=               # model: a trained network to test, in place of a training: an experiment, a model
                     # folder, or one of campplus, ecapa, resemblyzer, which are fetched
fine_tune=false      # train the network of --model further, on the train speakers; the dev speakers choose
                     # the number of steps, and both networks are tested
own_domain=          # path: with --fine-tune, data directory with trials of the domain that the network of
                     # --model was trained for: what the change costs there
trials=              # file: test trials, <enrolment> <test> and, if known, target or nontarget; sides are
                     # ids, or files, absolute or relative to the corpus
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
                     # CPU; with --fine-tune conf/<network>_finetune.yaml
. utils/stages.sh "$@"

[ -n "$corpus" ] || fail_usage "--corpus is needed: a folder of speakers, a table or a Kaldi directory" \
  "(see recipes/own/README.md)"
. recipes/own/names.sh

if at_stage 0 "prepare data directories"; then
  fetch_model "$model"
  run python3 -m local.prepare_folder "$corpus" "$data" "${splitting[@]}" \
    --sessions "$sessions" --enrol-utterances "$enrol_utterances" --channel "$channel" --seed "$seed" \
    --sample-rate-hz "$sample_rate_hz" ${root:+--root "$root"} ${columns:+--columns "$columns"} \
    ${formats:+--formats "$formats"} --allow-pipes "$allow_pipes" --jobs "$nj" \
    ${noise:+--noise "$noise"} ${rirs:+--rirs "$rirs"} ${preview:+--preview "$preview"} \
    ${trials:+--trials "$trials"} ${features:+--features true}
  [ -z "$dev" ] || run python3 -m steps.make_trials "$data/dev" "${design[@]}"
  run python3 -m steps.make_trials "$data/test" "${design[@]}" --enrol-utterances "$enrol_utterances"
  [ "$simulate_rooms" = false ] || run python3 -m local.simulate_rooms "$data/$rooms" --seed "$seed"
fi

if at_stage 1 "VAD decisions" "${features:+left out, there is no audio}"; then
  [ -n "$features" ] || detect_speech "$data" "$sets"
fi

if at_stage 2 "pack audio and prepare augmentation" "${features:+left out, there is no audio}"; then
  [ -n "$features" ] || pack_sets "$data" "$packed" "$sets"
  make_noise_bank "$bank" ${noise:+--noise "$data/noise"} ${rooms:+--rirs "$data/$rooms"}
  copy_train "$packed" "$bank"
  [ -z "$domain" ] || pack_domain "$own_domain" "$domain_packed" "$domain"
fi

if at_stage 3 "train the network" "${only_tested:+$no_training}"; then
  [ -n "$only_tested" ] || train_network "$packed/train" "$packed/dev" "$config" "$exp" "${augmenting[@]}"
fi

if at_stage 4 "extract embeddings"; then
  extract_embeddings "$network" "$exp" "$packed" "${learning:+$backend_train}" "$tests"
  [ "$fine_tune" = false ] || extract_embeddings "$model" "$untrained" "$packed" "$backend_train" "$tests"
  if [ -n "$domain" ]; then
    extract_domain "$exp" "$exp" "$domain_packed" "$domain"
    extract_domain "$model" "$untrained" "$domain_packed" "$domain"
  fi
  if [ -n "$baselines" ]; then
    draw_training "$packed"
    extract_baselines "$exp" "$untrained" "$mfcc" "$packed" "$drawn,dev,test"
  fi
fi

if at_stage 5 "train the back end" "${only_tested:+$no_back_end}"; then
  if [ -n "$only_tested" ] && [ -z "$backend" ]; then  # cosine of unchanged embeddings
    train_backends "$exp/embeddings/test" "" "$exp/backend" --subtract-mean false
  else
    for system in "${systems[@]}"; do
      train_backends "$system/embeddings/$backend_train" "$packed/$backend_train/utt2spk" "$system/backend" \
        --adaptation "$system/embeddings/dev"
      [ -z "$domain" ] || train_domain_backend "$system" "$domain"
    done
  fi
  if [ -n "$baselines" ]; then
    train_baseline "$untrained"
    train_baseline "$mfcc" --config conf/backends/scaled_cosine.yaml
  fi
fi

if at_stage 6 "score dev and test trials"; then
  for system in "${systems[@]}"; do
    score_systems "$system" "$system/embeddings/$backend_train" "$packed" "$dev" test
    [ -z "$domain" ] || score_domain "$system" "$domain_packed" "$domain"
  done
  if [ -n "$baselines" ]; then
    for baseline in "$untrained" "$mfcc"; do
      score_whole "$baseline/backend/cosine" "$baseline" "$packed" dev test
    done
  fi
fi

if at_stage 7 "report"; then
  if [ -n "$only_tested" ]; then
    evaluate_systems "$exp" "$packed" "${learning:+$packed/train}" "${learning:+$packed/dev}"
  else
    evaluate_systems "$exp" "$packed" "$packed/train" "$packed/dev" "$untrained" ${baselines:+"$mfcc"}
    run python3 -m steps.illustrate "$data/train" "$packed/train" "$config" "$exp/pictures" \
      "${augmenting[@]}" --channel "$channel" --allow-pipes "$allow_pipes"
  fi
  [ "$fine_tune" = false ] || judge_fine_tuning "$exp" "$untrained" "$packed" \
    ${domain:+"$domain_packed" "$domain"}
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
