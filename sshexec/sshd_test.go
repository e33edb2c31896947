package sshexec

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A server is a running sshd.
type server struct {
	port  int
	dir   string
	cache string // XDG_CACHE_HOME of those who log in
	keys  map[string]ssh.PublicKey
	pid   int
}

// line returns the known_hosts line of one of the server's keys.
func (s *server) line(kind string) string {
	return fmt.Sprintf("[127.0.0.1]:%d %s", s.port, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.keys[kind]))))
}

// sshd starts a server with host keys of the given kinds, separated by
// blanks; the key of the first kind is made known. Lines go to sshd_config.
func (w *world) sshd(kinds string, lines ...string) *server {
	w.t.Helper()
	s := w.unknownSSHD(kinds, lines...)
	w.know(s.line(strings.Fields(kinds)[0]))
	return s
}

func (w *world) unknownSSHD(kinds string, lines ...string) *server {
	w.t.Helper()
	return w.sshdUnder(nil, kinds, lines...)
}

// sshdUnder runs sshd by a command that ends in executing its arguments.
func (w *world) sshdUnder(wrapper []string, kinds string, lines ...string) *server {
	t := w.t
	t.Helper()
	if os.Geteuid() == 0 {
		// Where sshd, run by root, wants its privilege separation directory.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	s := &server{dir: dir, cache: filepath.Join(dir, "cache"), keys: map[string]ssh.PublicKey{}}
	conf := strings.Join(lines, "\n") + "\nUsePAM no\nStrictModes no\nPidFile none\nPermitRootLogin yes\nPasswordAuthentication no\n" +
		"AuthorizedKeysFile " + filepath.Join(dir, "authorized") + "\nSetEnv XDG_CACHE_HOME=" + s.cache + "\n"
	for _, kind := range strings.Fields(kinds) {
		file := filepath.Join(dir, "host_"+kind)
		s.keys[kind] = writeKey(t, file, kind, "").PublicKey()
		conf += "HostKey " + file + "\n"
	}
	authorized := ssh.MarshalAuthorizedKey(w.key.PublicKey())
	if err := os.WriteFile(filepath.Join(dir, "authorized"), authorized, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "sshd_config")
	for range 5 {
		s.port = freePort(t)
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		args := append(wrapper, "/usr/sbin/sshd", "-D", "-e", "-f", file, "-o", "ListenAddress=127.0.0.1", "-p", fmt.Sprint(s.port))
		if said, ok := s.run(t, exec.Command(args[0], args[1:]...)); ok {
			return s
		} else if !strings.Contains(said, "in use") {
			t.Fatalf("sshd does not start: %s", said)
		}
	}
	t.Fatal("no free port for sshd")
	return nil
}

// run starts sshd and waits for the line that says it listens.
func (s *server) run(t *testing.T, cmd *exec.Cmd) (said string, ok bool) {
	t.Helper()
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	// A run that times out or panics cleans nothing up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadString('\n')
		said += line
		if strings.HasPrefix(line, "Server listening") {
			s.pid = cmd.Process.Pid
			drained := make(chan struct{})
			go func() {
				defer close(drained)
				rest, _ := io.ReadAll(lines)
				if t.Failed() {
					t.Logf("sshd on port %d said:\n%s", s.port, rest)
				}
			}()
			t.Cleanup(func() {
				cmd.Process.Kill()
				cmd.Wait() // closes the pipe, which sessions left over may hold
				<-drained
			})
			return said, true
		}
		if err != nil {
			cmd.Process.Kill()
			cmd.Wait()
			return said, false
		}
	}
}

// shortDir makes a directory for sockets, whose names have 107 bytes at most.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ssh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// writeKey makes a key and writes both halves.
func writeKey(t *testing.T, file, kind, passphrase string) ssh.Signer {
	t.Helper()
	var private crypto.Signer
	var err error
	switch kind {
	case "ed25519":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "ecdsa":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	return signer
}
