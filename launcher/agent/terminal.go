package agent

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
)

// newTerminalProgram makes a terminal for a program, with the size and the modes
// of the user's.
func newTerminalProgram(p *ckptlib.Pod, r rpc.Program) (*program, error) {
	t, err := p.OpenTerminal()
	if err != nil {
		return nil, err
	}
	s := terminalProgram(r.Stream, t)
	if err = t.Resize(winsize(r.Terminal.Window)); err == nil {
		err = setModes(t, r.Terminal.Modes)
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("set the terminal of %s up: %w", r.Stream, err)
	}
	return s, nil
}

// terminalProgram is a program whose standard streams are all one terminal.
func terminalProgram(stream string, t *ckptlib.Terminal) *program {
	s := emptyProgram(stream)
	s.terminal = t
	s.input, s.endInput = t, func() error { return typeEnd(t) }
	s.output[wire.Stdout] = t
	s.flows[wire.Stdout] = wire.NewFlow()
	return s
}

// typeEnd types what ends the input of a program that reads lines. The terminal
// stays: a shell in it has jobs.
func typeEnd(t *ckptlib.Terminal) error {
	m, err := t.Modes()
	if err != nil || m.Lflag&unix.ICANON == 0 || m.Cc[unix.VEOF] == 0 {
		return err
	}
	_, err = t.Write(m.Cc[unix.VEOF : unix.VEOF+1])
	return err
}

// setModes takes the modes over that depend on the user's keys and screen.
func setModes(t *ckptlib.Terminal, m *rpc.Modes) error {
	if m == nil {
		return nil
	}
	have, err := t.Modes()
	if err != nil {
		return err
	}
	have.Iflag, have.Oflag, have.Lflag = m.Iflag, m.Oflag, m.Lflag
	copy(have.Cc[:], m.Chars)
	return t.SetModes(have)
}

func winsize(w rpc.Window) *unix.Winsize {
	return &unix.Winsize{Row: w.Rows, Col: w.Columns, Xpixel: w.Width, Ypixel: w.Height}
}

// resize tells a program's terminal the size of the user's. A program without
// one is not told.
func (a *agent) resize(_ context.Context, r rpc.ResizeRequest) (nothing, error) {
	s := a.program(r.Stream)
	if s == nil || s.terminal == nil {
		return nothing{}, nil
	}
	set := s.terminal.Resize
	if r.Redraw {
		set = s.terminal.Redraw
	}
	return nothing{}, set(winsize(r.Window))
}

// attachTerminals connects the terminals of a pod that has been restarted.
func (a *agent) attachTerminals(p *ckptlib.Pod) {
	for _, t := range p.Terminals() {
		a.attach(terminalProgram(t.Stream(), t))
	}
}
