package kobj

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// makePipe makes a pipe with its ends under two numbers.
func (v *victimSide) makePipe(r, w, flags int) {
	var p [2]int
	v.must(unix.Pipe2(p[:], flags))
	v.at(r, p[0])
	v.at(w, p[1])
}

// pattern is recognisable data.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return b
}

// readAll reads what there is, a length for each read.
func readAll(fd int) (all []byte, lengths []int) {
	buf := make([]byte, 1<<20)
	for polled(fd, unix.POLLIN, 0)&unix.POLLIN != 0 {
		n, err := unix.Read(fd, buf)
		if err != nil || n == 0 {
			break
		}
		all = append(all, buf[:n]...)
		lengths = append(lengths, n)
	}
	return all, lengths
}

var victimPipe = victimProgram("pipe", func(v *victimSide) {
	v.makePipe(100, 101, unix.O_NONBLOCK)
	var capacity, size, flags int
	_, err := fmt.Sscan(strings.Join(os.Args[1:], " "), &capacity, &size, &flags)
	v.must(err)
	_, err = unix.FcntlInt(100, unix.F_SETPIPE_SZ, capacity)
	v.must(err)
	v.must(setStatus(101, flags|unix.O_NONBLOCK))
	v.must(writeAll(101, pattern(size)))
	v.say("ready")
	for {
		v.hear()
		all, lengths := readAll(100)
		v.say("%t %v", bytes.Equal(all, pattern(size)), lengths)
	}
})

func TestPipeKeepsItsBytesAndItsCapacity(t *testing.T) {
	for _, test := range []struct {
		capacity, size, flags int
		lengths               string
	}{
		{4096, 0, 0, "[]"},
		{4096, 1, 0, "[1]"},
		{4096, 4096, 0, "[4096]"},
		{65536, 65536, 0, "[65536]"},
		{1 << 20, 1 << 20, 0, "[1048576]"},
		{131072, 70001, 0, "[70001]"},
		{65536, 300, unix.O_DIRECT, "[300]"},
		{65536, 10000, unix.O_DIRECT, "[4096 4096 1808]"},
		{4096, 100, unix.O_DIRECT, "[100]"},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			v := startVictim(t, victimPipe, fmt.Sprint(test.capacity), fmt.Sprint(test.size), fmt.Sprint(test.flags))
			v.stop()
			p := newTestPod(t)
			p.add(v.pid, 100, 101)
			img := p.capture()
			v.cont()
			want := "true " + test.lengths
			if got := v.ask("read"); got != want {
				t.Errorf("after the capture the victim reads %q, want %q", got, want)
			}
			a, b := p.checkTwice(img)
			for _, r := range []*restored{a, b} {
				all, lengths := readAll(r.fd(100))
				if !bytes.Equal(all, pattern(test.size)) || fmt.Sprint(lengths) != test.lengths {
					t.Errorf("the restored pipe gives %d bytes in reads of %v, want %d in %s", len(all), lengths, test.size, test.lengths)
				}
				if got, _ := unix.FcntlInt(uintptr(r.fd(101)), unix.F_GETPIPE_SZ, 0); got != test.capacity {
					t.Errorf("capacity of the restored pipe = %d, want %d", got, test.capacity)
				}
				if _, err := unix.Write(r.fd(101), []byte("on")); err != nil {
					t.Errorf("write to the restored pipe: %v", err)
				}
				if all, _ := readAll(r.fd(100)); string(all) != "on" {
					t.Errorf("the restored ends are not of one pipe: read %q, want \"on\"", all)
				}
			}
		})
	}
}

var victimPacketsThenStream = victimProgram("packets then stream", func(v *victimSide) {
	v.makePipe(100, 101, unix.O_NONBLOCK|unix.O_DIRECT)
	v.must(writeAll(101, []byte("one")))
	v.must(writeAll(101, []byte("packet")))
	v.must(setStatus(101, unix.O_NONBLOCK))
	v.must(writeAll(101, []byte("and a ")))
	v.must(writeAll(101, []byte("stream")))
	v.say("ready")
	v.hear()
})

func TestPacketsKeepTheirBordersBeforeAStream(t *testing.T) {
	v := startVictim(t, victimPacketsThenStream)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101)
	a := p.restore(p.capture())
	if err := writeAll(a.fd(101), []byte(" that goes on")); err != nil {
		t.Fatal(err)
	}
	_, lengths := readAll(a.fd(100))
	if fmt.Sprint(lengths) != "[3 6 25]" {
		t.Errorf("reads of the restored pipe = %v, want [3 6 25]", lengths)
	}
}

var victimPipeEnds = victimProgram("pipe ends", func(v *victimSide) {
	v.makePipe(100, 101, 0) // the writing end is closed
	v.must(writeAll(101, []byte("last words")))
	v.must(unix.Close(101))
	v.makePipe(102, 103, 0) // the reading end is closed
	v.must(unix.Close(102))
	v.makePipe(104, 105, 0) // several ends, with flags of their own
	for num, flags := range map[int]int{106: unix.O_RDONLY | unix.O_NONBLOCK, 107: unix.O_WRONLY | unix.O_NONBLOCK, 108: unix.O_RDWR} {
		fd, err := reopen(104, flags)
		v.must(err)
		v.at(num, fd)
	}
	v.must(writeAll(107, []byte("shared")))
	v.say("ready")
	v.hear()
})

func TestAPipeWithOneEndLeftIsAtItsEnd(t *testing.T) {
	v := startVictim(t, victimPipeEnds)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 103)
	a, _ := p.checkTwice(p.capture())
	buf := make([]byte, 100)
	n, err := unix.Read(a.fd(100), buf)
	if string(buf[:max(n, 0)]) != "last words" || err != nil {
		t.Errorf("first read = %q, %v, want \"last words\"", buf[:max(n, 0)], err)
	}
	if n, err := unix.Read(a.fd(100), buf); n != 0 || err != nil {
		t.Errorf("second read = %d, %v, want the end of file", n, err)
	}
	if _, err := unix.Write(a.fd(103), []byte("x")); err != unix.EPIPE {
		t.Errorf("write to a restored pipe without a reader gives %v, want EPIPE", err)
	}
}

func TestEndsOfOnePipeKeepFlagsOfTheirOwn(t *testing.T) {
	v := startVictim(t, victimPipeEnds)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 107, 108, 106, 105, 104)
	a, _ := p.checkTwice(p.capture()) // compares F_GETFL
	buf := make([]byte, 100)
	for _, num := range []int{106, 104, 108} {
		if polled(a.fd(num), unix.POLLIN, 0)&unix.POLLIN == 0 {
			t.Fatalf("end %d of the restored pipe has nothing to read", num)
		}
		n, err := unix.Read(a.fd(num), buf[:2])
		if n != 2 || err != nil {
			t.Errorf("read of end %d = %d, %v, want 2 bytes", num, n, err)
		}
	}
	if _, err := unix.Read(a.fd(106), buf); err != unix.EAGAIN {
		t.Errorf("read of the empty pipe gives %v, want EAGAIN: its bytes are there once", err)
	}
	for _, num := range []int{105, 107, 108} {
		if err := writeAll(a.fd(num), []byte{'x'}); err != nil {
			t.Errorf("write to end %d: %v", num, err)
		}
	}
	if n, _ := unix.IoctlGetInt(a.fd(104), unix.TIOCINQ); n != 3 {
		t.Errorf("the ends write into pipes of their own: %d bytes in one, want 3", n)
	}
}

func TestAPipeThatDoesNotFitTheHostIsAnError(t *testing.T) {
	v := startVictim(t, victimPipe, "131072", "100000", "0")
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101)
	img := p.capture()
	img.Files[0].Pipe.Capacity = 65536 // what a host would give that refuses more
	img.Files[1].Pipe.Capacity = 65536
	if err := p.newMaker(img).try(); err == nil || !strings.Contains(err.Error(), "fs.pipe-max-size") {
		t.Errorf("restore gives %v, want an error that names fs.pipe-max-size", err)
	}
}
