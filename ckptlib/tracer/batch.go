package tracer

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Out stands in the arguments of Ask for the address of the call's answer, In in
// those of Tell for that of what it is told.
const (
	Out = ^uint64(0) - 0x07
	In  = ^uint64(0) - 0x0f
)

// A Batch is system calls that a thread makes without stopping in between: a
// call by itself takes two stops, for each of which the thread must get a
// processor. No Syscall or Put may come between Ask or Tell and Run.
type Batch struct {
	r     *Remote
	calls []ask
	room  []byte // what the scratch memory begins with: what calls are told, room for answers
	told  bool
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
	return b.add(size, nil, then, nr, args)
}

// Tell adds a call that is not to fail: Run's error begins with what it does. It
// finds data, which may be nil, at In. A batch that is full is run first.
//
// Preconditions: data has at most ScratchSize bytes.
func (b *Batch) Tell(what string, data []byte, nr uint64, args ...uint64) error {
	return b.add(len(data), data, func(_ uint64, _ []byte, err error) error {
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
		return err
	}, nr, args)
}

func (b *Batch) add(size int, data []byte, then func(uint64, []byte, error) error, nr uint64, args []uint64) error {
	size = (size + 7) &^ 7
	if len(b.calls) == batchCalls || len(b.room)+size > ScratchSize {
		if err := b.Run(); err != nil {
			return err
		}
	}
	a := ask{nr: nr, at: len(b.room), size: size, then: then}
	copy(a.args[:], args)
	for i := range a.args {
		if a.args[i] == Out || a.args[i] == In {
			a.args[i] = b.r.scratch + uint64(a.at)
		}
	}
	b.room = append(b.room, make([]byte, size)...)
	copy(b.room[a.at:], data)
	b.told = b.told || data != nil
	b.calls = append(b.calls, a)
	return nil
}

// Run makes the calls and hands on what they have returned, in order. The first
// error of the thread or of a then ends it.
func (b *Batch) Run() error {
	calls, room, told := b.calls, b.room, b.told
	b.calls, b.room, b.told = nil, nil, false
	if len(calls) == 0 {
		return nil
	}
	if told {
		if _, err := b.r.Put(0, room); err != nil {
			return err
		}
	}
	results, err := b.r.make(calls)
	if err != nil {
		return err
	}
	if err := b.r.Get(0, room); err != nil {
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
		if err := a.then(results[i], room[a.at:a.at+a.size], failed); err != nil {
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
