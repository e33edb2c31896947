package tracer_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// victim is a shell that answers a line for each line.
type victim struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startVictim starts one, which executes first, if any, before it answers.
func startVictim(t *testing.T, first ...string) *victim {
	t.Helper()
	v := &victim{cmd: exec.Command("sh", "-c", strings.Join(first, ";")+"\n"+`while read x; do echo "$x $$"; done`)}
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
		_ = v.cmd.Process.Kill() // it may have ended
		_ = v.cmd.Wait()
	})
	v.ask(t, "ready")
	return v
}

func (v *victim) pid() int { return v.cmd.Process.Pid }

func (v *victim) ask(t *testing.T, q string) {
	t.Helper()
	if _, err := fmt.Fprintln(v.in, q); err != nil {
		t.Fatal(err)
	}
	got, err := v.out.ReadString('\n')
	if want := fmt.Sprintf("%s %d\n", q, v.pid()); err != nil || got != want {
		t.Fatalf("the victim said %q (%v), want %q", got, err, want)
	}
}

// stop seizes and stops a victim and returns where its vdso is.
func stop(tr tracer.Tracing, pid int) (tracer.Addr, error) {
	if err := errors.Join(tr.Seize(pid, tracer.Job), tr.Interrupt(pid)); err != nil {
		return 0, err
	}
	if _, err := tr.WaitStop(pid); err != nil {
		return 0, err
	}
	vmas, err := procfs.Maps(pid, false)
	for _, m := range vmas {
		if m.Name == "[vdso]" {
			return tracer.Addr(m.Start), nil
		}
	}
	return 0, errors.Join(err, errors.New("no vdso"))
}

func TestInjectedCallsLeaveNoTrace(t *testing.T) {
	v := startVictim(t)
	tr := tracer.New()
	defer tr.Close()
	before, err := procfs.Maps(v.pid(), false)
	if err != nil {
		t.Fatal(err)
	}
	err = tr.Do(func(tr tracer.Tracing) error {
		vdso, err := stop(tr, v.pid())
		if err != nil {
			return err
		}
		regs, err := tr.Regs(v.pid())
		if err != nil {
			return err
		}
		r, err := tr.Enter(v.pid(), vdso)
		if err != nil {
			return err
		}
		if pid, err := r.Syscall(unix.SYS_GETPID); err != nil || int(pid) != v.pid() {
			t.Errorf("getpid in the victim = %d (%v), want %d", pid, err, v.pid())
		}
		path, err := r.Put(0, append([]byte("/no/such/file"), 0))
		if err != nil {
			return err
		}
		if _, err := r.Syscall(unix.SYS_ACCESS, path, 0); !errors.Is(err, unix.ENOENT) {
			t.Errorf("access in the victim = %v, want ENOENT", err)
		}
		if err := r.Leave(); err != nil {
			return err
		}
		if after, err := tr.Regs(v.pid()); err != nil || after != regs {
			t.Errorf("registers after the calls = %+v (%v), want %+v", after, err, regs)
		}
		return tr.Detach(v.pid())
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := procfs.Maps(v.pid(), false)
	if err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("mappings after the calls = %v (%v), want %v", after, err, before)
	}
	v.ask(t, "on")
}

func TestStoppedVictimRunsOnAfterTracerDies(t *testing.T) {
	v := startVictim(t)
	tr := tracer.New()
	if err := tr.Do(func(tr tracer.Tracing) error { _, err := stop(tr, v.pid()); return err }); err != nil {
		t.Fatal(err)
	}
	st, err := procfs.ReadStatus(fmt.Sprintf("/proc/%d", v.pid()))
	if err != nil || st.State != 't' {
		t.Fatalf("the victim is in state %c (%v), want t", st.State, err)
	}
	tr.Close()
	v.ask(t, "on")
}

// Between a call made in it and the end of the pause a thread must not depend on
// its tracer: the kernel would go on stepping it, and SIGTRAP end the program.
func TestVictimRunsOnWhenTheTracerDiesAfterACallInIt(t *testing.T) {
	v := startVictim(t)
	tr := tracer.New()
	err := tr.Do(func(tr tracer.Tracing) error {
		vdso, err := stop(tr, v.pid())
		if err != nil {
			return err
		}
		r, err := tr.Enter(v.pid(), vdso)
		if err != nil {
			return err
		}
		_, err = r.Syscall(unix.SYS_GETPID)
		return errors.Join(err, r.Leave())
	})
	if err != nil {
		t.Fatal(err)
	}
	tr.Close()
	v.ask(t, "on")
	v.ask(t, "and on")
}

func TestStubDiesWithItsTracer(t *testing.T) {
	v := startVictim(t)
	tr := tracer.New()
	if err := tr.Do(func(tr tracer.Tracing) error { return tr.Seize(v.pid(), tracer.Stub) }); err != nil {
		t.Fatal(err)
	}
	tr.Close()
	if _, err := v.out.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the stub still runs: %v", err)
	}
}

func TestPanicInAnOperationIsAnErrorAndTheTracerWorksOn(t *testing.T) {
	tr := tracer.New()
	err := tr.Do(func(tracer.Tracing) error { panic("boom") })
	if err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("Do = %v, want the panic", err)
	}
	if err := tr.Do(func(tracer.Tracing) error { return os.ErrExist }); !errors.Is(err, os.ErrExist) {
		t.Errorf("Do = %v, want %v", err, os.ErrExist)
	}
	tr.Close()
	if err := tr.Do(func(tracer.Tracing) error { return nil }); !errors.Is(err, tracer.ErrClosed) {
		t.Errorf("Do after Close = %v, want %v", err, tracer.ErrClosed)
	}
}
