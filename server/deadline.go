package server

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// timeoutHeader is how long the caller waits, in seconds from the arrival of the request's header.
const timeoutHeader = "X-Request-Timeout"

// maxTimeoutText bounds the header; a nanosecond and a year fit.
const maxTimeoutText = 20

// timeout is how long a scoring request that has just arrived may take: what its caller allows, but no more than the
// server does.
func timeout(h http.Header, most time.Duration) (time.Duration, error) {
	values := h[timeoutHeader]
	if len(values) == 0 {
		return most, nil
	}
	malformed := &refusal{badHeader, timeoutHeader + " must be given once, as a decimal number of seconds above 0, such as 0.25"}
	if len(values) > 1 || !isDecimal(values[0]) {
		return 0, malformed
	}
	seconds, err := strconv.ParseFloat(values[0], 64)
	if err != nil || seconds <= 0 {
		return 0, malformed
	}
	if seconds >= most.Seconds() {
		return most, nil
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// isDecimal takes digits with at most one point between them: no sign, no exponent, no name of a number.
func isDecimal(s string) bool {
	whole, fraction, point := strings.Cut(s, ".")
	return len(s) <= maxTimeoutText && isDigits(whole) && (!point || isDigits(fraction))
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
