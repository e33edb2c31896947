package tracer

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Out stands in a Batch's arguments for the address of the call's answer.
const Out = ^uint64(0) - 0x07

// A Batch is system calls that a thread makes without stopping in between: a
// call by itself takes two stops, for each of which the thread must get a
// processor. No Syscall or Put may come between Ask and Run.
type Batch struct {
	r     *Remote
	calls []ask
	used  int // of the scratch memory
}

type ask struct {
	nr   uint64
	args [6]uint64
	at   int // of the answer in the scratch memory
	size int
	then func(ret uint64, out []byte, err error) error
}

// Batch begins a batch. Preconditions: the Remote has scratch memory.
func (r *Remote) Batch() *Batch { return &Batch{r: r} }

// Ask adds a call. then, if not nil, is called by Run with its result and size
// bytes of answer, which the call was told to put at Out. A batch that is full is
// run first.
//
// Preconditions: size is at most ScratchSize.
func (b *Batch) Ask(size int, then func(ret uint64, out []byte, err error) error, nr uint64, args ...uint64) error {
	size = (size + 7) &^ 7
	if len(b.calls) == batchCalls || b.used+size > ScratchSize {
		if err := b.Run(); err != nil {
			return err
		}
	}
	a := ask{nr: nr, at: b.used, size: size, then: then}
	copy(a.args[:], args)
	for i := range a.args {
		if a.args[i] == Out {
			a.args[i] = b.r.scratch + uint64(a.at)
		}
	}
	b.used += size
	b.calls = append(b.calls, a)
	return nil
}

// Run makes the calls and hands on what they have returned, in order. The first
// error of the thread or of a then ends it.
func (b *Batch) Run() error {
	calls, used := b.calls, b.used
	b.calls, b.used = nil, 0
	if len(calls) == 0 {
		return nil
	}
	results, err := b.r.make(calls)
	if err != nil {
		return err
	}
	out := make([]byte, used)
	if err := b.r.Get(0, out); err != nil {
		return err
	}
	for i, a := range calls {
		if a.then == nil {
			continue
		}
		var failed error
		if e := -int64(results[i]); e > 0 && e < 4096 {
			failed = unix.Errno(e)
		}
		if err := a.then(results[i], out[a.at:a.at+a.size], failed); err != nil {
			return err
		}
	}
	return nil
}

// make makes calls, one by one if it has to.
func (r *Remote) make(calls []ask) ([]uint64, error) {
	results := make([]uint64, len(calls))
	if r.batch {
		return results, r.run(calls, results)
	}
	for i, a := range calls {
		ret, err := r.Syscall(a.nr, a.args[:]...)
		var errno unix.Errno
		if err != nil && !errors.As(err, &errno) {
			return nil, err
		}
		results[i] = ret
	}
	return results, nil
}
