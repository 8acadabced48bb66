# shellcheck shell=bash
#
# A small reader for INI style files, meant to be sourced:
#
#   source ini_config.sh
#   ini_load settings.ini
#   port=$(ini_get server.port 8080)
#   if ini_is_true server.tls; then ... fi

declare -gA INI_VALUES=()
declare -ga INI_KEYS=()

_ini_trim() {
    local text=$1
    text=${text#"${text%%[![:space:]]*}"}
    text=${text%"${text##*[![:space:]]}"}
    printf '%s' "$text"
}

# Quoted values keep their spaces and "#"; bare ones lose a trailing comment.
_ini_clean_value() {
    local value
    value=$(_ini_trim "$1")
    case $value in
        \"*\"*) value=${value#\"}; value=${value%%\"*} ;;
        \'*\'*) value=${value#\'}; value=${value%%\'*} ;;
        \#*)    value= ;;
        *)      value=$(_ini_trim "${value%%[[:space:]]#*}") ;;
    esac
    printf '%s' "$value"
}

ini_set() {
    local key=$1 value=$2
    [[ -n ${INI_VALUES["$key"]+set} ]] || INI_KEYS+=("$key")
    INI_VALUES["$key"]=$value
}

# Parses FILE; later files override keys that earlier ones set.
ini_load() {
    local file=$1
    local line key value section='' number=0 problems=0

    if [[ ! -r $file ]]; then
        echo "ini_load: cannot read $file" >&2
        return 1
    fi

    while IFS= read -r line || [[ -n $line ]]; do
        number=$((number + 1))
        line=$(_ini_trim "${line%$'\r'}")
        case $line in
            '' | \#* | \;*)
                continue
                ;;
            \[*\])
                section=$(_ini_trim "${line:1:${#line}-2}")
                ;;
            *=*)
                key=$(_ini_trim "${line%%=*}")
                value=$(_ini_clean_value "${line#*=}")
                if [[ ! $key =~ ^[A-Za-z_][A-Za-z0-9_-]*$ ]]; then
                    echo "$file:$number: bad key '$key'" >&2
                    problems=$((problems + 1))
                    continue
                fi
                ini_set "${section:+$section.}$key" "$value"
                ;;
            *)
                echo "$file:$number: expected key=value, got '$line'" >&2
                problems=$((problems + 1))
                ;;
        esac
    done <"$file"

    (( problems == 0 ))
}

ini_has() {
    [[ -n ${INI_VALUES["$1"]+set} ]]
}

# Prints the value of a key, or the default when given, or fails.
ini_get() {
    if ini_has "$1"; then
        printf '%s\n' "${INI_VALUES["$1"]}"
    elif (( $# > 1 )); then
        printf '%s\n' "$2"
    else
        return 1
    fi
}

ini_is_true() {
    local value
    value=$(ini_get "$1" "${2:-false}")
    case ${value,,} in
        1 | true | yes | on) return 0 ;;
        *) return 1 ;;
    esac
}

ini_get_integer() {
    local value
    value=$(ini_get "$@") || return 1
    if [[ ! $value =~ ^-?[0-9]+$ ]]; then
        echo "ini: $1 must be an integer, not '$value'" >&2
        return 1
    fi
    printf '%s\n' "$value"
}

# Lists the keys of one section in file order, without the section prefix.
ini_section_keys() {
    local prefix="$1." key
    for key in "${INI_KEYS[@]}"; do
        [[ $key == "$prefix"* ]] && printf '%s\n' "${key#"$prefix"}"
    done
    return 0
}

# Exports server.max-size as PREFIX_SERVER_MAX_SIZE for child processes.
ini_export() {
    local prefix=$1 key name
    for key in "${INI_KEYS[@]}"; do
        name=${prefix}_${key^^}
        name=${name//[!A-Za-z0-9_]/_}
        export "$name=${INI_VALUES["$key"]}"
    done
}
