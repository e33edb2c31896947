package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The bytes of each type of frame, for ever.
func TestFramesHaveTheseBytes(t *testing.T) {
	for _, tt := range []struct {
		frame Frame
		hex   string
	}{
		{Frame{Type: TypeHello, Body: []byte(`{"protocol":1}`)}, "0e00000001000000" + "0000000000000000" + hex.EncodeToString([]byte(`{"protocol":1}`))},
		{Frame{Type: TypeGoodbye}, "0000000002000000" + "0000000000000000"},
		{Frame{Type: TypeRequest, Call: 0x0102, Body: []byte("{}")}, "0200000003000000" + "0201000000000000" + "7b7d"},
		{Frame{Type: TypeReply, Call: 1, Body: []byte("{}")}, "0200000004000000" + "0100000000000000" + "7b7d"},
		{Frame{Type: TypeFail, Call: 1, Body: []byte("{}")}, "0200000005000000" + "0100000000000000" + "7b7d"},
		{Frame{Type: TypeCancel, Call: 1 << 63}, "0000000006000000" + "0000000000000080"},
		{Frame{Type: TypeEvent, Body: []byte("{}")}, "0200000007000000" + "0000000000000000" + "7b7d"},
		{Frame{Type: TypeInput, Flags: flagEnd, Body: append(appendName(nil, "main"), 'x')}, "0600000008800000" + "0000000000000000" + "046d61696e78"},
		{Frame{Type: TypeOutput, Flags: Stderr, Body: appendName(nil, "d")}, "0200000009020000" + "0000000000000000" + "0164"},
		{Frame{Type: TypeCredit, Flags: Stdout, Body: []byte("{}")}, "020000000a010000" + "0000000000000000" + "7b7d"},
	} {
		b, err := AppendFrame(nil, tt.frame)
		if got := hex.EncodeToString(b); err != nil || got != tt.hex {
			t.Errorf("AppendFrame(type %d) = %s, %v, want %s", tt.frame.Type, got, err, tt.hex)
		}
		back, err := ReadFrame(bytes.NewReader(b))
		if err != nil || !cmp.Equal(back, tt.frame) {
			t.Errorf("ReadFrame(%s) = %+v, %v, want %+v", tt.hex, back, err, tt.frame)
		}
	}
}

func TestBannerOfALoginShellIsNamedAsSuch(t *testing.T) {
	for _, banner := range []string{
		"Welcome to the cluster!\nMaintenance on Monday.\n",
		"motd\n", // shorter than a header
	} {
		_, err := ReadFrame(strings.NewReader(banner))
		if err == nil || !strings.Contains(err.Error(), "is something printing to the agent's standard output?") {
			t.Errorf("ReadFrame(%q) = %v, want a message about what prints there", banner, err)
		}
	}
	_, err := ReadFrame(strings.NewReader("Welcome to the cluster!\n"))
	if err == nil || !strings.Contains(err.Error(), "frame is too long: 1668048215 bytes, at most 67108864") {
		t.Errorf("ReadFrame of a banner = %v, want the length", err)
	}
}

func TestEndIsInOrderOnlyBetweenFrames(t *testing.T) {
	b, err := AppendFrame(nil, Frame{Type: TypeEvent, Body: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFrame(bytes.NewReader(nil)); !errors.Is(err, io.EOF) {
		t.Errorf("ReadFrame of nothing = %v, want io.EOF", err)
	}
	for n := 1; n < len(b); n++ {
		_, err := ReadFrame(bytes.NewReader(b[:n]))
		var f *FrameError
		if !errors.As(err, &f) {
			t.Errorf("ReadFrame of %d of %d bytes = %v, want a FrameError", n, len(b), err)
		}
	}
}

func TestLongBodiesAreNotAllocatedBeforeTheyCome(t *testing.T) {
	header := []byte{0, 0, 0, 4, byte(TypeEvent), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // 64 MiB
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := ReadFrame(bytes.NewReader(header)); err == nil {
		t.Error("a body that never came was read")
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 8*bodyStep {
		t.Errorf("ReadFrame allocates %d bytes for a body of which none has come, want a few steps of %d", got, bodyStep)
	}
}

func FuzzFrameRoundTrip(f *testing.F) {
	f.Add(byte(1), byte(0), uint64(0), []byte("{}"))
	f.Add(byte(9), byte(0x82), uint64(1<<40), []byte{})
	f.Fuzz(func(t *testing.T, typ, flags byte, call uint64, body []byte) {
		in := Frame{Type: Type(typ), Flags: flags, Call: call, Body: body}
		if len(body) == 0 {
			in.Body = nil
		}
		b, err := AppendFrame(nil, in)
		if err != nil {
			t.Fatal(err)
		}
		out, err := ReadFrame(bytes.NewReader(b))
		if err != nil || !cmp.Equal(in, out) {
			t.Errorf("ReadFrame(AppendFrame(%+v)) = %+v, %v", in, out, err)
		}
	})
}

func FuzzReadFrameSurvivesAnything(f *testing.F) {
	f.Add([]byte("Welcome to the cluster!\n"))
	f.Add([]byte{2, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, '{', '}'})
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := ReadFrame(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := AppendFrame(nil, fr)
		if err != nil || !bytes.HasPrefix(b, again) {
			t.Errorf("the frame read from %x is written as %x, %v", b, again, err)
		}
	})
}
