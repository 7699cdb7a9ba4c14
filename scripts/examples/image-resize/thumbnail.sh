#!/bin/sh
# A job: the workload is the name of an image; makes a thumbnail of it in the folder $1 and answers with its name.
name=$(cat)
thumbnail=$1/$(basename "$name")
"${CONVERT:-convert}" "$name" -resize 200x200 "$thumbnail" && printf '%s\n' "$thumbnail"
