# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # options, backends and fail_usage are of utils/stages.sh and scoring.sh
# Sourced by utils/stages.sh: for recipes that test the trained network of --model, or fine-tune it.
#   use_model MODEL     above the stages: refuses options of a training, and sets the names below
#   tune_model MODEL    in its place, where the network is fine-tuned: sets config, override and the rate
#   fetch_model MODEL   in stage 0: fetches the network where it is a published one
#   check_domain DOMAIN   above the stages: refuses a folder without labelled trials for what follows
#   before_training EXP CONFIG   prints the folder of the network before the first step: EXP-untrained, or
#       EXP-before where the training starts from a trained network
# Stages of a fine-tuning; DOMAIN is a data directory with trials of the network's own domain, which is
# packed as PACKED/<set>; its back end is plain cosine, since the corpus' mean is of another domain:
#   pack_domain DOMAIN PACKED SET
#   extract_domain MODEL EXP PACKED SET   -> EXP/embeddings/SET
#   train_domain_backend EXP SET
#   score_domain EXP PACKED SET
#   judge_fine_tuning EXP BEFORE DATA [PACKED SET]   paired tests of EXP and the network BEFORE, and what
#       they say
# Names that use_model sets:
#   sample_rate_hz  that of a model folder
#   own_backend, backend   without --backend: the back end in the model folder, or plain cosine
#   learning        true where the recipe learns a back end, a norm, a calibration or a fusion; else empty
#   no_training, no_back_end   why stages 3 and 5 train nothing, for their titles

published="campplus ecapa resemblyzer"  # names that --model takes, and steps.fetch_pretrained

learning=
no_training=
no_back_end=

published_name() {  # MODEL: the name of a published network, if the model is models/<name>
  local name=${1#models/}
  case " $published " in
    *" $name "*) [ "$1" != "models/$name" ] || echo "$name" ;;
  esac
}

use_model() {
  local file model=$1
  refuse_no_model "$model"
  [ -z "$copies$augmentation$override$steps" ] || fail_usage "no network is trained here:" \
    "--copies, --augmentation, --override and --steps belong to a training"
  [ "$processes $nodes $split" = "1 1 false" ] || fail_usage "no network is trained here:" \
    "--processes, --nodes and --split belong to a training"
  take_rate "$model"
  no_training="left out, --model is trained"
  own_backend=plain_cosine
  no_back_end="none, plain cosine"
  if [ -z "$backend" ] && [ -f "$model/backend/backend.json" ]; then
    backend=$model/backend
    backends=("$backend")
  fi
  [ -z "$backend" ] || no_back_end="left out, trained already"
  learning=
  [ "$score_norm" = none ] || [ "$cohort" = head ] || learning=true
  [ "$calibrate $fuse" = "false false" ] || learning=true
  for file in "${backends[@]}"; do
    if [ -n "$file" ] && [ ! -d "$file" ]; then learning=true no_back_end=; fi
  done
}

refuse_no_model() {  # MODEL
  local name
  name=$(published_name "$1")
  [ -n "$name" ] || [ -f "$1/config.yaml" ] || fail_usage "--model $1: no config.yaml in it," \
    "expected an experiment of a recipe or of steps.import_model, a model folder, or one of" \
    "${published// /, }"
}

tune_model() {  # MODEL: `config`, and `override` with the network that training starts from
  local file facts
  refuse_no_model "$1"
  for file in "${backends[@]}"; do
    [ ! -d "$file" ] || fail_usage "--backend $file: a trained back end is of one network, and two are" \
      "tested; give a YAML of conf/backends/"
  done
  [ "$cohort" = train ] || fail_usage "--cohort head: the fine-tuned network has another head than" \
    "$1; leave the option out"
  take_rate "$1"
  facts=$(python3 -m steps.plan_fine_tuning "$1" ${config:+"$config"} \
    ${override:+--override "$override"} 2>&1) || fail_usage "${facts#steps.plan_fine_tuning: }"
  config=${facts%%$'\n'*}
  override=${facts#*$'\n'}
}

take_rate() {  # MODEL
  local rate facts=$1/provenance.json
  [ -f "$facts" ] || return 0
  rate=$(sed -n 's/^ *"sample_rate_hz": \([0-9]*\),*$/\1/p' "$facts")
  if [ "${given[*]/--sample?rate?hz/}" != "${given[*]}" ] && [ "$sample_rate_hz" != "$rate" ]; then
    fail_usage "--sample-rate-hz $sample_rate_hz: the network of $1 takes $rate Hz; leave the option out"
  fi
  sample_rate_hz=${rate:-$sample_rate_hz}
}

fetch_model() {
  local name
  name=$(published_name "$1")
  [ -z "$name" ] || run python3 -m steps.fetch_pretrained "$name" "$1"
}

before_training() {  # EXP CONFIG
  local base folder
  folder=$(dirname "$2")
  base=$(sed -n 's/^base: *\([^ #]*\).*/\1/p' "$2" 2>/dev/null)
  case $override in
    start_from* | *,start_from* | *.start_from*) echo "$1-before"; return ;;
  esac
  if grep -qs "^start_from:" "$2" ${base:+"$folder/$base"}; then
    echo "$1-before"
  else
    echo "$1-untrained"
  fi
}

domain_scorer=own_domain_cosine

check_domain() {
  local file
  for file in wav.scp utt2spk trials; do
    [ -f "$1/$file" ] || fail_usage "--own-domain $1: no $file in it, expected a data directory with trials"
  done
  awk '$3 == "target" { targets++ }
    $3 == "nontarget" { nontargets++ }
    END { exit !(targets && nontargets && targets + nontargets == NR) }' "$1/trials" ||
    fail_usage "--own-domain: $1/trials: expected '<enrolment> <test> target' or '... nontarget' in" \
      "each line, and both kinds"
}

pack_domain() {
  $cmd JOB=1:"$nj" "$2/$3/log/pack.JOB.log" python3 -m steps.pack_audio "$1" "$2/$3" \
    --sample-rate-hz "$sample_rate_hz" --channel "$channel" --min-speech-seconds 0 \
    ${allow_pipes+--allow-pipes "$allow_pipes"} --job "JOB/$nj"
  run python3 -m steps.collect_packed "$1" "$2/$3" --jobs "$nj"
}

extract_domain() {
  $cmd JOB=1:"$nj" "$2/log/extract_$4.JOB.log" python3 -m steps.extract "$1" "$3" "$2/embeddings" \
    --sets "[$4]" --device "$device" --job "JOB/$nj"
  run python3 -m steps.collect_embeddings "$3/$4" "$2/embeddings/$4" --jobs "$nj"
}

train_domain_backend() {
  run python3 -m steps.train_backend "$1/embeddings/$2" "$1/backend/$domain_scorer" --subtract-mean false
}

score_domain() { score_whole "$1/backend/$domain_scorer" "$@"; }

judge_fine_tuning() {
  local experiments scorer domain=
  experiments=$(json_list "$1" "$2")
  scorer=$(first_scorer)
  run python3 -m steps.compare "$3" "$1/compared" --experiments "$experiments" --scorers "[$scorer]"
  if [ $# -gt 3 ]; then
    domain=$1/compared_own_domain
    run python3 -m steps.compare "$4" "$domain" --experiments "$experiments" --scorers "[$domain_scorer]" \
      --sets "[$5]" --players false
  fi
  run python3 -m steps.judge_fine_tuning "$1" "$1/compared" ${domain:+--own-domain "$domain"}
}
