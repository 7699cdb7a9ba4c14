# An access log → what is counted in it: "status CODE N", "url PATH N", "hour DD/Mon/YYYY:HH BYTES". With -v bytes=N only
# its first N bytes, which have to be whole lines.
{ status[$9]++; url[$7]++; hour[substr($4, 2, 14)] += $10 }
bytes && (read += length($0) + 1) >= bytes { exit }
END {
	OFMT = CONVFMT = "%.0f"
	for (key in status) print "status", key, status[key]
	for (key in url) print "url", key, url[key]
	for (key in hour) print "hour", key, hour[key]
}
