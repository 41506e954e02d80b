#!/bin/sh
# The programs that tests start, and the Debian packages that bring them: the one list of them.
# Installs what is missing where it may: as root, or where sudo asks for no password. Elsewhere it says what is
# missing; tests that need it are then skipped. Called by `make test`, `make test-slurm` and `make test-scale`.
set -eu
LIST='
cc                gcc libc6-dev
chromium          chromium
fitsverify        fitsverify
fpack             libcfitsio-bin
munged            munge
nginx             nginx-light
sbatch            slurm-wlm
slurmctld         slurm-wlm
slurmd            slurm-wlm
source-extractor  source-extractor
ssh-keygen        openssh-client
stilts            stilts
'
HERE=$(dirname "$0")
# Daemons lie where an ordinary user does not look.
PATH="$PATH:/usr/sbin:/sbin"

# Print the packages whose programs are not found, each once.
missing() {
    echo "$LIST" | while read -r program package; do
        [ -z "$program" ] || command -v "$program" >/dev/null || echo "$package"
    done | sort -u | xargs
}

PACKAGES=$(missing)
[ -n "$PACKAGES" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    SUDO=
elif sudo -n true 2>/dev/null; then
    SUDO="sudo -n"
else
    SUDO=none
fi
if [ "$SUDO" != none ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # several words on purpose
    sh "$HERE/patiently.sh" "installing the Debian packages $PACKAGES" sh -c "
        $SUDO apt-get update -q &&
        $SUDO apt-get install -y -q --no-install-recommends $PACKAGES" || true
    PACKAGES=$(missing)
fi
[ -z "$PACKAGES" ] || echo "not installed: $PACKAGES; tests that need them are skipped." \
    "To install them: sudo sh deploy/setup/debian-packages.sh"
