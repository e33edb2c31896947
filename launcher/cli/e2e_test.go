package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gompirun/gompirun/ckptlib/pod"
)

// binary is the program under test, built by TestMain.
var binary string

func TestMain(m *testing.M) {
	pod.MaybeInit()
	if signal.Ignored(syscall.SIGHUP) {
		// Under nohup(1) gompirun would ignore it as well, as it should.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	os.Exit(withBinary(m))
}

func withBinary(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gompirun-cli-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = filepath.Join(dir, "gompirun")
	cmd := exec.Command("go", "build", "-o", binary, "github.com/gompirun/gompirun/cmd/gompirun")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build gompirun: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// limit is how long any command of these tests may take.
const limit = 60 * time.Second

// result is what a command came to.
type result struct {
	status      int
	out, stderr string
}

// command is gompirun with a directory of the test's own.
func command(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	return cmd
}

// finish runs a command to its end.
func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return wait(t, cmd, &out, &stderr)
}

func wait(t *testing.T, cmd *exec.Cmd, out, stderr *bytes.Buffer) result {
	t.Helper()
	timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !timer.Stop() {
		t.Fatalf("%q did not end within %v; it said:\n%s", cmd.Args, limit, stderr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
}

// gompirun runs it to its end with an empty input.
func gompirun(t *testing.T, dir string, args ...string) result {
	t.Helper()
	return finish(t, command(dir, args...))
}

func TestExitStatusIsTheJobs(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"true"}, 0, ""},
		{[]string{"sh", "-c", "exit 7"}, 7, ""},
		{[]string{"sh", "-c", "kill -SEGV $$"}, 139, ""},
		{[]string{"no-such-program"}, 127, "not found"},
		{[]string{"./text"}, 126, "may not be executed"},
		{[]string{"-wdir", "/no/such/dir", "true"}, 125, "choose another with -wdir"},
		{[]string{"-no-such-option", "true"}, 2, "unknown option"},
		{[]string{"-host", "no-such-host.invalid", "true"}, 125, "no-such-host.invalid"},
		{[]string{"-host", "no-such-host.invalid:2", "-np", "3", "true"}, 3, "oversubscribe"},
		{[]string{"--timeout", "0.2s", "sleep", "60"}, 124, "longer than 200ms"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			r := gompirun(t, dir, tt.args...)
			if r.status != tt.status || !strings.Contains(r.stderr, tt.says) {
				t.Errorf("it ended with %d and said %q, want %d and %q", r.status, r.stderr, tt.status, tt.says)
			}
		})
	}
}

func TestStandardStreamsPassWholeAndUnmixed(t *testing.T) {
	// More than the windows of the streams hold.
	in := bytes.Repeat([]byte("0123456789abcdef\x00\xff\n"), 500_000)
	cmd := command(t.TempDir(), "sh", "-c", "tee /dev/stderr")
	cmd.Stdin = bytes.NewReader(in)
	r := finish(t, cmd)
	if r.status != 0 || r.out != string(in) || r.stderr != string(in) {
		t.Errorf("tee ended with %d, %d bytes of output and %d of errors, want 0 and %d of each", r.status, len(r.out), len(r.stderr), len(in))
	}
}

func TestProgramSeesAPodOfItsOwn(t *testing.T) {
	r := gompirun(t, t.TempDir(), "sh", "-c", "ls /dev/shm; echo $TMPDIR; test -w $TMPDIR && echo $$")
	if want := "/dev/shm/.gompirun/tmp\n"; !strings.HasPrefix(r.out, want) || strings.Count(r.out, "\n") != 2 {
		t.Errorf("it printed %q, want an empty /dev/shm, then %q and a pid", r.out, want)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"help", "restart"}, {"--version"}, {"version"}} {
		r := gompirun(t, t.TempDir(), args...)
		if r.status != 0 || !strings.Contains(r.out, "gompirun") || r.stderr != "" {
			t.Errorf("gompirun %q = %+v", args, r)
		}
	}
}

func TestDoctorFindsThisHostFit(t *testing.T) {
	r := gompirun(t, t.TempDir(), "doctor")
	for _, want := range []string{"user namespaces", "ptrace", "seccomp"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("doctor says nothing of %s:\n%s", want, r.out)
		}
	}
	if r.status != 0 {
		t.Errorf("doctor ends with %d:\n%s", r.status, r.out)
	}
}
