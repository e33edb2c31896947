package kobj

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

var victimFIFO = victimProgram("fifo", func(v *victimSide) {
	dir := os.Args[1]
	open := func(num int, name string, flags int) {
		fd, err := unix.Open(dir+"/"+name, flags, 0)
		v.must(err)
		v.at(num, fd)
	}
	for _, name := range []string{"both", "writer", "deleted", "moved away"} {
		v.must(unix.Mkfifo(dir+"/"+name, 0o640))
	}
	open(100, "both", unix.O_RDONLY|unix.O_NONBLOCK)
	open(101, "both", unix.O_WRONLY)
	v.must(writeAll(101, pattern(5000)))
	open(109, "writer", unix.O_RDWR)
	open(102, "writer", unix.O_WRONLY)
	v.must(unix.Close(109))
	fd, err := unix.Open(dir+"/writer", unix.O_RDWR, 0)
	v.must(err)
	v.must(writeAll(fd, []byte("for a later reader")))
	v.must(unix.Close(fd))
	open(103, "deleted", unix.O_RDWR)
	v.must(writeAll(103, []byte("nameless")))
	v.must(os.Remove(dir + "/deleted"))
	open(104, "moved away", unix.O_RDONLY|unix.O_NONBLOCK)
	v.say("ready")
	v.hear()
	all, _ := readAll(100)
	v.say("%t", bytes.Equal(all, pattern(5000)))
})

func TestFIFOKeepsItsBytes(t *testing.T) {
	dir := t.TempDir()
	v := startVictim(t, victimFIFO, dir)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101, 102, 103, 104)
	img := p.capture()
	v.cont()
	if got := v.ask("read"); got != "true" {
		t.Errorf("after the capture the victim reads its bytes: %s, want true", got)
	}
	v.kill()
	p.forget()
	if err := os.Remove(dir + "/moved away"); err != nil {
		t.Fatal(err)
	}

	a := p.restore(img)
	if all, _ := readAll(a.fd(100)); !bytes.Equal(all, pattern(5000)) {
		t.Errorf("the restored FIFO gives %d bytes, want the 5000 that were in it", len(all))
	}
	if _, err := unix.Write(a.fd(101), []byte("x")); err != nil {
		t.Errorf("write to the restored FIFO: %v", err)
	}
	reader, err := unix.Open(dir+"/writer", unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(reader)
	if all, _ := readAll(reader); string(all) != "for a later reader" {
		t.Errorf("a reader that comes later gets %q, want what had been written", all)
	}
	if all, _ := readAll(a.fd(103)); string(all) != "nameless" {
		t.Errorf("the restored deleted FIFO gives %q, want \"nameless\"", all)
	}
	if _, err := os.Lstat(dir + "/deleted"); !os.IsNotExist(err) {
		t.Errorf("the deleted FIFO has a name again: %v", err)
	}
	if st, err := os.Lstat(dir + "/moved away"); err != nil || st.Mode() != os.ModeNamedPipe|0o640 {
		t.Errorf("the FIFO that was gone has mode %v, %v, want it made again with 0640", st, err)
	}
}
