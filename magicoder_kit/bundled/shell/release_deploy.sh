#!/usr/bin/env bash
#
# Unpack a release next to the previous ones, switch the "current" symlink to
# it, and switch back if the service does not become healthy in time.

set -euo pipefail

readonly ROOT=${DEPLOY_ROOT:-/srv/app}
readonly HEALTH_URL=${HEALTH_URL:-http://127.0.0.1:8080/health}
readonly HEALTH_ATTEMPTS=${HEALTH_ATTEMPTS:-12}
readonly HEALTH_PAUSE=${HEALTH_PAUSE:-2}
readonly KEEP_RELEASES=${KEEP_RELEASES:-5}
readonly RESTART_COMMAND=${RESTART_COMMAND:-systemctl restart app.service}

log()  { printf '%(%H:%M:%S)T  %s\n' -1 "$*"; }
warn() { log "WARNING $*" >&2; }
die()  { log "ERROR $*" >&2; exit 1; }

verify_checksum() {
    local archive=$1
    local sums="$archive.sha256"

    if [[ ! -f $sums ]]; then
        warn "no checksum file beside $archive, skipping verification"
        return 0
    fi
    local expected="" actual
    read -r expected _ <"$sums" || [[ -n $expected ]] || die "empty checksum file: $sums"
    actual=$(sha256sum "$archive" | cut -d ' ' -f 1)
    [[ $expected == "$actual" ]] || die "checksum mismatch for $archive"
    log "checksum ok"
}

unpack_release() {
    local archive=$1 directory=$2

    [[ ! -e $directory ]] || die "release already exists: $directory"
    mkdir -p "$directory"
    if ! tar -xzf "$archive" -C "$directory" --strip-components=1; then
        rm -rf -- "$directory"
        die "could not unpack $archive"
    fi
    if [[ -x $directory/bin/prepare ]]; then
        log "running bin/prepare"
        (cd "$directory" && ./bin/prepare)
    fi
}

# rename(2) is atomic, so readers see either the old link or the new one.
point_current_at() {
    local directory=$1
    ln -sfn "$directory" "$ROOT/current.next"
    mv -T "$ROOT/current.next" "$ROOT/current"
}

restart_service() {
    local -a command
    read -ra command <<<"$RESTART_COMMAND"
    "${command[@]}"
}

wait_until_healthy() {
    local attempt code
    for (( attempt = 1; attempt <= HEALTH_ATTEMPTS; attempt++ )); do
        code=$(curl -s -o /dev/null -m 5 -w '%{http_code}' "$HEALTH_URL" || true)
        if [[ $code == 200 ]]; then
            log "healthy after $attempt check(s)"
            return 0
        fi
        log "health check $attempt/$HEALTH_ATTEMPTS answered ${code:-nothing}"
        sleep "$HEALTH_PAUSE"
    done
    return 1
}

remove_old_releases() {
    local live release
    live=$(readlink -f "$ROOT/current")
    while IFS= read -r release; do
        [[ $release == "$live" ]] && continue
        log "removing old release ${release##*/}"
        rm -rf -- "$release"
    done < <(find "$(readlink -f "$ROOT/releases")" -mindepth 1 -maxdepth 1 -type d \
        | sort -r | tail -n +"$((KEEP_RELEASES + 1))")
}

deploy() {
    local archive=$1
    local directory previous=""

    directory="$ROOT/releases/$(date -u +%Y%m%d%H%M%S)"
    [[ -L $ROOT/current ]] && previous=$(readlink -f "$ROOT/current")

    verify_checksum "$archive"
    unpack_release "$archive" "$directory"
    point_current_at "$directory"
    log "switched to ${directory##*/}"

    if restart_service && wait_until_healthy; then
        remove_old_releases
        log "deployment finished"
        return 0
    fi

    [[ -n $previous ]] || die "deployment failed and there is nothing to roll back to"
    warn "rolling back to ${previous##*/}"
    point_current_at "$previous"
    restart_service || die "restart failed after rolling back"
    wait_until_healthy || die "service is still unhealthy after rolling back"
    rm -rf -- "$directory"
    die "deployment failed, previous release restored"
}

if (( $# != 1 )); then
    echo "usage: ${0##*/} RELEASE.tar.gz" >&2
    exit 64
fi
[[ -r $1 ]] || die "cannot read $1"
mkdir -p "$ROOT/releases"
deploy "$1"
