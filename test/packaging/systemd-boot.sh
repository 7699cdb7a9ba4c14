#!/bin/sh
# Boots this machine's own system, read-only and with an empty /etc and /var, as a container without a network, into
# check.service of the folder $1; its exit code is the container's. $2 is the project, $3 the folder of node.
mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 125
name=$(basename "$1")
own=/sys/fs/cgroup/$name
mkdir "$own" && echo $$ > "$own/cgroup.procs" || exit 125
timeout 50 systemd-nspawn --quiet --directory=/ --volatile=yes --register=no --keep-unit --machine="$name" \
	--console=pipe --private-network --resolv-conf=off --bind-ro="$2:/opt/gearman" --bind-ro="$3:/opt/node" \
	--bind="$1:/opt/check" --bind-ro="$1/system:/etc/systemd/system" --boot systemd.unit=check.service
code=$?
echo $$ > /sys/fs/cgroup/cgroup.procs
find "$own" -depth -type d -exec rmdir {} +
exit $code
