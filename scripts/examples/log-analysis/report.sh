#!/bin/sh
# Counts → the three tables people read, with the ten most frequent URLs.
counts=$(mktemp) && trap 'rm -f "$counts"' EXIT && cat >"$counts" || exit 1
echo 'Status codes'
awk '$1 == "status" { print $3 "\t" $2 }' "$counts" | sort -k1,1nr -k2
echo 'Top URLs'
awk '$1 == "url" { print $3 "\t" $2 }' "$counts" | sort -k1,1nr -k2 | head -n 10
echo 'Bytes an hour'
awk '$1 == "hour" { print $2 "\t" $3 }' "$counts" | sort
