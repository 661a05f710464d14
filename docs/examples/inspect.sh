#!/bin/sh
# The decision of one picture, by curl and nothing else: inspect.sh photo.jpg http://gateway:8000
set -eu
curl --silent --show-error --fail-with-body --retry 3 --max-time 10 \
    --header "Authorization: Bearer ${ONEGAUGE_API_KEY:-none}" \
    --form "image=@$1" "$2/v1/inspect?line=press-3" |
    tr ',' '\n' | sed -n 's/.*"decision":"\([a-z]*\)".*/\1/p'
