#!/bin/sh
# patiently.sh WORDS COMMAND...: says WORDS, runs COMMAND with a dot every two seconds, and says how long it took.
# What COMMAND prints is shown only if it fails.
set -u
printf '%s ' "$1"
shift
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
START=$(date +%s)
"$@" >"$LOG" 2>&1 &
COMMAND=$!
(while sleep 2; do printf .; done) &
DOTS=$!
# Not before: a child that is killed in its first moment, with this trap still its own, would go on.
trap 'kill "$COMMAND" "$DOTS"; exit 130' INT TERM
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
