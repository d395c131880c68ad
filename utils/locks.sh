# shellcheck shell=bash
# shellcheck disable=SC2154  # options, plan, script and given are of utils/stages.sh
# Sourced by utils/stages.sh: the locks of a run (utils/locks/run_lock.py), from the look at what is done to
# the end of the run or of the last stage that writes to the folder.
#   name_places        first pass: the folders that a run may lock, into the plan
#   find_done          done_stages=numbers; takes the locks of the places where work is left, and starts their
#                      heartbeat
#   release_locks [N]  those that no stage from N on needs; without N: all

locks=()   # "last stage that needs it" "path", in turn
heartbeat=

name_places() {
  local places
  if grep -q '^places' "$SV_PLAN" 2>/dev/null; then return; fi
  places=$(quoted ${data:+"$data"} ${packed:+"$packed"} ${exp:+"$exp"} ${untrained:+"$untrained"})
  plan_line "places $places"
}

find_done() {
  local answer last path paths=()
  answer=$(python3 -m utils.plan finished "$plan" --first "$stage" --last "$stop_stage" --script "$script" \
    --run $$ --command "$(quoted "$0" ${given[@]+"${given[@]}"})")
  done_stages=${answer%%$'\n'*}
  while read -r last path; do
    if [ -n "$path" ]; then
      locks+=("$last" "$path")
      paths+=("$path")
    fi
  done <<<"${answer#"$done_stages"}"
  [ ${#locks[@]} -gt 0 ] || return 0
  SV_STAGED=$$ python3 -m utils.locks.run_lock beat $$ "${paths[@]}" &
  heartbeat=$!
  disown "$heartbeat"  # so that older versions of bash do not report its end
}

release_locks() {
  local left=() over=() place
  for ((place = 0; place < ${#locks[@]}; place += 2)); do
    if [ "${1:-8}" -gt "${locks[place]}" ]; then
      over+=("${locks[place + 1]}")
    else
      left+=("${locks[@]:place:2}")
    fi
  done
  locks=(${left[@]+"${left[@]}"})
  if [ ${#locks[@]} = 0 ] && [ -n "$heartbeat" ]; then
    kill "$heartbeat" 2>/dev/null || :
    heartbeat=
  fi
  [ ${#over[@]} = 0 ] || python3 -m utils.locks.run_lock release $$ "${over[@]}"
}
