#!/usr/bin/env bash
# A directory based job queue. Each job is a file holding one command line; it
# moves through pending/, running/ and finally done/ or failed/.
set -euo pipefail

spool=${JOB_SPOOL:-$HOME/.job_spool}
max_attempts=${JOB_ATTEMPTS:-3}
poll_seconds=${JOB_POLL:-2}
stop_requested=false

prepare_spool() {
    mkdir -p "$spool"/{pending,running,done,failed,logs}
}

# Runs a command while holding an exclusive lock on the spool.
with_lock() {
    local status=0
    exec {lock_fd}>"$spool/.lock"
    if ! flock -w 10 "$lock_fd"; then
        exec {lock_fd}>&-
        echo "job_spool: timed out waiting for the lock" >&2
        return 75
    fi
    "$@" || status=$?
    exec {lock_fd}>&-
    return "$status"
}

next_identifier() {
    local counter=0
    [[ -f $spool/.counter ]] && counter=$(<"$spool/.counter")
    counter=$((10#$counter + 1))
    printf '%06d\n' "$counter" | tee "$spool/.counter"
}

submit() {
    local identifier
    identifier=$(with_lock next_identifier)
    # Write under a hidden name first so that workers never see half a job.
    printf '%q ' "$@" >"$spool/pending/.$identifier"
    mv "$spool/pending/.$identifier" "$spool/pending/$identifier.0"
    echo "queued job $identifier"
}

# Moves the oldest pending job to running/ and leaves its name in "claimed".
claim_next() {
    local job
    claimed=
    for job in "$spool"/pending/*; do
        [[ -f $job ]] || continue
        claimed=${job##*/}
        mv "$job" "$spool/running/$claimed"
        return 0
    done
    return 1
}

run_claimed() {
    local name=$1
    local identifier=${name%.*} attempt=$(( ${name##*.} + 1 ))
    local log="$spool/logs/$identifier.log" status=0

    printf '== attempt %d at %s\n' "$attempt" "$(date '+%F %T')" >>"$log"
    bash "$spool/running/$name" >>"$log" 2>&1 </dev/null || status=$?

    if (( status == 0 )); then
        mv "$spool/running/$name" "$spool/done/$identifier"
    elif (( attempt < max_attempts )); then
        echo "job $identifier exited with $status, will retry" >&2
        mv "$spool/running/$name" "$spool/pending/$identifier.$attempt"
    else
        echo "job $identifier failed after $attempt attempts" >&2
        mv "$spool/running/$name" "$spool/failed/$identifier"
    fi
}

work() {
    local once=${1:-}
    trap 'stop_requested=true' INT TERM
    until $stop_requested; do
        if with_lock claim_next; then
            run_claimed "$claimed"
        elif [[ $once == --once ]]; then
            break
        else
            sleep "$poll_seconds"
        fi
    done
}

status_report() {
    local state
    local -a jobs
    shopt -s nullglob
    for state in pending running "done" failed; do
        jobs=("$spool/$state"/*)
        printf '%-8s %d\n' "$state" "${#jobs[@]}"
    done
}

case ${1:-} in
    submit)
        shift
        (( $# > 0 )) || { echo "job_spool: submit needs a command" >&2; exit 64; }
        prepare_spool
        submit "$@"
        ;;
    work)
        prepare_spool
        work "${2:-}"
        ;;
    status)
        prepare_spool
        status_report
        ;;
    *)
        echo "usage: ${0##*/} submit COMMAND [ARG...] | work [--once] | status" >&2
        exit 64
        ;;
esac
