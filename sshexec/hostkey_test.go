package sshexec

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func TestUnknownHostKeyIsRefusedWithTheCommandThatMendsIt(t *testing.T) {
	w := newWorld(t)
	s := w.unknownSSHD("ed25519")
	w.host("n1", s, "StrictHostKeyChecking no") // which must not help
	_, err := Dial(t.Context(), Target{Host: "n1"}, w.options())
	command := fmt.Sprintf("ssh-keyscan -p %d 127.0.0.1 >> %s", s.port, w.knownHosts)
	wantError(t, err, "n1: ", ssh.FingerprintSHA256(s.keys["ed25519"]), w.knownHosts, command)
	if _, err := os.Stat(w.knownHosts); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("known_hosts was written: %v", err)
	}
	shell(t, command)
	w.dial("n1")
}

func TestChangedHostKeyIsRefusedWithTheCommandThatMendsIt(t *testing.T) {
	w := newWorld(t)
	s := w.unknownSSHD("ed25519")
	other := writeKey(t, filepath.Join(w.dir, "other"), "ed25519", "")
	w.know("# a comment", knownhosts.Line([]string{fmt.Sprintf("127.0.0.1:%d", s.port)}, other.PublicKey()))
	w.host("n1", s)
	_, err := Dial(t.Context(), Target{Host: "n1"}, w.options())
	command := fmt.Sprintf("ssh-keygen -f %s -R '[127.0.0.1]:%d'", w.knownHosts, s.port)
	wantError(t, err, "n1: ", ssh.FingerprintSHA256(s.keys["ed25519"]), w.knownHosts+":2", command)
	shell(t, command)
	_, err = Dial(t.Context(), Target{Host: "n1"}, w.options())
	wantError(t, err, "is in none of", "ssh-keyscan")
}

// A host shows one of its keys, and without being asked not the one we know.
func TestHostWithSeveralKeysIsAskedForTheKnownOne(t *testing.T) {
	for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			s := w.unknownSSHD("ed25519 ecdsa rsa")
			w.know(s.line(kind))
			w.host("n1", s)
			w.dial("n1")
		})
	}
}

func TestHostKnownByAnotherTypeOfKeyIsRefused(t *testing.T) {
	w := newWorld(t)
	s := w.unknownSSHD("ed25519")
	other := writeKey(t, filepath.Join(w.dir, "other"), "rsa", "")
	w.know(knownhosts.Line([]string{fmt.Sprintf("127.0.0.1:%d", s.port)}, other.PublicKey()))
	w.host("n1", s)
	_, err := Dial(t.Context(), Target{Host: "n1"}, w.options())
	wantError(t, err, "only a key of type ssh-rsa is in "+w.knownHosts+":1")
}

func TestFormsOfKnownHostsLines(t *testing.T) {
	w := newWorld(t)
	s := w.unknownSSHD("ed25519")
	key := s.line("ed25519")[strings.Index(s.line("ed25519"), " ")+1:]
	other := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(w.key.PublicKey())))
	name := fmt.Sprintf("[127.0.0.1]:%d", s.port)
	for _, c := range []struct {
		what, lines string
		ok          bool
	}{
		{"hashed", knownhosts.HashHostname(name) + " " + key, true},
		{"hashed without port", knownhosts.HashHostname("127.0.0.1") + " " + key, true},
		{"without port", "127.0.0.1 " + key, true},
		{"another key without port", "127.0.0.1 " + other + "\n" + name + " " + key, true},
		{"wildcard", "[127.0.*]:* " + key, true},
		{"list", "n7," + name + " " + key, true},
		{"negated", "[127.0.*]:*,!" + name + " " + key, false},
		{"another port", "[127.0.0.1]:1 " + key, false},
		{"another host", "127.0.0.2 " + key, false},
		{"after lines that make no sense", "x\n@what " + name + " " + key + "\n|1|a|b " + key + "\n127.0.0.1 ssh-foo AAAA\n" + name + " " + key, true},
		{"marker nobody knows", "@what " + name + " " + key, false},
		{"revoked", name + " " + key + "\n@revoked * " + key, false},
		{"another key revoked", name + " " + key + "\n@revoked * " + other, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			if err := os.WriteFile(w.knownHosts, []byte(c.lines+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			h, err := Dial(t.Context(), Target{Host: "127.0.0.1", Port: s.port}, w.options())
			if err == nil {
				h.Close()
			}
			if (err == nil) != c.ok {
				t.Errorf("Dial with %q: %v, want success %v", c.lines, err, c.ok)
			}
		})
	}
}

func TestHostKeyAliasIsTheNameInKnownHosts(t *testing.T) {
	w := newWorld(t)
	s := w.unknownSSHD("ed25519")
	key := s.line("ed25519")[strings.Index(s.line("ed25519"), " ")+1:]
	w.know("rack7 " + key)
	w.host("n1", s, "HostKeyAlias rack7")
	w.dial("n1")
	w.host("n2", s, "HostKeyAlias rack8")
	_, err := Dial(t.Context(), Target{Host: "n2"}, w.options())
	wantError(t, err, "n2: ", "is in none of", "log in once: ssh -F")
}

func TestHostCertificateIsCheckedAgainstItsAuthority(t *testing.T) {
	for _, c := range []struct {
		what, principal, wants string
		authority              bool
	}{
		{"signed for this host", "127.0.0.1", "", true},
		{"signed for another host", "n9", "certificate that does not hold", true},
		{"signed by nobody we know", "127.0.0.1", "is in none of", false},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			ca := writeKey(t, filepath.Join(w.dir, "ca"), "ecdsa", "")
			file := filepath.Join(w.dir, "certified")
			host := writeKey(t, file, "ed25519", "")
			cert := &ssh.Certificate{Key: host.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{c.principal}, ValidBefore: ssh.CertTimeInfinity}
			if err := cert.SignCert(rand.Reader, ca); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file+"-cert.pub", ssh.MarshalAuthorizedKey(cert), 0o600); err != nil {
				t.Fatal(err)
			}
			s := w.unknownSSHD("rsa", "HostKey "+file, "HostCertificate "+file+"-cert.pub")
			if c.authority {
				w.know("@cert-authority [127.0.0.*]:* " + string(ssh.MarshalAuthorizedKey(ca.PublicKey())))
			}
			w.host("n1", s)
			if c.wants == "" {
				w.dial("n1")
				return
			}
			_, err := Dial(t.Context(), Target{Host: "n1"}, w.options())
			wantError(t, err, c.wants)
		})
	}
}
