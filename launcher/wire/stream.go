package wire

import (
	"encoding/json"
	"fmt"
)

// Window is how many bytes of a stream may be on their way before the first are
// credited.
const Window = 1 << 20

// maxChunk is the most bytes that one Input or Output frame carries, so that a
// message between two of them does not wait long.
const maxChunk = 64 << 10

// Roles of streams.
const (
	Stdin  = 0
	Stdout = 1
	Stderr = 2
)

// StreamID names one of the three streams of a program.
type StreamID struct {
	Name string // of the program, at most 255 bytes
	Role int    // Stdin, Stdout or Stderr
}

// SendStream sends bytes of a stream: Input for Stdin, Output for the others.
// The caller keeps to the window. With end, nothing follows on the stream.
func (c *Conn) SendStream(id StreamID, data []byte, end bool) error {
	t := TypeOutput
	if id.Role == Stdin {
		t = TypeInput
	}
	for {
		n := min(len(data), maxChunk)
		f := Frame{Type: t, Flags: uint8(id.Role), Body: appendName(nil, id.Name)}
		f.Body = append(f.Body, data[:n]...)
		data = data[n:]
		if end && len(data) == 0 {
			f.Flags |= flagEnd
		}
		if err := c.send(f); err != nil {
			return err
		}
		if len(data) == 0 {
			return nil
		}
	}
}

// credit is the body of a Credit frame.
type credit struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
}

// SendCredit tells the sender of a stream that n bytes have been passed on.
func (c *Conn) SendCredit(id StreamID, n int) error {
	b, err := json.Marshal(credit{id.Name, n})
	if err != nil {
		return err
	}
	return c.send(Frame{Type: TypeCredit, Flags: uint8(id.Role), Body: b})
}

func appendName(b []byte, name string) []byte {
	return append(append(b, byte(len(name))), name...)
}

// takeStream handles the frames of streams.
func (c *Conn) takeStream(f Frame) error {
	id := StreamID{Role: int(f.Flags & roleMask)}
	if id.Role > Stderr {
		return &FrameError{fmt.Sprintf("a stream has the unknown role %d", id.Role)}
	}
	if f.Type == TypeCredit {
		var cr credit
		if err := json.Unmarshal(f.Body, &cr); err != nil {
			return fmt.Errorf("a credit is damaged: %w", err)
		}
		if cr.Bytes < 0 {
			return &FrameError{fmt.Sprintf("a credit of %d bytes came", cr.Bytes)}
		}
		id.Name = cr.Name
		c.h.Credit(id, cr.Bytes)
		return nil
	}
	if len(f.Body) == 0 || len(f.Body) < 1+int(f.Body[0]) {
		return &FrameError{"a stream's frame is shorter than its name"}
	}
	n := 1 + int(f.Body[0])
	id.Name = string(f.Body[1:n])
	c.h.Stream(id, f.Body[n:], f.Flags&flagEnd != 0)
	return nil
}
