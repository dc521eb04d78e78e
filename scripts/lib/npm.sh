# shellcheck shell=bash
# Packages of npm that tests run, in build/npm: the web viewer OHIF, and clients of DICOMweb.
# To be sourced after setup.sh.

OHIF=@ohif/app@3.13.2
NPM_CLIENTS=(dicomweb-client@0.11.3 dcmjs@0.52.2 xhr2@0.2.1)

# fetch_npm_packages
# Fetch what is not there in these versions; nothing of it is run by npm.
# Where that cannot be done say so and go on, unless DCM4PY_REQUIRE_PEERS=1.
fetch_npm_packages() {
    local folder="$ROOT/build/npm"
    mkdir -p "$folder"
    if fetch_once "$folder/ohif" "$OHIF" unpack_ohif && fetch_once "$folder/clients" "${NPM_CLIENTS[*]}" install_clients; then
        return 0
    fi
    complain "npm could not fetch $OHIF and ${NPM_CLIENTS[*]}"
    [[ "${DCM4PY_REQUIRE_PEERS:-}" != 1 ]]
}

# fetch_once DIRECTORY VERSIONS FUNCTION
# Let FUNCTION fill a new DIRECTORY, unless it holds these VERSIONS.
fetch_once() {
    local directory="$1" versions="$2" made
    [[ "$versions" != "$(cat "$directory/versions" 2>/dev/null)" ]] || return 0
    say "npm: $versions"
    made="$(mktemp -d "$directory.XXXXXX")" || return 1
    # Under its name only when it is whole; another run may have been faster.
    if "$3" "$made" && printf '%s\n' "$versions" >"$made/versions" && rm -rf "$directory" && mv -T "$made" "$directory"; then
        return 0
    fi
    rm -rf "$made"
    return 1
}

unpack_ohif() {
    (cd "$1" && npm pack --loglevel=error "$OHIF" >/dev/null) || return 1
    # Half of it is for features that tests do not touch, and for debuggers.
    tar -xzf "$1"/*.tgz -C "$1" --strip-components=1 --exclude='*.map' --exclude=package/dist/ort package/dist &&
        rm "$1"/*.tgz
}

install_clients() {
    # Not by --prefix: npm would look below it for the settings of this machine, such as whom it trusts.
    printf '{}\n' >"$1/package.json"
    (cd "$1" && npm install --loglevel=error --ignore-scripts --no-audit --no-fund --no-package-lock "${NPM_CLIENTS[@]}" >/dev/null)
}
