package kobj

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
)

// TestEveryOptionComesBack sets each option of the table that an int can be
// given to something else than its default, captures the socket and restores it.
func TestEveryOptionComesBack(t *testing.T) {
	testuser.Again(t)
	for _, kind := range [][2]int{{v4, stream}, {v6, stream}, {v4, unix.SOCK_DGRAM}, {v6, unix.SOCK_DGRAM}} {
		var set int
		for i := range sockopts {
			o := &sockopts[i]
			if !o.applies(kind[0], kind[1]) || o.name == unix.SO_RCVBUF || o.name == unix.SO_SNDBUF || o.size != 4 {
				continue
			}
			t.Run(fmt.Sprintf("family %d type %d level %d option %d", kind[0], kind[1], o.level, o.name), func(t *testing.T) {
				fd, err := unix.Socket(kind[0], kind[1]|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer unix.Close(fd)
				fresh := o.read(fd)
				if fresh == nil {
					return
				}
				var want []byte
				for _, v := range []int32{int32(binary.NativeEndian.Uint32(fresh)) + 1, 0, 1, 2, 16} {
					b := binary.NativeEndian.AppendUint32(nil, uint32(v))
					if o.write(fd, b) == nil {
						if want = o.read(fd); !bytes.Equal(want, fresh) {
							break
						}
					}
				}
				if bytes.Equal(want, fresh) || want == nil {
					return // not settable
				}
				set++
				again := recreated(t, fd)
				if got := o.read(again); !bytes.Equal(got, want) {
					t.Errorf("option is %x, want %x (by default %x)", got, want, fresh)
				}
			})
		}
		t.Logf("family %d type %d: %d options", kind[0], kind[1], set)
		if set < 20 {
			t.Errorf("only %d options could be set on sockets of family %d and type %d", set, kind[0], kind[1])
		}
	}
}

// recreated captures a socket and restores it.
func recreated(t *testing.T, fd int) int {
	t.Helper()
	s := &Source{FD: fd, PID: unix.Getpid(), Num: fd}
	if err := s.look(); err != nil {
		t.Fatal(err)
	}
	f, err := Capture(newTestPod(t), s)
	if err != nil {
		t.Fatal(err)
	}
	m := &Maker{Warn: t.Logf}
	again, err := Restore(m, &f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(again) })
	m.File = func(image.FileID) (int, error) { return again, nil }
	if err := Settle(m, &f); err != nil {
		t.Fatal(err)
	}
	return again
}

// A buffer that nobody has set grows with what goes through it, and one that was
// set never does, also where it was set to what it had.
func TestBufferSetToItsDefaultStaysSet(t *testing.T) {
	testuser.Again(t)
	for _, want := range []int{0, linux.SndBufLock, linux.RcvBufLock, linux.SndBufLock | linux.RcvBufLock} {
		fd, err := unix.Socket(v4, stream|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		sizes := func(fd int) (got [2]int) {
			for i, name := range []int{unix.SO_SNDBUF, unix.SO_RCVBUF} {
				if got[i], err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, name); err != nil {
					t.Fatal(err)
				}
			}
			return got
		}
		fresh := sizes(fd)
		for i, name := range []int{unix.SO_SNDBUF, unix.SO_RCVBUF} {
			if want>>i&1 != 0 {
				if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, name, fresh[i]/2); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, linux.SOBufLock); err != nil {
			t.Skipf("before Linux 5.14 nobody can tell whether a buffer was set: %v", err)
		}
		again := recreated(t, fd)
		got, err := unix.GetsockoptInt(again, unix.SOL_SOCKET, linux.SOBufLock)
		if err != nil || got != want || sizes(again) != fresh {
			t.Errorf("buffers %v that were set as in %d are %v, set as in %d (%v)", fresh, want, sizes(again), got, err)
		}
	}
}
