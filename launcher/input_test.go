package launcher

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/rpc"
)

func TestInputGoesOnInItsFileAndIsOtherwiseTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(n int64) *int64 { return &n }
	for _, tt := range []struct {
		name string
		had  *InputFacts
		rest string
		err  string
		next InputFacts // of a checkpoint two bytes later
	}{
		{"a file from its beginning", &InputFacts{Bytes: 4, Offset: at(4)}, "456789", "", InputFacts{Bytes: 6, Offset: at(6)}},
		{"a file that had been read from", &InputFacts{Bytes: 4, Offset: at(7)}, "789", "", InputFacts{Bytes: 6, Offset: at(9)}},
		{"all of a file", &InputFacts{Bytes: 10, Offset: at(10)}, "", "", InputFacts{Bytes: 12, Offset: at(12)}},
		{"more than the file has", &InputFacts{Bytes: 11, Offset: at(11)}, "", "it has 10 bytes, and checkpoint 3 has the first 11", InputFacts{}},
		{"a pipe", &InputFacts{Bytes: 4}, "0123456789", "", InputFacts{Bytes: 6, Offset: at(2)}},
		{"ended", &InputFacts{Bytes: 4, Ended: true}, "", "", InputFacts{Bytes: 6, Offset: at(2)}},
		{"an older checkpoint", nil, "0123456789", "", InputFacts{Bytes: 2, Offset: at(2)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			j := newJob(Env{Stdin: f, Stdout: io.Discard, Stderr: io.Discard}, flags.Common{})
			err = j.resumeInput(tt.had, 3)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("resumeInput = %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var rest []byte
			if j.env.Stdin != nil {
				if rest, err = io.ReadAll(j.env.Stdin); err != nil {
					t.Fatal(err)
				}
			}
			if string(rest) != tt.rest {
				t.Errorf("the job gets %q, want %q", rest, tt.rest)
			}
			next := j.input.facts(map[string]rpc.Input{mainStream: {Bytes: 2}})
			if next.Bytes != tt.next.Bytes || *next.Offset != *tt.next.Offset {
				t.Errorf("the next checkpoint has %d bytes, up to %d; want %d, up to %d", next.Bytes, *next.Offset, tt.next.Bytes, *tt.next.Offset)
			}
		})
	}
}
