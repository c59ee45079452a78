#!/usr/bin/env bash
# Names the programs that the tests start and installs those that are missing, on Debian and what is made of it.
# --check names them only. No daemon is started, and those of programs.txt are not left enabled.
set -euo pipefail
cd "$(dirname "$0")"
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

programs=() missing=() packages=() daemons=()
while read -r program package starts; do
  case $program in "" | \#*) continue ;; esac
  programs+=("$program")
  command -v "$program" > /dev/null && continue
  missing+=("$program")
  case " ${packages[*]-} " in *" $package "*) continue ;; esac
  packages+=("$package")
  # shellcheck disable=SC2206
  daemons+=($starts)
done < programs.txt

# Node 26 loads a library that a bare Debian lacks: then nothing of this project runs.
node=../node_modules/.bin/node
if [ -x "$node" ] && ! "$node" --version > /dev/null 2>&1; then
  missing+=(libatomic.so.1) packages+=(libatomic1)
fi

echo "The tests start ${#programs[@]} programs: ${programs[*]}."
if [ ${#missing[@]} -eq 0 ]; then
  echo "All of them are here."
  exit
fi
echo "Missing here: ${missing[*]}."
[ "${1-}" != --check ] || exit 0

skipped="npm test skips the tests of what is missing, and names them."
case ${missing[*]} in *libatomic*) skipped="Without libatomic.so.1 the project's Node does not start." ;; esac
if ! command -v apt-get > /dev/null; then
  echo "This is no Debian: get them with your package manager or from their makers. kubectl must be 1.27 or newer."
  echo "$skipped"
  exit
fi
# On a terminal sudo may ask for a password.
if [ "$(id -u)" -ne 0 ] && ! sudo "$(if [ -t 0 ]; then echo -v; else echo -nv; fi)" 2> /dev/null; then
  echo "Only root can install them. Let root run scripts/setup.sh; the Debian packages are: ${packages[*]}."
  echo "$skipped"
  exit
fi

scratch=$(mktemp -d)
policy=/usr/sbin/policy-rc.d
kept=$policy.before-sparekey-setup
clean_up() {
  as_root rm -rf "$scratch"
  as_root rm -f "$policy"
  [ ! -e "$kept" ] || as_root mv "$kept" "$policy"
}
# Packages ask this file before they start a daemon. Whatever stood there decides about all else, such as a restart.
hold_daemons() {
  {
    printf '#!/bin/sh\n# Here while scripts/setup.sh of sparekey installs packages.\n'
    printf 'case " $* " in *" start "* | *"(start)"*) exit 101 ;; esac\n'
    [ ! -e "$policy" ] || printf 'exec %s "$@"\n' "$kept"
  } > "$scratch/policy-rc.d"
  trap clean_up EXIT
  [ ! -e "$policy" ] || as_root mv "$policy" "$kept"
  as_root install -m 755 "$scratch/policy-rc.d" "$policy"
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" > "$scratch/log" 2>&1 || { cat "$scratch/log"; return 1; }
}
apt_install() { [ $# -eq 0 ] || apt install -y --no-install-recommends "$@"; }

# Debian 12 has only a kubectl that is too old to build k8s/. Debian 13's runs there, and needs nothing else of it.
kubectl_of_debian_13() {
  local mirror
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1)
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > "$scratch/trixie.list"
  mkdir -p "$scratch/lists/partial"
  chmod 755 "$scratch"
  local only=(-o Dir::Etc::SourceList="$scratch/trixie.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$scratch/lists")
  apt "${only[@]}" update && apt_install "${only[@]}" kubectl
}

echo "Installing with apt-get, which takes some minutes: ${packages[*]}."
hold_daemons
apt update
offered=() elsewhere=()
for package in "${packages[@]}"; do
  case $(LC_ALL=C apt-cache policy "$package") in
    *"Candidate: (none)"* | "") elsewhere+=("$package") ;;
    *) offered+=("$package") ;;
  esac
done
apt_install ${offered[@]+"${offered[@]}"}
for daemon in ${daemons[@]+"${daemons[@]}"}; do
  as_root systemctl --quiet disable "$daemon" 2> /dev/null || true
done
if [ "${elsewhere[*]-}" = kubectl ] && grep -q '^ID=debian$' /etc/os-release; then
  echo "Installing kubectl from Debian 13: this Debian has none that is new enough."
  if kubectl_of_debian_13; then elsewhere=(); fi
fi
[ ${#elsewhere[@]} -eq 0 ] || echo "apt-get has no ${elsewhere[*]} here: get them from their makers. $skipped"
