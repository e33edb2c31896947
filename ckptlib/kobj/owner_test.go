package kobj

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

func setOwner(fd int, o ownerEx) error {
	_, _, e := unix.Syscall(unix.SYS_FCNTL, uintptr(fd), fSetOwnEx, uintptr(unsafe.Pointer(&o)))
	if e != 0 {
		return e
	}
	return nil
}

var victimOwner = victimProgram("owner", func(v *victimSide) {
	v.makePipe(100, 101, unix.O_NONBLOCK)
	v.must(setOwner(100, ownerEx{ownerPID, int32(os.Getpid())}))
	_, err := unix.FcntlInt(100, fSetSig, int(unix.SIGTERM))
	v.must(err)
	_, err = unix.FcntlInt(100, unix.F_SETFL, unix.O_NONBLOCK|unix.O_ASYNC)
	v.must(err)
	v.must(setOwner(101, ownerEx{ownerPGRP, int32(unix.Getpgrp())}))
	v.say("ready")
	v.hear()
})

func TestOwnerAndSignalOfADescriptorAreSetAgain(t *testing.T) {
	v := startVictim(t, victimOwner)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101)
	img := p.capture()
	a := p.restore(img)

	var own ownerEx
	unix.Syscall(unix.SYS_FCNTL, uintptr(a.fd(100)), fGetOwnEx, uintptr(unsafe.Pointer(&own)))
	if want := (ownerEx{ownerPID, int32(v.pid)}); own != want {
		t.Errorf("F_GETOWN_EX = %+v, want %+v", own, want)
	}
	if sig, err := unix.FcntlInt(uintptr(a.fd(100)), fGetSig, 0); sig != int(unix.SIGTERM) || err != nil {
		t.Errorf("F_GETSIG = %d, %v, want %d", sig, err, unix.SIGTERM)
	}
	if flags, _ := unix.FcntlInt(uintptr(a.fd(100)), unix.F_GETFL, 0); flags&unix.O_ASYNC == 0 {
		t.Errorf("F_GETFL = %#o, want O_ASYNC in it", flags)
	}
	unix.Syscall(unix.SYS_FCNTL, uintptr(a.fd(101)), fGetOwnEx, uintptr(unsafe.Pointer(&own)))
	if want := (ownerEx{ownerPGRP, int32(unix.Getpgrp())}); own != want {
		t.Errorf("F_GETOWN_EX of the other end = %+v, want %+v", own, want)
	}

	// The victim, which has not been waited for, dies of the signal.
	v.cont()
	if err := writeAll(a.fd(101), []byte{'x'}); err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(v.pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	if polled(pidfd, unix.POLLIN, 10000) == 0 {
		t.Fatal("the owner gets no signal")
	}
	if err := v.cmd.Wait(); err == nil || err.Error() != "signal: terminated" {
		t.Errorf("the owner ends with %v, want it ended by the signal", err)
	}
	v.cmd = nil
}

func TestOwnerOfADescriptionThatNobodyHoldsIsSetFromOutside(t *testing.T) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	m := &Maker{
		File:  func(image.FileID) (int, error) { return ends[0], nil },
		PIDOf: func(pid int) (int, error) { return os.Getpid(), nil },
	}
	if err := restoreOwner(m, &image.File{ID: 1, Owner: &image.Owner{Type: ownerPID, ID: 7}}); err != nil {
		t.Fatal(err)
	}
	var own ownerEx
	unix.Syscall(unix.SYS_FCNTL, uintptr(ends[0]), fGetOwnEx, uintptr(unsafe.Pointer(&own)))
	if want := (ownerEx{ownerPID, int32(os.Getpid())}); own != want {
		t.Errorf("F_GETOWN_EX = %+v, want %+v", own, want)
	}
}
