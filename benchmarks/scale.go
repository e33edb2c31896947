package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// launchTime bounds how long a job may take until all its ranks are connected:
// those of 32 hosts share this machine's processors.
const launchTime = 3 * time.Minute

// A point is a job of so many ranks on so many test hosts. Its ranks are connected
// all with all, and sleep.
type point struct {
	Ranks   int     `json:"ranks"`
	Hosts   int     `json:"hosts"`
	LaunchS float64 `json:"launch_s,omitempty"` // until all ranks are connected
	// MS are the times in ms, one for each checkpoint: of phases by their name, of
	// the coordinator's own part in them by "NAME own", and of "pause", all from
	// suspend to resume.
	MS      map[string]series `json:"ms,omitempty"`
	Failure string            `json:"failure,omitempty"`
}

// grid is the points that are measured, first those with the most ranks or on the
// most hosts, the largest first: from these it is told what grows how. Each host has
// as many ranks.
func grid(ranks, hosts []int) (list []point) {
	for _, r := range ranks {
		for _, h := range hosts {
			if r%h == 0 {
				list = append(list, point{Ranks: r, Hosts: h})
			}
		}
	}
	edge := func(p point) int {
		if p.Ranks == slices.Max(ranks) || p.Hosts == slices.Max(hosts) {
			return 1
		}
		return 0
	}
	slices.SortFunc(list, func(a, b point) int {
		return cmp.Or(edge(b)-edge(a), b.Ranks-a.Ranks, b.Hosts-a.Hosts)
	})
	return list
}

// measureScale measures a grid on hosts of ci/cluster, whose directories are below
// dir. What is not begun within o.limit is left out.
func measureScale(ctx context.Context, o options, dir string) (*scaleReport, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("-scale needs root: test hosts are network namespaces")
	}
	s := &scaleReport{Host: describeHost(o.dir), MPI: o.mpi, Rounds: o.rounds}
	source, err := os.ReadFile("ci/jobs/testdata/allpairs.c")
	if err != nil {
		return nil, fmt.Errorf("%w; run it in the top directory of the source", err)
	}
	program := filepath.Join(dir, "allpairs")
	if err := compile("mpicc."+o.mpi, source, program, "-Ici/include"); err != nil {
		return nil, err
	}
	c := cluster{home: filepath.Join(dir, "scale", "home"), programs: []string{o.gompirun, program}}
	if err := errors.Join(os.Setenv("GOMPIRUN_CLUSTER", "scale"), os.Setenv("GOMPIRUN_CLUSTER_DIR", dir)); err != nil {
		return nil, err
	}
	began := time.Now()
	for _, p := range grid(o.ranks, o.hosts) {
		if time.Since(began) > o.limit {
			s.LeftOut = append(s.LeftOut, p)
			continue
		}
		err := p.measure(ctx, o, c)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			p.Failure = err.Error()
		}
		fmt.Fprintln(os.Stderr, p.line())
		s.Points = append(s.Points, p)
	}
	return s, nil
}

// measure runs the job on hosts that are made for it, and checkpoints it.
func (p *point) measure(ctx context.Context, o options, c cluster) (err error) {
	defer func() { err = errors.Join(err, c.down()) }()
	if err := c.up(ctx, p.Hosts); err != nil {
		return err
	}
	gompirun := "./" + filepath.Base(o.gompirun)
	out := filepath.Join(filepath.Dir(c.home), "output")
	var slots []string
	for h := 1; h <= p.Hosts; h++ {
		slots = append(slots, fmt.Sprintf("h%d:%d", h, p.Ranks/p.Hosts))
	}
	// Agents of 32 hosts that each make the kernel switch more often would take all processors.
	err = p.launch(ctx, out, c.command(gompirun, "-v", "--yield", "no", "-np", strconv.Itoa(p.Ranks),
		"-host", strings.Join(slots, ","), "--ckpt-dir", "ck", "--mpi", o.mpi, "./allpairs", "go"))
	if err != nil {
		return err
	}
	for n := range o.rounds {
		if _, err := foreground(ctx, c.command(gompirun, "checkpoint", "ck")...); err != nil {
			return err
		}
		err := until(ctx, "line about the last phase", func() bool {
			p.MS = parsePhases(string(written(out + ".err")))
			return len(p.MS["commit"]) > n
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// launch starts the job and waits until its ranks are connected.
func (p *point) launch(ctx context.Context, out string, argv []string) error {
	began := time.Now()
	job, err := background(out, nil, argv...)
	if err != nil {
		return err
	}
	var ended atomic.Bool
	go func() {
		_ = job.Wait() // why it has ended is in its output
		ended.Store(true)
	}()
	err = within(ctx, launchTime, "sign that all ranks are connected", func() bool {
		return ended.Load() || strings.Contains(string(written(out)), "ranks are connected\n")
	})
	if ended.Load() {
		return fmt.Errorf("the job has ended: %s", lastLine(written(out+".err"), written(out)))
	}
	p.LaunchS = time.Since(began).Seconds()
	return err
}

// written is what a file of output has so far.
func written(file string) []byte {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil // nothing yet
	}
	return b
}
