package sshexec

import (
	"crypto/rand"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// serveAgent serves an agent that holds the keys in files, and returns its
// socket.
func serveAgent(t *testing.T, files ...string) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.ParseRawPrivateKey(data)
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(shortDir(t), "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				agent.ServeAgent(ring, c)
				c.Close()
			}()
		}
	}()
	return socket
}

func TestKeyFileLogsIn(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			w.key = writeKey(t, filepath.Join(w.dir, "id"), kind, "")
			w.host("n1", w.sshd("ed25519"))
			out, _, _ := output(t, w.dial("n1"), "echo", "in")
			if out != "in\n" {
				t.Errorf("echo in = %q, want %q", out, "in\n")
			}
		})
	}
}

func TestAgentLogsInWithoutAKeyFile(t *testing.T) {
	for _, kind := range []string{"ed25519", "rsa"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			file := filepath.Join(w.dir, "id")
			w.key = writeKey(t, file, kind, "")
			t.Setenv("SSH_AUTH_SOCK", serveAgent(t, file))
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			w.defaults = "IdentityFile /nonexistent\n"
			w.host("n1", w.sshd("ed25519"))
			w.dial("n1")
		})
	}
}

// A server gives up after MaxAuthTries keys, so the configured one must come
// before all others that the agent holds.
func TestAgentOffersTheConfiguredKeyFirst(t *testing.T) {
	w := newWorld(t)
	var files []string
	for _, name := range []string{"a", "b", "c", "d"} {
		files = append(files, filepath.Join(w.dir, name))
		writeKey(t, files[len(files)-1], "ed25519", "")
	}
	id := filepath.Join(w.dir, "id")
	socket := serveAgent(t, append(files, id)...)
	s := w.sshd("ed25519", "MaxAuthTries 2")
	w.host("first", s, "IdentityAgent "+socket)
	// The public half is enough to tell which key of the agent is meant.
	if err := os.Remove(id); err != nil {
		t.Fatal(err)
	}
	w.dial("first")
	w.host("only", s, "IdentityAgent "+socket, "IdentitiesOnly yes", "IdentityFile "+files[0])
	w.defaults = ""
	_, err := Dial(t.Context(), Target{Host: "only"}, w.options())
	wantError(t, err, "only: login as "+w.user+" refused")
	if n := strings.Count(err.Error(), "SHA256:"); n != 1 {
		t.Errorf("%d keys were tried, want 1: %v", n, err)
	}
}

func TestEncryptedKeyWithoutAgentNamesTheRemedy(t *testing.T) {
	w := newWorld(t)
	id := filepath.Join(w.dir, "id")
	w.key = writeKey(t, id, "ed25519", "secret")
	w.host("n1", w.sshd("ed25519"))
	_, err := Dial(t.Context(), Target{Host: "n1"}, w.options())
	wantError(t, err, "n1: login as "+w.user+" refused", id+" is encrypted", "ssh-add "+id)
}

func TestRefusedLoginNamesUserAndKeys(t *testing.T) {
	w := newWorld(t)
	s := w.sshd("ed25519")
	w.host("n1", s)
	id := filepath.Join(w.dir, "id")
	writeKey(t, id, "ed25519", "") // not the one that is authorized
	_, err := Dial(t.Context(), Target{Host: "n1"}, w.options())
	wantError(t, err, "n1: login as "+w.user+" refused", "tried "+id, "ssh-copy-id -p")
}

func TestHostWithoutKeyLoginSuggestsAControlMaster(t *testing.T) {
	w := newWorld(t)
	w.host("n1", w.sshd("ed25519", "PubkeyAuthentication no", "KbdInteractiveAuthentication yes", "PasswordAuthentication yes"))
	_, err := Dial(t.Context(), Target{Host: "n1"}, w.options())
	wantError(t, err, "n1: login as", "takes only password", "-fNM", "ControlPath")
}

func TestUserCertificateLogsIn(t *testing.T) {
	w := newWorld(t)
	ca := writeKey(t, filepath.Join(w.dir, "ca"), "ed25519", "")
	id := filepath.Join(w.dir, "id")
	mine := writeKey(t, id, "ed25519", "") // authorized only by its certificate
	cert := &ssh.Certificate{Key: mine.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{w.user}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(id+"-cert.pub", ssh.MarshalAuthorizedKey(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	w.host("n1", w.sshd("ed25519", "TrustedUserCAKeys "+filepath.Join(w.dir, "ca.pub")))
	w.dial("n1")
}
