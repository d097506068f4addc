#!/usr/bin/env bash
# Trains with N processes of this machine that work as one, and starts all again from the last checkpoint when one dies.
#   bash scripts/launch_workers.sh N [--max_restarts=3] [--first_port=2222] flags of train_ssd_network.py
# Lines of worker 0 are shown as they are, those of others with their number. A wrong flag or wrong data (exit code 2)
# ends it at once; Ctrl-C or SIGTERM stops all workers, which save first. The GPUs that nvidia-smi or CUDA_VISIBLE_DEVICES
# names are shared out evenly.
set -euo pipefail
if [ $# -lt 2 ] || ! [ "$1" -gt 0 ] 2>/dev/null; then
  sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
  exit 2
fi
workers=$1
shift
max_restarts=3 first_port=2222 flags=()
exec 3>&2
for argument in "$@"; do
  case "$argument" in
    --max_restarts=*) max_restarts=${argument#*=} ;;
    --first_port=*) first_port=${argument#*=} ;;
    *) flags+=("$argument") ;;
  esac
done
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/scripts/setup.sh"
exec 2>/dev/null   # where bash would say, line by line, which workers were killed
hosts=$(seq -s, -f "127.0.0.1:%.0f" "$first_port" $((first_port + workers - 1)))
found=${CUDA_VISIBLE_DEVICES-$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | paste -sd, || true)}
IFS=, read -r -a gpus <<< "$found" || true
share=$((${#gpus[@]} / workers))

# start RANK: one worker in the background; its process number is added to `pids`. What a terminal sends to all of its
# processes on Ctrl-C reaches this script alone: a worker that got it and the SIGTERM from here would stop without saving.
start() {
  local rank=$1 show=(cat) own=() out err
  [ "$rank" = 0 ] || show=(sed -u "s/^/[$rank] /")
  [ "$share" = 0 ] || own=(env "CUDA_VISIBLE_DEVICES=$(IFS=,; echo "${gpus[*]:rank * share:share}")")
  exec {out}> >(trap '' INT; exec "${show[@]}")
  showing+=($!)
  exec {err}> >(trap '' INT; exec "${show[@]}" >&3)
  showing+=($!)
  setsid ${own[@]+"${own[@]}"} "$root/.venv/bin/python" "$root/train_ssd_network.py" ${flags[@]+"${flags[@]}"} \
    --worker_hosts="$hosts" --task_index="$rank" >&"$out" 2>&"$err" {out}>&- {err}>&- &
  pids+=($!)
  exec {out}>&- {err}>&-
}

# reap: takes those that have ended out of `pids`. The first code that is not 0 stays in `code`, but 2 says more: those
# that ended with another may only have lost that one.
reap() {
  local pid ended left=()
  for pid in "${pids[@]}"; do
    if kill -0 "$pid" 2>/dev/null; then
      left+=("$pid")
    else
      ended=0
      wait "$pid" || ended=$?
      if [ $code = 0 ] || [ $ended = 2 ]; then code=$ended; fi
    fi
  done
  pids=(${left[@]+"${left[@]}"})
}

# wait_until WORD SECONDS: until all workers are gone, or one has ended badly (WORD is `failure`), or so long. A stop that
# was asked for is passed on from here, once, when all that were started are known: a worker that is told twice does not save.
wait_until() {
  local word=$1 end=$((SECONDS + $2))
  while [ ${#pids[@]} -gt 0 ] && [ $SECONDS -lt $end ]; do
    if [ $asked = 1 ] && [ $passed_on = 0 ]; then
      passed_on=1
      kill -TERM "${pids[@]}" 2>/dev/null || true
    fi
    if [ "$word" = failure ] && { [ $code != 0 ] || [ $asked = 1 ]; }; then break; fi
    sleep 0.3 || true   # Ctrl-C ends it
    reap
  done
}

# patience: seconds that the others get to end by themselves, which may have a checkpoint to write, or a data set to search
# for what is broken, and notice within some seconds that one is lost.
patience() {
  case $((asked ? 143 : code)) in
    130 | 143) echo 600 ;;
    2) echo 120 ;;
    *) echo 30 ;;
  esac
}

asked=0 passed_on=0
trap 'asked=1' INT TERM
for ((restart = 0; ; restart++)); do
  pids=() showing=() code=0
  for ((rank = 0; rank < workers && asked == 0; rank++)); do start "$rank"; done
  wait_until failure 999999999
  wait_until gone "$(patience)"
  if [ ${#pids[@]} -gt 0 ]; then
    kill -KILL "${pids[@]}" 2>/dev/null || true
    wait_until gone 10
  fi
  for pid in "${showing[@]}"; do wait "$pid" || true; done   # until the last lines are shown
  if [ $asked = 1 ] && [ $code != 2 ]; then code=143; fi
  case $code in
    0 | 2 | 130 | 143) exit $code ;;
  esac
  if [ "$restart" -ge "$max_restarts" ]; then
    echo "error: a worker ended with code $code, and --max_restarts=$max_restarts are used up" >&3
    exit "$code"
  fi
  echo "a worker ended with code $code; starting all again ($((restart + 1)) of $max_restarts)"
done
