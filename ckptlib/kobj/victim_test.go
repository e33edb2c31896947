package kobj

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const victimEnv = "KOBJ_TEST_VICTIM"

// victims are programs that the test binary runs as when it executes itself.
var victims = map[string]func(*victimSide){}

// victimProgram registers one, for a package-level variable.
func victimProgram(name string, run func(*victimSide)) string {
	victims[name] = run
	return name
}

func init() {
	// A thread of a test may get a table of descriptors of its own and must end
	// with it, which the main thread never does.
	runtime.LockOSThread()
}

func TestMain(m *testing.M) {
	if name := os.Getenv(victimEnv); name != "" {
		v := &victimSide{in: bufio.NewReader(os.Stdin)}
		victims[name](v)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// victimSide is what a victim has of its conversation with the test.
type victimSide struct {
	in *bufio.Reader
}

func (v *victimSide) say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// hear returns the next line from the test; the victim ends when there is none.
func (v *victimSide) hear() string {
	line, err := v.in.ReadString('\n')
	if err != nil {
		os.Exit(0)
	}
	return strings.TrimSpace(line)
}

// must ends the victim with a message on an error.
func (v *victimSide) must(err error) {
	if err != nil {
		v.say("victim: %v", err)
		os.Exit(1)
	}
}

// at moves a descriptor to a number.
func (v *victimSide) at(num, fd int) int {
	v.must(unix.Dup3(fd, num, 0))
	v.must(unix.Close(fd))
	return num
}

// victim is a running victim as the test sees it.
type victim struct {
	t   *testing.T
	cmd *exec.Cmd
	pid int
	in  io.WriteCloser
	out *bufio.Reader
}

// startVictim runs a victim and waits until it says ready. It is killed when
// the test ends.
func startVictim(t *testing.T, name string, args ...string) *victim {
	t.Helper()
	return startVictimIn(t, nil, name, args...)
}

// startVictimIn runs a victim with attributes: in namespaces of its own.
func startVictimIn(t *testing.T, attr *syscall.SysProcAttr, name string, args ...string) *victim {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.SysProcAttr = attr
	cmd.Env = append(os.Environ(), victimEnv+"="+name)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, cmd: cmd, pid: cmd.Process.Pid, in: in, out: bufio.NewReader(out)}
	t.Cleanup(v.kill)
	v.expect("ready")
	return v
}

func (v *victim) kill() {
	if v.cmd != nil {
		_ = v.cmd.Process.Kill()
		_ = v.cmd.Wait()
		v.cmd = nil
	}
}

func (v *victim) line() string {
	v.t.Helper()
	line, err := v.out.ReadString('\n')
	if err != nil {
		v.t.Fatalf("the victim said %q and then %v", line, err)
	}
	return strings.TrimSpace(line)
}

func (v *victim) expect(want string) {
	v.t.Helper()
	if got := v.line(); got != want {
		v.t.Fatalf("the victim says %q, want %q", got, want)
	}
}

func (v *victim) send(line string) {
	v.t.Helper()
	if _, err := io.WriteString(v.in, line+"\n"); err != nil {
		v.t.Fatal(err)
	}
}

// ask sends a line and returns the answer.
func (v *victim) ask(line string) string {
	v.t.Helper()
	v.send(line)
	return v.line()
}

// stop stops the victim and returns when it stands.
func (v *victim) stop() {
	v.t.Helper()
	if err := unix.Kill(v.pid, unix.SIGSTOP); err != nil {
		v.t.Fatal(err)
	}
	for {
		_, err := unix.Wait4(v.pid, nil, unix.WUNTRACED, nil)
		if err == nil {
			return
		}
		if err != unix.EINTR {
			v.t.Fatal(err)
		}
	}
}

func (v *victim) cont() {
	v.t.Helper()
	if err := unix.Kill(v.pid, unix.SIGCONT); err != nil {
		v.t.Fatal(err)
	}
}
