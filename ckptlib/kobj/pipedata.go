package kobj

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// pipeContent is what lies in a pipe.
type pipeContent struct {
	data    []byte
	packets []int // see image.Pipe
}

// peekPipe returns what lies in a pipe, given a reading end, and leaves it
// there: tee(2) lends the same buffers to a pipe of our own.
func peekPipe(fd int) (pipeContent, error) {
	var c pipeContent
	total, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil || total == 0 {
		return c, err
	}
	size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return c, err
	}
	var own [2]int
	if err := unix.Pipe2(own[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return c, err
	}
	defer unix.Close(own[0])
	defer unix.Close(own[1])
	// Room for one buffer more than there can be; an ordinary user may not have
	// it, and then gets by with as many.
	if _, err := unix.FcntlInt(uintptr(own[1]), unix.F_SETPIPE_SZ, 2*size); err != nil {
		_, err = unix.FcntlInt(uintptr(own[1]), unix.F_SETPIPE_SZ, size)
		if err != nil && !errors.Is(err, unix.EPERM) {
			return c, err
		}
	}
	// One call: a second would begin at the first buffer again.
	n, err := unix.Tee(fd, own[1], total, unix.SPLICE_F_NONBLOCK)
	if err != nil && err != unix.EAGAIN {
		return c, fmt.Errorf("tee: %w", err)
	}
	if int(n) < total {
		return c, fmt.Errorf("only %d of the %d bytes in the pipe can be looked at: raise fs.pipe-user-pages-soft on this host", n, total)
	}
	return splitPackets(own, total)
}

// splitPackets reads a private pipe and finds where its packets end: a read
// stops there. A byte of ours behind the last buffer tells whether that, too,
// is a packet or has a stream that goes on.
func splitPackets(own [2]int, total int) (pipeContent, error) {
	c := pipeContent{data: make([]byte, total+1)}
	marked := false
	for got := 0; got < total; {
		if !marked {
			_, err := unix.Write(own[1], []byte{0})
			marked = err == nil // else there is no free buffer yet
		}
		n, err := unix.Read(own[0], c.data[got:])
		if err != nil {
			return c, fmt.Errorf("read a copy of the pipe: %w", err)
		}
		got += n
		if got > total {
			break
		}
		if got < total || marked {
			c.packets = append(c.packets, n)
		}
	}
	c.data = c.data[:total]
	return c, nil
}

// refillPipe writes bytes into a pipe: first the packets, each by a write in
// packet mode, then the rest. fd is a writing end, whose status flags are left
// as they were.
func refillPipe(m *Maker, fd int, data *image.Blob, packets []int) error {
	b, err := m.Blob(*data)
	if err != nil {
		return err
	}
	if int64(len(b)) != data.Size {
		return fmt.Errorf("the pipe held %d bytes, the image has %d", data.Size, len(b))
	}
	w, err := reopen(fd, unix.O_WRONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer unix.Close(w)
	for _, n := range packets {
		if n <= 0 || n > len(b) {
			return fmt.Errorf("a packet of %d bytes where %d are left: the image is damaged", n, len(b))
		}
		// A packet has at most a page: what is longer began as a stream.
		stream := max(0, n-4096)
		if err := refill(w, b[:stream], 0); err != nil {
			return err
		}
		if err := refill(w, b[stream:n], unix.O_DIRECT); err != nil {
			return err
		}
		b = b[n:]
	}
	return refill(w, b, 0)
}

func refill(w int, b []byte, mode int) error {
	if len(b) == 0 {
		return nil
	}
	if err := setStatus(w, unix.O_NONBLOCK|mode); err != nil {
		return err
	}
	err := writeAll(w, b)
	if errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("the pipe is too small for what it held: raise fs.pipe-max-size and fs.pipe-user-pages-soft on this host: %w", err)
	}
	return err
}
