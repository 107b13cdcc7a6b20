#!/bin/sh
# Asks POST /score about the order on standard input and prints the decision, or the problem that the service answered.
# Exits 0 for a decision, 22 for a problem, 28 when the time was up, and with curl's own code for the rest.
#
#   head -n 1 ../checkout/orders.jsonl | ./score.sh http://127.0.0.1:8000 0.25
set -eu
url=${1:-http://127.0.0.1:8000}
within=${2:-0.25} # seconds

# Not --fail, which would throw the problem away; and no redirects, no proxy: the order is for this host alone.
exec curl --silent --show-error --fail-with-body --noproxy '*' --max-time "$within" \
	--header 'Content-Type: application/json' --header "X-Request-Timeout: $within" --data-binary @- "$url/score"
