package kobj

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

var victimDeleted = victimProgram("deleted", func(v *victimSide) {
	name := os.Args[1] + "/file"
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CREAT, 0o400)
	v.must(err)
	v.at(100, fd)
	v.must(writeAll(100, pattern(100000)))
	_, err = unix.Seek(100, 10, unix.SEEK_SET)
	v.must(err)
	fd, err = unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	v.must(err)
	v.at(101, fd)
	v.must(os.Remove(name))
	fd, err = unix.Open(os.Args[1], unix.O_TMPFILE|unix.O_WRONLY, 0o600)
	v.must(err)
	v.at(102, fd)
	v.must(writeAll(102, []byte("temporary")))
	v.must(os.Mkdir(os.Args[1]+"/dir", 0o700))
	fd, err = unix.Open(os.Args[1]+"/dir", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	v.must(err)
	v.at(103, fd)
	v.must(os.Remove(os.Args[1] + "/dir"))
	v.say("ready")
	v.hear()
	at, err := unix.Seek(100, 0, unix.SEEK_CUR)
	v.say("%d %v", at, err)
})

func TestADeletedFileIsMadeAgainWithoutAName(t *testing.T) {
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprintf("its directory is gone: %t", gone), func(t *testing.T) {
			dir := t.TempDir()
			v := startVictim(t, victimDeleted, dir)
			v.stop()
			p := newTestPod(t)
			p.add(v.pid, 100, 101, 102, 103)
			img := p.capture()
			v.cont()
			if got := v.ask("offset"); got != "10 <nil>" {
				t.Errorf("after the capture the victim's offset is %s, want 10", got)
			}
			if gone {
				if err := os.Remove(dir); err != nil {
					t.Fatal(err)
				}
			}
			a, _ := p.checkTwice(img)
			checkDeleted(t, a)
			if entries, _ := os.ReadDir(dir); len(entries) != 0 {
				t.Errorf("restore leaves %v in the directory, want nothing", entries)
			}
		})
	}
}

func checkDeleted(t *testing.T, a *restored) {
	t.Helper()
	buf := make([]byte, 100000)
	n, err := unix.Read(a.fd(100), buf)
	if want := pattern(100000)[10:]; string(buf[:max(n, 0)]) != string(want) || err != nil {
		t.Errorf("read of the restored file = %d bytes, %v, want %d from offset 10", n, err, len(want))
	}
	// Both descriptions are of one file.
	if _, err := unix.Pwrite(a.fd(100), []byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(a.fd(101), buf[:3]); string(buf[:max(n, 0)]) != "new" || err != nil {
		t.Errorf("the other description reads %q, %v, want what the first wrote", buf[:max(n, 0)], err)
	}
	for num, want := range map[int]uint32{100: 0o400, 102: 0o600} {
		var st unix.Stat_t
		if err := unix.Fstat(a.fd(num), &st); err != nil || st.Nlink != 0 || st.Mode&0o7777 != want {
			t.Errorf("restored file %d has %d names and mode %#o, %v, want 0 and %#o", num, st.Nlink, st.Mode, err, want)
		}
	}
	if at, err := unix.Seek(a.fd(102), 0, unix.SEEK_CUR); at != 9 || err != nil {
		t.Errorf("offset of the temporary file = %d, %v, want 9", at, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(a.fd(103), &st); err != nil || st.Nlink != 0 || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		t.Errorf("the restored deleted directory has mode %#o and %d names, %v", st.Mode, st.Nlink, err)
	}
}
