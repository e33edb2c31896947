package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Type says what a frame is.
type Type uint8

// Types of frames. Never reuse or renumber one.
const (
	TypeHello   Type = 1  // Hello
	TypeGoodbye Type = 2  // Goodbye
	TypeRequest Type = 3  // request
	TypeReply   Type = 4  // what the method returns
	TypeFail    Type = 5  // Error
	TypeCancel  Type = 6  // empty
	TypeEvent   Type = 7  // request
	TypeInput   Type = 8  // name and bytes
	TypeOutput  Type = 9  // name and bytes
	TypeCredit  Type = 10 // credit
)

// Flags of Input, Output and Credit frames. The low bits are the role of the
// stream: 0, 1 and 2 for standard input, output and error.
const (
	roleMask uint8 = 0x03
	flagEnd  uint8 = 0x80 // nothing follows on this stream
)

const (
	headerSize = 16

	// MaxBody is the longest body in bytes. The list of the connections of a big
	// job is the largest there is. Four letters of text, read as a length, are
	// always more.
	MaxBody = 64 << 20
)

// A Frame is the unit of the protocol. Body is the receiver's.
type Frame struct {
	Type  Type
	Flags uint8
	Call  uint64
	Body  []byte
}

// A FrameError says that what came was no frame.
type FrameError struct {
	Reason string
}

// Error implements error.
func (e *FrameError) Error() string { return e.Reason }

// AppendFrame appends the bytes of a frame to b. A body longer than MaxBody is
// an error.
func AppendFrame(b []byte, f Frame) ([]byte, error) {
	if len(f.Body) > MaxBody {
		return b, &FrameError{fmt.Sprintf("frame is too long: %d bytes, at most %d", len(f.Body), MaxBody)}
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Body)))
	b = append(b, byte(f.Type), f.Flags, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, f.Call)
	return append(b, f.Body...), nil
}

// ReadFrame reads one frame. The error is io.EOF only where the stream ends
// between two frames, and *FrameError for what is no frame.
func ReadFrame(r io.Reader) (Frame, error) {
	var h [headerSize]byte
	if n, err := io.ReadFull(r, h[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return Frame{}, cut(h[:n])
		}
		return Frame{}, err
	}
	n := binary.LittleEndian.Uint32(h[0:])
	switch {
	case n > MaxBody:
		return Frame{}, &FrameError{fmt.Sprintf("frame is too long: %d bytes, at most %d "+
			"(is something printing to the agent's standard output? it begins with %q)", n, MaxBody, h[:])}
	case h[6] != 0 || h[7] != 0:
		return Frame{}, &FrameError{fmt.Sprintf("the header %x is not one of protocol version %d", h, Version)}
	}
	f := Frame{Type: Type(h[4]), Flags: h[5], Call: binary.LittleEndian.Uint64(h[8:])}
	if n == 0 {
		return f, nil
	}
	body, err := readBody(r, int(n))
	f.Body = body
	return f, err
}

// bodyStep bounds what is allocated before as much has arrived.
const bodyStep = 1 << 20

func readBody(r io.Reader, n int) ([]byte, error) {
	var body []byte
	for len(body) < n {
		step := min(n-len(body), max(bodyStep, len(body)))
		at := len(body)
		body = append(body, make([]byte, step)...)
		if got, err := io.ReadFull(r, body[at:]); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, &FrameError{fmt.Sprintf("the stream ends inside a frame, after %d of %d bytes", at+got, n)}
			}
			return nil, err
		}
	}
	return body, nil
}

// cut explains an end inside a header, which is where a short message of a login
// shell ends.
func cut(got []byte) error {
	return &FrameError{fmt.Sprintf("the stream ends inside a frame's header, after %q "+
		"(is something printing to the agent's standard output?)", got)}
}
