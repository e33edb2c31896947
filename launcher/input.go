package launcher

import (
	"fmt"
	"io"
	"os"

	"github.com/gompirun/gompirun/launcher/rpc"
)

// InputFacts says how much of the job's standard input a checkpoint has.
type InputFacts struct {
	Bytes int64 `json:"bytes"` // since the job began
	// Ended: all of it. A restart gives the job no other.
	Ended bool `json:"ended,omitempty"`
	// Offset is where the rest begins in the file that it came from; nil if it came
	// from none.
	Offset *int64 `json:"offset,omitempty"`
}

// An input is the job's standard input in this process's hands.
type input struct {
	before int64  // bytes that the job had when this process took it over
	start  *int64 // in the file from where this process reads; nil if that is none
}

// openInput notes where a file on standard input begins for this job.
func openInput(in io.Reader) input {
	if f := regular(in); f != nil {
		if at, err := f.Seek(0, io.SeekCurrent); err == nil {
			return input{start: &at}
		}
	}
	return input{}
}

// regular is the file that an input is, nil if it is none that can be read from any
// place.
func regular(in io.Reader) *os.File {
	f, ok := in.(*os.File)
	if !ok {
		return nil
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil
	}
	return f
}

// resumeInput lets standard input go on where a checkpoint has it. A file is read
// from there, as one that the job had opened itself would be; all else is taken for
// what follows.
func (j *Job) resumeInput(had *InputFacts, generation int) error {
	if had == nil {
		return nil // the job has a terminal, or was checkpointed by an older gompirun
	}
	j.input.before = had.Bytes
	f := regular(j.env.Stdin)
	switch {
	case had.Ended:
		j.env.Stdin = nil
	case f != nil && had.Offset != nil:
		st, err := f.Stat()
		if err == nil && st.Size() < *had.Offset {
			err = fmt.Errorf("it has %d bytes, and checkpoint %d has the first %d of the file that it was\n  give the same file, or what follows through a pipe", st.Size(), generation, *had.Offset)
		}
		if err == nil {
			_, err = f.Seek(*had.Offset, io.SeekStart)
		}
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		j.input.start = had.Offset
		j.say("standard input goes on at byte %d of its file", *had.Offset)
	case had.Bytes > 0 && j.env.Stdin != nil:
		j.say("checkpoint %d has %d bytes of standard input; what comes now is taken for what follows them", generation, had.Bytes)
	}
	return nil
}

// facts says how far the input is in a checkpoint whose pod 0 has these.
func (i *input) facts(inputs map[string]rpc.Input) *InputFacts {
	has, ok := inputs[mainStream]
	if !ok {
		return nil
	}
	f := InputFacts{Bytes: i.before + has.Bytes, Ended: has.Ended}
	if i.start != nil {
		at := *i.start + has.Bytes
		f.Offset = &at
	}
	return &f
}
