package kobj

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestFDInfoIsParsedWithTheLinesOfItsKind(t *testing.T) {
	got, err := ParseFDInfo("pos:\t4096\nflags:\t02100001\nmnt_id:\t15\nino:\t2077\neventfd-count:               2a\neventfd-id: 7\n")
	if err != nil {
		t.Fatal(err)
	}
	want := FDInfo{Pos: 4096, Flags: 0o2100001, MntID: 15, Ino: 2077, Lines: []string{"eventfd-count:               2a", "eventfd-id: 7"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ParseFDInfo (-want +got):\n%s", d)
	}
	if n, err := got.Uint("eventfd-count", 16); n != 42 || err != nil {
		t.Errorf("Uint(eventfd-count) = %d, %v, want 42", n, err)
	}
	if _, err := got.Uint("no such line", 10); err == nil {
		t.Error("Uint of a line that is not there gives no error")
	}
}

func TestDamagedFDInfoIsAnError(t *testing.T) {
	for _, text := range []string{"pos:\tx\n", "flags:\t9\n", "mnt_id:\t\n", "ino:\t-1\n"} {
		if _, err := ParseFDInfo(text); err == nil {
			t.Errorf("ParseFDInfo(%q) gives no error", text)
		}
	}
}

var victimOpenFile = victimProgram("open file", func(v *victimSide) {
	fd, err := unix.Open(os.Args[1], unix.O_RDWR|unix.O_APPEND, 0)
	v.must(err)
	v.at(100, fd)
	_, err = unix.Seek(100, 3, unix.SEEK_SET)
	v.must(err)
	v.say("ready")
	v.hear()
})

func TestASourceIsSeenAsItsHolderHasIt(t *testing.T) {
	name := t.TempDir() + "/file"
	if err := os.WriteFile(name, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := startVictim(t, victimOpenFile, name)
	s, err := ReadSource(v.pid, 100, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s.FD)
	if s.Link != name || s.Info.Pos != 3 || s.Stat.Size != 10 || s.PodPID != 7 {
		t.Errorf("ReadSource = link %q, pos %d, size %d, pod pid %d, want %q, 3, 10, 7", s.Link, s.Info.Pos, s.Stat.Size, s.PodPID, name)
	}
	if want := unix.O_RDWR | unix.O_APPEND; s.Flags&(unix.O_ACCMODE|unix.O_APPEND) != want {
		t.Errorf("flags of the source = %#o, want %#o in it", s.Flags, want)
	}
	if !sameFile(os.Getpid(), s.FD, v.pid, 100) {
		t.Error("the source's descriptor is not of the holder's description")
	}
	if _, err := ReadSource(v.pid, 101, 7); err == nil {
		t.Error("ReadSource of a number that is not open gives no error")
	}
}
