# Counts of several parts of a log → those of all of it.
{ sum[$1 " " $2] += $3 }
END {
	OFMT = CONVFMT = "%.0f"
	for (key in sum) print key, sum[key]
}
