package kobj

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

var victimSession = victimProgram("session", func(v *victimSide) {
	v.terminalAt(100, 101, nil)
	_, err := unix.Setsid()
	v.must(err)
	v.must(unix.IoctlSetInt(101, unix.TIOCSCTTY, 0))
	fd, err := unix.Open("/dev/tty", unix.O_RDWR, 0)
	v.must(err)
	v.at(102, fd)
	v.say("ready")
	v.hear()
})

func addressOf(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

// victimStub is a session leader that makes the system calls it is told.
var victimStub = victimProgram("stub", func(v *victimSide) {
	_, err := unix.Setsid()
	v.must(err)
	v.say("ready")
	for {
		var a [7]uintptr
		keep := [7][]byte{}
		for i, word := range strings.Fields(v.hear()) {
			if text, ok := strings.CutPrefix(word, "x"); ok {
				keep[i], err = hex.DecodeString(text)
				v.must(err)
				a[i] = addressOf(keep[i])
				continue
			}
			n, err := strconv.Atoi(word)
			v.must(err)
			a[i] = uintptr(n)
		}
		got, _, e := unix.Syscall6(a[0], a[1], a[2], a[3], a[4], a[5], a[6])
		v.say("%d %d", got, e)
	}
})

// syscall makes a system call in a victimStub.
func (v *victim) syscall(nr uintptr, args ...any) (uint64, error) {
	line := fmt.Sprint(nr)
	for _, arg := range args {
		if b, ok := arg.([]byte); ok {
			line += " x" + hex.EncodeToString(b)
		} else {
			line += fmt.Sprintf(" %d", arg)
		}
	}
	var got, e uint64
	if _, err := fmt.Sscan(v.ask(line), &got, &e); err != nil {
		return 0, err
	}
	if e != 0 {
		return 0, unix.Errno(e)
	}
	return got, nil
}

func TestSessionHasItsControllingTerminalAgain(t *testing.T) {
	if !inOwnDevpts(t) {
		return
	}
	v := startVictim(t, victimSession)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 101, 100, 102)
	img := p.capture()
	for _, f := range img.Files {
		if f.PTY.Session != v.pid || f.PTY.Foreground != v.pid {
			t.Errorf("file %d: session %d, foreground %d, want %d", f.ID, f.PTY.Session, f.PTY.Foreground, v.pid)
		}
	}
	v.kill()
	p.forget()

	stub := startVictim(t, victimStub)
	for i := range img.Files {
		img.Files[i].PTY.Foreground = stub.pid // the pid that the pod would have given it
	}
	r := p.newMaker(img)
	r.maker.Syscall = func(pid int, nr uintptr, args ...any) (uint64, error) {
		if pid != v.pid {
			t.Errorf("system call %d in process %d, want the session's leader %d", nr, pid, v.pid)
		}
		return stub.syscall(nr, args...)
	}
	r.run()
	if err := SetControllingTerminal(r.maker, &img.Files[0]); err != nil {
		t.Errorf("SetControllingTerminal once more: %v", err)
	}
	st, err := procfs.ReadStat(procDir(stub.pid))
	if tty := controllingTTY(&st); err != nil || tty != unix.Mkdev(ptySlaveMajor, 0) || st.TPGID != stub.pid {
		t.Errorf("the leader has terminal %#x, foreground %d, %v, want /dev/pts/0 and %d", tty, st.TPGID, err, stub.pid)
	}
	if _, err := stub.syscall(unix.SYS_OPENAT, unix.AT_FDCWD, []byte("/dev/tty\x00"), unix.O_RDWR, 0); err != nil {
		t.Errorf("open of /dev/tty in the session: %v", err)
	}
}
