# shellcheck shell=bash
# shellcheck disable=SC2034  # options are used by the recipe, or through their names
# Sourced by every recipes/<name>/run.sh behind its options block, from the checkout's root:
# `. utils/stages.sh "$@"`.
#
# The block  name=default  # meaning  in run.sh, and the one below, are the only declaration of the options:
# they are the defaults, the --help and the list of what is accepted.  A long meaning goes on in comments
# below it.  One that begins with `path:` marks a path, `paths:` several, joined by commas: relative ones are
# the caller's.
#   at_stage 3 "title"     gate, log line and --help entry at once
#   run COMMAND...         one process
#   run $trainer -m ...    training, in as many processes as asked for
#   $cmd JOB=1:$nj LOG COMMAND...   an array of processes, here or on a cluster
#   extract_embeddings, train_backends, score_trials, score_systems, evaluate_systems
#                          stages 4 to 7: utils/scoring.sh
# Names of variants and of experiments, above the stages:
#   append NAME WORD [DEFAULT]   adds `-WORD` to the variable NAME, where WORD is neither empty nor DEFAULT
#   append_stem NAME FILE        adds `-` and the stem of FILE, where there is one
#   append_heard NAME            adds what --vad and --channel choose
#   stem FILE [ENDING]           prints the name of FILE without its folder and without .yaml, or ENDING
#   $cutting                     trim, split, trimsplit or nothing: what --trim and --split ask for
#   $policy                      _<stem of --copies>, or nothing
# A run locks the folders of the recipe's $data, $packed, $exp and $untrained, each for as long as it has work
# in it: utils/locks.sh.
# The script is gone through twice: first only to write down the commands (the plan: what is done, stale or
# missing), then to run those that are needed.

# Options of every recipe: name=default  # meaning
stage=0         # first stage to run
stop_stage=7    # last stage to run
workdir=        # path: data/ and exp/ are made here instead of beside the recipe's run.sh
nj=2            # parallel jobs of an array
cmd=local       # what runs the arrays: local, slurm or sge
submit_all=false  # with --cmd slurm: hand each stage to it as a job that waits for the one before, and return
cluster_conf=   # path: the site's file for --cmd slurm or sge, which conf/cluster/README.md describes;
                # default: conf/cluster/<cmd>.conf
vad=            # path: detector of speech, one of conf/vad/*.yaml, which say what to choose when;
                # default: WebRTC's
trim=false      # cut silence out when packing
split=false     # make every stretch of speech of train an utterance of its own when packing
augmentation=   # path: what happens to training crops, as in conf/augmentation/,
                # instead of the YAML's section
copies=         # path: policy of augmented copies of train for the back end, as in conf/augmentation/
backend=        # paths: back ends, joined by commas, of conf/backends/*.yaml, or folders of trained ones;
                # default: the recipe's cosine
test_protocols= # besides whole utterances, joined by commas: names of conf/protocols/*.yaml,
                # for both sides of dev and test trials
score_norm=none # one of none, z_norm, t_norm, s_norm, as_norm1, as_norm2:
                # of scores, by a cohort of the means of the training speakers
top_k=          # members of the cohort that adaptive norms take;
                # default: 300, or a quarter of a smaller cohort
calibrate=false # one of false, true, quality: scores become log-likelihood ratios, as dev trials teach;
                # quality: by durations and norms too
fuse=false      # fuse the scores of all back ends, and of --fuse-with, as dev trials teach
fuse_with=      # paths: other experiments, joined by commas,
                # that scored the same trials by the same back ends
allow_leakage=false  # go on though speakers of a test were heard before, and mark every result
max_unreadable_fraction=  # of the utterances of a step that may be lost since they cannot be read
                # (one always may); default: 0.001
max_policy_fraction=  # the same of those that are too short, silent or of too low a rate; default: 0.01
allow_missing_trials=false  # go on though an utterance of the trials cannot be used: its trials are lost,
                # and every result says so
operating_points=  # further ones of the costs, joined by commas: prior of a target (0.001),
                # or prior:cost of a miss:cost of a false alarm
channel=0       # of files with several, from 0, or mean: all of them averaged
sample_rate_hz=16000  # of the packed audio: the network's, which most often is this
steps=          # length of the training instead of the YAML's
processes=1     # training processes (torchrun), on each host
nodes=1         # hosts of the training; more than one: with --cmd slurm
num_threads=2   # threads of the training; sums depend on it
device=cpu      # one of cpu, cuda: of training and extraction
name=           # suffix of the experiment's folder
doctor=false    # look whether this machine is fit: software, GPU, memory, disk, scheduler;
                # install and run nothing
status=false    # show each stage: done, stale because ..., partly done, running, interrupted, never run;
                # run nothing
dry_run=false   # show what would run, what is missing,
                # and how much disk, memory and time it takes; run nothing
verbose=false   # with --dry-run: show the commands too
verify=false    # read all outputs again and compare them with their checksums; run nothing
force=false     # redo costly work that is stale (the old output is moved aside)
accept=         # number of a stage whose stale outputs are declared good
why=            # number of a stage: each of its outputs that is stale,
                # and what changed, old -> new; run nothing
clean=          # number of a stage: show what it left and how much that frees,
                # and remove it when told so, or with --yes; run nothing
yes=false       # remove what --clean shows without asking
# End of options

fail_usage() { echo "$script: $*" >&2; exit 2; }

quote="'" escaped_quote="'\\''"

# WORD...: for a shell to read, and for Python's shlex, which does not know how printf %q writes other letters
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

# Stdin: a block of options -> its lines "name=default  # meaning", each with what goes on below it.
declarations() {
  local line lines=
  while IFS= read -r line; do
    case $line in
      [a-z]*=*) lines+=$'\n'$line ;;
      ' '*'# '*) lines+=" ${line#*# }" ;;
    esac
  done
  echo "${lines#?}"
}

declared=$(  # those of the recipe, then those of every recipe
  sed -n '/^# Options/,/^\. utils\/stages.sh/p' "$script" | declarations
  sed -n '/^# Options/,/^# End of options/p' utils/stages.sh | declarations
)
launchers=$(grep -l '^def submit' utils/launchers/*.py | sed 's/.*\///; s/\.py$//' | tr '\n' ' ')

show_help() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "$script"
  echo "Options (--name value):"
  local shown='s/^\([^=]*\)=\([^#]*[^# ]\)\{0,1\} *# *\(paths\{0,1\}: \)\{0,1\}\(.*\)$/\1|\4|\2/'
  sed "$shown" <<<"$declared" | while IFS='|' read -r option meaning default; do
    printf '  --%-18s %s (default: %s)\n' "${option//_/-}" "$meaning" "${default:-none}"
  done
  echo "Stages:"
  sed -n 's/^if at_stage \([0-9]\) "\(.*\)"; then/  \1  \2/p' "$script"
}

set_option() {  # name value
  local line value=$2 dashed=--${1//_/-} choices one all
  case $1 in
    *[!a-z0-9_]*) fail_usage "unknown option '$dashed'; --help lists them" ;;
  esac
  line=$(grep -m 1 "^$1=" <<<"$declared") || fail_usage "unknown option '$dashed'; --help lists them"
  case $line,$2 in
    *"# path"*,ark:* | *"# path"*,scp:* | *"# path"*,ark,*:* | *"# path"*,scp,*:*)
      [ -e "$2" ] || fail_usage "option $dashed: '$2' is a specifier of Kaldi's programs, expected a path;" \
        "give the path alone, without what stands before the colon" ;;
  esac
  case $line in
    *\#\ one\ of\ *)
      choices=${line#*\# one of }
      choices=${choices%%:*}
      case " ${choices//,/} " in
        *" $2 "*) ;;
        *) fail_usage "option $dashed is one of $choices, not '$2'" ;;
      esac ;;
    *=true*\#* | *=false*\#*)
      [ "$2" = true ] || [ "$2" = false ] || fail_usage "option $dashed is true or false, not '$2'" ;;
    *"# path:"*)
      [ -n "$2" ] || fail_usage "option $dashed is a path, not ''"
      value=$(callers_path "$2") ;;
    *"# paths:"*)
      all=
      while IFS= read -r -d , one; do all+=,$(callers_path "$one"); done <<<"$2,"
      value=${all#,} ;;
  esac
  case $value in
    *JOB*) fail_usage "option $dashed: '$value' holds JOB, in whose place an array puts the number of a" \
      "task; give it another name" ;;
    *[[:cntrl:]]*) fail_usage "option $dashed: its value holds a line end or another control character" ;;
  esac
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
      if grep -q "^$option=\(true\|false\)" <<<"$declared" && { [ $# -eq 1 ] || [ "${2#--}" != "$2" ]; }; then
        set -- "$1" true "${@:2}"  # a switch, without a value
      fi
      grep -q "^$option=" <<<"$declared" || fail_usage "unknown option '$1'; --help lists them"
      [ $# -ge 2 ] || fail_usage "option $1 needs a value"
      set_option "$option" "$2"
      shift 2 ;;
    *) fail_usage "unexpected argument '$1'; options are --name value" ;;
  esac
done
case " $launchers" in *" $cmd "*) ;; *) fail_usage "--cmd is one of: $launchers; not '$cmd'" ;; esac
[ "$doctor" = false ] || exec python3 -m utils.doctor --workdir "${workdir:-$(dirname "$script")}" \
  --cmd "$cmd" --cluster-conf "$cluster_conf" --device "$device"
for option in stage stop_stage accept why clean; do
  case ${!option} in
    [0-7]) ;;
    '')
      case $option in
        stage | stop_stage) fail_usage "--${option//_/-} needs a number" ;;
      esac ;;
    *) fail_usage "--${option//_/-} is a stage from 0 to 7, not '${!option}'" ;;
  esac
done
asked=
for option in status dry_run verify accept why clean; do
  case ${!option} in '' | false) ;; *) asked+=" --${option//_/-}" ;; esac
done
case $asked in ' '*' '*) fail_usage "one at a time:$asked" ;; esac
[ "$stage" -le "$stop_stage" ] || fail_usage "--stage $stage is behind --stop-stage $stop_stage"
for option in nj steps processes nodes num_threads sample_rate_hz fold top_k; do
  case ${!option-1} in
    '') [ "$option" = steps ] || [ "$option" = top_k ] || fail_usage "--${option//_/-} needs a number" ;;
    0* | *[!0-9]*) fail_usage "--${option//_/-} is a whole number from 1 on, not '${!option}'" ;;
  esac
done
case $channel in
  mean) ;;
  '' | *[!0-9]* | 0?*) fail_usage "--channel is a whole number from 0 on, or mean, not '$channel'" ;;
esac
case ${seed-1} in
  '' | *[!0-9]*) fail_usage "--seed is a whole number from 0 on, not '$seed'" ;;
esac
case $name in
  *[!A-Za-z0-9._-]*) fail_usage "--name is part of a folder's name: letters, digits, dots, dashes and" \
    "underscores, not '$name'" ;;
esac
for option in config vad augmentation copies backend; do
  while IFS= read -r -d , file; do
    if [ -z "$file" ] || [ -f "$file" ]; then continue; fi
    if [ "$option" = backend ] && [ -f "$file/backend.json" ]; then continue; fi
    [ ! -d "$file" ] || fail_usage "--$option $file: a folder without backend.json," \
      "expected a YAML or a folder of steps.train_backend"
    fail_usage "--$option $file: no such file"
  done <<<"${!option:-},"
done
for protocol_name in ${test_protocols//,/ }; do
  [ -f "conf/protocols/$protocol_name.yaml" ] ||
    fail_usage "--test-protocols $protocol_name: no such file in conf/protocols/"
done
: "${workdir:=$(dirname "$script")}"
[ "$verbose" = false ] || [ "$dry_run" = true ] || fail_usage "--verbose needs --dry-run"
[ "$submit_all" = false ] || [ "$cmd" = slurm ] || fail_usage "--submit-all needs --cmd slurm"
[ -z "$cluster_conf" ] || [ -f "$cluster_conf" ] || fail_usage "--cluster-conf $cluster_conf: no such file"
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

append_heard() {  # NAME
  append_stem "$1" "$vad"
  append "$1" "channel$channel" channel0
}

policy=$(stem "$copies")
policy=${policy:+_$policy}

# WORDS: a line of the plan; where there is no room for it a recipe would look as if it had no stages.
plan_line() {
  { echo "$1" >>"$SV_PLAN"; } 2>/dev/null || {
    echo "$script: $SV_PLAN: cannot be written; make room there, or export TMPDIR=DIR, another folder" >&2
    exit 1
  }
}

told_seconds() {  # SECONDS: in one or two units
  if [ "$1" -lt 120 ]; then
    echo "$1 s"
  elif [ "$1" -lt 7200 ]; then
    echo "$(($1 / 60)) min $(($1 % 60)) s"
  else
    echo "$(($1 / 3600)) h $(($1 % 3600 / 60)) min"
  fi
}

present_stage='' stage_started=0 run_started=$SECONDS

end_stage() {  # how long the present stage took
  [ -n "$present_stage" ] || return 0
  echo "== stage $present_stage: $(told_seconds $((SECONDS - stage_started)))" >&2
  present_stage=
}

end_run() {  # EXIT CODE: how long the last stage and the whole run took, where they ended well
  if [ "$1" = 0 ] && [ -n "$present_stage" ]; then
    end_stage
    echo "== total: $(told_seconds $((SECONDS - run_started)))" >&2
  fi
}

at_exit() {
  local code=$?
  rm -f "$written"
  release_locks
  end_run "$code"
}

at_stage() {  # number title
  if [ -n "${SV_PLAN:-}" ]; then name_places; plan_line "stage $1 $2"; return; fi
  if [ "$1" -lt "$stage" ] || [ "$1" -gt "$stop_stage" ]; then return 1; fi
  end_stage
  case " $done_stages " in *" $1 "*) echo "== stage $1: $2: done already" >&2; return 1 ;; esac
  release_locks "$1"
  check_again "$1"
  present_stage=$1 stage_started=$SECONDS
  echo "== stage $1: $2 ($(date +%H:%M:%S))" >&2
}

# COMMAND...: fills `losses` with what the user said of how much may be lost, of it what the command takes.
losses_of() {
  local words="$*" module
  module=${words#* -m }
  module=${module%% *}
  losses=()
  case $module in
    local.prepare_folder | steps.collect_packed | steps.collect_copies | steps.augment)
      losses+=(${max_policy_fraction:+--max-policy-fraction "$max_policy_fraction"}) ;;
  esac
  case $module in
    local.prepare_folder | steps.collect_vad | steps.collect_packed | steps.collect_copies | steps.augment)
      losses+=(${max_unreadable_fraction:+--max-unreadable-fraction "$max_unreadable_fraction"}) ;;
  esac
  [ "$allow_missing_trials" = true ] || return 0
  case $module in
    local.prepare_folder | steps.compute_vad | steps.collect_vad | steps.pack_audio | steps.collect_packed)
      losses+=(--allow-missing-trials true) ;;
  esac
}

# STAGE: once the speakers of stage 0 are known, whether the back ends can be trained on so many.
check_again() {
  if [ "$1" = 0 ]; then unchecked=$backend; return; fi
  [ -n "${unchecked-}" ] || return 0
  unchecked=
  python3 -m utils.plan status "$plan" --last "$stop_stage" >/dev/null || exit 1  # in a condition -e is off
}

run() {  # COMMAND...: one process of the present stage
  losses_of "$@"
  set -- "$@" ${losses[@]+"${losses[@]}"}
  if [ -n "${SV_PLAN:-}" ]; then plan_line "run $(quoted "$@")"; return; fi
  SV_STAGED=$$ SV_EXPERIMENT=${exp-} "$@"
}

launch() {  # [--num-threads N] [--mem G] [--gpu N] [--time H:MM:SS] JOB=1:N LOG COMMAND...
  losses_of "$@"
  set -- "$@" ${losses[@]+"${losses[@]}"}
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

. utils/scoring.sh
. utils/locks.sh

if [ -z "${SV_PLAN:-}" ]; then  # first pass: write the plan, see what is done
  written=$(mktemp 2>/dev/null) || {
    echo "$script: ${TMPDIR:-/tmp}: no temporary file can be made there; make room," \
      "or export TMPDIR=DIR, another folder" >&2
    exit 1
  }
  plan=$written
  trap at_exit EXIT
  exec 9<>"$plan"
  if [ -e "/proc/$$/fd/9" ]; then  # Linux: without a name, so that a killed run leaves nothing behind
    rm "$plan"
    plan=/proc/$$/fd/9
  fi
  case $script in
    /*) absolute_script=$script ;;
    *) absolute_script=$PWD/$script ;;
  esac
  (cd "$OLDPWD" && SV_PLAN=$plan bash "$absolute_script" ${given[@]+"${given[@]}"})
  if [ "$dry_run" = true ]; then
    named=("workdir=$workdir")
    while IFS= read -r option; do
      [ "$option" = workdir ] || [ -z "${!option}" ] || named+=("${option//_/-}=${!option}")
    done < <(sed -n 's/^\([a-z0-9_]*\)=[^#]*# *paths\{0,1\}: .*/\1/p' <<<"$declared")
    python3 -m utils.plan.dry_run "$plan" "${named[@]}" --first "$stage" --last "$stop_stage" \
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
