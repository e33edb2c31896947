package kobj

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
)

var victimLocks = victimProgram("locks", func(v *victimSide) {
	for num := 100; num < 103; num++ {
		fd, err := unix.Open(fmt.Sprintf("%s/%d", os.Args[1], num), unix.O_RDWR|unix.O_CREAT, 0o600)
		v.must(err)
		v.at(num, fd)
	}
	v.must(unix.Flock(100, unix.LOCK_EX))
	v.must(unix.FcntlFlock(101, unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: 10, Len: 5}))
	v.must(unix.FcntlFlock(101, unix.F_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Start: 100}))
	v.must(unix.FcntlFlock(102, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	v.say("ready")
	v.hear()
})

func TestFileLocksAreTakenAgain(t *testing.T) {
	dir := t.TempDir()
	v := startVictim(t, victimLocks, dir)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101, 102)
	img := p.capture()
	var got []image.Lock
	for _, f := range img.Files {
		got = append(got, f.Locks...)
	}
	sort.Slice(got, func(i, j int) bool {
		return got[i].Kind+fmt.Sprint(got[i].Start) < got[j].Kind+fmt.Sprint(got[j].Start)
	})
	want := []image.Lock{
		{Kind: "flock", Write: true},
		{Kind: "ofd", Write: true},
		{Kind: "posix", Write: true, PID: v.pid, Start: 10, Len: 5},
		{Kind: "posix", PID: v.pid, Start: 100},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("captured locks (-want +got):\n%s", d)
	}
	early := p.newMaker(img)
	if err := early.try(); err == nil || !strings.Contains(err.Error(), "lock") {
		t.Errorf("restore while the victim has the locks gives %v, want an error about a lock", err)
	}
	early.close()
	v.kill()
	p.forget()

	p.restore(img)
	free := func(name string, start int64) bool {
		fd, err := unix.Open(dir+"/"+name, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		lk := unix.Flock_t{Type: unix.F_WRLCK, Start: start, Len: 1}
		if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lk); err != nil {
			t.Fatal(err)
		}
		return lk.Type == unix.F_UNLCK && unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil
	}
	for _, test := range []struct {
		name  string
		start int64
		free  bool
	}{{"100", 0, false}, {"101", 9, true}, {"101", 10, false}, {"101", 14, false}, {"101", 15, true}, {"101", 1 << 40, false}, {"102", 0, false}} {
		if got := free(test.name, test.start); got != test.free {
			t.Errorf("byte %d of file %s is free: %t, want %t", test.start, test.name, got, test.free)
		}
	}
}

var victimLeases = victimProgram("leases", func(v *victimSide) {
	for num, kind := range map[int]int{100: unix.F_RDLCK, 101: unix.F_WRLCK} {
		path := fmt.Sprintf("%s/%d", os.Args[1], num)
		v.must(os.WriteFile(path, nil, 0o600))
		fd, err := unix.Open(path, unix.O_RDONLY, 0)
		v.must(err)
		v.at(num, fd)
		_, err = unix.FcntlInt(uintptr(num), unix.F_SETLEASE, kind)
		v.must(err)
	}
	v.say("ready")
	for {
		v.hear()
		for num := 100; num < 102; num++ {
			_, err := unix.FcntlInt(uintptr(num), unix.F_SETLEASE, unix.F_UNLCK)
			v.must(err)
		}
		v.say("given up")
	}
})

func TestLeasesAreTakenAgain(t *testing.T) {
	testuser.Again(t)
	dir := t.TempDir()
	breaks := func(name string, flags int) bool {
		fd, err := unix.Open(dir+"/"+name, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		return errors.Is(err, unix.EWOULDBLOCK)
	}
	v := startVictim(t, victimLeases, dir)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101)
	img := p.capture()
	if !breaks("101", unix.O_RDONLY) {
		t.Error("the victim has no lease for writing")
	}
	late := newTestPod(t)
	late.add(v.pid, 101)
	var retry *RetryError
	if err := late.tryCapture(); !errors.As(err, &retry) || !strings.Contains(err.Error(), "lease") {
		t.Errorf("Capture of a lease that is being broken = %v, want a RetryError", err)
	}
	v.cont()
	if got := v.ask("give up"); got != "given up" {
		t.Errorf("the victim says %q", got)
	}
	p.end(v)

	for i := range img.Files {
		if img.Files[i].Owner == nil {
			t.Errorf("the image does not tell who gets the signal of lease %d", i)
		}
		img.Files[i].Owner = nil // who has ended
	}
	late.forget()
	r := p.restore(img)
	for num, want := range map[int]int{100: unix.F_RDLCK, 101: unix.F_WRLCK} {
		if got, err := unix.FcntlInt(uintptr(r.fd(num)), unix.F_GETLEASE, 0); err != nil || got != want {
			t.Errorf("lease of %d is %d, %v, want %d", num, got, err, want)
		}
	}
	if breaks("100", unix.O_RDONLY) || !breaks("100", unix.O_WRONLY) || !breaks("101", unix.O_RDONLY) {
		t.Error("the restored leases do not keep others out")
	}
}

func TestALineThatIsNoLockIsAnError(t *testing.T) {
	for _, text := range []string{"", "1: POSIX", "1: POSIX  ADVISORY  WRITE 359 00:13:11691 x EOF", "1: POSIX  ADVISORY  WRITE 359 00:13:11691 0 x",
		"1: DELEG  ACTIVE    READ 359 00:13:11691 0 EOF"} {
		if _, err := parseLock(text); err == nil {
			t.Errorf("parseLock(%q) gives no error", text)
		}
	}
}
