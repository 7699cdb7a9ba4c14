# For the examples' run scripts, to be sourced: a job server of their own on a free port and in a temporary folder, $folder,
# and an end to all that was started, whatever happens. `gearman` and the library find the server by GEARMAN_SERVER.
# shellcheck shell=bash

set -u -o pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$(cd "$(dirname "$0")" && pwd)
processes=()
folder=
[ -t 1 ] && { bold=$'\e[1m' plain=$'\e[0m'; } || { bold= plain=; }

say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

fail() {
	printf '\n%s: %s\n' "$(basename "$here")" "$*" >&2
	[ ! -s "$folder/log" ] || tail -n 5 "$folder/log" >&2
	exit 1
}

# Stops what was started, the last first.
stop() {
	local code=$? i pid tries
	trap - EXIT
	trap '' INT TERM HUP
	for ((i = ${#processes[@]} - 1; i >= 0; i--)); do
		pid=${processes[i]}
		kill -TERM -- "-$pid" 2>/dev/null
		for ((tries = 0; tries < 100; tries++)); do
			kill -0 -- "-$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL -- "-$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	[ -z "$folder" ] || rm -rf "$folder"
	exit "$code"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# need PROGRAM: for an example that cannot do without.
need() { command -v "$1" >/dev/null || fail "needs $1; install the package of that name"; }

# run COMMAND: shows the command and runs it.
run() {
	printf '  $ %s\n' "$1"
	eval "$1" || fail "\"$1\" went wrong (exit code $?)"
}

# start COMMAND: shows the command and runs it in the background until the end; what it says goes to $folder/log. It gets
# a process group of its own (-m), so that all parts of a pipeline can be stopped.
start() {
	printf '  $ %s &\n' "$1"
	set -m
	eval "exec $1" </dev/null >>"$folder/log" 2>&1 &
	set +m
	processes+=($!)
}

# await COMMAND: until it succeeds, but not for ever.
await() {
	local tries
	for ((tries = 0; tries < 400; tries++)); do
		eval "$1" >/dev/null 2>&1 && return
		kill -0 "${processes[-1]}" 2>/dev/null || fail "what was started last has ended"
		sleep 0.05
	done
	fail "in vain waited for: $1"
}

# await_workers FUNCTION N: until so many workers offer it.
await_workers() { await "gearadmin --status | grep -qE '^$1(	[0-9]+){2}	$2\$'"; }

[ -e "$root/dist/cli/main.cjs" ] || fail "not built yet; run: npm ci"
folder=$(mktemp -d) || fail "could not make a temporary folder"
mkdir "$folder/bin"
for name in gearman gearmand gearadmin; do ln -s "$root/bin/gearman" "$folder/bin/$name"; done
for name in $(compgen -e | grep '^GEARMAN'); do unset "$name"; done
export PATH="$folder/bin:$PATH"

port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
say "A job server, here on port $port"
start "gearmand --listen 127.0.0.1 --port $port --state-dir $folder/state"
export GEARMAN_SERVER=127.0.0.1:$port
await "gearadmin --getpid"
