package agent

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/launcher/rpc"
)

// An inputPipe is our end of the pipe that a program has for standard input. It
// counts what went in, so that a checkpoint knows how far the input is.
type inputPipe struct {
	f *os.File // non-blocking

	mu  sync.Mutex // held while a byte goes in, and by a snapshot
	has rpc.Input
}

// Write implements io.Writer. While it waits for room in the pipe it does not hold
// the lock: a snapshot is made of programs that do not read.
func (p *inputPipe) Write(b []byte) (int, error) {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return 0, err
	}
	written := 0
	for written < len(b) && err == nil {
		var failed error
		err = raw.Write(func(fd uintptr) bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			var n int
			if n, failed = unix.Write(int(fd), b[written:]); failed == nil {
				written += n
				p.has.Bytes += int64(n)
			}
			return !errors.Is(failed, unix.EAGAIN)
		})
		if err == nil && !errors.Is(failed, unix.EINTR) {
			err = failed
		}
	}
	return written, err
}

// Close gives the program the end of its input.
func (p *inputPipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.has.Ended = true
	return p.f.Close()
}

// holdInputs keeps the programs' inputs as they are until release is called, and
// tells how far each is, by the programs' streams.
func (a *agent) holdInputs() (have map[string]rpc.Input, release func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	have = map[string]rpc.Input{}
	var held []*inputPipe
	for name, s := range a.programs {
		if p, ok := s.input.(*inputPipe); ok {
			p.mu.Lock()
			held = append(held, p)
			have[name] = p.has
		}
	}
	return have, func() {
		for _, p := range held {
			p.mu.Unlock()
		}
	}
}
