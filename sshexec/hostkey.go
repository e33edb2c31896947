package sshexec

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// hostKeys decides which key a host may show.
type hostKeys struct {
	cfg   *config
	known []knownKey
}

func newHostKeys(cfg *config) *hostKeys {
	return &hostKeys{cfg: cfg, known: cfg.knownKeys()}
}

// algorithms returns the host key algorithms in the order to ask for them:
// those for which known_hosts has a key come first, since a host with several
// keys shows only one, and by default not the one we know. The others follow,
// so that a host which we do not know by them is refused for its key, with a
// remedy, and not for a lack of common algorithms.
func (h *hostKeys) algorithms() []string {
	rank := func(algo string) int {
		plain, isCert := strings.CutSuffix(algo, "-cert-v01@openssh.com")
		best := 2
		for _, k := range h.known {
			if k.revoked {
				continue
			}
			if isCert && k.authority {
				return 0
			}
			if !isCert && !k.authority && slices.Contains(signatures(k.key.Type()), plain) {
				best = 1
			}
		}
		if isCert {
			return -1 // no authority is known: a certificate helps nobody
		}
		return best
	}
	all := slices.DeleteFunc(ssh.SupportedAlgorithms().HostKeys, func(a string) bool { return rank(a) < 0 })
	slices.SortStableFunc(all, func(a, b string) int { return rank(a) - rank(b) })
	return all
}

// signatures returns the algorithms with which a type of key may sign. An
// RSA key's own name stands for SHA-1, which nobody should accept any more.
func signatures(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

// check is the ssh.HostKeyCallback.
func (h *hostKeys) check(_ string, remote net.Addr, key ssh.PublicKey) error {
	plain := key
	cert, isCert := key.(*ssh.Certificate)
	if isCert {
		plain = cert.Key
	}
	for _, k := range h.known {
		if k.revoked && (sameKey(k.key, plain) || isCert && sameKey(k.key, cert.SignatureKey)) {
			return h.refuse(remote, plain, k.at("is revoked by"), "")
		}
	}
	// A certificate of an authority that we do not know is worth its key.
	if isCert && h.isAuthority(cert.SignatureKey, "") {
		checker := ssh.CertChecker{IsHostAuthority: h.isAuthority}
		if err := checker.CheckHostKey(h.cfg.certificateAddress(), remote, cert); err != nil {
			return h.refuse(remote, plain, "has a certificate that does not hold: "+err.Error(), "")
		}
		return nil
	}
	return h.checkPlain(remote, plain)
}

func (h *hostKeys) checkPlain(remote net.Addr, key ssh.PublicKey) error {
	var other, changed *knownKey
	for _, k := range h.known {
		switch {
		case k.revoked || k.authority:
		case sameKey(k.key, key):
			return nil
		case k.anyPort:
			// Another port of the host may have another server, with other
			// keys: such a line can vouch for a key, not speak against one.
		case k.key.Type() == key.Type():
			changed = &k
		default:
			other = &k
		}
	}
	switch {
	case changed != nil:
		return h.refuse(remote, key, changed.at("is not the one of"),
			fmt.Sprintf("somebody may be listening in; if the host was set up anew: ssh-keygen -f %s -R %s, then %s",
				quote(changed.file), quote(h.cfg.knownHostsName()), h.learn()))
	case other != nil:
		return h.refuse(remote, key, other.at(fmt.Sprintf("is unknown, only a key of type %s is in", other.key.Type())), h.checkAndLearn())
	}
	return h.refuse(remote, key, "is in none of "+strings.Join(slices.Concat(h.cfg.userKnownHosts, h.cfg.globalKnownHosts), ", "), h.checkAndLearn())
}

func (h *hostKeys) isAuthority(key ssh.PublicKey, _ string) bool {
	return slices.ContainsFunc(h.known, func(k knownKey) bool { return k.authority && sameKey(k.key, key) })
}

// refuse makes the error; problem goes after "its ... key SHA256:...".
func (h *hostKeys) refuse(remote net.Addr, key ssh.PublicKey, problem, hint string) error {
	at := h.cfg.address()
	if tcp, ok := remote.(*net.TCPAddr); ok && !tcp.IP.IsUnspecified() {
		at = tcp.String()
	}
	return &HostError{
		Host: h.cfg.alias,
		Err:  fmt.Errorf("the %s host key %s of %s %s", key.Type(), ssh.FingerprintSHA256(key), at, problem),
		Hint: hint,
	}
}

func (h *hostKeys) checkAndLearn() string {
	return "check the fingerprint, then " + h.learn()
}

// learn returns the command that adds the host's key to the first file the
// user may write. ssh-keyscan neither goes through proxies nor writes aliases.
func (h *hostKeys) learn() string {
	once := fmt.Sprintf("log in once: %s -p %d %s", h.cfg.sshCommand, h.cfg.port, quote(h.cfg.user+"@"+h.cfg.alias))
	if h.cfg.proxyJump != "" || h.cfg.proxyCommand != "" || h.cfg.hostKeyAlias != "" || len(h.cfg.userKnownHosts) == 0 {
		return once
	}
	hash := ""
	if h.cfg.hashKnownHosts {
		hash = "-H "
	}
	return fmt.Sprintf("%s; or: ssh-keyscan %s-p %d %s >> %s", once, hash, h.cfg.port, quote(h.cfg.hostname), quote(h.cfg.userKnownHosts[0]))
}

func (k *knownKey) at(what string) string {
	return fmt.Sprintf("%s %s:%d", what, k.file, k.line)
}

func sameKey(a, b ssh.PublicKey) bool {
	return bytes.Equal(a.Marshal(), b.Marshal())
}
