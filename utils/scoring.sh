# shellcheck shell=bash
# shellcheck disable=SC2154  # options, run and fail_usage are of utils/stages.sh
# Sourced by utils/stages.sh: stages 3 to 7 of every recipe.  What --test-protocols, --backend, --score-norm,
# --cohort, --calibrate, --fuse, --operating-points and --allow-leakage ask for happens here.
#   train_network TRAIN DEV CONFIG EXP [OPTION...]
#       options are those of steps.train; validation is centred as the first back end is
#   extract_embeddings MODEL EXP DATA TRAIN TEST
#       DATA/<set> -> EXP/embeddings/<set>; the sets TEST by all protocols, too
#   extract_whole MODEL EXP DATA SETS [OPTION...]
#       the same of whole utterances only; options are those of steps.extract
#   draw_training DATA
#       DATA/train -> DATA/$drawn: a random choice of training utterances, whose mean centres the baselines
#   extract_baselines EXP UNTRAINED MFCC DATA SETS
#       embeddings of the baselines: the network of EXP before its training, and statistics of MFCC
#   train_baseline BASELINE [OPTION...]
#       its cosine, centred by the mean of $drawn if the first back end is centred
#   train_backends EMBEDDINGS UTT2SPK OUTPUT [OPTION...]
#       each back end that is not trained already, as OUTPUT/<scorer>; options are those of
#       steps.train_backend
#   score_trials BACKEND EXP DATA SET...
#       one back end: EXP/embeddings/<set>, DATA/<set>/trials -> EXP/scores/<set>/<scorer>.scores
#   score_whole BACKEND EXP DATA SET...
#       the same of whole utterances only
#   score_systems EXP COHORT DATA DEV TEST...
#       each back end of EXP, normalised by the cohort COHORT (a folder of embeddings; with --cohort head
#       the head of $model instead), calibrated and fused on the trials of DEV; DEV may be empty where
#       nothing is calibrated
#   first_scorer
#       prints the name of the first back end's scores
#   evaluate_systems EXP DATA TRAIN DEV [OTHER...]
#       error rates of EXP and of other experiments; TRAIN and DEV: data directories, or empty
# SET, SETS, TRAIN and TEST may be several, joined by commas.  A recipe may set above its stages:
#   own_backend=plain_cosine   name of the back end without --backend; default: cosine
#   policy=_copies     suffix of back ends that are trained on augmented copies, if not that of --copies:
#                      a scorer is called <back end><policy>
#   only_back_ends=true  TRAIN of evaluate_systems trained back ends and cohorts, and not the network
#   public_corpus=false  the test speakers are in no published corpus
#   enrolled="test"    sets whose enrolment sides are the speaker models of enroll.spk2utt
#   cuts=whole,centre_2s   protocols of the test sides; enrolment sides are whole utterances

IFS=, read -ra backends <<<"$backend"
[ ${#backends[@]} -gt 0 ] || backends=("")
IFS=, read -ra fused_with <<<"$fuse_with"
[ "$fuse" = false ] || [ $((${#backends[@]} * (1 + ${#fused_with[@]}))) -gt 1 ] ||
  fail_usage "--fuse needs several systems: --backend A,B or --fuse-with EXP"
[ -z "$fuse_with" ] || [ "$fuse" = true ] || fail_usage "--fuse-with needs --fuse true"
[ -z "$top_k" ] || [ "${score_norm#as_}" != "$score_norm" ] ||
  fail_usage "--top-k needs --score-norm as_norm1 or as_norm2: the other norms take the whole cohort"
[ "$cohort" = train ] || [ "$score_norm" != none ] ||
  fail_usage "--cohort head needs --score-norm: without it there is no cohort"
[ "$cohort" = train ] || [ -n "${model-}" ] ||
  fail_usage "--cohort head needs a network from elsewhere, as --model of own and voices: its head"
for file in "${backends[@]}"; do
  [ ! -d "$file" ] || [ -f "$file/backend.json" ] ||
    fail_usage "--backend $file: a folder without backend.json, expected a YAML or a folder of" \
      "steps.train_backend"
done
for protocol_name in ${test_protocols//,/ }; do
  [ -f "conf/protocols/$protocol_name.yaml" ] ||
    fail_usage "--test-protocols $protocol_name: no such file in conf/protocols/"
done

scorer_name() {  # [YAML or folder of a trained back end]
  local name=${1:-${own_backend:-cosine}}
  name=${name##*/}
  if [ -d "${1:-}" ]; then echo "$name"; else echo "${name%.yaml}${policy-}"; fi
}

drawn=train_drawn  # the set of draw_training

first_backend() { echo "${backends[0]:-conf/backends/${own_backend:-cosine}.yaml}"; }

first_scorer() { scorer_name "${backends[0]}"; }

backend_folder() {  # EXP [YAML or folder of a trained back end]
  if [ -d "${2:-}" ]; then echo "$2"; else echo "$1/backend/$(scorer_name "${2:-}")"; fi
}

train_network() {
  run $trainer -m steps.train "$1" "$2" "$3" "$4" --centred-as "$(first_backend)" \
    --num-threads "$num_threads" --device "$device" ${steps:+--steps "$steps"} "${@:5}"
}

draw_training() { run python3 -m steps.draw_utterances "$1/train" "$1/$drawn" --seed "$seed"; }

extract_baselines() {
  extract_whole "$1" "$2" "$4" "$5" --checkpoint step-0000000
  run python3 -m steps.extract_mfcc_stats "$4" "$3/embeddings" --sets "[${5//,/, }]"
}

train_baseline() {
  run python3 -m steps.train_backend "$1/embeddings/$drawn" "$1/backend/${own_backend:-cosine}" \
    --centred-as "$(first_backend)" "${@:2}"
}

extract_embeddings() {
  extract_whole "$1" "$2" "$3" "${4:+$4,}$5"
  each_cut extract_cut "$1" "$2" "$3" "$5"
}

extract_cut() { [ -z "$cut" ] || extract_sets "$@"; }

extract_whole() {
  local cut=
  extract_sets "$@"
}

extract_sets() {
  local set named
  IFS=, read -ra named <<<"$4"
  $cmd JOB=1:"$nj" "$2/log/extract${cut:+_$cut}.JOB.log" python3 -m steps.extract "$1" "$3" "$2/embeddings" \
    --sets "[${4//,/, }]" ${cut:+--protocol "$cut"} --device "$device" --job "JOB/$nj" "${@:5}"
  for set in "${named[@]}"; do
    run python3 -m steps.collect_embeddings "$3/$set" "$2/embeddings/$set${cut:+/$cut}" --jobs "$nj"
  done
}

train_backends() {
  local file scorer
  for file in "${backends[@]}"; do
    if [ -d "$file" ]; then continue; fi
    scorer=$(scorer_name "$file")
    run python3 -m steps.train_backend "$1" "$3/$scorer" ${file:+--config "$file" --utt2spk "$2"} "${@:4}"
  done
}

duplicates() {  # NAME...: prints those that occur more than once
  printf '%s\n' "$@" | sort | uniq -d
}

# FUNCTION ARGUMENT...: called for each protocol, whose folder is $cut, empty for whole utterances.
each_cut() {
  local cut all
  IFS=, read -ra all <<<"${cuts:-whole}${test_protocols:+,$test_protocols}"
  [ -z "$(duplicates "${all[@]}")" ] ||
    fail_usage "--test-protocols $test_protocols: each once, and none that cuts the test sides too"
  for cut in "${all[@]}"; do
    [ "$cut" != whole ] || cut=
    "$@"
  done
}

# EMBEDDINGS DATA SET: fills `sides` with the options for the sides of a set's trials.
describe_sides() {
  sides=()
  [[ " ${enrolled-} " != *" $3 "* ]] || sides+=(--enroll-spk2utt "$2/$3/enroll.spk2utt")
  [ -z "$cut" ] || [[ ",$test_protocols," == *",$cut,"* ]] || sides+=(--enrol-embeddings "$1/$3")
}

score_trials() { each_cut score_cut "$@"; }

score_whole() {
  local cut=
  score_cut "$@"
}

score_cut() {
  local set named sides
  IFS=, read -ra named <<<"$(IFS=,; echo "${*:4}")"
  for set in "${named[@]}"; do
    describe_sides "$2/embeddings" "$3" "$set"
    run python3 -m steps.score "$1" "$2/embeddings/$set${cut:+/$cut}" "$3/$set/trials" \
      "$2/scores/$set/${cut:+$cut/}${1##*/}.scores" ${sides[@]+"${sides[@]}"}
  done
}

score_systems() {
  local file scorers=()
  [ -n "$4" ] || [ "$calibrate$fuse" = falsefalse ] ||
    fail_usage "--calibrate and --fuse learn from a dev set, and there is none"
  for file in "${backends[@]}"; do scorers+=("$(scorer_name "$file")"); done
  [ -z "$(duplicates "${scorers[@]}")" ] || fail_usage "--backend $backend: two of them have one name"
  for file in "${backends[@]}"; do
    score_trials "$(backend_folder "$1" "$file")" "$1" "$3" ${4:+"$4"} "${@:5}"
  done
  each_cut finish_cut "$@"
}

finish_cut() {
  local exp=$1 members=$2 data=$3 dev=$4 test_sets norm=$score_norm suffix=calibrated
  local file scorer set other scorers=() all=()
  IFS=, read -ra test_sets <<<"$(IFS=,; echo "${*:5}")"
  if [ "$cohort" = head ]; then members=$model norm+=_head; fi
  for file in "${backends[@]}"; do
    scorer=$(scorer_name "$file")
    if [ "$score_norm" != none ]; then
      normalise_cut "$(backend_folder "$exp" "$file")" ${dev:+"$dev"} "${test_sets[@]}"
      scorer=${scorer}_$norm
    fi
    scorers+=("$scorer")
  done
  # The duration and the embedding norm of a whole utterance say nothing of a cut side.
  if [ "$calibrate" = quality ] && [ -z "$cut" ]; then
    suffix=quality
    for set in "$dev" "${test_sets[@]}"; do
      run python3 -m steps.measure_norms "$exp/embeddings/$set" "$exp/measures/$set"
    done
  fi
  for scorer in "${scorers[@]}"; do
    [ "$calibrate" = false ] || calibrate_trials "${scorer}_$suffix" "$exp/scores//$scorer"
    for other in "$exp" ${fused_with[@]+"${fused_with[@]}"}; do all+=("$other/scores//$scorer"); done
  done
  [ "$fuse" = false ] || calibrate_trials fused "${all[@]}"
}

normalise_cut() {  # BACKEND SET...
  local set sides scores
  for set in "${@:2}"; do
    scores=$exp/scores/$set/${cut:+$cut/}${1##*/}
    describe_sides "$exp/embeddings" "$data" "$set"
    run python3 -m steps.normalise_scores "$scores.scores" "$1" "$exp/embeddings/$set${cut:+/$cut}" \
      "$data/$set" "$members" "${scores}_$norm.scores" \
      --method "$score_norm" ${top_k:+--top-k "$top_k"} --allow-leakage "$allow_leakage" \
      ${sides[@]+"${sides[@]}"}
  done
}

calibrate_trials() {  # NAME SYSTEM...: a system is EXP/scores//SCORER
  local set files measures learned=$exp/calibration/${cut:+$cut/}$1
  list_score_files "$dev" "${@:2}"
  run python3 -m steps.calibrate "${files[@]}" "$data/$dev" "$learned" ${measures[@]+"${measures[@]}"}
  for set in "${test_sets[@]}"; do
    list_score_files "$set" "${@:2}"
    run python3 -m steps.apply_calibration "$learned" "${files[@]}" "$data/$set" \
      "$exp/scores/$set/${cut:+$cut/}$1.scores" --allow-leakage "$allow_leakage" \
      ${measures[@]+"${measures[@]}"}
  done
}

json_list() {  # PATH...: a list as steps read it; a path with special characters is quoted as in JSON
  local path list=
  for path; do
    case $path in
      *[!A-Za-z0-9_@%+=./-]*)
        path=${path//\\/\\\\}
        path=\"${path//\"/\\\"}\" ;;
    esac
    list+=", $path"
  done
  echo "[${list#, }]"
}

list_score_files() {  # SET SYSTEM...: fills `files` and `measures`
  local system
  files=() measures=()
  for system in "${@:2}"; do files+=("${system%%//*}/$1/${cut:+$cut/}${system##*//}.scores"); done
  if [ "$suffix" = quality ]; then
    measures=(--measures "$(json_list "$data/$1/utt2dur" "$exp/measures/$1/utt2norm")")
  fi
}

evaluate_systems() {
  local exp=$1 data=$2 train dev learned_from
  train=$(json_list "$3")
  dev=$(json_list "$4")
  learned_from=(${3:+--backend-training "$train"} ${4:+--dev "$dev"})
  [ -n "${only_back_ends-}" ] || learned_from+=(${3:+--train "$train"})
  [ "$score_norm" = none ] || [ "$cohort" = head ] || learned_from+=(--cohort "$train")
  [ "$calibrate$fuse" = falsefalse ] || learned_from+=(--calibration "$dev")
  shift 4
  run python3 -m steps.evaluate "$exp" "$data" ${1:+--others "$(json_list "$@")"} \
    ${learned_from[@]+"${learned_from[@]}"} --allow-leakage "$allow_leakage" \
    ${public_corpus+--public-corpus "$public_corpus"} \
    ${operating_points:+--operating-points "$operating_points"}
}
