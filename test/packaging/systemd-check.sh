#!/bin/sh
# Runs inside the container that systemd.test.js boots. Prints "## section" and what is seen there; the test judges.
PATH=/opt/gearman/bin:/opt/node:/usr/bin:/bin
cd /
admin() { gearman --admin --timeout 10s "$@"; }
show() { systemctl show "$1" -p ActiveState,MainPID,NRestarts,Result,StatusText,FragmentPath; }
pid() { systemctl show gearmand -p MainPID --value; }
# until SECONDS COMMAND…: until it succeeds.
until_() {
	end=$(($(date +%s) + $1)); shift
	until "$@"; do [ "$(date +%s)" -gt $end ] && { echo "never: $*"; return 1; }; sleep 0.1; done
}
restarted() { [ "$(systemctl show gearmand -p NRestarts --value)" -ge "$1" ]; }
active() { systemctl is-active --quiet "$1"; }
logged() { grep -q "$1" /var/log/gearman/gearmand.log; }
mkdir -p /etc/gearman /etc/default

echo "## start"
cat > /etc/gearman/config.toml <<-END
	[server]
	listen = ["127.0.0.1", "unix:/run/gearman/socket"]
	admin-listen = ["unix:/run/gearman/admin"]
END
systemctl start gearmand; show gearmand
stat -c '%n %a %u' /var/lib/private/gearman /run/gearman/admin
admin -h unix:/run/gearman/admin --create-function f
gearman -h unix:/run/gearman/socket -b -f f kept
for one in 1 2 3; do systemctl restart gearmand; done
admin --status
journalctl -u gearmand -p warning -o cat

echo "## watchdog"
systemctl restart gearmand
kill -STOP "$(pid)"
until_ 20 restarted 1; until_ 20 active gearmand; show gearmand; admin --status

echo "## reload"
# A key as it is for the service: root's, and readable for a group that the service is in.
certify() {
	cp "/opt/check/$1.pem" /etc/gearman/pem; cp "/opt/check/$1.key" /etc/gearman/key
	chgrp adm /etc/gearman/key; chmod 640 /etc/gearman/key
}
served() { openssl s_client -connect 127.0.0.1:4730 </dev/null 2>/dev/null | openssl x509 -noout -serial; }
certify server
cat >> /etc/gearman/config.toml <<-END
	ssl = true
	ssl-certificate = "/etc/gearman/pem"
	ssl-key = "/etc/gearman/key"
	log-file = "/var/log/gearman/gearmand.log"
	verbose = "NOTICE"
END
systemctl restart gearmand; served
mv /var/log/gearman/gearmand.log /var/log/gearman/old.log; certify renewed
systemctl reload gearmand; until_ 10 logged 'read again'; served; cat /var/log/gearman/gearmand.log

echo "## drain"
rm /etc/gearman/config.toml; systemctl restart gearmand
gearman -w -f slow -- sh -c 'echo > /tmp/began; sleep 1; echo finished' 2>/dev/null & worker=$!
gearman -f slow job > /tmp/result & client=$!
until_ 10 test -e /tmp/began
gearman -b -f f another
systemctl stop gearmand; show gearmand; wait $client; echo "client $?"; cat /tmp/result; kill $worker; wait $worker

echo "## sockets"
systemctl start gearmand.socket; systemctl is-active gearmand
admin --status > /dev/null; systemctl is-active gearmand
admin -h unix:/run/gearmand.socket --queue-info
(for i in 1 2 3 4 5 6 7 8 9 10; do gearman -b -f g "$i" && echo "sent $i"; done) > /tmp/sent 2>/dev/null & sender=$!
systemctl restart gearmand; systemctl restart gearmand; wait $sender
echo "sent: $(wc -l < /tmp/sent)"; until_ 10 sh -c 'gearman --admin --queue-info | grep -q "state.ready"'
admin --status

echo "## failing"
# Longer than systemd's limit of five starts.
echo GEARMAN_QUEUE_TYPE=nonsense > /etc/default/gearmand
systemctl restart gearmand 2>/dev/null; until_ 20 restarted 7; systemctl is-active gearmand.socket
journalctl -u gearmand -p err -o cat | grep nonsense | head -1
rm /etc/default/gearmand; until_ 20 active gearmand; admin --status | head -1
systemctl stop gearmand.socket gearmand

echo "## debian"
echo 'u gearman -' | systemd-sysusers -
cat > /etc/default/gearman-job-server <<-END
	PARAMS="--listen=127.0.0.1 \\
	 --daemon \\
	 --log-file=/var/log/gearman-job-server/gearmand.log"
END
systemctl start gearman-job-server; show gearman-job-server; admin --status | head -1
systemctl restart gearman-job-server
stat -c '%n %a %U' /var/lib/gearman /run/gearman/gearmand.pid /var/log/gearman-job-server/gearmand.log
systemctl stop gearman-job-server; show gearman-job-server
echo "## end"
