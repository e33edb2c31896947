package kobj

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var victimPIDFD = victimProgram("pidfd", func(v *victimSide) {
	fd, err := unix.PidfdOpen(os.Getpid(), unix.PIDFD_NONBLOCK)
	v.must(err)
	v.at(100, fd)
	child := exec.Command("/proc/self/exe")
	child.Env = []string{victimEnv + "=ends"}
	v.must(child.Start())
	fd, err = unix.PidfdOpen(child.Process.Pid, 0)
	v.must(err)
	v.at(101, fd)
	_ = child.Wait()
	fd, err = unix.PidfdOpen(os.Getppid(), 0)
	v.must(err)
	v.at(102, fd)
	v.say("ready")
	v.hear()
})

var _ = victimProgram("ends", func(*victimSide) {})

func TestPIDFDRefersToItsProcess(t *testing.T) {
	v := startVictim(t, victimPIDFD)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101)
	img := p.capture()
	a, _ := p.checkTwice(img)
	v.cont()

	self, dead := a.fd(100), a.fd(101)
	if got := polled(self, unix.POLLIN, 0); got != 0 {
		t.Errorf("the pidfd of a running process polls %#x, want 0", got)
	}
	if err := unix.PidfdSendSignal(dead, 0, nil, 0); err != unix.ESRCH {
		t.Errorf("a signal to the pidfd of a process that has ended gives %v, want ESRCH", err)
	}
	if got := polled(dead, unix.POLLIN, 0); got&unix.POLLIN == 0 {
		t.Error("the pidfd of a process that has ended is not readable")
	}
	if err := unix.PidfdSendSignal(self, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	if got := polled(self, unix.POLLIN, 10000); got&unix.POLLIN == 0 {
		t.Error("the pidfd of a killed process is not readable")
	}
}

func TestPIDFDOfAProcessOutsideIsRefused(t *testing.T) {
	v := startVictim(t, victimPIDFD)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 102)
	err := p.tryCapture()
	var unsupported *UnsupportedError
	if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), "fd 102") {
		t.Errorf("capture of a pidfd of the test's process gives %v, want an UnsupportedError that names fd 102", err)
	}
}
