package kobj

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func signalFD(mask uint64) (int, error) {
	fd, _, e := unix.Syscall6(unix.SYS_SIGNALFD4, ^uintptr(0), uintptr(unsafe.Pointer(&mask)), 8, unix.SFD_NONBLOCK|unix.SFD_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, e
	}
	return int(fd), nil
}

var victimSignalFD = victimProgram("signalfd", func(v *victimSide) {
	fd, err := signalFD(1<<(unix.SIGUSR1-1) | 1<<(60-1))
	v.must(err)
	v.at(100, fd)
	v.say("ready")
	v.hear()
})

func TestSignalFDReadsTheSignalsOfItsMask(t *testing.T) {
	v := startVictim(t, victimSignalFD)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100)
	img := p.capture()
	a, _ := p.checkTwice(img)

	// A signalfd reads what is pending for the reader: a thread of this process
	// that has the signals blocked.
	th := newTableThread(t, nil, nil, nil)
	defer th.end()
	got := make(chan uint32, 2)
	th.calls <- func() {
		mask := unix.Sigset_t{Val: [16]uint64{1<<(unix.SIGUSR1-1) | 1<<(unix.SIGUSR2-1) | 1<<(60-1)}}
		_ = unix.PthreadSigmask(unix.SIG_BLOCK, &mask, nil)
		for _, sig := range []unix.Signal{unix.SIGUSR2, 60, unix.SIGUSR1} {
			_ = unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
		}
		buf := make([]byte, 128)
		for {
			if _, err := unix.Read(a.fd(100), buf); err != nil {
				break
			}
			got <- *(*uint32)(unsafe.Pointer(&buf[0]))
		}
		close(got)
	}
	var all []uint32
	for n := range got {
		all = append(all, n)
	}
	if len(all) != 2 || all[0] != uint32(unix.SIGUSR1) || all[1] != 60 {
		t.Errorf("the restored signalfd reads signals %v, want [10 60]", all)
	}
}
