package kobj

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

var victimMemfd = victimProgram("memfd", func(v *victimSide) {
	fd, err := unix.MemfdCreate("victim", 0)
	v.must(err)
	v.at(100, fd)
	v.must(writeAll(100, []byte("0123456789")))
	_, err = unix.Seek(100, 4, unix.SEEK_SET)
	v.must(err)
	fd, err = reopen(100, unix.O_RDONLY|unix.O_APPEND)
	v.must(err)
	v.at(101, fd)
	fd, err = unix.Open("/dev/shm", unix.O_TMPFILE|unix.O_RDWR, 0o600) // as tmpfile(3) does
	v.must(err)
	v.at(102, fd)
	v.say("ready")
	v.hear()
	at, err := unix.Seek(100, 0, unix.SEEK_CUR)
	v.say("%d %v", at, err)
})

func TestMemfdIsOpenedAtItsOffset(t *testing.T) {
	v := startVictim(t, victimMemfd)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101)
	p.shared[p.sources[1].Stat.Ino] = 5
	p.files[5] = p.sources[1].FD // as if the memory had been restored
	img := p.capture()
	v.cont()
	a, _ := p.checkTwice(img)
	buf := make([]byte, 100)
	n, err := unix.Read(a.fd(100), buf)
	if string(buf[:max(n, 0)]) != "456789" || err != nil {
		t.Errorf("read of the restored memfd = %q, %v, want \"456789\"", buf[:max(n, 0)], err)
	}
	if _, err := unix.Write(a.fd(101), buf); err != unix.EBADF {
		t.Errorf("write to a memfd opened for reading gives %v, want EBADF", err)
	}
	if got := v.ask("offset"); got != "4 <nil>" {
		t.Errorf("after the capture the victim's offset is %s, want 4", got)
	}
}

func TestATmpfileOfThePrivateTmpfsIsOpenedAsAFile(t *testing.T) {
	v := startVictim(t, victimMemfd)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 102)
	p.shared[p.sources[1].Stat.Ino] = 5
	p.files[5] = p.sources[1].FD
	r := p.newMaker(p.capture())
	if err := r.try(); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(r.fd(102), []byte("x")); err != nil {
		t.Errorf("write to the restored file: %v", err)
	}
}

func TestMemoryThatIsNotThePodsIsRefused(t *testing.T) {
	v := startVictim(t, victimMemfd)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100)
	var unsupported *UnsupportedError
	if err := p.tryCapture(); !errors.As(err, &unsupported) {
		t.Errorf("capture of an unknown memfd gives %v, want an UnsupportedError", err)
	}
}
