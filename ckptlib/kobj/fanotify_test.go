package kobj

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
)

var victimFanotify = victimProgram("fanotify", func(v *victimSide) {
	flags, err := strconv.ParseUint(os.Args[2], 0, 32)
	v.must(err)
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_NONBLOCK|uint(flags), unix.O_RDONLY)
	if err != nil {
		v.say("none: %v", err)
		return
	}
	v.at(100, fd)
	v.must(os.Chdir(os.Args[1]))
	mark := func(flags uint, mask uint64, name string) {
		v.must(unix.FanotifyMark(100, unix.FAN_MARK_ADD|flags, mask, unix.AT_FDCWD, name))
	}
	mark(0, unix.FAN_MODIFY|unix.FAN_ATTRIB, "file")
	mark(0, unix.FAN_CREATE|unix.FAN_ONDIR, ".")
	mark(0, unix.FAN_MODIFY|unix.FAN_EVENT_ON_CHILD, "sub")
	mark(unix.FAN_MARK_IGNORED_MASK|unix.FAN_MARK_IGNORED_SURV_MODIFY, unix.FAN_ATTRIB, "file")
	mark(unix.FAN_MARK_EVICTABLE, unix.FAN_DELETE, "else")
	v.say("ready")
	for {
		v.hear()
		v.say("%s", fanotified(100))
	}
})

// fanotified reads the events of a fanotify group: what, and of which file by its
// handle, or in which directory under which name.
func fanotified(fd int) string {
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return err.Error()
	}
	le := binary.LittleEndian
	var all []string
	for b := buf[:n]; len(b) > 0; b = b[le.Uint32(b):] {
		e := b[:le.Uint32(b)]
		mask := le.Uint64(e[8:])
		what := fmt.Sprintf("%#x", mask)
		for bit, name := range map[uint64]string{unix.FAN_CREATE: "create", unix.FAN_MODIFY: "modify", unix.FAN_ATTRIB: "attrib", unix.FAN_Q_OVERFLOW: "overflow"} {
			if mask&^unix.FAN_ONDIR == bit {
				what = name
			}
		}
		for info := e[le.Uint16(e[6:]):]; len(info) > 0; info = info[le.Uint16(info[2:]):] {
			size := le.Uint32(info[12:])
			what += fmt.Sprintf(" %x", info[20:20+size])
			if info[0] == unix.FAN_EVENT_INFO_TYPE_DFID_NAME {
				name, _, _ := strings.Cut(string(info[20+size:le.Uint16(info[2:])]), "\x00")
				what += "/" + name
			}
		}
		all = append(all, what)
	}
	return strings.Join(all, ", ")
}

// handleOf is how events name a file.
func handleOf(t *testing.T, path string) string {
	t.Helper()
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Bytes())
}

// marked is what fdinfo tells of a group: its marks, in any order.
func marked(t *testing.T, pid, num int) []string {
	t.Helper()
	i, err := ReadFDInfo(pid, num)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(slices.Clone(i.Lines), func(l string) bool { return !strings.HasPrefix(l, "fanotify ino") })
	slices.Sort(lines)
	return lines
}

func startFanotify(t *testing.T, dir string, flags uint) *victim {
	t.Helper()
	write(t, dir+"/file", "x")
	write(t, dir+"/else", "x")
	if err := os.Mkdir(dir+"/sub", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/sub/child", "x")
	return startVictim(t, victimFanotify, dir, fmt.Sprint(flags))
}

func TestFanotifyWatchesAgainWhatItWatched(t *testing.T) {
	testuser.Again(t)
	for name, flags := range map[string]uint{
		"FID": unix.FAN_REPORT_FID, "DFID": unix.FAN_REPORT_DIR_FID | unix.FAN_REPORT_FID, "DFID_NAME": unix.FAN_REPORT_DFID_NAME,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			v := startFanotify(t, dir, flags)
			v.stop()
			p := newTestPod(t)
			p.add(v.pid, 100)
			img := p.capture()
			if len(p.warned) != 0 {
				t.Errorf("capture warns %q of an empty queue", p.warned)
			}
			before := marked(t, v.pid, 100)
			if len(before) != 4 {
				t.Fatalf("the victim has the marks %q, want 4", before)
			}
			v.cont()
			a, b := p.checkTwice(img)
			for _, r := range []*restored{a, b} {
				if got := marked(t, os.Getpid(), r.fd(100)); !slices.Equal(got, before) {
					t.Errorf("the restored group has the marks\n%q, want\n%q", got, before)
				}
				if got := fanotified(r.fd(100)); got != "resource temporarily unavailable" {
					t.Errorf("the restored group has events before anything happens: %s", got)
				}
			}
			if err := os.Mkdir(dir+"/new", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir+"/file", 0o640); err != nil { // which is ignored
				t.Fatal(err)
			}
			write(t, dir+"/sub/child", "y")
			want := v.ask("events")
			if !strings.Contains(want, "create") || !strings.Contains(want, "modify") || strings.Contains(want, "attrib") {
				t.Errorf("events are %q, want one of the new directory and one of the child", want)
			}
			if h := handleOf(t, dir); flags&unix.FAN_REPORT_NAME != 0 && !strings.Contains(want, h+"/new") {
				t.Errorf("events are %q, want one with %s/new", want, h)
			}
			for _, r := range []*restored{a, b} {
				if got := fanotified(r.fd(100)); got != want {
					t.Errorf("events are %q, want %q", got, want)
				}
			}
		})
	}
}

func TestPendingFanotifyEventsAreToldAsLost(t *testing.T) {
	testuser.Again(t)
	for name, flags := range map[string]uint{
		"FID": unix.FAN_REPORT_FID, "DIR_FID": unix.FAN_REPORT_DIR_FID, "DFID_NAME": unix.FAN_REPORT_DFID_NAME,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			v := startFanotify(t, dir, flags)
			v.stop()
			write(t, dir+"/sub/child", "y")
			p := newTestPod(t)
			p.add(v.pid, 100)
			img := p.capture()
			if len(p.warned) != 1 || !strings.Contains(p.warned[0], "FAN_Q_OVERFLOW") {
				t.Errorf("capture warns %q, want one warning about events", p.warned)
			}
			v.cont()
			if got := v.ask("events"); !strings.HasPrefix(got, "modify ") {
				t.Errorf("after the capture the victim reads %q, want its event", got)
			}
			p.end(v)
			r := p.restore(img)
			if got := fanotified(r.fd(100)); !strings.HasPrefix(got, "overflow") || strings.Contains(got, ",") {
				t.Errorf("events are %q, want that some were lost", got)
			}
			write(t, dir+"/sub/child", "z")
			if got := fanotified(r.fd(100)); !strings.HasPrefix(got, "modify ") {
				t.Errorf("events are %q, want what comes after", got)
			}
		})
	}
}

// A group that reads the files themselves is root's alone.
func TestAFanotifyGroupOfRootsIsRefused(t *testing.T) {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC, unix.O_RDONLY)
	if errors.Is(err, unix.EPERM) {
		t.Skip("only root may have it")
	} else if err != nil {
		t.Fatal(err)
	}
	s, err := ReadSource(os.Getpid(), fd, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s.FD)
	defer unix.Close(fd)
	if _, err := Capture(newTestPod(t), s); !errors.As(err, new(*UnsupportedError)) || !strings.Contains(err.Error(), "FAN_REPORT_FID") {
		t.Errorf("capture gives %v, want an UnsupportedError", err)
	}
}
