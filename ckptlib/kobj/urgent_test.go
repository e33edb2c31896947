package kobj

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
)

func TestAnOutOfBandByteAsksForAnotherTry(t *testing.T) {
	testuser.Again(t)
	for _, inline := range []int{0, 1} {
		v := startVictim(t, inetVictim)
		v.talking(v4)
		v.do(fmt.Sprintf("set 12 %d %d %d", unix.SOL_SOCKET, unix.SO_OOBINLINE, inline), "send 11 before", "oob 11 !", "send 11 behind")
		v.stop()
		for range 2 {
			p := newTestPod(t)
			p.add(v.pid, 12)
			var retry *RetryError
			if err := p.tryCapture(); !errors.As(err, &retry) || !strings.Contains(err.Error(), "out-of-band") {
				t.Errorf("Capture = %v, want a RetryError about the byte", err)
			}
		}
		v.cont()
		questions := [][2]string{{"getoob 12", "! <nil>"}, {"recv 12", "before"}, {"recv 12", "behind"}}
		if inline == 1 {
			questions = [][2]string{{"recv 12", "before"}, {"recv 12", "!behind"}}
		}
		for _, q := range questions {
			if got := v.ask(q[0]); got != q[1] {
				t.Errorf("after the refusal, %s = %q, want %q", q[0], got, q[1])
			}
		}
		captureInetOf(t, v, 12) // which passes again
	}
}

func TestAnOutOfBandByteOfAUnixSocketAsksForAnotherTry(t *testing.T) {
	testuser.Again(t)
	v := startVictim(t, unixVictim)
	v.do(fmt.Sprintf("pair %d 10 11", unix.SOCK_STREAM))
	fd, err := linux.GetFD(v.pid, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, []byte("!"), unix.MSG_OOB, nil); err != nil {
		t.Skipf("this kernel has no out-of-band bytes of unix sockets: %v", err)
	}
	v.stop()
	p := newTestPod(t)
	p.diag, err = DumpUnix()
	if err != nil {
		t.Fatal(err)
	}
	p.add(v.pid, 11)
	var retry *RetryError
	if err := p.tryCapture(); !errors.As(err, &retry) || !strings.Contains(err.Error(), "out-of-band") {
		t.Errorf("Capture = %v, want a RetryError about the byte", err)
	}
}
