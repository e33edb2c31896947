package kobj

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var victimFiles = victimProgram("files", func(v *victimSide) {
	dir := os.Args[1]
	open := func(num int, name string, flags int) {
		fd, err := unix.Open(name, flags, 0o600)
		v.must(err)
		v.at(num, fd)
	}
	open(100, dir+"/data", unix.O_RDWR)
	_, err := unix.Seek(100, 5, unix.SEEK_SET)
	v.must(err)
	open(101, dir+"/log", unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_SYNC)
	v.must(writeAll(101, []byte("line\n")))
	open(102, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	_, err = unix.ReadDirent(102, make([]byte, 80))
	v.must(err)
	open(103, "/dev/null", unix.O_RDWR)
	open(104, "/dev/zero", unix.O_RDONLY|unix.O_NONBLOCK)
	open(105, dir+"/data", unix.O_PATH)
	open(106, dir+"/link", unix.O_PATH|unix.O_NOFOLLOW)
	open(107, dir+"/data (deleted)", unix.O_RDONLY)
	open(108, "/proc/self/status", unix.O_RDONLY)
	open(109, dir+"/fifo", unix.O_PATH)
	open(110, dir+"/data", unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NOATIME)
	v.say("ready")
	for {
		v.hear()
		at, err := unix.Seek(100, 0, unix.SEEK_CUR)
		v.say("%d %v", at, err)
	}
})

// fileVictim runs victimFiles in a directory of its own.
func fileVictim(t *testing.T) (v *victim, dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir+"/data", "0123456789")
	write(t, dir+"/data (deleted)", "a name like that")
	if err := errors.Join(os.Symlink("data", dir+"/link"), unix.Mkfifo(dir+"/fifo", 0o600)); err != nil {
		t.Fatal(err)
	}
	v = startVictim(t, victimFiles, dir)
	v.stop()
	return v, dir
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readSome(fd int) string {
	buf := make([]byte, 1000)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return err.Error()
	}
	return string(buf[:n])
}

func TestFilesAreOpenedWhereTheyWere(t *testing.T) {
	v, dir := fileVictim(t)
	p := newTestPod(t)
	p.add(v.pid, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110)
	img := p.capture()
	v.cont()
	if got := v.ask("offset"); got != "5 <nil>" {
		t.Errorf("after the capture the victim's offset is %s, want 5", got)
	}
	a, _ := p.checkTwice(img) // compares F_GETFL
	if got := readSome(a.fd(100)); got != "56789" {
		t.Errorf("read of the restored file = %q, want \"56789\"", got)
	}
	if err := writeAll(a.fd(101), []byte("more\n")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(dir + "/log"); string(got) != "line\nmore\n" {
		t.Errorf("the log is %q, want the new line at its end", got)
	}
	// The directory goes on where the victim was: it has read some entries.
	rest, err := unix.ReadDirent(a.fd(102), make([]byte, 8192))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(whole)
	if all, _ := unix.ReadDirent(whole, make([]byte, 8192)); rest >= all || rest == 0 {
		t.Errorf("the restored directory has %d bytes of entries left, want some and less than all %d", rest, all)
	}
	if n, err := unix.Read(a.fd(104), make([]byte, 8)); n != 8 || err != nil {
		t.Errorf("read of restored /dev/zero = %d, %v, want 8", n, err)
	}
	if got := readSome(a.fd(107)); got != "a name like that" {
		t.Errorf("a file whose name ends in (deleted) reads %q", got)
	}
	if got := readSome(a.fd(108)); !strings.Contains(got, "Pid:\t") {
		t.Errorf("the process's status file reads %q", got)
	}
	var st unix.Stat_t
	if err := unix.Fstat(a.fd(106), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		t.Errorf("the O_PATH descriptor of a link has mode %#o, %v, want a link", st.Mode, err)
	}
}

func TestAFileOpenForWritingIsTreatedByThePolicy(t *testing.T) {
	for _, test := range []struct {
		policy, now, want string // want is the content after, or "" for an error
	}{
		{FilesTruncate, "line\nlater\n", "line\n"},
		{FilesTruncate, "line\n", "line\n"},
		{FilesTruncate, "9999\n", "line\n"}, // written anew in place
		{FilesTruncate, "9999\nlater\n", "line\n"},
		{FilesKeep, "9999\n", "9999\n"},
		{FilesTruncate, "li", ""},
		{FilesKeep, "line\nlater\n", "line\nlater\n"},
		{FilesKeep, "li", "li"},
		{FilesFail, "line\nlater\n", ""},
		{FilesFail, "line\n", "line\n"},
	} {
		t.Run(test.policy+" "+test.now, func(t *testing.T) {
			v, dir := fileVictim(t)
			p := newTestPod(t)
			p.add(v.pid, 101)
			img := p.capture()
			write(t, dir+"/log", test.now)
			r := p.newMaker(img)
			r.maker.FilePolicy = test.policy
			err := r.try()
			got, _ := os.ReadFile(dir + "/log")
			if test.want == "" {
				if err == nil || !strings.Contains(err.Error(), dir+"/log") || string(got) != test.now {
					t.Errorf("restore gives %v and leaves %q, want an error that names the file and %q", err, got, test.now)
				}
			} else if err != nil || string(got) != test.want {
				t.Errorf("restore gives %v and leaves %q, want %q", err, got, test.want)
			}
		})
	}
}

func TestAFileThatIsMissingOrAnotherIsAnErrorThatNamesIt(t *testing.T) {
	v, dir := fileVictim(t)
	p := newTestPod(t)
	p.add(v.pid, 100)
	img := p.capture()
	if err := os.Remove(dir + "/data"); err != nil {
		t.Fatal(err)
	}
	if err := p.newMaker(img).try(); err == nil || !strings.Contains(err.Error(), dir+"/data does not exist") {
		t.Errorf("restore of a missing file gives %v, want an error that names it", err)
	}
	if err := unix.Mkfifo(dir+"/data", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.newMaker(img).try(); err == nil || !strings.Contains(err.Error(), "another kind of file") {
		t.Errorf("restore of what is a FIFO now gives %v, want an error", err)
	}
}

func TestLinksOfThePathStayBelowThePodsRoot(t *testing.T) {
	root := t.TempDir()
	if err := errors.Join(os.Mkdir(root+"/etc", 0o700), os.Symlink("/etc", root+"/escape"), os.Symlink("../../../etc", root+"/up")); err != nil {
		t.Fatal(err)
	}
	write(t, root+"/etc/passwd", "inside")
	fd, err := unix.Open(root, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	m := &Maker{Root: fd}
	for _, name := range []string{"/etc/passwd", "/escape/passwd", "/up/passwd", "/../etc/passwd"} {
		f, err := m.openRoot(name, unix.O_RDONLY)
		if err != nil {
			t.Errorf("openRoot(%s): %v", name, err)
			continue
		}
		if got := readSome(f); got != "inside" {
			t.Errorf("openRoot(%s) leads to %.20q, want the file below the root", name, got)
		}
		unix.Close(f)
	}
}

var victimUnsupported = victimProgram("unsupported", func(v *victimSide) {
	const userModeOnly = 1 // what an ordinary user may have
	faults, _, e := unix.Syscall(unix.SYS_USERFAULTFD, userModeOnly, 0, 0)
	if e != 0 {
		v.must(e)
	}
	v.at(101, int(faults))
	fd, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY, 0)
	v.must(err)
	v.at(102, fd)
	v.say("ready")
	v.hear()
})

func TestWhatIsNotSupportedIsRefusedByNameAndWithARemedy(t *testing.T) {
	for num, want := range map[int]string{101: "page faults", 102: "close it before the checkpoint"} {
		v := startVictim(t, victimUnsupported)
		v.stop()
		p := newTestPod(t)
		p.add(v.pid, num)
		err := p.tryCapture()
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("capture of descriptor %d gives %v, want an UnsupportedError with %q", num, err, want)
		}
		v.kill()
	}
}
