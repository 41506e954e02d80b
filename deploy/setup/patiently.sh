#!/bin/sh
# patiently.sh WORDS COMMAND...: says WORDS, runs COMMAND with a dot every two seconds, and says how long it took.
# What COMMAND prints is shown only if it fails.
set -u
COMMAND=
DOTS=
printf '%s ' "$1"
shift
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
# shellcheck disable=SC2086  # nothing, if one of them has not started
trap 'kill $COMMAND $DOTS; exit 130' INT TERM
START=$(date +%s)
"$@" >"$LOG" 2>&1 &
COMMAND=$!
(while sleep 2; do printf .; done) &
DOTS=$!
wait "$COMMAND"
CODE=$?
kill "$DOTS"
wait "$DOTS" 2>/dev/null
if [ "$CODE" = 0 ]; then
    echo " done, $(($(date +%s) - START)) s"
else
    echo " failed"
    cat "$LOG" >&2
fi
exit "$CODE"
