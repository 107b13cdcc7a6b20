package broker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
)

const (
	oauthBearer   = "OAUTHBEARER"
	maxTokenBytes = 64 << 10
	maxAnswerText = 200
)

// tokenFile is SASL/OAUTHBEARER (RFC 7628) with the token of a file, which whoever renews it writes anew: Kubernetes
// with a projected service account, or an agent beside the service. It is read at each handshake.
type tokenFile string

// Name implements sasl.Mechanism.
func (f tokenFile) Name() string { return oauthBearer }

// Start implements sasl.Mechanism.
func (f tokenFile) Start(context.Context) (sasl.StateMachine, []byte, error) {
	token, err := f.read()
	if err != nil {
		return nil, nil, &Error{Kind: KindNotAuthorized, Op: "read KAFKA_SASL_TOKEN_FILE", Err: err}
	}
	return oauthExchange{}, fmt.Appendf(nil, "n,,\x01auth=Bearer %s\x01\x01", token), nil
}

// read returns the token. No error holds any of it.
func (f tokenFile) read() ([]byte, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	token, err := io.ReadAll(io.LimitReader(file, maxTokenBytes+1))
	if err != nil {
		return nil, err
	}
	if token = bytes.TrimSpace(token); len(token) == 0 || len(token) > maxTokenBytes {
		return nil, fmt.Errorf("%s: %d bytes are no token", f, len(token))
	}
	for _, b := range token {
		if b <= ' ' || b > '~' {
			return nil, fmt.Errorf("%s: a token is printable and has no spaces", f)
		}
	}
	return token, nil
}

// oauthExchange is the server's side of the exchange as it is met: nothing is acceptance, anything is why not.
type oauthExchange struct{}

// Next implements sasl.StateMachine.
func (oauthExchange) Next(_ context.Context, challenge []byte) (bool, []byte, error) {
	if len(challenge) == 0 {
		return true, nil, nil
	}
	return false, nil, fmt.Errorf("%w: the token is refused: %q", kafka.SASLAuthenticationFailed, challenge[:min(len(challenge), maxAnswerText)])
}
