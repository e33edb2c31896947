package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A yardstick is no tool that runs jobs: it measures what the machine can do at
// best.
type yardstick interface {
	// measure returns values by the keys of metrics.
	measure(ctx context.Context, j *job, dir string) (map[string]float64, error)
}

// dd writes as many incompressible bytes as the job has memory, from the page cache,
// and syncs them.
type dd struct{}

func (dd) missing(j *job) string {
	if j.size == 0 {
		return "–"
	}
	return notOnPath("dd")
}

func (dd) version(context.Context) string { return "" }

func (dd) start(context.Context, *job) (session, error) { return nil, errors.New("dd runs no jobs") }

func (dd) measure(ctx context.Context, j *job, dir string) (map[string]float64, error) {
	from, to := filepath.Join(dir, "dd-from"), filepath.Join(dir, "dd-to")
	defer func() { _, _ = os.Remove(from), os.Remove(to) }() // else with dir
	f, err := os.Create(from)
	if err != nil {
		return nil, err
	}
	_, err = io.CopyN(f, rand.Reader, j.size)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	syncFileSystem(dir)
	began := time.Now()
	if _, err := foreground(ctx, "dd", "if="+from, "of="+to, "bs=1M", "conv=fsync", "status=none"); err != nil {
		return nil, fmt.Errorf("yardstick: %w", err)
	}
	return map[string]float64{keyDurable: time.Since(began).Seconds(), keyBytes: mib(j.size)}, nil
}
