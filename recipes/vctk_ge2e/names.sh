# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # run.sh sets options and uses the names
# Sourced by run.sh: the network, the variant, its folders and the experiment, as the options give them.

if [ "$kind" = td-prompted ]; then
  default_config=recipes/vctk_ge2e/conf/ge2e_td_prompted.yaml
else
  default_config=conf/ge2e_$mode.yaml
fi
config=${config:-$default_config}
yamls=("$config")  # and its base
base=$(sed -n 's/^base: *//p' "$config")
config_folder=$(dirname "$config")
[ -z "$base" ] || yamls+=("$config_folder/$base")
if [ "${given[*]/--sample?rate?hz/}" = "${given[*]}" ]; then  # not given: the YAML's
  sample_rate_hz=$(sed -n 's/^ *sample_rate_hz: *//p' "${yamls[@]}" | grep -m 1 . || echo 8000)
fi
packing+=(--sample-rate-hz "$sample_rate_hz" --channel "$channel")

variant=$kind
append variant "mic$mic" mic1
append variant "dev$dev_speakers" dev
append variant "top$top_db" top
append variant "seed$seed" seed1
append_audio variant
vad=${vad:-conf/vad/librosa_$cutting.yaml}

data=$workdir/data/$variant
packed=$data/packed_${sample_rate_hz}_$cutting
clean=$packed/whole
noisy=$clean  # of the trials: in mode td with noise
[ "$mode" = ti ] || noisy=$packed/noisy
tested=$packed/tested
sets="dev,test"
dev=$tested/dev
if [ "$dev_speakers" = 0 ]; then
  sets="test"
  dev=
fi
enrolled="test"
design=(--design "recipes/vctk_ge2e/conf/trials/$kind.yaml" --seed "$seed")
design+=(--enrol-utterances "$utterances" --test-utterances "$utterances")
bank=${noisy_vctk:+$packed/bank}
augmenting=(${bank:+--bank "$bank"} --seed "$seed")  # options that training crops depend on
[ -z "$augmentation" ] || augmenting+=(--augmentation "$augmentation")
[ -z "$override" ] || augmenting+=(--override "$override")

suffix=
append suffix "$variant" td-prompted
config_name=$(stem "$config")
exp=$workdir/exp/$config_name$suffix
append_training exp
untrained=$(before_training "$exp" "$config")
mfcc=$workdir/exp/mfcc_stats_$sample_rate_hz$suffix
own_backend=plain_cosine
plain=()
[ -n "$backend" ] || plain=(--subtract-mean false)
scorer=$(first_scorer)
