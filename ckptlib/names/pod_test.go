package names

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/linux"
)

// A victim is a process of a pod.
type victim struct {
	t        testing.TB
	tid      int
	in       io.WriteCloser
	out      *bufio.Reader
	cmd      *exec.Cmd
	notifier *Notifier
	listener int
	cancel   context.CancelFunc
	ran      chan error
}

// native starts a victim without a filter.
func native(t testing.TB) *victim {
	t.Helper()
	v := &victim{t: t, cmd: exec.Command("/proc/self/exe"), listener: -1}
	v.cmd.Env = append(os.Environ(), victimEnv+"=1", "GODEBUG=asyncpreemptoff=1") // signals stop a traced thread
	v.cmd.Stderr = os.Stderr
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	var err error
	if v.in, err = v.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	v.out = bufio.NewReader(out)
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = v.cmd.Process.Kill()
		_ = v.cmd.Wait()
	})
	v.tid = v.number("tid")
	return v
}

// inPod starts a victim under the filter and its notifier.
func inPod(t testing.TB, w *world, table *Table) *victim {
	t.Helper()
	v := native(t)
	v.filtered("install", 0)
	v.serve(table, w)
	return v
}

// filtered installs the filter in the victim and fetches the listener.
func (v *victim) filtered(verb string, args ...any) {
	v.t.Helper()
	theirs := v.number(verb, args...)
	fd, err := linux.GetFD(v.tid, theirs)
	if err != nil {
		v.t.Fatal("fetch the listener:", err)
	}
	v.must("close", theirs)
	v.listener = fd
	v.t.Cleanup(v.closeListener)
}

// closeListener is what an agent does that ends.
func (v *victim) closeListener() {
	if v.listener >= 0 {
		unix.Close(v.listener)
		v.listener = -1
	}
}

func (v *victim) serve(table *Table, p Peers) {
	v.notifier = New(v.listener, table, p, nil)
	ctx, cancel := context.WithCancel(context.Background())
	v.cancel, v.ran = cancel, make(chan error, 1)
	go func() { v.ran <- v.notifier.Run(ctx) }()
	v.t.Cleanup(func() {
		cancel()
		if err := <-v.ran; err != nil {
			v.t.Error("Run:", err)
		}
		v.ran <- nil
	})
}

// begin has the victim do a call, whose result result returns.
func (v *victim) begin(verb string, args ...any) {
	v.t.Helper()
	line := verb
	for _, a := range args {
		line += " " + fmt.Sprint(a)
	}
	if _, err := io.WriteString(v.in, line+"\n"); err != nil {
		v.t.Fatal(err)
	}
}

func (v *victim) result() (string, unix.Errno) {
	v.t.Helper()
	line, err := v.out.ReadString('\n')
	if err != nil {
		v.t.Fatal("the victim is gone:", err)
	}
	kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if kind == "ok" {
		return rest, 0
	}
	number, _, _ := strings.Cut(rest, " ")
	errno, err := strconv.Atoi(number)
	if err != nil || errno == 0 {
		v.t.Fatalf("the victim said %q", line)
	}
	return "", unix.Errno(errno)
}

func (v *victim) call(verb string, args ...any) (string, unix.Errno) {
	v.t.Helper()
	v.begin(verb, args...)
	return v.result()
}

// must does a call that succeeds.
func (v *victim) must(verb string, args ...any) string {
	v.t.Helper()
	out, errno := v.call(verb, args...)
	if errno != 0 {
		v.t.Fatalf("%s %v = %v, want success", verb, args, errno)
	}
	return out
}

// fails does a call that fails.
func (v *victim) fails(want unix.Errno, verb string, args ...any) {
	v.t.Helper()
	if out, errno := v.call(verb, args...); errno != want {
		v.t.Errorf("%s %v = %q, %v, want %v", verb, args, out, errno, want)
	}
}

// number does a call that returns one.
func (v *victim) number(verb string, args ...any) int {
	v.t.Helper()
	word, _, _ := strings.Cut(v.must(verb, args...), " ")
	n, _ := strconv.Atoi(word)
	return n
}

// name checks what getsockname or getpeername says and returns it.
func (v *victim) name(verb string, fd int, want string) string {
	v.t.Helper()
	got := strings.Fields(v.must(verb, fd))[1]
	if want != "" && got != want {
		v.t.Errorf("%s(%d) = %s, want %s", verb, fd, got, want)
	}
	return got
}

// accept accepts a connection and checks the peer's name.
func (v *victim) accept(listener int, want string) (fd int) {
	v.t.Helper()
	v.begin("accept4", listener, 0)
	return v.accepted(want)
}

// accepted is the end of a call of accept4.
func (v *victim) accepted(want string) (fd int) {
	v.t.Helper()
	out, errno := v.result()
	f := strings.Fields(out)
	if errno != 0 || want != "" && f[1] != want {
		v.t.Fatalf("accept4 = %q, %v, want a connection from %s", out, errno, want)
	}
	fd, _ = strconv.Atoi(f[0])
	return fd
}

// listenOn makes a listener.
func (v *victim) listenOn(name string) (fd int) {
	v.t.Helper()
	fd = v.socket(name)
	v.must("bind", fd, name)
	v.must("listen", fd, 16)
	return fd
}

// socket makes a TCP socket for an address like this one.
func (v *victim) socket(name string) int {
	v.t.Helper()
	return v.number("socket", int(sockaddr(name)[0]), unix.SOCK_STREAM, 0)
}
