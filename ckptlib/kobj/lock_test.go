package kobj

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
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

func TestALineThatIsNoLockIsAnError(t *testing.T) {
	for _, text := range []string{"", "1: POSIX", "1: POSIX  ADVISORY  WRITE 359 00:13:11691 x EOF", "1: POSIX  ADVISORY  WRITE 359 00:13:11691 0 x"} {
		if _, err := parseLock(text); err == nil {
			t.Errorf("parseLock(%q) gives no error", text)
		}
	}
}
