#!/bin/sh
# A job: the workload is "FROM BYTES FILE", the result what count.awk counts there. The log itself goes nowhere.
read -r from bytes file
dd if="$file" bs=1M iflag=skip_bytes,count_bytes skip="$from" count="$bytes" status=none | awk -f "$(dirname "$0")/count.awk"
