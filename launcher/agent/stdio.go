package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib"
	"github.com/gompirun/gompirun/launcher/wire"
)

// A program holds both sides of the standard streams of a program in the pod.
// The pod's ends stay open here as long as the pod lives: the program's
// descriptors are told from others by them.
type program struct {
	stream   string
	pod      [3]*os.File
	input    io.Writer    // nil if the input is /dev/null
	endInput func() error // gives the program its end of file
	output   [3]io.Reader // nil for those that there are not
	flows    [3]*wire.Flow
	ours     []*os.File
	terminal *ckptlib.Terminal // nil if the streams are pipes

	mu     sync.Mutex
	queue  [][]byte // input that is not yet in the pipe
	ended  bool     // no more will come
	filled *sync.Cond
}

func emptyProgram(stream string) *program {
	p := &program{stream: stream}
	p.filled = sync.NewCond(&p.mu)
	return p
}

// newProgram makes the streams of a program.
func newProgram(stream string, input bool) (_ *program, err error) {
	p := emptyProgram(stream)
	defer func() {
		if err != nil {
			p.close()
			err = fmt.Errorf("make the standard streams of %s: %w", stream, err)
		}
	}()
	if input {
		var end *os.File
		if p.pod[0], end, err = pipe(false); err != nil {
			return nil, err
		}
		in := &inputPipe{f: end}
		p.input, p.endInput = in, in.Close
		p.ours = append(p.ours, end)
	} else if p.pod[0], err = os.Open("/dev/null"); err != nil {
		return nil, err
	}
	for role := wire.Stdout; role <= wire.Stderr; role++ {
		var end *os.File
		if p.pod[role], end, err = pipe(true); err != nil {
			return nil, err
		}
		p.output[role] = end
		p.ours = append(p.ours, end)
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
	for _, f := range p.ours {
		_ = f.Close() // nothing is buffered
	}
	if p.terminal != nil {
		p.terminal.Close()
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
	if p.terminal != nil {
		p.terminal.CloseSlave()
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
		if p.output[role] == nil {
			continue
		}
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
			if err := p.endInput(); err != nil {
				a.log.Warn("the end of the input was not passed on", "stream", p.stream, "error", err)
			}
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
