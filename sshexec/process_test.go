package sshexec

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// roundTrip sends n random bytes through a process and reads them back.
func roundTrip(t *testing.T, p *Process, n int) {
	t.Helper()
	sent := make([]byte, n)
	rand.Read(sent)
	werr := make(chan error, 1)
	go func() {
		_, err := p.Stdin.Write(sent)
		werr <- errors.Join(err, p.Stdin.Close())
	}()
	got, err := io.ReadAll(p.Stdout)
	if err := errors.Join(err, <-werr); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back, want the %d that were sent", len(got), n)
	}
}

func TestLargeBinaryStreamsPassUnharmed(t *testing.T) {
	w := newWorld(t)
	w.host("n1", w.sshd("ed25519"))
	p, err := w.dial("n1").Start(t.Context(), []string{"cat"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	roundTrip(t, p, 8<<20)
	if st, err := p.Wait(); st != (Status{}) || err != nil {
		t.Errorf("Wait() = %v, %v, want 0", st, err)
	}
}

func TestExitStatusesAndSignalsAreKept(t *testing.T) {
	w := newWorld(t)
	w.host("n1", w.sshd("ed25519"))
	h := w.dial("n1")
	for script, want := range map[string]Status{
		"exit 0":        {},
		"exit 3":        {Code: 3},
		"exit 255":      {Code: 255},
		"kill -TERM $$": {Code: 143, Signal: "TERM"},
		"kill -SEGV $$": {Code: 139, Signal: "SEGV"},
		"kill -KILL $$": {Code: 137, Signal: "KILL"},
		"kill -USR2 $$": {Code: 140, Signal: "USR2"},
		"kill -BUS $$":  {Code: 128, Signal: "SIG"}, // SSH has no name for it
	} {
		if _, _, got := output(t, h, "sh", "-c", "ulimit -c 0; "+script); got != want {
			t.Errorf("%s: Wait() = %+v, want %+v", script, got, want)
		}
	}
	_, stderr, got := output(t, h, "/nonexistent/program")
	if got.Code != 127 || !strings.Contains(stderr, "/nonexistent/program") {
		t.Errorf("a missing program: %+v, %q, want 127 and its name", got, stderr)
	}
}

func TestStderrIsApartFromStdout(t *testing.T) {
	w := newWorld(t)
	w.host("n1", w.sshd("ed25519"))
	stdout, stderr, _ := output(t, w.dial("n1"), "sh", "-c", "echo out; echo err >&2; echo out")
	if stdout != "out\nout\n" || stderr != "err\n" {
		t.Errorf("streams are %q and %q, want out twice, and err", stdout, stderr)
	}
}

func TestArgumentsEnvironmentAndDirectoryArriveUnharmed(t *testing.T) {
	w := newWorld(t)
	w.host("n1", w.sshd("ed25519"))
	var all []byte
	for c := 1; c < 256; c++ {
		all = append(all, byte(c))
	}
	dir := filepath.Join(t.TempDir(), "it's a \"dir\"\n$HOME !x\xff")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	args := []string{"", "a b", "it's", "\"$HOME\"", "line\nline\n", "!!", "-n", "\\", "\\'", "%s", "~", "*", string(all)}
	p, err := w.dial("n1").Start(t.Context(),
		append([]string{"sh", "-c", `printf '%s\0' "$V" "$PWD" "$@"`, "sh"}, args...), map[string]string{"V": string(all), "PATH_X": "1"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	out, err := io.ReadAll(p.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if d := cmp.Diff(append([]string{string(all), dir}, args...), got); d != "" {
		t.Errorf("what arrived differs (-want +got):\n%s", d)
	}
}

func TestImpossibleCommandsAreRefused(t *testing.T) {
	w := newWorld(t)
	w.host("n1", w.sshd("ed25519"))
	h := w.dial("n1")
	for _, c := range []struct {
		argv []string
		env  map[string]string
		want string
	}{
		{nil, nil, "is no command"},
		{[]string{"-x"}, nil, "is no command"},
		{[]string{"echo", "a\x00b"}, nil, "zero byte"},
		{[]string{"echo"}, map[string]string{"A-B": "1"}, "A-B"},
		{[]string{"echo", strings.Repeat("x", 200_000)}, nil, "at most 131071"},
	} {
		_, err := h.Start(t.Context(), c.argv, c.env, "")
		wantError(t, err, "n1: ", c.want)
	}
	if out, _, _ := output(t, h, "sh", "-c", "printf %s ${#1}", "sh", strings.Repeat("x", 120_000)); out != "120000" {
		t.Errorf("a long argument arrived with length %s, want 120000", out)
	}
}

func TestAnyLoginShellHandsTheCommandOn(t *testing.T) {
	args := []string{"it's", "a\nb", "!!", "\\'\\", "$HOME `x`", "\x01\x81\x88\xff", "%d\\n"}
	script, err := execScript(append([]string{"printf", `%s\n--\n`}, args...), map[string]string{"V": "a'b"}, "")
	if err != nil {
		t.Fatal(err)
	}
	command, err := shellCommand(script)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join(args, "\n--\n") + "\n--\n"
	for _, shell := range []string{"sh", "bash", "dash", "ksh", "zsh", "tcsh", "csh", "fish", "busybox"} {
		argv := []string{shell, "-c", command}
		if shell == "busybox" {
			argv = []string{shell, "sh", "-c", command}
		}
		if _, err := exec.LookPath(shell); err != nil {
			continue
		}
		got, err := exec.Command(argv[0], argv[1:]...).Output()
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", shell, got, err, want)
		}
	}
}

func TestKillEndsTheProgram(t *testing.T) {
	w := newWorld(t)
	w.host("n1", w.sshd("ed25519"))
	// For root, sshd passes no signals on: then Kill has its own way.
	p, err := w.dial("n1").Start(t.Context(), []string{"sh", "-c", "echo $$; trap '' TERM HUP PIPE; exec tail -f /dev/null"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	n, err := p.Stdout.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if st, err := p.Wait(); st.Signal != "KILL" || err != nil {
		t.Errorf("Wait() = %+v, %v, want signal KILL", st, err)
	}
	// sshd has reaped it before it told us.
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("kill(%d, 0) = %v, want ESRCH", pid, err)
	}
}

func TestClosedHostEndsProgramsByEndOfFile(t *testing.T) {
	w := newWorld(t)
	w.host("n1", w.sshd("ed25519"))
	mark := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(mark, 0o600); err != nil {
		t.Fatal(err)
	}
	h := w.dial("n1")
	p, err := h.Start(t.Context(), []string{"sh", "-c", `cat; echo ended >"$1"`, "sh", mark}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	_, err = p.Wait()
	wantError(t, err, "n1: ")
	if b, err := os.ReadFile(mark); string(b) != "ended\n" || err != nil {
		t.Errorf("the program left %q, %v, want that it ended", b, err)
	}
	_, err = h.Start(t.Context(), []string{"true"}, nil, "")
	wantError(t, err, "n1: ", net.ErrClosed.Error())
}

func TestCancelledStartReturns(t *testing.T) {
	w := newWorld(t)
	w.host("n1", w.sshd("ed25519"))
	h := w.dial("n1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Start(ctx, []string{"true"}, nil, "")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Start = %v, want context.Canceled", err)
	}
	_, err = Dial(ctx, Target{Host: "n1"}, w.options())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Dial = %v, want context.Canceled", err)
	}
}
