# shellcheck shell=bash
# shellcheck disable=SC2154  # options, plan, script and given are of utils/stages.sh
# Sourced by utils/stages.sh: the locks of a run (utils/locks/run_lock.py).  It holds them from the check of
# what is done to the end of the last stage that writes to the folder, or of the run.
#   plan_folders       first reading: the folders that a run may lock, into the plan
#   find_done          done_stages=numbers; locks the folders where work is left, and starts the heartbeat
#                      of the locks
#   release_locks [N]  those that no stage from N on needs; without N: all

locks=()   # alternately the last stage that needs a lock, and its folder
heartbeat=

plan_folders() {
  local folders
  if grep -q '^places' "$SV_PLAN" 2>/dev/null; then return; fi
  folders=$(quoted ${data:+"$data"} ${packed:+"$packed"} ${exp:+"$exp"} ${untrained:+"$untrained"})
  plan_line "places $folders"
}

find_done() {
  local answer last folder folders=()
  answer=$(python3 -m utils.plan finished "$plan" --first "$stage" --last "$stop_stage" --script "$script" \
    --run $$ --command "$(quoted "$0" ${given[@]+"${given[@]}"})")
  done_stages=${answer%%$'\n'*}
  while read -r last folder; do
    if [ -n "$folder" ]; then
      locks+=("$last" "$folder")
      folders+=("$folder")
    fi
  done <<<"${answer#"$done_stages"}"
  [ ${#locks[@]} -gt 0 ] || return 0
  SV_STAGED=$$ python3 -m utils.locks.run_lock beat $$ "${folders[@]}" &
  heartbeat=$!
  disown "$heartbeat"  # so that older versions of bash do not report its end
}

release_locks() {
  local kept=() released=() index
  for ((index = 0; index < ${#locks[@]}; index += 2)); do
    if [ "${1:-8}" -gt "${locks[index]}" ]; then
      released+=("${locks[index + 1]}")
    else
      kept+=("${locks[@]:index:2}")
    fi
  done
  locks=(${kept[@]+"${kept[@]}"})
  if [ ${#locks[@]} = 0 ] && [ -n "$heartbeat" ]; then
    kill "$heartbeat" 2>/dev/null || :
    heartbeat=
  fi
  [ ${#released[@]} = 0 ] || python3 -m utils.locks.run_lock release $$ "${released[@]}"
}
