package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/launcher/wire"
)

// A program holds both sides of the standard streams of a program in the pod.
// The pod's ends stay open here as long as the pod lives: the program's
// descriptors are told from others by them.
type program struct {
	stream string
	pod    [3]*os.File
	input  *os.File    // nil if the input is /dev/null
	output [3]*os.File // of which the first is unused
	flows  [3]*wire.Flow

	mu     sync.Mutex
	queue  [][]byte // input that is not yet in the pipe
	ended  bool     // no more will come
	filled *sync.Cond
}

// newProgram makes the streams of a program.
func newProgram(stream string, input bool) (_ *program, err error) {
	p := &program{stream: stream}
	p.filled = sync.NewCond(&p.mu)
	defer func() {
		if err != nil {
			p.close()
			err = fmt.Errorf("make the standard streams of %s: %w", stream, err)
		}
	}()
	if input {
		if p.pod[0], p.input, err = pipe(false); err != nil {
			return nil, err
		}
	} else if p.pod[0], err = os.Open("/dev/null"); err != nil {
		return nil, err
	}
	for role := wire.Stdout; role <= wire.Stderr; role++ {
		if p.pod[role], p.output[role], err = pipe(true); err != nil {
			return nil, err
		}
		p.flows[role] = wire.NewFlow()
	}
	return p, nil
}

// pipe makes a pipe of which the pod writes or reads one end and this process
// the other. Only our end is non-blocking: the flag belongs to the open file
// description, and the program would inherit it.
func pipe(podWrites bool) (pods, ours *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	pod, own := fds[0], fds[1]
	if podWrites {
		pod, own = own, pod
	}
	if err := unix.SetNonblock(own, true); err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(pod), "pod"), os.NewFile(uintptr(own), "agent"), nil
}

// close closes all ends that are open.
func (p *program) close() {
	p.closePod()
	for _, f := range append([]*os.File{p.input}, p.output[:]...) {
		if f != nil {
			_ = f.Close() // nothing is buffered
		}
	}
}

// closePod closes the pod's ends, so that the output ends when all processes
// that had it have ended.
func (p *program) closePod() {
	for _, f := range p.pod {
		if f != nil {
			_ = f.Close() // nothing is buffered
		}
	}
}

// attach starts to pass the streams of a program on.
func (a *agent) attach(p *program) {
	a.mu.Lock()
	a.programs[p.stream] = p
	a.mu.Unlock()
	if p.input != nil {
		go a.feed(p)
	}
	for role := wire.Stdout; role <= wire.Stderr; role++ {
		a.outputs.Add(1)
		go func() {
			defer a.outputs.Done()
			a.drainOutput(p, role)
		}()
	}
}

// drainOutput sends one output of a program until its end.
func (a *agent) drainOutput(p *program, role int) {
	id := wire.StreamID{Name: p.stream, Role: role}
	buf := make([]byte, 64<<10)
	for {
		n, err := p.output[role].Read(buf)
		for at := 0; at < n; {
			m, ferr := p.flows[role].Take(a.ctx, n-at)
			if ferr != nil {
				return // the coordinator has gone
			}
			if a.conn.SendStream(id, buf[at:at+m], false) != nil {
				return
			}
			at += m
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				a.log.Error("an output could not be read", "stream", p.stream, "role", role, "error", err)
			}
			_ = a.conn.SendStream(id, nil, true) // if it fails there is nobody to know
			return
		}
	}
}

// feed writes input to the pipe.
func (a *agent) feed(p *program) {
	for {
		p.mu.Lock()
		for len(p.queue) == 0 && !p.ended {
			p.filled.Wait()
		}
		if len(p.queue) == 0 {
			p.mu.Unlock()
			_ = p.input.Close() // the program's end of file
			return
		}
		b := p.queue[0]
		p.queue = p.queue[1:]
		p.mu.Unlock()
		if len(b) == 0 {
			continue
		}
		if _, err := p.input.Write(b); err != nil {
			return // the program has ended, or the agent closes down
		}
		if a.conn.SendCredit(wire.StreamID{Name: p.stream, Role: wire.Stdin}, len(b)) != nil {
			return
		}
	}
}

// Stream implements wire.Handler: it takes input.
func (a *agent) Stream(id wire.StreamID, data []byte, end bool) {
	p := a.program(id.Name)
	if p == nil || p.input == nil || id.Role != wire.Stdin {
		a.log.Warn("input for nobody came", "stream", id.Name)
		return
	}
	p.mu.Lock()
	p.queue = append(p.queue, data)
	p.ended = p.ended || end
	p.filled.Signal()
	p.mu.Unlock()
}

// Credit implements wire.Handler.
func (a *agent) Credit(id wire.StreamID, n int) {
	if p := a.program(id.Name); p != nil && p.flows[id.Role] != nil {
		p.flows[id.Role].Give(n)
	}
}

func (a *agent) program(stream string) *program {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.programs[stream]
}
