package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gompirun/gompirun/ci/reaper"
)

const (
	// aftermath is how long after a checkpoint a gap still counts as its own.
	aftermath = 200 * time.Millisecond
	// every is the time between checkpoints of a run that has them.
	every = 10 * time.Second
	// giveUp is how often a step of a tool may fail before it is left out.
	giveUp = 2
)

// measureCase measures all tools in turn, a round after the other, each round
// beginning with another tool.
func measureCase(ctx context.Context, name string, w workload, o options, dir string) (caseResult, error) {
	c := caseResult{Name: name, Title: w.title(), Notes: w.notes()}
	var meters []*meter
	for _, name := range o.tools {
		t := newTool(name, o)
		r := toolResult{Tool: name, Series: map[string]series{}, Failures: map[string]int{}}
		if r.Missing = t.missing(w.watched()); r.Missing == "" {
			r.Version = t.version(ctx)
		}
		meters = append(meters, &meter{w: w, t: t, dir: dir, toolResult: r})
	}
	for round := range o.rounds {
		for i := range meters {
			m := meters[(round+i)%len(meters)]
			if m.Missing != "" {
				continue
			}
			fmt.Fprintf(os.Stderr, "%s: round %d of %d: %s\n", c.Title, round+1, o.rounds, m.Tool)
			m.round(ctx)
			if ctx.Err() != nil {
				return c, ctx.Err()
			}
		}
	}
	for _, m := range meters {
		c.Tools = append(c.Tools, m.toolResult)
	}
	return c, nil
}

// A meter measures one tool in one case.
type meter struct {
	toolResult
	w       workload
	t       tool
	dir     string
	timed   int // failures of each step
	watched int
	quiet   time.Time // when the checkpoint before had no effect any more
}

// round is one run to the end, and one with checkpoints and a restart.
func (m *meter) round(ctx context.Context) {
	if y, ok := m.t.(yardstick); ok {
		values, err := y.measure(ctx, m.w.watched(), m.dir)
		if err != nil {
			m.failed(err)
		}
		for key, v := range values {
			m.add(key, v)
		}
		return
	}
	if m.timed < giveUp {
		err := m.runTime(ctx, keyRun, 0)
		if err == nil && m.Tool == toolGompirun {
			err = m.runTime(ctx, keyRunEvery, every)
		}
		if err != nil {
			m.timed++
			m.failed(err)
		}
	}
	if m.Tool != toolNative && m.watched < giveUp {
		if err := m.checkpoints(ctx); err != nil {
			m.watched++
			m.failed(err)
		}
	}
}

func (m *meter) failed(err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", m.Tool, err)
	m.Failures[err.Error()]++
}

func (m *meter) add(key string, v float64) { m.Series[key] = append(m.Series[key], v) }

// begin starts a job with an empty directory of its own; end ends whatever is
// left of it.
func (m *meter) begin(ctx context.Context, j *job) (s session, t *tail, end func(), err error) {
	if j.dir, err = os.MkdirTemp(m.dir, "job-"); err != nil {
		return nil, nil, nil, err
	}
	j.out = filepath.Join(j.dir, "output")
	if t, err = follow(j.out); err != nil {
		return nil, nil, nil, err
	}
	end = func() {
		reaper.EndAll()
		t.stop()
		if err := os.RemoveAll(j.dir); err != nil {
			m.failed(err)
		}
		// What is still to be written back would burden the next one.
		syncFileSystem(m.dir)
	}
	if s, err = m.t.start(ctx, j); err != nil {
		end()
	}
	return s, t, end, err
}

func (m *meter) runTime(ctx context.Context, key string, every time.Duration) error {
	j := m.w.timed()
	j.every = every
	began := time.Now()
	s, _, end, err := m.begin(ctx, j)
	if err != nil {
		return err
	}
	defer end()
	if err := s.wait(ctx); err != nil {
		return fmt.Errorf("run without checkpoints: %w", err)
	}
	m.add(key, time.Since(began).Seconds())
	return nil
}

func (m *meter) checkpoints(ctx context.Context) error {
	s, t, end, err := m.begin(ctx, m.w.watched())
	if err != nil {
		return err
	}
	defer end()
	o := m.w.observe(t)
	defer o.stop()
	if err := o.ready(ctx); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	first, err := m.one(ctx, s, o, keyPause, keyDurable, keyBytes)
	if err != nil {
		return err
	}
	if first.reported > 0 {
		m.add(keyReported, ms(first.reported))
	}
	second, err := m.one(ctx, s, o, keyPause2, keyDurable2, keyBytes2)
	if err != nil {
		return err
	}
	if second.changed > 0 {
		m.add(keyChanged2, mib(second.changed))
	}
	if second.memory > 0 {
		m.add(keyMemory, mib(second.memory))
	}
	// The last one is not measured: it may end the job.
	if err := o.cue(ctx); err != nil {
		return err
	}
	if _, err := s.checkpoint(ctx, true); err != nil {
		return err
	}
	reaper.EndAll()
	return m.restart(ctx, s, o)
}

func (m *meter) restart(ctx context.Context, s session, o observer) error {
	began, err := s.restart(ctx)
	if err != nil {
		return err
	}
	took, err := o.progress(ctx, began)
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	m.add(keyRestart, took.Seconds())
	right, asked, err := o.answer(ctx)
	if asked {
		m.Asked++
	}
	if right {
		m.Right++
	}
	return err
}

// one measures a checkpoint of a running job.
func (m *meter) one(ctx context.Context, s session, o observer, pause, durable, bytes string) (saved, error) {
	if err := o.cue(ctx); err != nil {
		return saved{}, err
	}
	began := time.Now()
	r, err := s.checkpoint(ctx, false)
	if err != nil {
		return saved{}, err
	}
	took := r.done.Sub(began)
	if r.dir != "" {
		syncing := time.Now()
		if err := syncAll(r.dir); err != nil {
			return saved{}, err
		}
		took += time.Since(syncing)
	}
	end := r.done.Add(aftermath)
	if err := o.shows(ctx, end); err != nil {
		return saved{}, fmt.Errorf("after a checkpoint: %w", err)
	}
	control := began.Add(began.Sub(end))
	if control.Before(m.quiet) {
		control = m.quiet
	}
	m.quiet = end
	gap, usual := ms(o.gap(began, end)), ms(o.gap(control, began))
	m.add(pause, max(0, gap-usual))
	m.add(pause+"_gap", gap)
	m.add(pause+"_usual_gap", usual)
	m.add(durable, took.Seconds())
	m.add(bytes, mib(r.bytes))
	return r, nil
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
