# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # options are of utils/stages.sh and run.sh, where names are read
# Sourced by run.sh: names that follow from its options, and what they refuse.

splitting=(--dev-share "$dev_share" --test-share "$test_share")
learning=true  # the recipe learns from the speakers that are not tested
only_tested=$model  # the network of --model, if it is not fine-tuned
[ "$fine_tune" = false ] || only_tested=
[ "$fine_tune$model" != true ] || fail_usage "--fine-tune starts from a trained network: name it by --model"
[ -z "$only_tested" ] || use_model "$model"
[ "$fine_tune" = false ] || tune_model "$model"
only_back_ends=$only_tested
[ -z "$own_domain" ] || [ "$fine_tune" = true ] || fail_usage "--own-domain belongs to --fine-tune"
[ -z "$own_domain" ] || check_domain "$own_domain"
[ -z "$only_tested" ] || [ "$config$noise$rirs$simulate_rooms" = false ] || fail_usage "no network is" \
  "trained here: --config, --noise, --rirs and --simulate-rooms belong to a training"
[ -z "$trials" ] || [ "$sessions $enrol_utterances $targets_per_speaker" = "any 1 " ] || fail_usage \
  "--sessions, --enrol-utterances and --targets-per-speaker are for trials that are made; --trials has them"
[ -n "$learning" ] || [ "$dev_share $test_share" = "0.1 0.2" ] || fail_usage "all speakers are tested:" \
  "--dev-share and --test-share are for a back end, a norm or a calibration that is learned here"
[ -n "$learning" ] || splitting=(--test-only true)
dev=${learning:+dev}
tests=${dev:+$dev,}test
sets=${learning:+train,}$tests
features=  # a Kaldi directory without audio
[ -f "$corpus/wav.scp" ] || [ ! -f "$corpus/feats.scp" ] || features=true
[ -f "$corpus/test/wav.scp" ] || [ ! -f "$corpus/test/feats.scp" ] || features=true
[ -n "$only_tested" ] || features=

variant=$(basename "$corpus" | sed 's/[^A-Za-z0-9._-]/_/g')
append variant "seed$seed" seed1
append variant "$dev_share-$test_share" 0.1-0.2
append variant "$sessions" any
append variant "models$enrol_utterances" models1
append variant "targets$targets_per_speaker" targets
append variant "${formats//[!A-Za-z0-9]/}"
append_audio variant
append_stem variant "$trials"
[ -n "$learning" ] || append variant all

suffix=-$variant
append suffix "$cutting"
[ -n "$features" ] || append suffix "$sample_rate_hz" 16000

data=$workdir/data/$variant
packed=$data/packed_$sample_rate_hz${cutting:+_$cutting}
[ -z "$features" ] || packed=$data
enrolled="test"
[ "$enrol_utterances" != 1 ] || [ -f "$corpus/test/enroll.spk2utt" ] || enrolled=
design=(--sessions "$sessions" --seed "$seed")
[ -z "$targets_per_speaker" ] || design+=(--targets-per-speaker "$targets_per_speaker")
preview=$([ "$dry_run" = false ] || echo 50)
rooms=${rirs:+rirs}
[ "$simulate_rooms" = false ] || rooms=simulated_rooms
bank=${noise:-$rooms}
bank=${bank:+$packed/bank}
augmenting=(${bank:+--bank "$bank"} --seed "$seed")  # options that training crops depend on
[ -z "$augmentation" ] || augmenting+=(--augmentation "$augmentation")
[ -z "$override" ] || augmenting+=(--override "$override")

default_config=recipes/speechocean762/conf/ghostvlad_fbank_clean.yaml
[ -z "$noise" ] || [ -z "$rooms" ] || default_config=recipes/speechocean762/conf/ghostvlad_fbank.yaml
config=${config:-$default_config}
config_name=$(stem "$config")
network_name=$(stem "$model" "")
[ -z "$only_tested" ] || config_name=$network_name
[ "$fine_tune" = false ] || append config_name "$network_name"
exp=$workdir/exp/$config_name$suffix
append_training exp
network=${only_tested:-$exp}
untrained=$(before_training "$exp" "$config")
[ "$fine_tune" = false ] || untrained=$workdir/exp/$network_name$suffix  # the network before
systems=("$exp")  # that are tested by the same back ends
[ "$fine_tune" = false ] || systems+=("$untrained")
baselines=true
[ -z "$model" ] || baselines=
domain_name=$(basename "$own_domain" | sed 's/[^A-Za-z0-9._-]/_/g')
domain=${domain_name:+domain_$domain_name}  # the set of --own-domain
domain_packed=$data/own_domain/packed_$sample_rate_hz
mfcc=$workdir/exp/mfcc_stats$suffix
