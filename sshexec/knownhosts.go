package sshexec

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// A knownKey is one line of a known_hosts file that speaks of our host.
type knownKey struct {
	key       ssh.PublicKey
	file      string
	line      int
	authority bool // the line is marked @cert-authority
	revoked   bool // the line is marked @revoked; then of any host
	anyPort   bool // the line names the host without the port we use
}

// knownHostsName returns the name under which known_hosts has this host:
// the alias as it is, else the host, with its port where that is not 22.
func (c *config) knownHostsName() string {
	if c.hostKeyAlias != "" {
		return c.hostKeyAlias
	}
	if c.port != 22 {
		return "[" + c.hostname + "]:" + strconv.Itoa(c.port)
	}
	return c.hostname
}

// knownKeys returns what the known_hosts files say of the host. A file that
// cannot be read counts as empty, as it does for ssh, and so does a line that
// makes no sense: one bad line must not lock the user out of every host.
//
// x/crypto's knownhosts package would refuse the whole file, and does not tell
// which keys it has for a host before the host has shown one.
func (c *config) knownKeys() []knownKey {
	var keys []knownKey
	name := c.knownHostsName()
	for _, file := range slices.Concat(c.userKnownHosts, c.globalKnownHosts) {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		n := 0
		for line := range bytes.Lines(data) {
			n++
			marker, hosts, key, _, _, err := ssh.ParseKnownHosts(line)
			if err != nil {
				continue
			}
			k := knownKey{key: key, file: file, line: n, authority: marker == "cert-authority", revoked: marker == "revoked"}
			if marker != "" && !k.authority && !k.revoked {
				continue
			}
			switch {
			case k.revoked || matchHost(hosts, name):
				keys = append(keys, k)
			case c.hostKeyAlias == "" && matchHost(hosts, c.hostname):
				k.anyPort = true
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// matchHost reports whether the patterns of a line mean name. A negated
// pattern that matches rules the line out, wherever it stands.
func matchHost(patterns []string, name string) bool {
	found := false
	for _, p := range patterns {
		p, negated := strings.CutPrefix(p, "!")
		if strings.HasPrefix(p, "|") {
			found = found || matchHashed(p, name)
			continue
		}
		if wildcard(strings.ToLower(p), name) {
			if negated {
				return false
			}
			found = true
		}
	}
	return found
}

// matchHashed compares name with a hashed entry: |1|SALT|HASH, both in
// base64, where HASH is HMAC-SHA1 of the name with SALT as the key (sshd(8)).
func matchHashed(entry, name string) bool {
	part := strings.Split(entry, "|")
	if len(part) != 4 || part[1] != "1" {
		return false
	}
	salt, err1 := base64.StdEncoding.DecodeString(part[2])
	want, err2 := base64.StdEncoding.DecodeString(part[3])
	if err1 != nil || err2 != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(name))
	return hmac.Equal(mac.Sum(nil), want)
}

// wildcard matches * (anything) and ? (one byte). Brackets mean themselves,
// which path.Match would not allow: "[host]:port" is an ordinary name here.
func wildcard(pattern, name string) bool {
	for pattern != "" {
		switch {
		case pattern[0] == '*':
			rest := strings.TrimLeft(pattern, "*")
			for i := 0; i <= len(name); i++ {
				if wildcard(rest, name[i:]) {
					return true
				}
			}
			return false
		case name == "" || pattern[0] != '?' && pattern[0] != name[0]:
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	return name == ""
}

// certificateAddress returns the address against which a host certificate is
// checked: the principal is the alias where there is one.
func (c *config) certificateAddress() string {
	name := c.hostname
	if c.hostKeyAlias != "" {
		name = c.hostKeyAlias
	}
	return net.JoinHostPort(name, strconv.Itoa(c.port))
}
