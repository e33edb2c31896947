package cli_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// job is a gompirun that runs.
type job struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Reader
	seen   bytes.Buffer // of its output
	stderr bytes.Buffer
}

// startJob starts gompirun; its output is read by line, awaitLine, and rest.
func startJob(t *testing.T, dir string, args ...string) *job {
	t.Helper()
	return startJobWith(t, nil, dir, args...)
}

// startJobWith is startJob with an input.
func startJobWith(t *testing.T, in io.Reader, dir string, args ...string) *job {
	t.Helper()
	j := &job{t: t, cmd: command(dir, args...)}
	j.cmd.Stdin, j.cmd.Stderr = in, &j.stderr
	out, err := j.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	j.lines = bufio.NewReader(io.TeeReader(out, &j.seen))
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(limit, func() {
		t.Errorf("%q did not end within %v", j.cmd.Args, limit)
		_ = j.cmd.Process.Kill()
	})
	t.Cleanup(func() { timer.Stop() })
	return j
}

// awaitLine reads until a line that begins so.
func (j *job) awaitLine(prefix string) string {
	j.t.Helper()
	for {
		line, err := j.lines.ReadString('\n')
		if strings.HasPrefix(line, prefix) {
			return strings.TrimSuffix(line, "\n")
		}
		if err != nil {
			j.t.Fatalf("the output ended before a line with %q; errors:\n%s", prefix, &j.stderr)
		}
	}
}

func (j *job) signal(sig syscall.Signal) {
	j.t.Helper()
	if err := j.cmd.Process.Signal(sig); err != nil {
		j.t.Fatal(err)
	}
}

// rest waits for the end.
func (j *job) rest() result {
	j.t.Helper()
	if _, err := io.Copy(io.Discard, j.lines); err != nil {
		j.t.Fatal(err)
	}
	return wait(j.t, j.cmd, &j.seen, &j.stderr)
}

// spin is a shell that prints "up" and goes on until a signal ends it.
func spin(trap string) []string {
	return []string{"sh", "-c", trap + "\necho up; while :; do sleep 0.05; done"}
}

func TestSignals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		trap   string
		sigs   []syscall.Signal
		status int
		out    string
	}{
		{"interrupt reaches the program", "trap 'echo got it; exit 5' INT", []syscall.Signal{syscall.SIGINT}, 5, "up\ngot it\n"},
		{"interrupt ends the program", "", []syscall.Signal{syscall.SIGINT}, 130, "up\n"},
		{"second interrupt terminates", "trap 'echo once' INT; trap 'echo twice; exit 0' TERM", []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, 130, "up\nonce\ntwice\n"},
		{"third interrupt kills", "trap 'echo a' INT; trap 'echo b' TERM", []syscall.Signal{syscall.SIGINT, syscall.SIGINT, syscall.SIGINT}, 130, "up\na\nb\n"},
		{"termination", "", []syscall.Signal{syscall.SIGTERM}, 143, "up\n"},
		{"hangup", "", []syscall.Signal{syscall.SIGHUP}, 129, "up\n"},
		{"user signal is passed on", "trap 'echo usr1; exit 3' USR1", []syscall.Signal{syscall.SIGUSR1}, 3, "up\nusr1\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := startJob(t, t.TempDir(), spin(tt.trap)...)
			words := strings.Split(strings.TrimSpace(tt.out), "\n")
			j.awaitLine("up")
			for i, sig := range tt.sigs {
				j.signal(sig)
				if i+1 < len(tt.sigs) {
					j.awaitLine(words[i+1])
				}
			}
			r := j.rest()
			if r.status != tt.status || !strings.HasPrefix(r.out, tt.out) {
				t.Errorf("it ended with %d after %q, want %d after %q", r.status, r.out, tt.status, tt.out)
			}
		})
	}
}

// A coordinator that is killed cannot do anything any more; its agents see the
// end of their input.
func TestNoProcessOutlivesAKilledCoordinator(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "alive")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	j := startJob(t, dir, "sh", "-c", "exec 3>alive; echo up; sleep 1000")
	// The fifo has its end when the last process of the job has gone.
	alive, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	j.awaitLine("up")
	j.signal(syscall.SIGKILL)
	gone := make(chan error, 1)
	go func() {
		n, err := alive.Read(make([]byte, 1))
		if n != 0 {
			err = fmt.Errorf("%d bytes came", n)
		}
		gone <- err
	}()
	select {
	case err := <-gone:
		if !errors.Is(err, io.EOF) {
			t.Errorf("reading the fifo gives %v, want %v", err, io.EOF)
		}
	case <-time.After(10 * time.Second):
		t.Error("the job's processes are there 10 s after the coordinator was killed")
	}
}
