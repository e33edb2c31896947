package main

import (
	"bytes"
	"os"
	"sync"
	"time"
)

// tailInterval is how often the output is looked at: the precision of the
// times of lines that have no stamp of their own.
const tailInterval = 2 * time.Millisecond

// A line is one of a program's output.
type line struct {
	text string
	at   time.Time // when it was seen
}

// A tail follows a file that a program writes to. A file and no pipe, for a
// pipe that leads out of what is checkpointed cannot be restored by every tool.
type tail struct {
	file *os.File
	quit chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	lines []line
}

// follow makes an empty file at path and follows it. The caller must stop it.
func follow(path string) (*tail, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	t := &tail{file: f, quit: make(chan struct{})}
	t.done.Go(t.poll)
	return t, nil
}

func (t *tail) stop() {
	close(t.quit)
	t.done.Wait()
	_ = t.file.Close() // only read
}

func (t *tail) poll() {
	var rest []byte
	buf := make([]byte, 64<<10)
	tick := time.NewTicker(tailInterval)
	defer tick.Stop()
	for {
		select {
		case <-t.quit:
			return
		case <-tick.C:
		}
		n, _ := t.file.Read(buf) // io.EOF until there is more
		if n == 0 {
			continue
		}
		now := time.Now()
		rest = append(rest, buf[:n]...)
		t.mu.Lock()
		for {
			text, after, ok := bytes.Cut(rest, []byte("\n"))
			if !ok {
				break
			}
			t.lines = append(t.lines, line{string(text), now})
			rest = after
		}
		t.mu.Unlock()
	}
}

// all returns the lines so far; they are not to be written to.
func (t *tail) all() []line {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lines[:len(t.lines):len(t.lines)]
}
