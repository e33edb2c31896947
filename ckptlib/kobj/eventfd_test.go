package kobj

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

var victimEventFD = victimProgram("eventfd", func(v *victimSide) {
	count, err := strconv.ParseUint(os.Args[1], 10, 64)
	v.must(err)
	flags, err := strconv.Atoi(os.Args[2])
	v.must(err)
	fd, err := unix.Eventfd(0, flags|unix.EFD_NONBLOCK)
	v.must(err)
	if count > 0 {
		v.must(eventWrite(fd, count))
	}
	v.at(100, fd)
	v.say("ready")
	v.hear()
	n, err := eventRead(100)
	v.say("%d %v", n, err)
})

func TestEventFDKeepsItsCounterAndItsKind(t *testing.T) {
	for _, test := range []struct {
		count uint64
		flags int
		first uint64 // what the first read gives, 0 for EAGAIN
	}{
		{0, 0, 0},
		{7, 0, 7},
		{1 << 40, 0, 1 << 40},
		{math.MaxUint64 - 1, 0, math.MaxUint64 - 1},
		{0, unix.EFD_SEMAPHORE, 0},
		{3, unix.EFD_SEMAPHORE, 1},
		{1 << 40, unix.EFD_SEMAPHORE, 1},
	} {
		t.Run(fmt.Sprintf("count %d flags %d", test.count, test.flags), func(t *testing.T) {
			v := startVictim(t, victimEventFD, fmt.Sprint(test.count), fmt.Sprint(test.flags))
			v.stop()
			p := newTestPod(t)
			p.add(v.pid, 100)
			img := p.capture()
			v.cont()

			want := fmt.Sprintf("%d <nil>", test.first)
			if test.first == 0 {
				want = "0 read eventfd: resource temporarily unavailable"
			}
			if got := v.ask("read"); got != want {
				t.Errorf("after the capture the victim reads %q, want %q", got, want)
			}
			a, _ := p.checkTwice(img)
			n, err := eventRead(a.fd(100))
			if got := fmt.Sprintf("%d %v", n, err); got != want {
				t.Errorf("first read of the restored eventfd = %q, want %q", got, want)
			}
			if test.flags != 0 && test.first != 0 {
				info, err := ReadFDInfo(os.Getpid(), a.fd(100))
				if err != nil {
					t.Fatal(err)
				}
				if left, err := info.Uint("eventfd-count", 16); left != test.count-1 || err != nil {
					t.Errorf("the restored semaphore has %d, %v left, want %d", left, err, test.count-1)
				}
			}
		})
	}
}

func TestSemaphoreIsProbedWhereTheKernelDoesNotTell(t *testing.T) {
	for _, semaphore := range []bool{false, true} {
		for _, count := range []uint64{0, 1, 2, 3, 1 << 40, math.MaxUint64 - 1} {
			flags := unix.EFD_CLOEXEC | unix.EFD_NONBLOCK
			if semaphore {
				flags |= unix.EFD_SEMAPHORE
			}
			fd, err := unix.Eventfd(0, flags)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if count > 0 {
				if err := eventWrite(fd, count); err != nil {
					t.Fatal(err)
				}
			}
			got, err := probeSemaphore(fd, count)
			if got != semaphore || err != nil {
				t.Errorf("probeSemaphore of count %d = %t, %v, want %t", count, got, err, semaphore)
			}
			info, err := ReadFDInfo(os.Getpid(), fd)
			if err != nil {
				t.Fatal(err)
			}
			if left, _ := info.Uint("eventfd-count", 16); left != count {
				t.Errorf("the probe changed the counter from %d to %d", count, left)
			}
		}
	}
}
