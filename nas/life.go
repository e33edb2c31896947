package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A life of a job is from a start or restart to its end or its death: one
// process of gompirun, whose outputs are read as they come.
type life struct {
	cmd       *exec.Cmd
	lines     chan string // of both outputs; closed when both have ended
	judged    string      // the line that tells the result, once it came
	committed []checkpoint
	tail      []string // the last lines, for what went wrong
}

// A checkpoint is what gompirun said of one.
type checkpoint struct {
	pause   float64 // ms
	written float64 // bytes
}

// kept is how many lines of a job are shown when it failed.
const kept = 30

var (
	// A search for SUCCESSFUL alone would find UNSUCCESSFUL as well.
	verdictLine   = regexp.MustCompile(`^ Verification\s*=`)
	verifiedLine  = regexp.MustCompile(`^ Verification\s*=\s+SUCCESSFUL$`)
	timeLine      = regexp.MustCompile(`^ Time in seconds =\s+([0-9.]+)$`)
	committedLine = regexp.MustCompile(`^gompirun: checkpoint (\d+): .*, paused ([0-9.]+) ms, .* ([0-9.]+) (B|KiB|MiB|GiB|TiB) written`)
	restartedLine = regexp.MustCompile(`^gompirun: checkpoint \d+ restarted`)
)

func begin(cmd *exec.Cmd) (*life, error) {
	l := &life{cmd: cmd, lines: make(chan string)}
	var readers sync.WaitGroup
	for _, pipe := range []func() (io.ReadCloser, error){cmd.StdoutPipe, cmd.StderrPipe} {
		r, err := pipe()
		if err != nil {
			return nil, err
		}
		readers.Go(func() {
			for s := bufio.NewScanner(r); s.Scan(); {
				l.lines <- strings.TrimRight(s.Text(), "\r")
			}
		})
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { readers.Wait(); close(l.lines) }()
	return l, nil
}

// An event is what await has seen.
type event int

const (
	matched  event = iota
	judged         // the job told its result
	ended          // gompirun closed its outputs
	passed         // the time is over
	canceled       // the context is
)

// await reads lines until one matches, or something else happens. Neither want
// nor a time from limit is needed.
func (l *life) await(ctx context.Context, want *regexp.Regexp, limit <-chan time.Time) (event, []string) {
	for {
		select {
		case line, ok := <-l.lines:
			if !ok {
				return ended, nil
			}
			l.note(line)
			if verdictLine.MatchString(line) {
				l.judged = line
				return judged, nil
			}
			if want != nil {
				if m := want.FindStringSubmatch(line); m != nil {
					return matched, m
				}
			}
		case <-limit:
			return passed, nil
		case <-ctx.Done():
			return canceled, nil
		}
	}
}

// note keeps what is of interest in the end.
func (l *life) note(line string) {
	if l.tail = append(l.tail, line); len(l.tail) > kept {
		l.tail = l.tail[1:]
	}
	m := committedLine.FindStringSubmatch(line)
	if m == nil {
		return
	}
	pause, err := strconv.ParseFloat(m[2], 64)
	written, err2 := strconv.ParseFloat(m[3], 64)
	if err != nil || err2 != nil {
		return
	}
	l.committed = append(l.committed, checkpoint{pause, written * units[m[4]]})
}

var units = map[string]float64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

// gone waits for gompirun after everything was killed.
func (l *life) gone() {
	for line := range l.lines {
		l.note(line)
	}
	_ = l.cmd.Wait() // it was killed
}

// status waits for the end of gompirun whose outputs have ended.
func (l *life) status() error {
	err := l.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("gompirun ended with status %d", exit.ExitCode())
	}
	return err
}
