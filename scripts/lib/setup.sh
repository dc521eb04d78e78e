# shellcheck shell=bash
# Set-up shared by the scripts: Debian's peers, a Python, a virtual environment of our own.
# To be sourced; the caller has `set -euo pipefail`.

ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)"

# A plain user's PATH lacks the directories where Debian puts daemons.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# ApacheDS, and the libraries that its package needs and does not name.
APACHEDS=(default-jre-headless apacheds libapache-directory-api-java libapache-directory-jdbm-java libmavibot-java
    libmina2-java libbcprov-java libdom4j-java libcommons-pool-java libcommons-lang-java libxpp3-java
    libcaffeine-java libcommons-lang3-java libcommons-codec-java libcommons-collections4-java)

say() { printf '== %s\n' "$*"; }
complain() { printf '== %s\n' "$*" >&2; }

# install_debian_peers PACKAGE...
# Install with apt those packages whose program is not there; their services are neither started nor enabled.
# Where that cannot be done (no root, no sudo, no apt, no network) say what is missing and go on,
# unless DCM4PY_REQUIRE_PEERS=1.
install_debian_peers() {
    local package missing=()
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    ((${#missing[@]})) || return 0

    say "missing: ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        complain "no apt-get on this machine; install these yourself: ${missing[*]}"
    elif ! become_root true 2>/dev/null; then
        complain "neither root nor password-less sudo; ask for: apt-get install ${missing[*]}"
    elif apt_install "${missing[@]}"; then
        return 0
    else
        complain "apt-get could not install: ${missing[*]}"
    fi
    [[ "${DCM4PY_REQUIRE_PEERS:-}" != 1 ]] || {
        complain "DCM4PY_REQUIRE_PEERS=1, giving up"
        return 1
    }
}

# ensure_venv DIR EXTRAS
# A virtual environment in DIR with this project, editable, and its EXTRAS ("codecs,test", or empty).
ensure_venv() {
    ensure_venv_with "$1" --editable "$ROOT${2:+[$2]}"
}

# ensure_venv_with DIR PIP_ARGUMENT...
# A virtual environment in DIR with what `pip install PIP_ARGUMENT...` installs.
# Made anew when it is broken; left alone when neither the arguments, the Python nor setup.cfg have changed.
ensure_venv_with() {
    local directory="$1" python wanted
    shift
    python="$(find_python)" || return 1
    wanted="$(printf '%s\n' "$python" "$("$python" --version)" "$@" | cat - "$ROOT/setup.cfg" | cksum)"
    if [[ "$wanted" == "$(cat "$directory/installed" 2>/dev/null)" ]] && "$directory/bin/python" -c '' 2>/dev/null; then
        return 0
    fi
    say "making $directory with $("$python" --version): pip install $*"
    "$python" -m venv --clear "$directory" || return 1
    "$directory/bin/python" -m pip install -qq --disable-pip-version-check "$@" || return 1
    printf '%s\n' "$wanted" >"$directory/installed"
}

# find_python
# Print a Python of at least 3.11 that can make virtual environments; $PYTHON comes first.
find_python() {
    local candidate base
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        # Out of a virtual environment, which may be the one to be made anew, to the Python that it came from.
        base="$("$candidate" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))' 2>/dev/null)" ||
            continue
        if "$base" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$base"
            return 0
        fi
    done
    complain "no Python of at least 3.11 with venv (Debian packages python3 and python3-venv)"
    return 1
}

is_installed() {
    case "$1" in
        389-ds-base) command -v ns-slapd ;;
        apacheds) [[ -e /usr/share/apacheds/lib/apacheds-service.jar ]] ;;
        dcmtk) command -v dcmqrscp && command -v storescp && command -v movescu ;;
        default-jre-headless) command -v java ;;
        ldap-utils) command -v ldapmodify ;;
        nodejs) command -v node ;;
        lib*-java) dpkg -s "$1" ;;
        orthanc-dicomweb) [[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ]] ;;
        orthanc) command -v Orthanc ;;
        python3-venv) find_python ;;
        systemd) command -v systemd-analyze ;;
        *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

become_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo --non-interactive -- "$@"
    fi
}

apt_install() {
    say "apt-get update"
    # The lock of the package lists knows no timeout, unlike dpkg's.
    local attempt errors
    for attempt in {1..60}; do
        errors="$(become_root apt-get -qq -o Acquire::Retries=3 update 2>&1)" && break
        if [[ "$errors" != *"Could not get lock"* ]]; then
            # Old lists may do; the installation will tell.
            complain "$errors"
            break
        fi
        ((attempt > 1)) || say "waiting for another apt-get"
        sleep 5
    done

    say "apt-get install $*"
    # A subshell, so that its trap is its own.
    (
        policy=/usr/sbin/policy-rc.d
        if [[ ! -e "$policy" ]]; then
            trap 'become_root rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' | become_root tee "$policy" >/dev/null
            become_root chmod 755 "$policy"
        fi
        become_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
            -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 install "$@" >/dev/null
    ) || return 1

    local service
    for service in slapd orthanc apacheds; do
        if [[ " $* " == *" $service "* ]]; then
            become_root service "$service" stop >/dev/null 2>&1 || true
            become_root update-rc.d "$service" disable >/dev/null 2>&1 || true
        fi
    done
}
