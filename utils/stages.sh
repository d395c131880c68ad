# shellcheck shell=bash
# shellcheck disable=SC2034  # options are used by the recipe, or through their names
# Sourced by every recipes/<name>/run.sh after its options block, from the checkout's root:
# `. utils/stages.sh "$@"`.
#
# Options.  The block of run.sh and the one below declare them, one a line: `name=default  # kind: meaning`.
# A long meaning goes on in comments below it, and `# Group: title` starts a group of --help.  The kind says
# which values an option takes:
#   path:, paths:         a path, or several joined by commas; relative ones start at the caller's folder
#   file:, files:         the same, which have to exist; files: may be folders
#   model:                the path of an experiment or of a model folder, or the name of a published network,
#                         which stands for models/<name> in the checkout
#   number:               a whole number from 1, or nothing if the default is empty
#   number from 0:        the same from 0; `number from 0, or mean:` takes that word too
#   stage:                the number of a stage, or nothing if the default is empty
#   one of a, b:          one of these words
#   word:                 letters, digits, dots, dashes and underscores, for the name of a folder
#   launcher:             one of utils/launchers/
#   values:               section.key=value, several joined by commas; may be given once
# A default of true or false makes a switch.  All other values are checked by the steps that take them.
#
# In a recipe:
#   at_stage 3 "title" ["note"]   the condition of a stage, and its line in --help and in the log, there with
#                          the note: what is left out
#   run COMMAND...         one process
#   run $trainer -m ...    training, in as many processes as --processes says
#   $cmd JOB=1:$nj LOG COMMAND...   an array of processes, here or on a cluster
#   detect_speech, ...     the commands of stages 1 and 2: utils/audio_stages.sh
#   train_network, ...     the commands of stages 3 to 7: utils/scoring.sh
#   use_model, fetch_model   in place of a training: utils/model.sh
# Names of variants and of experiments, above the stages:
#   append NAME WORD [DEFAULT]   adds `-WORD` to the variable NAME, unless WORD is empty or DEFAULT
#   append_stem NAME FILE        adds `-` and the stem of FILE, where there is one
#   append_audio NAME            adds what --vad and --channel choose
#   append_training NAME         adds what --augmentation, --override and --name choose: of an experiment that
#                                trains a network
#   stem FILE [ENDING]           prints the name of FILE without its folder and without .yaml, or ENDING
#   $cutting                     trim, split, trimsplit or nothing: from --trim and --split
#   $policy                      _<stem of --copies>, or nothing
# A run locks the folders of the recipe's $data, $packed, $exp and $untrained, each until its last stage that
# writes there is over: utils/locks.sh.
# The script is read twice: first it writes the plan, which is the list of its commands, to see what is done,
# stale or missing; then it runs those that are needed.

# Options of every recipe: name=default  # kind: meaning
# Group: Stages and folders
stage=0         # stage: the first to run
stop_stage=7    # stage: the last to run
workdir=        # path: data/ and exp/ are made here instead of beside the recipe's run.sh
name=           # word: suffix of the experiment's folder
# Group: Data
vad=            # file: voice activity detector, one of conf/vad/*.yaml, which say when to choose which;
                # default: WebRTC's
trim=false      # cut silence out when packing
split=false     # make each stretch of speech of train an utterance of its own when packing
channel=0       # number from 0, or mean: which channel of files with several; mean: the average of all
sample_rate_hz=16000  # number: sample rate of the packed audio, which has to be the network's
max_unreadable_fraction=  # largest fraction of the utterances of a step that may be unreadable
                # (one always may); default: 0.001
max_policy_fraction=  # largest fraction that may be too short, silent or of too low a sample rate;
                # default: 0.01
allow_missing_trials=false  # go on when an utterance of the trials cannot be used: its trials are left
                # out, and every result says so
allow_leakage=false  # go on when test speakers are in the training data, and mark every result
# Group: Training
augmentation=   # file: augmentation of training crops, as in conf/augmentation/, instead of the network
                # YAML's
override=       # values: in place of the network YAML's, joined by commas, for example
                # optimizer.learning_rate=1e-3,loss.margin=0.3; the experiment is named after the last one
steps=          # number: length of the training, instead of the YAML's
processes=1     # number: training processes (torchrun) on each host
nodes=1         # number: hosts of the training; more than one needs --cmd slurm
num_threads=2   # number: threads of each training process; results depend on it in the last digits
device=cpu      # one of cpu, cuda: for training and extraction
# Group: Scoring
copies=         # file: policy of the augmented copies of train that the back end is trained on too, as in
                # conf/augmentation/
backend=        # files: back ends, joined by commas: YAMLs as in conf/backends/, or folders of trained ones;
                # default: the recipe's cosine
test_protocols= # names of conf/protocols/*.yaml, joined by commas: scored besides whole utterances, for both
                # sides of dev and test trials
score_norm=none # one of none, z_norm, t_norm, s_norm, as_norm1, as_norm2: normalisation of scores by a cohort
cohort=train    # one of train, head: the cohort of --score-norm: means of the training speakers, or rows of
                # the head that came with --model, which need no audio, for cosine of unchanged embeddings
top_k=          # number: members of the cohort that as_norm1 and as_norm2 take;
                # default: 300, or a quarter of a smaller cohort
calibrate=false # one of false, true, quality: turn scores into log-likelihood ratios, learned on the dev
                # trials; quality: by durations and embedding norms too
fuse=false      # fuse the scores of all back ends, and of --fuse-with; learned on the dev trials
fuse_with=      # paths: other experiments, joined by commas, that scored the same trials by the same back
                # ends
operating_points=  # further operating points, joined by commas: a target prior (0.001), or
                # prior:cost of a miss:cost of a false alarm
# Group: Inspecting (these run nothing)
doctor=false    # check software, GPU, memory, disk and scheduler of this machine; install nothing
status=false    # show each stage: done, stale because ..., partly done, running, interrupted, never run
dry_run=false   # show what would run, what is missing, and the disk, memory and time it needs
verbose=false   # with --dry-run: show the commands too
why=            # stage: show each of its outputs that is stale, and what changed, old -> new
verify=false    # read all outputs again and compare them with their checksums
# Group: Stale and unneeded outputs
force=false     # redo expensive work that is stale; the old output is moved aside
accept=         # stage: declare its stale outputs good
clean=          # stage: show its outputs and how much space they take, and remove them once confirmed
yes=false       # with --clean: remove without asking
# Group: Cluster
nj=2            # number: parallel jobs of an array
cmd=local       # launcher: what runs the arrays: local, slurm or sge
cluster_conf=   # file: settings of the site for --cmd slurm or sge, see conf/cluster/README.md;
                # default: conf/cluster/<cmd>.conf
submit_all=false  # with --cmd slurm: submit each stage as a job that waits for the one before, and return
# End of options

. utils/model.sh

fail_usage() { echo "$script: $*" >&2; exit 2; }

quote="'" escaped_quote="'\\''"

# WORD...: quoted for a shell, and for Python's shlex, which cannot read how printf %q writes letters other
# than ASCII.
quoted() {
  local word blank=
  for word; do
    case $word in
      '' | *[!A-Za-z0-9_@%+=:,./-]*) word=$quote${word//$quote/$escaped_quote}$quote ;;
    esac
    printf '%s%s' "$blank" "$word"
    blank=' '
  done
}

# A path as its caller wrote it -> relative to the root where it lies inside the checkout, else absolute.
callers_path() {
  python3 -c 'import os, sys; path = os.path.normpath(os.path.join(*sys.argv[1:3])); root = sys.argv[3] + "/"
print(path[len(root):] if path.startswith(root) else path)' "$OLDPWD" "$1" "$PWD"
}

script=$(callers_path "$0")

# Stdin: a block of options -> one line "name=default  # kind: meaning" each, and the lines of its groups.
read_declarations() {
  local line lines=
  while IFS= read -r line; do
    case $line in
      [a-z]*=* | '# Group: '*) lines+=$'\n'$line ;;
      ' '*'# '*) lines+=" ${line#*# }" ;;
    esac
  done
  echo "${lines#?}"
}

declared=$(  # those of the recipe, then those of every recipe
  sed -n '/^# Options/,/^\. utils\/stages.sh/p' "$script" | read_declarations
  sed -n '/^# Options/,/^# End of options/p' utils/stages.sh | read_declarations
)
launchers=$(grep -l '^def submit' utils/launchers/*.py | sed 's/.*\///; s/\.py$//' | tr '\n' ' ')
launchers=${launchers% }

# DECLARATION: its parts, as `default`, `kind` (without a colon: the meaning) and `meaning` (with the kind).
split_declaration() {
  default=${1#*=}
  default=${default%%[ #]*}
  meaning=${1#*# }
  kind=${meaning%%:*}
}

show_help() {
  local declaration default meaning kind option line
  sed -n '2,/^$/s/^# \{0,1\}//p' "$script"
  echo "Options of this recipe (--name value):"
  while IFS= read -r declaration; do
    case $declaration in
      '# Group: '*) echo "${declaration#*: }:"; continue ;;
    esac
    split_declaration "$declaration"
    option=${declaration%%=*}
    option=--${option//_/-}
    fold -s -w 68 <<<"$meaning${default:+ (default: $default)}" | while IFS= read -r line; do
      printf '  %-26s %s\n' "$option" "${line% }"
      option=
    done
  done <<<"$declared"
  echo "Stages:"
  sed -n 's/^if at_stage \([0-9]\) "\([^"]*\)".*; then.*/  \1  \2/p' "$script"
}

# OPTION KIND PATH: `value`, the path as seen from the root.
resolve_path() {
  [ -n "$3" ] || fail_usage "option $1 is a path, not ''"
  case $3 in
    ark:* | scp:* | ark,*:* | scp,*:*)
      [ -e "$3" ] || fail_usage "option $1: '$3' is a specifier of Kaldi's programs, expected a path;" \
        "give the path alone, without what is before the colon" ;;
  esac
  value=$(callers_path "$3")
  case $2 in
    file) [ ! -d "$value" ] || fail_usage "$1 $value: a folder, expected a file" ;;
  esac
  case $2 in
    file*) [ -e "$value" ] || fail_usage "$1 $value: no such file" ;;
  esac
}

# OPTION PATH: `value`, the path as seen from the root; of the name of a published network, models/<name>.
resolve_model() {
  resolve_path "$1" model "$2"
  case " $published " in
    *" $2 "*) [ -e "$value" ] || value=models/$2 ;;
  esac
}

# OPTION KIND PATHS: `value`, the paths as seen from the root.
resolve_paths() {
  local each all=
  while IFS= read -r -d , each; do
    resolve_path "$1" "$2" "$each"
    all+=,$value
  done <<<"$3,"
  value=${all#,}
}

# KIND VALUE: true if it is a whole number of this kind, or its other word.
is_number() {
  case $2 in
    0) [[ $1 == "number from 0"* ]] ;;
    '' | 0* | *[!0-9]*) [[ -n $2 && $1 == *", or $2" ]] ;;
  esac
}

refuse_unsafe() {  # OPTION VALUE
  case $2 in
    *JOB*) fail_usage "option $1: '$2' contains JOB, which an array replaces by the number of a task;" \
      "give it another name" ;;
    *[[:cntrl:]]*) fail_usage "option $1: its value contains a line end or another control character" ;;
  esac
}

set_option() {  # NAME VALUE
  local option=--${1//_/-} value=$2 declaration default meaning kind choices
  case $1 in
    *[!a-z0-9_]*) fail_usage "unknown option '$option'; --help lists them" ;;
  esac
  declaration=$(grep -m 1 "^$1=" <<<"$declared") || fail_usage "unknown option '$option'; --help lists them"
  split_declaration "$declaration"
  refuse_unsafe "$option" "$value"
  case $kind in
    path | file) resolve_path "$option" "$kind" "$2" ;;
    model) resolve_model "$option" "$2" ;;
    paths | files) resolve_paths "$option" "$kind" "$2" ;;
    number | "number from "*)
      [ "$kind" != number ] || kind="number from 1"
      [ -z "$value$default" ] || is_number "$kind" "$value" ||
        fail_usage "option $option is a whole number${kind#number}, not '$value'" ;;
    stage)
      case $value in
        [0-7]) ;;
        *) [ -z "$value$default" ] || fail_usage "option $option is a stage from 0 to 7, not '$value'" ;;
      esac ;;
    "one of "*)
      choices=${kind#one of }
      case " ${choices//,/} " in
        *" $value "*) ;;
        *) fail_usage "option $option is one of $choices, not '$value'" ;;
      esac ;;
    launcher)
      case " $launchers " in
        *" $value "*) ;;
        *) fail_usage "option $option is one of ${launchers// /, }, not '$value'" ;;
      esac ;;
    word)
      case $value in
        *[!A-Za-z0-9._-]*) fail_usage "option $option is part of a folder's name: letters, digits, dots," \
          "dashes and underscores, not '$value'" ;;
      esac ;;
    values)
      [ -n "$value" ] || fail_usage "option $option is empty, expected section.key=value"
      [ -z "${!1}" ] || fail_usage "option $option is given twice; join the two by a comma" ;;
    *)
      case $default,$value in
        true,true | true,false | false,true | false,false) ;;
        true,* | false,*) fail_usage "option $option is true or false, not '$value'" ;;
      esac ;;
  esac
  refuse_unsafe "$option" "$value"  # a path has become longer
  printf -v "$1" '%s' "$value"
}

given=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) show_help; exit 0 ;;
    --*=*)
      option=${1%%=*}
      option=${option#--}
      set_option "${option//-/_}" "${1#*=}"
      shift ;;
    --*)
      option=${1#--}
      option=${option//-/_}
      if grep -q -E "^$option=(true|false)" <<<"$declared" && { [ $# -eq 1 ] || [ "${2#--}" != "$2" ]; }; then
        set -- "$1" true "${@:2}"  # a switch, without a value
      fi
      grep -q "^$option=" <<<"$declared" || fail_usage "unknown option '$1'; --help lists them"
      [ $# -ge 2 ] || fail_usage "option $1 needs a value"
      set_option "$option" "$2"
      shift 2 ;;
    *) fail_usage "unexpected argument '$1'; options are --name value" ;;
  esac
done
: "${workdir:=$(dirname "$script")}"
[ "$doctor" = false ] || exec python3 -m utils.doctor --workdir "$workdir" \
  --cmd "$cmd" --cluster-conf "$cluster_conf" --device "$device"
asked=
for option in status dry_run verify accept why clean; do
  case ${!option} in '' | false) ;; *) asked+=" --${option//_/-}" ;; esac
done
case $asked in ' '*' '*) fail_usage "only one of these at a time:$asked" ;; esac
[ "$stage" -le "$stop_stage" ] || fail_usage "--stage $stage comes after --stop-stage $stop_stage"
[ "$verbose" = false ] || [ "$dry_run" = true ] || fail_usage "--verbose needs --dry-run"
[ "$submit_all" = false ] || [ "$cmd" = slurm ] || fail_usage "--submit-all needs --cmd slurm"
[ "$nodes" = 1 ] || [ "$cmd" = slurm ] || fail_usage "--nodes $nodes needs --cmd slurm"

launcher=$cmd cmd=launch trainer=python3
[ "$processes" = 1 ] || trainer="torchrun --standalone --nproc-per-node $processes"
[ "$nodes" = 1 ] || trainer="python3 -m utils.launchers.nodes $nodes $processes"
[ "$launcher" = local ] || trainer="on_cluster $trainer"
[ "$force" = false ] || export SV_FORCE=1

# Names that options of every recipe give.
cutting=
[ "$trim" = false ] || cutting=trim
[ "$split" = false ] || cutting=${cutting}split

stem() {  # FILE [ENDING]
  [ -z "$1" ] || basename "$1" "${2-.yaml}"
}

append() {  # NAME WORD [DEFAULT]
  if [ -n "$2" ] && [ "$2" != "${3-}" ]; then printf -v "$1" '%s' "${!1}-$2"; fi
}

append_stem() {  # NAME FILE
  local file_stem
  file_stem=$(stem "$2")
  append "$1" "$file_stem"
}

append_audio() {  # NAME
  append_stem "$1" "$vad"
  append "$1" "channel$channel" channel0
}

append_training() {  # NAME
  append_stem "$1" "$augmentation"
  append "$1" "$override_name"
  append "$1" "$name"
}

override_name=
if [ -n "$override" ]; then
  override_name=$(python3 -m utils.config "$override" 2>&1) || fail_usage "$override_name"
fi
policy=$(stem "$copies")
policy=${policy:+_$policy}

# LINE: added to the plan; where the disk is full the recipe would otherwise seem to have no stages.
plan_line() {
  { echo "$1" >>"$SV_PLAN"; } 2>/dev/null || {
    echo "$script: $SV_PLAN: cannot be written; make room there, or export TMPDIR=DIR, another folder" >&2
    exit 1
  }
}

format_seconds() {  # SECONDS: in one or two units
  if [ "$1" -lt 120 ]; then
    echo "$1 s"
  elif [ "$1" -lt 7200 ]; then
    echo "$(($1 / 60)) min $(($1 % 60)) s"
  else
    echo "$(($1 / 3600)) h $(($1 % 3600 / 60)) min"
  fi
}

present_stage='' stage_started=0 run_started=$SECONDS

end_stage() {  # prints how long the present stage took
  [ -n "$present_stage" ] || return 0
  echo "== stage $present_stage: $(format_seconds $((SECONDS - stage_started)))" >&2
  present_stage=
}

end_run() {  # EXIT CODE: after success, prints how long the last stage and the whole run took
  if [ "$1" = 0 ] && [ -n "$present_stage" ]; then
    end_stage
    echo "== total: $(format_seconds $((SECONDS - run_started)))" >&2
  fi
}

at_exit() {
  local code=$?
  rm -f "$written"
  release_locks
  end_run "$code"
}

at_stage() {  # NUMBER TITLE [NOTE]
  set -- "$1" "$2${3:+: $3}"
  if [ -n "${SV_PLAN:-}" ]; then plan_folders; plan_line "stage $1 $2"; return; fi
  if [ "$1" -lt "$stage" ] || [ "$1" -gt "$stop_stage" ]; then return 1; fi
  end_stage
  case " $done_stages " in *" $1 "*) echo "== stage $1: $2: done already" >&2; return 1 ;; esac
  release_locks "$1"
  check_again "$1"
  present_stage=$1 stage_started=$SECONDS
  echo "== stage $1: $2 ($(date +%H:%M:%S))" >&2
}

# COMMAND...: fills `limits` with the options that say how much may be lost, if its step takes them.
loss_limits() {
  local words="$*" module
  module=${words#* -m }
  module=${module%% *}
  limits=()
  case $module in
    local.prepare_folder | steps.collect_packed | steps.collect_copies | steps.augment)
      limits+=(${max_policy_fraction:+--max-policy-fraction "$max_policy_fraction"}) ;;
  esac
  case $module in
    local.prepare_folder | steps.collect_vad | steps.collect_packed | steps.collect_copies | steps.augment)
      limits+=(${max_unreadable_fraction:+--max-unreadable-fraction "$max_unreadable_fraction"}) ;;
  esac
  [ "$allow_missing_trials" = true ] || return 0
  case $module in
    local.prepare_folder | steps.compute_vad | steps.collect_vad | steps.pack_audio | steps.collect_packed)
      limits+=(--allow-missing-trials true) ;;
  esac
}

# STAGE: after stage 0, which counts the speakers: whether the back ends can be trained on so many.
check_again() {
  if [ "$1" = 0 ]; then unchecked=$backend; return; fi
  [ -n "${unchecked-}" ] || return 0
  unchecked=
  python3 -m utils.plan status "$plan" --last "$stop_stage" >/dev/null || exit 1  # in a condition -e is off
}

run() {  # COMMAND...: one process of the present stage
  loss_limits "$@"
  set -- "$@" ${limits[@]+"${limits[@]}"}
  if [ -n "${SV_PLAN:-}" ]; then plan_line "run $(quoted "$@")"; return; fi
  SV_STAGED=$$ SV_EXPERIMENT=${exp-} "$@"
}

launch() {  # [--num-threads N] [--mem G] [--gpu N] [--time H:MM:SS] JOB=1:N LOG COMMAND...
  loss_limits "$@"
  set -- "$@" ${limits[@]+"${limits[@]}"}
  if [ -n "${SV_PLAN:-}" ]; then plan_line "launch $(quoted "$@")"; return; fi
  SV_STAGED=$$ SV_EXPERIMENT=${exp-} SV_RESUME=$(quoted "$0" ${given[@]+"${given[@]}"}) \
    python3 -m utils.launchers "$launcher" ${cluster_conf:+--conf "$cluster_conf"} "$@"
}

on_cluster() {  # COMMAND...: the training as a job, which is queued again when its time is over
  local resources=()
  [ "$device" = cpu ] || resources=(--gpu "$processes")
  [ "$nodes" = 1 ] || resources+=(--nodes "$nodes")
  SV_REQUEUE=1 launch --num-threads "$((processes * num_threads))" ${resources[@]+"${resources[@]}"} \
    JOB=1:1 "${exp:-$workdir}/log/train.JOB.log" "$@"
}

. utils/audio_stages.sh
. utils/scoring.sh
. utils/locks.sh

if [ -z "${SV_PLAN:-}" ]; then  # first reading: write the plan, and see what is done
  written=$(mktemp 2>/dev/null) || {
    echo "$script: ${TMPDIR:-/tmp}: no temporary file can be made there; make room," \
      "or export TMPDIR=DIR, another folder" >&2
    exit 1
  }
  plan=$written
  trap at_exit EXIT
  exec 9<>"$plan"
  if [ -e "/proc/$$/fd/9" ]; then  # Linux: a file without a name, of which a killed run leaves nothing
    rm "$plan"
    plan=/proc/$$/fd/9
  fi
  case $script in
    /*) absolute_script=$script ;;
    *) absolute_script=$PWD/$script ;;
  esac
  (cd "$OLDPWD" && SV_PLAN=$plan bash "$absolute_script" ${given[@]+"${given[@]}"})
  if [ "$dry_run" = true ]; then
    paths=("workdir=$workdir")
    while IFS= read -r option; do
      [ "$option" = workdir ] || [ -z "${!option}" ] || paths+=("${option//_/-}=${!option}")
    done < <(sed -n -E 's/^([a-z0-9_]+)=[^#]*# *(path|file)s?: .*/\1/p' <<<"$declared")
    python3 -m utils.plan.dry_run "$plan" "${paths[@]}" --first "$stage" --last "$stop_stage" \
      --cmd "$launcher" --verbose "$verbose"
    exit
  fi
  for question in status verify; do
    if [ "${!question}" = true ]; then
      python3 -m utils.plan "$question" "$plan" --first "$stage" --last "$stop_stage"
      exit
    fi
  done
  if [ -n "$accept" ]; then python3 -m utils.plan.accept "$plan" "$accept"; exit; fi
  if [ -n "$why" ]; then python3 -m utils.plan.why "$plan" "$why"; exit; fi
  if [ -n "$clean" ]; then python3 -m utils.plan.clean "$plan" "$clean" "$workdir" --yes "$yes"; exit; fi
  if [ "$submit_all" = true ]; then
    OLDPWD=$OLDPWD python3 -m utils.plan.submit_all "$plan" "$workdir/log" "$cluster_conf" \
      "$stage" "$stop_stage" "$absolute_script" ${given[@]+"${given[@]}"}
    exit
  fi
  find_done
fi
