package conn

import (
	"crypto/hmac"
	"crypto/sha256"
)

// The handshake of a joined connection, in bytes of fixed number, so that each
// side reads exactly these and the socket is left empty:
//
//	dialer -> acceptor   hello (64): SHA-256 of the connection's name, proof "dial"
//	dialer <- acceptor   reply (32): proof "accept"
//	dialer -> acceptor   done (1)
//
// A proof is the HMAC-SHA256, under the job's token, of a word and the name. The
// token itself never travels, so that a dialer that reaches a stranger's port
// gives nothing away. Until done the dialer may give up and begin again; with it
// the connection is made for both.
const (
	helloSize = 2 * sha256.Size
	replySize = sha256.Size
	doneByte  = '\n'
)

type secret [32]byte

func (s *secret) proof(word, name string) []byte {
	h := hmac.New(sha256.New, s[:])
	h.Write([]byte(word))
	h.Write([]byte{0})
	h.Write([]byte(name))
	return h.Sum(nil)
}

func (s *secret) hello(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return append(sum[:], s.proof("dial", name)...)
}

func (s *secret) reply(name string) []byte { return s.proof("accept", name) }
