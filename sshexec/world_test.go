package sshexec

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestMain fails the run if goroutines outlive the tests.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before && code == 0 {
		buf := make([]byte, 1<<20)
		fmt.Printf("%d goroutines before the tests, %d after:\n%s\n", before, n, buf[:runtime.Stack(buf, true)])
		code = 1
	}
	os.Exit(code)
}

// A world is one user's files: keys, known_hosts and ssh_config.
type world struct {
	t          *testing.T
	dir        string
	user       string
	key        ssh.Signer // in the file id, and authorized at all servers
	knownHosts string
	config     strings.Builder // Host blocks
	defaults   string          // at the end of ssh_config
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/sshd"); err != nil {
		t.Fatalf("%v: ci/setup installs it", err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w := &world{t: t, dir: dir, user: me.Username, knownHosts: filepath.Join(dir, "known_hosts")}
	w.key = writeKey(t, filepath.Join(dir, "id"), "ed25519", "")
	w.defaults = "IdentityFile " + filepath.Join(dir, "id") + "\nIdentityAgent none\n"
	return w
}

// options returns Options that see this world only.
func (w *world) options() *Options {
	w.t.Helper()
	text := w.config.String() + "Host *\nUserKnownHostsFile " + w.knownHosts + "\nGlobalKnownHostsFile /dev/null\n" + w.defaults
	file := filepath.Join(w.dir, "config")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return &Options{ConfigFile: file}
}

// host names a server in ssh_config.
func (w *world) host(name string, s *server, lines ...string) {
	fmt.Fprintf(&w.config, "Host %s\nHostName 127.0.0.1\nPort %d\n%s\n", name, s.port, strings.Join(lines, "\n"))
}

func (w *world) know(lines ...string) {
	w.t.Helper()
	f, err := os.OpenFile(w.knownHosts, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, strings.Join(lines, "\n"))
}

// dial logs in, or ends the test.
func (w *world) dial(name string) *Host {
	w.t.Helper()
	h, err := Dial(w.t.Context(), Target{Host: name}, w.options())
	if err != nil {
		w.t.Fatalf("Dial(%s): %v", name, err)
	}
	w.t.Cleanup(func() { h.Close() })
	return h
}

// output runs a program and returns what it wrote to both streams.
func output(t *testing.T, h *Host, argv ...string) (stdout, stderr string, status Status) {
	t.Helper()
	p, err := h.Start(t.Context(), argv, nil, "")
	if err != nil {
		t.Fatalf("Start(%q): %v", argv, err)
	}
	defer p.Close()
	p.Stdin.Close()
	complaints := make(chan string)
	go func() {
		b, _ := io.ReadAll(p.Stderr)
		complaints <- string(b)
	}()
	b, err := io.ReadAll(p.Stdout)
	if err != nil {
		t.Fatalf("reading the output of %q: %v", argv, err)
	}
	stderr = <-complaints
	if status, err = p.Wait(); err != nil {
		t.Fatalf("Wait() of %q: %v", argv, err)
	}
	return string(b), stderr, status
}

// wantError checks that err is there and says all of want.
func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", want)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

// shell runs a command line as a user would.
func shell(t *testing.T, line string) {
	t.Helper()
	if out, err := exec.CommandContext(context.Background(), "/bin/sh", "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}
