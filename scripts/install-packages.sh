#!/usr/bin/env bash
# Usage: install-packages.sh GROUP...
# Installs the packages that packages.txt lists for the groups, those only whose probe finds nothing.
set -euo pipefail

table=$(dirname "$0")/packages.txt
export DEBIAN_FRONTEND=noninteractive
# What apt says is read, so it must be English.
export LC_ALL=C.UTF-8 LANGUAGE=

say() { printf '==> packages: %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
as_root() { if ((EUID)); then sudo --preserve-env=DEBIAN_FRONTEND "$@"; else "$@"; fi; }

apt_install() {
    as_root apt-get -qq -y -o DPkg::Lock::Timeout=600 --no-install-recommends install "$@" >"$log" 2>&1 </dev/null && return
    cat "$log" >&2
    die "apt-get could not install: $*"
}

present() {
    case $1 in
        /*) [[ -e $1 ]] ;;
        python:*) "${PYTHON:-python3}" -c "import ${1#python:}" 2>/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

in_archive() { [[ $(apt-cache policy "$1") == *"Candidate: "[!\(]* ]]; }

# Prints the first of the alternatives A|B|C that can be had here.
choose() {
    local name
    for name in ${1//|/ }; do
        if [[ $name == *@* ]] || in_archive "$name"; then
            echo "$name"
            return
        fi
    done
    return 1
}

# The Debian archive that this machine's apt is set up for: that of the release itself, not of its updates.
debian_archive() {
    local archive
    archive=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 !~ /-/ && !found++ { print $3 }')
    [[ -n $archive ]] || die "apt has no Debian archive to take a package of another suite from"
    echo "$archive"
}

# Packages of another Debian suite: apt sees that suite alone, so nothing else on the machine changes release.
install_from_suite() {
    local name=${1%@*} suite=${1#*@} keyring=/usr/share/keyrings/debian-archive-keyring.gpg archive
    archive=$(debian_archive)
    [[ -e $keyring ]] || apt_install debian-archive-keyring
    mkdir -p "$work/$suite/lists/partial"
    echo "deb [signed-by=$keyring] $archive $suite main" >"$work/$suite/sources.list"
    local only=(-o "Dir::Etc::sourcelist=$work/$suite/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$work/$suite/lists")
    say "installing $name from Debian $suite"
    as_root apt-get "${only[@]}" update -qq
    apt_install "${only[@]}" "$name"
}

missing=()
while read -r groups probe packages; do
    [[ -z $groups || $groups == '#'* ]] && continue
    for group in "$@"; do
        if [[ ,$groups, == *,$group,* ]]; then
            present "$probe" || missing+=("$groups $probe $packages")
            break
        fi
    done
done <"$table"

((${#missing[@]})) || exit 0
command -v apt-get >/dev/null || die "this is no Debian or Ubuntu; install what provides these, then try again:
$(printf '  %s\n' "${missing[@]}")"

work=$(mktemp -d)
trap 'as_root rm -rf "$work"' EXIT
chmod 755 "$work" # apt reads it as its own user
log=$work/log
say "apt-get update"
as_root apt-get update -qq

ours=() foreign=()
for line in "${missing[@]}"; do
    read -r groups probe packages <<<"$line"
    if package=$(choose "$packages"); then
        if [[ $package == *@* ]]; then foreign+=("$package"); else ours+=("$package"); fi
    elif [[ ,$groups, == *,interop,* ]]; then
        say "this release's archive has no $packages: what needs '$probe' cannot be tried here"
    else
        die "this release's archive has no $packages (needed for: $groups)"
    fi
done
if ((${#ours[@]})); then
    say "installing ${ours[*]}"
    apt_install "${ours[@]}"
fi
for package in "${foreign[@]}"; do
    install_from_suite "$package"
done
