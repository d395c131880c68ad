#!/usr/bin/env bash
# Speaker verification on VoxCeleb 1 and 2: any network of conf/, tested by the lists O, E and H of VoxCeleb1,
# original and cleaned.
#
#   recipes/voxceleb1/run.sh --voxceleb1 DIR --voxceleb2 DIR --musan DIR --rirs DIR
#       trained on VoxCeleb2 dev
#   recipes/voxceleb1/run.sh --voxceleb1 DIR --training vox1dev --config conf/rawnet.yaml
#       trained on VoxCeleb1 dev, tested by O

set -euo pipefail
here=$(dirname "$0")
cd "$here/../.." && . ./path.sh

# Options: name=default  # meaning
voxceleb1=                  # path: VoxCeleb1, in any of the layouts of the README
voxceleb2=                  # path: VoxCeleb2, .m4a or .wav; needed where it is trained on
lists=                      # path: folder of the lists of trials, vox1_meta.csv and vox2_meta.csv;
                            # default: the corpora's folders
musan=                      # path: MUSAN (music/, noise/, speech/) or another tree of noises, for
                            # augmentation
rirs=                       # path: RIRS_NOISES (simulated and real responses) or another tree of them, for
                            # augmentation
training=vox2dev            # one of vox2dev, vox1dev, both: dev part of VoxCeleb2, of VoxCeleb1, or both
train_list=                 # path: train on these files only; voxceleb_trainer's or VGG's format
tests=                      # lists of trials, joined by commas; default: vox1_o, vox1_o_cleaned, and,
                            # trained on vox2dev alone, the four of e and h
test_cuts=                  # cut test sides too, enrolment stays whole; joined by commas:
                            # centre_1s, _2s, _3s, _5s or mr_rawnet_1s, ... (as published)
dev_speakers=               # training speakers kept out for dev; default: 40, or a tenth of fewer than 400;
                            # 0: none, and the last checkpoint
allow_incomplete=false      # go on with a part of the corpora; trials whose files are missing are lost, and
                            # every result says so
seed=1                      # of dev, its trials, the first weights and every draw
config=conf/ecapa_512.yaml  # path: network, loss and regime; the default's --augmentation is WeSpeaker's
                            # where --musan and --rirs are given
. utils/stages.sh "$@"

[ -n "$voxceleb1" ] || fail_usage "--voxceleb1 is needed: a folder that holds VoxCeleb1" \
  "(see recipes/voxceleb1/README.md)"
dev=dev
[ "$dev_speakers" != 0 ] || dev=
heard=test${tests:+-${tests//,/-}}  # all files of the lists, embedded once, whichever lists share them
if [ -z "$tests" ]; then
  tests=vox1_o,vox1_o_cleaned
  [ "$training" != vox2dev ] || tests=$tests,vox1_e,vox1_e_cleaned,vox1_h,vox1_h_cleaned
fi
cuts=whole${test_cuts:+,$test_cuts}  # what is scored

list_name=$(stem "$train_list" .txt)
variant=$training
append variant "dev$dev_speakers" dev
append variant "$list_name"
append variant "seed$seed" seed1
append_heard variant

suffix=
append suffix "$variant" vox2dev
append suffix "$cutting"
append suffix "$sample_rate_hz" 16000

data=$workdir/data/$variant
packed=$data/packed_$sample_rate_hz${cutting:+_$cutting}
packing=(--trim "$trim" --sample-rate-hz "$sample_rate_hz" --channel "$channel")
bank=
[ -z "$musan$rirs" ] || bank=$packed/bank
if [ "$augmentation$config" = conf/ecapa_512.yaml ] && [ -n "$musan" ] && [ -n "$rirs" ]; then
  augmentation=conf/augmentation/wespeaker_voxceleb.yaml
fi
drawing=(${bank:+--bank "$bank"} --seed "$seed")  # of what happens to training crops
[ -z "$augmentation" ] || drawing+=(--augmentation "$augmentation")
enlarged=train$policy           # what the back end is trained on

config_name=$(stem "$config")
exp=$workdir/exp/$config_name$suffix
append_stem exp "$augmentation"
append exp "$name"

if at_stage 0 "prepare data directories"; then
  run python3 -m local.prepare_voxceleb "$voxceleb1" "$data" ${voxceleb2:+--voxceleb2 "$voxceleb2"} \
    --training "$training" ${lists:+--lists "$lists"} --tests "[${tests//,/, }]" --test-set "$heard" \
    ${train_list:+--train-list "$train_list"} ${dev_speakers:+--dev-speakers "$dev_speakers"} \
    ${musan:+--musan "$musan"} ${rirs:+--rirs "$rirs"} --allow-incomplete "$allow_incomplete" \
    --allow-leakage "$allow_leakage" --seed "$seed" --jobs "$nj"
fi

if at_stage 1 "VAD decisions"; then
  for set in train $dev $heard; do
    $cmd JOB=1:"$nj" "$data/$set/log/vad.JOB.log" \
      python3 -m steps.compute_vad "$data/$set" ${vad:+--config "$vad"} --channel "$channel" --job "JOB/$nj"
    run python3 -m steps.collect_vad "$data/$set" --jobs "$nj"
  done
fi

if at_stage 2 "pack audio and prepare augmentation"; then
  $cmd JOB=1:"$nj" "$packed/train/log/pack.JOB.log" python3 -m steps.pack_audio \
    "$data/train" "$packed/train" "${packing[@]}" --split "$split" --job "JOB/$nj"
  run python3 -m steps.collect_packed "$data/train" "$packed/train" --jobs "$nj"
  for set in $dev $heard; do
    $cmd JOB=1:"$nj" "$packed/$set/log/pack.JOB.log" python3 -m steps.pack_audio \
      "$data/$set" "$packed/$set" "${packing[@]}" --split false --job "JOB/$nj"
    run python3 -m steps.collect_packed "$data/$set" "$packed/$set" --jobs "$nj"
  done
  [ -z "$bank" ] || run python3 -m steps.augment "$bank" --sample-rate-hz "$sample_rate_hz" \
    ${musan:+--noise "$data/noise"} ${rirs:+--rirs "$data/rirs"}
  if [ -n "$copies" ]; then
    $cmd JOB=1:"$nj" "$packed/$enlarged/log/copies.JOB.log" \
      python3 -m steps.augment_copies "$packed/train" "${bank:-none}" "$copies" "$packed/$enlarged" \
      --one-copy-per-transform --seed "$seed" --job "JOB/$nj"
    run python3 -m steps.collect_copies "$packed/train" "$packed/$enlarged" --include-originals --jobs "$nj"
  fi
fi

if at_stage 3 "train the network"; then
  train_network "$packed/train" "${dev:+$packed/}${dev:-none}" "$config" "$exp" "${drawing[@]}"
fi

if at_stage 4 "extract embeddings"; then
  extract_embeddings "$exp" "$exp" "$packed" "$enlarged" "${dev:+$dev,}$heard"
  for protocol in "" ${test_cuts//,/ } ${test_protocols//,/ }; do  # of each list, out of those of all files
    run python3 -m steps.select_embeddings "$exp/embeddings/$heard" "$data/tests" "$exp/embeddings" \
      --sets "[${tests//,/, }]" ${protocol:+--protocol "$protocol"}
  done
fi

if at_stage 5 "train the back end"; then
  train_backends "$exp/embeddings/$enlarged" "$packed/$enlarged/utt2spk" "$exp/backend"
fi

if at_stage 6 "score dev and test trials"; then
  score_systems "$exp" "$exp/embeddings/$enlarged" "$data/tests" "$dev" "$tests"
fi

if at_stage 7 "report"; then
  evaluate_systems "$exp" "$data/tests" "$packed/train" "${dev:+$data/tests/dev}"
  run python3 -m steps.illustrate "$data/train" "$packed/train" "$config" "$exp/pictures" "${drawing[@]}" \
    --channel "$channel"
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
