package kobj

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

func TestEveryKindHasBothHalvesAndANameOfItsOwn(t *testing.T) {
	names := map[string]bool{}
	for i, k := range kinds {
		if (k.Match == nil) == (k.Claim == nil) || k.Capture == nil || k.Has == nil || k.Restore == nil {
			t.Errorf("row %d (%s) of the table is not complete", i, k.Name)
		}
		if names[k.Name] {
			t.Errorf("two kinds have the name %q", k.Name)
		}
		names[k.Name] = true
	}
}

func TestEveryImageIsOfOneKind(t *testing.T) {
	for _, f := range []image.File{
		{Regular: &image.Regular{}},
		{Pipe: &image.Pipe{}},
		{Pipe: &image.Pipe{Path: "/fifo"}},
		{Stdio: &image.Stdio{}},
		{Memory: &image.Memory{}},
		{EventFD: &image.EventFD{}},
		{Epoll: &image.Epoll{}},
		{TimerFD: &image.TimerFD{}},
		{SignalFD: &image.SignalFD{}},
		{Inotify: &image.Inotify{}},
		{PIDFD: &image.PIDFD{}},
		{PTY: &image.PTY{}},
		{Unix: &image.Unix{}},
		{Inet: &image.Inet{}},
		{Netlink: &image.Netlink{}},
		{MQueue: &image.MQueueFD{}},
	} {
		n := 0
		for _, k := range kinds {
			if k.Has(&f) {
				n++
			}
		}
		if text, _ := json.Marshal(f); n != 1 {
			t.Errorf("%d kinds have the image %s, want 1", n, text)
		}
	}
}

func TestAnImageOfNoKindIsRefused(t *testing.T) {
	var f image.File
	if err := json.Unmarshal([]byte(`{"id": 3, "flags": 2, "hologram": {"depth": 1}}`), &f); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(&Maker{}, &f); err == nil || !strings.Contains(err.Error(), "file 3") {
		t.Errorf("Restore gives %v, want an error that names file 3", err)
	}
	if err := Settle(&Maker{}, &f); err == nil {
		t.Error("Settle gives no error")
	}
}

func TestStashedEndsAreTakenOnceOrClosed(t *testing.T) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	var m Maker
	m.Stash("r", ends[0])
	m.Stash("w", ends[1])
	if fd, ok := m.Take("r"); fd != ends[0] || !ok {
		t.Errorf("Take(r) = %d, %t, want %d", fd, ok, ends[0])
	}
	if _, ok := m.Take("r"); ok {
		t.Error("Take gives an end twice")
	}
	m.Close()
	if n, err := unix.Read(ends[0], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("read = %d, %v, want the end of file: Close left the writing end open", n, err)
	}
}

var victimInNamespaces = victimProgram("in namespaces", func(v *victimSide) {
	v.must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	v.must(unix.Mount("tmpfs", "/tmp", "tmpfs", 0, ""))
	v.must(os.WriteFile("/tmp/inside", []byte("of the pod"), 0o600))
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	v.must(err)
	v.at(100, fd)
	v.makePipe(101, 102, 0)
	v.must(setOwner(101, ownerEx{ownerPID, int32(os.Getpid())}))
	v.must(writeAll(102, []byte("in the pipe")))
	fd, err = unix.Open("/tmp/inside", unix.O_RDWR, 0)
	v.must(err)
	v.at(103, fd)
	v.must(unix.FcntlFlock(103, unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	v.epollAt(104)
	v.watch(104, 101, unix.EPOLLIN)
	v.must(unix.Dup3(101, 105, 0))
	fd, err = unix.InotifyInit1(0)
	v.must(err)
	v.at(106, fd)
	_, err = unix.InotifyAddWatch(106, "/tmp/inside", unix.IN_MODIFY)
	v.must(err)
	v.say("ready")
	v.hear()
})

func TestAProcessOfAPodIsCapturedFromOutsideItsNamespaces(t *testing.T) {
	v := startVictimIn(t, &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}, victimInNamespaces)
	p := newTestPod(t)
	// Not stopped: pid 1 of a namespace takes no SIGSTOP. It waits for the test.
	p.add(v.pid, 100, 101, 102, 103, 104, 105, 106)
	img := p.capture()
	files := map[int]image.File{}
	for _, fd := range img.Processes[0].FDs {
		files[fd.Num] = img.Files[fd.File-1]
	}
	if got := files[100].PIDFD.PID; got != 1 {
		t.Errorf("the pidfd refers to process %d, want 1", got)
	}
	if got := files[101].Owner; got == nil || got.ID != 1 {
		t.Errorf("owner of the pipe = %+v, want process 1", got)
	}
	if data := files[101].Pipe.Data; data == nil || data.Size != 11 {
		t.Errorf("data of the pipe = %+v, want 11 bytes", data)
	}
	if got := files[103]; got.Regular.Path != "/tmp/inside" || got.Regular.Deleted || len(got.Locks) != 1 || got.Locks[0].PID != 1 {
		t.Errorf("file = %+v with locks %+v, want /tmp/inside with one of process 1", got.Regular, got.Locks)
	}
	if got := files[104].Epoll.Targets; len(got) != 1 || got[0].PID != 1 || got[0].Num != 101 {
		t.Errorf("targets of the epoll set = %+v, want descriptor 101 of process 1", got)
	}
	if got := files[106].Inotify.Watches; len(got) != 1 || got[0].Path != "/tmp/inside" {
		t.Errorf("watches = %+v, want one of /tmp/inside", got)
	}

	// Restored through the pod's root, which only the pod's mounts have.
	r := p.newMaker(&image.Pod{Files: []image.File{files[103]}})
	root, err := unix.Open(p.sources[1].inPod("/"), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	r.maker.Root = root
	f := files[103]
	fd, err := Restore(r.maker, &f)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if got := readSome(fd); got != "of the pod" {
		t.Errorf("the file opened in the pod reads %q", got)
	}
}

func TestAnUnsupportedObjectIsNamedOnce(t *testing.T) {
	v := startVictim(t, victimUnsupported)
	v.stop()
	s, err := ReadSource(v.pid, 101, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s.FD)
	_, err = Capture(newTestPod(t), s)
	var unsupported *UnsupportedError
	if !errors.As(err, &unsupported) || strings.Count(err.Error(), "process 7") != 1 {
		t.Errorf("Capture gives %q, want an UnsupportedError that names process 7 once", err)
	}
}
