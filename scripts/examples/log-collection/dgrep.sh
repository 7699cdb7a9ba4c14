#!/bin/sh
# A job of distributed grep: the workload is a pattern, the result this host's lines that have it. None is an answer as well.
read -r pattern || [ -n "$pattern" ] || exit 2
grep -e "$pattern" "$1" || [ $? = 1 ]
