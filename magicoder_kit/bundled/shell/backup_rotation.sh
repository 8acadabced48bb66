#!/usr/bin/env bash
# Archive a directory and keep a limited number of daily, weekly and monthly copies.
set -euo pipefail

keep_daily=7
keep_weekly=4
keep_monthly=6
dry_run=false

usage() {
    cat <<USAGE
Usage: ${0##*/} [-n] [-d COUNT] [-w COUNT] [-m COUNT] SOURCE DESTINATION

  -n         show what would be removed without touching anything
  -d COUNT   daily archives to keep (default $keep_daily)
  -w COUNT   weekly archives to keep (default $keep_weekly)
  -m COUNT   monthly archives to keep (default $keep_monthly)
USAGE
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

require_count() {
    [[ $2 =~ ^(0|[1-9][0-9]*)$ ]] || die "option -$1 needs a whole number, got '$2'"
}

# Sunday's archive counts as weekly, the first of the month as monthly.
tier_for_today() {
    if [[ $(date +%d) == 01 ]]; then
        echo monthly
    elif [[ $(date +%u) == 7 ]]; then
        echo weekly
    else
        echo daily
    fi
}

create_archive() {
    local source=$1 target=$2
    local partial="$target.partial"

    mkdir -p "${target%/*}"
    if ! tar -czf "$partial" -C "$(dirname "$source")" "$(basename "$source")"; then
        rm -f -- "$partial"
        die "could not archive $source"
    fi
    if ! gzip -t "$partial"; then
        rm -f -- "$partial"
        die "archive of $source failed its integrity check"
    fi
    mv -- "$partial" "$target"
    (cd "${target%/*}" && sha256sum "${target##*/}" >"${target##*/}.sha256")
}

prune_tier() {
    local directory=$1 keep=$2
    local -a archives=()

    [[ -d $directory ]] || return 0
    # Timestamps in the names sort chronologically, so newest come first here.
    mapfile -t archives < <(find "$directory" -maxdepth 1 -name '*.tar.gz' | sort -r)

    local archive
    for archive in "${archives[@]:keep}"; do
        if $dry_run; then
            echo "would remove $archive"
        else
            rm -f -- "$archive" "$archive.sha256"
            echo "removed $archive"
        fi
    done
}

main() {
    local option
    while getopts ':nd:w:m:h' option; do
        case $option in
            n) dry_run=true ;;
            d) require_count d "$OPTARG"; keep_daily=$OPTARG ;;
            w) require_count w "$OPTARG"; keep_weekly=$OPTARG ;;
            m) require_count m "$OPTARG"; keep_monthly=$OPTARG ;;
            h) usage; return 0 ;;
            :) die "option -$OPTARG needs a value" ;;
            *) usage >&2; return 2 ;;
        esac
    done
    shift $((OPTIND - 1))
    (( $# == 2 )) || { usage >&2; return 2; }

    local source=${1%/} destination
    [[ -d $source ]] || die "no such directory: $source"
    destination="${2%/}/$(basename "$source")"

    local tier target
    tier=$(tier_for_today)
    target="$destination/$tier/$(date +%Y%m%dT%H%M%S).tar.gz"

    if $dry_run; then
        echo "would create $target"
    else
        create_archive "$source" "$target"
        echo "created $target ($(du -h "$target" | cut -f1))"
    fi

    prune_tier "$destination/daily" "$keep_daily"
    prune_tier "$destination/weekly" "$keep_weekly"
    prune_tier "$destination/monthly" "$keep_monthly"
}

main "$@"
