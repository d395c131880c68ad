#!/usr/bin/env bash
# Speaker verification on VoxCeleb 1 and 2: any network of conf/, tested on the lists O, E and H of
# VoxCeleb1, original and cleaned.
#
#   recipes/voxceleb1/run.sh --voxceleb1 DIR --voxceleb2 DIR --musan DIR --rirs DIR
#       trained on VoxCeleb2 dev
#   recipes/voxceleb1/run.sh --voxceleb1 DIR --training vox1dev --config conf/rawnet.yaml
#       trained on VoxCeleb1 dev, tested by O

set -euo pipefail
here=$(dirname "$0")
cd "$here/../.." && . ./path.sh

# Options: name=default  # kind: meaning
voxceleb1=                  # path: VoxCeleb1, in any of the layouts of the README
voxceleb2=                  # path: VoxCeleb2, .m4a or .wav; needed where it is trained on
lists=                      # path: folder of the trial lists, vox1_meta.csv and vox2_meta.csv;
                            # default: the corpora's folders
musan=                      # path: MUSAN (music/, noise/, speech/) or another folder of noises, for
                            # augmentation
rirs=                       # path: RIRS_NOISES (simulated and real responses) or another folder of room
                            # impulse responses, for augmentation
training=vox2dev            # one of vox2dev, vox1dev, both: dev part of VoxCeleb2, of VoxCeleb1, or both
train_list=                 # path: train on these files only; in voxceleb_trainer's or VGG's format
tests=                      # trial lists, joined by commas; default: vox1_o, vox1_o_cleaned, and, trained
                            # on vox2dev alone, the four of e and h
test_cuts=                  # cut the test sides too, but not the enrolment sides; joined by commas:
                            # centre_1s, _2s, _3s, _5s or mr_rawnet_1s, ... (as published)
dev_speakers=               # number from 0: training speakers that become dev; default: 40, or a tenth of
                            # fewer than 400; 0: none, and the last checkpoint is taken
allow_incomplete=false      # go on with a part of the corpora; trials whose files are missing are left out,
                            # and every result says so
seed=1                      # number from 0: of dev, its trials, the first weights and all random choices
config=conf/ecapa_512.yaml  # file: network, loss and training; the default's --augmentation is WeSpeaker's
                            # where --musan and --rirs are given
. utils/stages.sh "$@"

[ -n "$voxceleb1" ] || fail_usage "--voxceleb1 is needed: a folder that contains VoxCeleb1" \
  "(see recipes/voxceleb1/README.md)"
dev=dev
[ "$dev_speakers" != 0 ] || dev=
test_files=test${tests:+-${tests//,/-}}  # the set of all files of the lists: each is embedded once
if [ -z "$tests" ]; then
  tests=vox1_o,vox1_o_cleaned
  [ "$training" != vox2dev ] || tests=$tests,vox1_e,vox1_e_cleaned,vox1_h,vox1_h_cleaned
fi
cuts=whole${test_cuts:+,$test_cuts}  # protocols that are scored

list_name=$(stem "$train_list" .txt)
variant=$training
append variant "dev$dev_speakers" dev
append variant "$list_name"
append variant "seed$seed" seed1
append_audio variant

suffix=
append suffix "$variant" vox2dev
append suffix "$cutting"
append suffix "$sample_rate_hz" 16000

data=$workdir/data/$variant
packed=$data/packed_$sample_rate_hz${cutting:+_$cutting}
bank=
[ -z "$musan$rirs" ] || bank=$packed/bank
if [ "$augmentation$config" = conf/ecapa_512.yaml ] && [ -n "$musan" ] && [ -n "$rirs" ]; then
  augmentation=conf/augmentation/wespeaker_voxceleb.yaml
fi
augmenting=(${bank:+--bank "$bank"} --seed "$seed")  # options that training crops depend on
[ -z "$augmentation" ] || augmenting+=(--augmentation "$augmentation")
[ -z "$override" ] || augmenting+=(--override "$override")

config_name=$(stem "$config")
exp=$workdir/exp/$config_name$suffix
append_training exp

if at_stage 0 "prepare data directories"; then
  run python3 -m local.prepare_voxceleb "$voxceleb1" "$data" ${voxceleb2:+--voxceleb2 "$voxceleb2"} \
    --training "$training" ${lists:+--lists "$lists"} --tests "[${tests//,/, }]" --test-set "$test_files" \
    ${train_list:+--train-list "$train_list"} ${dev_speakers:+--dev-speakers "$dev_speakers"} \
    ${musan:+--musan "$musan"} ${rirs:+--rirs "$rirs"} --allow-incomplete "$allow_incomplete" \
    --allow-leakage "$allow_leakage" --seed "$seed" --jobs "$nj"
fi

if at_stage 1 "VAD decisions"; then
  detect_speech "$data" "train,${dev:+$dev,}$test_files"
fi

if at_stage 2 "pack audio and prepare augmentation"; then
  pack_sets "$data" "$packed" "train,${dev:+$dev,}$test_files"
  make_noise_bank "$bank" ${musan:+--noise "$data/noise"} ${rirs:+--rirs "$data/rirs"}
  copy_train "$packed" "$bank"
fi

if at_stage 3 "train the network"; then
  train_network "$packed/train" "${dev:+$packed/}${dev:-none}" "$config" "$exp" "${augmenting[@]}"
fi

if at_stage 4 "extract embeddings"; then
  extract_embeddings "$exp" "$exp" "$packed" "$backend_train" "${dev:+$dev,}$test_files"
  for protocol in "" ${test_cuts//,/ } ${test_protocols//,/ }; do  # those of each list, from all files
    run python3 -m steps.select_embeddings "$exp/embeddings/$test_files" "$data/tests" "$exp/embeddings" \
      --sets "[${tests//,/, }]" ${protocol:+--protocol "$protocol"}
  done
fi

if at_stage 5 "train the back end"; then
  train_backends "$exp/embeddings/$backend_train" "$packed/$backend_train/utt2spk" "$exp/backend"
fi

if at_stage 6 "score dev and test trials"; then
  score_systems "$exp" "$exp/embeddings/$backend_train" "$data/tests" "$dev" "$tests"
fi

if at_stage 7 "report"; then
  evaluate_systems "$exp" "$data/tests" "$packed/train" "${dev:+$data/tests/dev}"
  run python3 -m steps.illustrate "$data/train" "$packed/train" "$config" "$exp/pictures" "${augmenting[@]}" \
    --channel "$channel"
  run python3 -m steps.report "$exp" "$data" --packed "$packed"
fi
