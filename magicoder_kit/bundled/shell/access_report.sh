#!/usr/bin/env bash
# Summarise web server access logs in the combined format.
set -euo pipefail

top=10
format=text
since=
status_filter=

usage() {
    cat <<'USAGE'
Usage: access_report.sh [options] [FILE...]

Reads standard input when no FILE is given; files ending in .gz are unpacked.

  -t N        rows to show per section (default 10)
  -s STATUS   only count responses with this status, e.g. 404 or 5xx
  -d DATE     only count requests from this day on, e.g. 2024-03-01
  -c          print comma separated values instead of tables
  -h          show this help
USAGE
}

fail() {
    echo "access_report: $1" >&2
    exit 2
}

read_logs() {
    if (( $# == 0 )); then
        cat
        return
    fi
    local file
    for file in "$@"; do
        if [[ ! -r $file ]]; then
            echo "access_report: skipping unreadable file $file" >&2
            continue
        fi
        case $file in
            *.gz) gzip -dc -- "$file" ;;
            *)    cat -- "$file" ;;
        esac
    done
}

# Emits tab separated: day, hour, address, status, bytes, path
normalise() {
    awk -v since="$since" -v wanted="$status_filter" '
        BEGIN {
            OFS = "\t"
            split("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", names, " ")
            for (i = 1; i <= 12; i++) month[names[i]] = sprintf("%02d", i)
            sub(/xx$/, "[0-9][0-9]", wanted)
        }
        match($0, /\[[^]]+\]/) {
            split(substr($0, RSTART + 1, RLENGTH - 2), stamp, /[\/: ]/)
            day = stamp[3] "-" month[stamp[2]] "-" stamp[1]
            if (since != "" && day < since) next

            if (split($0, quoted, "\"") < 3) next
            split(quoted[2], request, " ")
            split(quoted[3], reply, " ")
            if (wanted != "" && reply[1] !~ ("^" wanted "$")) next

            path = request[2]
            sub(/\?.*/, "", path)
            bytes = (reply[2] == "-") ? 0 : reply[2]
            print day, stamp[4], $1, reply[1], bytes, path
        }
    '
}

count_column() {
    local column=$1 file=$2
    cut -f "$column" "$file" | sort | uniq -c | sort -k1,1nr -k2 | awk -v top="$top" 'NR <= top'
}

section() {
    local title=$1 column=$2 file=$3
    if [[ $format == csv ]]; then
        count_column "$column" "$file" | awk -v title="$title" '{ print title "," $2 "," $1 }'
    else
        printf '\n%s\n' "$title"
        count_column "$column" "$file" | awk '{ printf "  %8d  %s\n", $1, $2 }'
    fi
}

totals() {
    awk -F '\t' '
        { bytes += $5; if ($4 >= 500) errors++ }
        END {
            rate = NR ? 100 * errors / NR : 0
            printf "%d requests, %.1f MiB sent, %.2f%% server errors\n", NR, bytes / 1048576, rate
        }
    ' "$1"
}

while getopts ':t:s:d:ch' option; do
    case $option in
        t) [[ $OPTARG =~ ^[1-9][0-9]*$ ]] || fail "-t needs a positive number"
           top=$OPTARG ;;
        s) [[ $OPTARG =~ ^[1-5]([0-9]{2}|xx)$ ]] || fail "bad status '$OPTARG'"
           status_filter=$OPTARG ;;
        d) since=$(date -d "$OPTARG" +%F 2>/dev/null) || fail "bad date '$OPTARG'" ;;
        c) format=csv ;;
        h) usage; exit 0 ;;
        :) fail "option -$OPTARG needs a value" ;;
        *) fail "unknown option -$OPTARG" ;;
    esac
done
shift $((OPTIND - 1))

requests=$(mktemp)
trap 'rm -f "$requests"' EXIT
read_logs "$@" | normalise >"$requests"

if [[ $format == text ]]; then
    totals "$requests"
fi
section "Paths" 6 "$requests"
section "Addresses" 3 "$requests"
section "Statuses" 4 "$requests"
section "Hours" 2 "$requests"
