# An access log → what is counted in it: "status CODE N", "url PATH N", "hour DD/Mon/YYYY:HH BYTES".
{ status[$9]++; url[$7]++; hour[substr($4, 2, 14)] += $10 }
END {
	OFMT = CONVFMT = "%.0f"
	for (key in status) print "status", key, status[key]
	for (key in url) print "url", key, url[key]
	for (key in hour) print "hour", key, hour[key]
}
