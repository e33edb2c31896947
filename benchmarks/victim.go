package main

import (
	"context"
	_ "embed"
	"fmt"
	"time"
)

//go:embed testdata/victim.c
var victimSource []byte

// settle is how long a program is watched before a checkpoint.
const settle = 2 * time.Second

// victim is one process with much memory that watches the clock.
type victim struct {
	path    string
	mib     int
	times   int // its memory, in multiples of that of others; 0 is 1
	perMil  int // pages of a thousand that are written anew each second
	how     string
	threads int
}

func (v *victim) title() string {
	s := fmt.Sprintf("One process, %d MiB", v.mib)
	if v.how == "half" {
		s += ", a quarter of it random, the rest repeating"
	}
	if v.threads > 1 {
		s += fmt.Sprintf(", %d threads", v.threads)
	}
	return s + fmt.Sprintf(", %d %% of the pages written anew each second", v.perMil/10)
}

func (v *victim) notes() []string {
	return []string{
		"the pause is the largest gap that the process saw in its own clock from the beginning of the checkpoint to 0.2 s after its end, less the largest gap of as long a time before it",
	}
}

func (v *victim) watched() *job {
	return &job{size: int64(v.mib) << 20, argv: []string{v.path, fmt.Sprint(v.mib), "0", fmt.Sprint(v.perMil), v.how, fmt.Sprint(v.threads)}}
}

// A quarter of the memory is enough for a run of some seconds.
func (v *victim) timed() *job {
	return &job{argv: []string{v.path, "work", fmt.Sprint(v.mib / 4), "30"}}
}

func (v *victim) observe(t *tail) observer { return &clockWatcher{tail: t} }

// clockWatcher reads what victim.c prints.
type clockWatcher struct{ tail *tail }

// A tick is a line of the program: of kind beat or gap.
type tick struct {
	kind   string
	at     time.Time
	length time.Duration
}

// parseTick reads a line; ok is false for any other.
func parseTick(s string) (t tick, ok bool) {
	var ns, length int64
	if n, _ := fmt.Sscanf(s, "%s %d %d", &t.kind, &ns, &length); n < 2 {
		return tick{}, false
	}
	t.at, t.length = time.Unix(0, ns), time.Duration(length)
	return t, t.kind == "ready" || t.kind == "beat" || t.kind == "gap" && length > 0
}

func (w *clockWatcher) ready(ctx context.Context) error {
	return until(ctx, "sign that memory is filled", func() bool {
		for _, l := range w.tail.all() {
			if t, ok := parseTick(l.text); ok && t.kind == "beat" {
				return true
			}
		}
		return false
	})
}

func (w *clockWatcher) cue(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settle):
		return nil
	}
}

func (w *clockWatcher) gap(a, b time.Time) time.Duration { return largestGap(w.tail.all(), a, b) }

func largestGap(lines []line, a, b time.Time) (largest time.Duration) {
	for _, l := range lines {
		t, ok := parseTick(l.text)
		if ok && t.kind == "gap" && t.at.Before(b) && t.at.Add(t.length).After(a) {
			largest = max(largest, t.length)
		}
	}
	return largest
}

// beatAfter waits for the first sign of life after a time and returns when that
// was.
func (w *clockWatcher) beatAfter(ctx context.Context, at time.Time) (beat time.Time, err error) {
	err = until(ctx, "sign of life", func() bool {
		for _, l := range w.tail.all() {
			if t, ok := parseTick(l.text); ok && t.kind == "beat" && t.at.After(at) {
				beat = t.at
				return true
			}
		}
		return false
	})
	return beat, err
}

// shows relies on the order of lines: a gap is told of before the beat after it.
func (w *clockWatcher) shows(ctx context.Context, at time.Time) error {
	_, err := w.beatAfter(ctx, at)
	return err
}

func (w *clockWatcher) progress(ctx context.Context, restarted time.Time) (time.Duration, error) {
	beat, err := w.beatAfter(ctx, restarted)
	return beat.Sub(restarted), err
}

func (*clockWatcher) answer(context.Context) (right, asked bool, err error) { return false, false, nil }

func (*clockWatcher) stop() {}
