package kobj

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
)

var victimInotify = victimProgram("inotify", func(v *victimSide) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK)
	v.must(err)
	v.at(100, fd)
	v.must(os.Chdir(os.Args[1]))
	for _, name := range []string{"file", ".", "sub"} {
		wd, err := unix.InotifyAddWatch(100, name, unix.IN_MODIFY|unix.IN_CREATE)
		v.must(err)
		if name == "." { // so that its number is one that has been given before
			_, err = unix.InotifyRmWatch(100, uint32(wd))
			v.must(err)
			_, err = unix.Read(100, make([]byte, 4096))
			v.must(err)
			_, err = unix.InotifyAddWatch(100, name, unix.IN_CREATE)
			v.must(err)
		}
	}
	v.say("ready")
	for {
		v.hear()
		v.say("%s", notified(100))
	}
})

// notified reads the events of an inotify instance.
func notified(fd int) string {
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return err.Error()
	}
	var all []string
	for b := buf[:n]; len(b) > 0; {
		e := (*unix.InotifyEvent)(unsafe.Pointer(&b[0]))
		name := strings.TrimRight(string(b[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+int(e.Len)]), "\x00")
		all = append(all, map[uint32]string{unix.IN_CREATE: "create ", unix.IN_MODIFY: "modify "}[e.Mask]+
			map[int32]string{1: "file", 3: "dir ", 4: "sub "}[e.Wd]+name)
		b = b[unix.SizeofInotifyEvent+int(e.Len):]
	}
	return strings.Join(all, ", ")
}

func TestInotifyWatchesAgainWithTheSameNumbers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/file", "x")
	if err := os.Mkdir(dir+"/sub", 0o700); err != nil {
		t.Fatal(err)
	}
	v := startVictim(t, victimInotify, dir)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100)
	img := p.capture()
	if len(p.warned) != 0 {
		t.Errorf("capture warns %q of an empty queue", p.warned)
	}
	v.cont()
	a, b := p.checkTwice(img)
	for _, r := range []*restored{a, b} {
		if got := notified(r.fd(100)); got != "resource temporarily unavailable" {
			t.Errorf("the restored instance has events before anything happens: %s", got)
		}
	}
	write(t, dir+"/sub/new", "")
	write(t, dir+"/other", "")
	write(t, dir+"/file", "y")
	want := "create sub new, create dir other, modify file"
	for _, got := range []string{notified(a.fd(100)), notified(b.fd(100)), v.ask("events")} {
		// Truncation and writing may be one event or two.
		if got = strings.TrimSuffix(got, ", modify file"); got != strings.TrimSuffix(want, ", modify file") {
			t.Errorf("events are %q, want %q", got, want)
		}
	}
}

func TestPendingInotifyEventsAreToldAsLost(t *testing.T) {
	testuser.Again(t)
	dir := t.TempDir()
	write(t, dir+"/file", "x")
	if err := os.Mkdir(dir+"/sub", 0o700); err != nil {
		t.Fatal(err)
	}
	v := startVictim(t, victimInotify, dir)
	v.stop()
	write(t, dir+"/new", "")
	p := newTestPod(t)
	p.add(v.pid, 100)
	img := p.capture()
	if len(p.warned) != 1 || !strings.Contains(p.warned[0], "events") {
		t.Errorf("capture warns %q, want one warning about events", p.warned)
	}
	v.cont()
	if got := v.ask("events"); got != "create dir new" {
		t.Errorf("after the capture the victim reads %q, want its event", got)
	}
	p.end(v)
	r := p.restore(img)
	for _, want := range []int32{-1, 4} { // wd of IN_Q_OVERFLOW, and of what comes after it
		buf := make([]byte, 4096)
		n, err := unix.Read(r.fd(100), buf)
		if err != nil || n < unix.SizeofInotifyEvent {
			t.Fatalf("read %d bytes of events, %v", n, err)
		}
		e := (*unix.InotifyEvent)(unsafe.Pointer(&buf[0]))
		if e.Wd != want || (want < 0) != (e.Mask == unix.IN_Q_OVERFLOW) || want < 0 && n != unix.SizeofInotifyEvent {
			t.Errorf("event %+v in %d bytes, want one of watch %d", e, n, want)
		}
		write(t, dir+"/sub/other", "")
	}
}

func TestAWatchOfADeletedFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/file", "x")
	if err := os.Mkdir(dir+"/sub", 0o700); err != nil {
		t.Fatal(err)
	}
	v := startVictim(t, victimInotify, dir)
	keep, err := os.Open(dir + "/file") // else the watch would be removed
	if err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	if err := os.Remove(dir + "/file"); err != nil {
		t.Fatal(err)
	}
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100)
	var unsupported *UnsupportedError
	if err := p.tryCapture(); !errors.As(err, &unsupported) {
		t.Errorf("capture gives %v, want an UnsupportedError", err)
	}
}

func TestAPathIsFoundWithoutAskingByHandle(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/file", "x")
	if err := os.Mkdir(dir+"/sub", 0o700); err != nil {
		t.Fatal(err)
	}
	v := startVictim(t, victimInotify, dir)
	v.stop()
	s, err := ReadSource(v.pid, 100, v.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s.FD)
	lines, err := parseInotify(s.Info)
	if err != nil {
		t.Fatal(err)
	}
	finder := pathFinder{source: s}
	for _, w := range lines {
		w.handle = nil // as where the kernel does not answer to it
		want := map[int]string{1: dir + "/file", 3: dir, 4: dir + "/sub"}[w.wd]
		if got, _ := finder.find(w); got != want {
			t.Errorf("path of watch %d = %q, want %q", w.wd, got, want)
		}
	}
}
