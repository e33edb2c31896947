package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/gompirun/gompirun/launcher/mpi"
)

// A program is a file that can be run.
type program struct {
	name   string // one of suite
	class  string
	family string
	path   string
	args   []string
	// repeats says whether NAS_REPEAT makes it longer.
	repeats bool
}

// A job is a program on a number of ranks.
type job struct {
	program
	ranks int
}

// selectJobs lists what the options ask for, as far as it is built and
// possible, and tells about the rest.
func selectJobs(o options, log io.Writer) ([]job, error) {
	find := ours
	if o.npb != "" {
		find = npbs
	}
	var jobs []job
	for _, family := range o.families {
		for _, name := range suite {
			if len(o.programs) > 0 && !slices.Contains(o.programs, name) {
				continue
			}
			p, err := find(o, name, family)
			if err != nil && (len(o.programs) == 0 || errors.Is(err, errOtherFamily)) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for _, n := range ranksFor(o, name, log) {
				jobs = append(jobs, job{p, n})
			}
		}
	}
	if len(jobs) == 0 {
		return nil, fmt.Errorf("nothing to run for %v in class %s: make nas builds the programs in %s/nas; those of NPB are named like cg.%s.x", o.families, o.class, o.bin, o.class)
	}
	return jobs, nil
}

// ours finds a program of this directory.
func ours(o options, name, family string) (program, error) {
	path := filepath.Join(o.bin, "nas", family, name)
	if _, err := os.Stat(path); err != nil {
		return program{}, fmt.Errorf("%w; make nas builds it", err)
	}
	return program{name: name, class: o.class, family: family, path: path, args: []string{o.class}, repeats: true}, nil
}

var errOtherFamily = errors.New("it was built for another MPI")

// npbs finds a program of NPB, which belongs to one MPI.
func npbs(o options, name, family string) (program, error) {
	path := filepath.Join(o.npb, name+"."+o.class+".x")
	found, err := mpi.Inspect(path, "")
	if err != nil {
		return program{}, fmt.Errorf("--npb: %w; make %s CLASS=%s in NPB's own tree builds it", err, name, o.class)
	}
	if string(found.Family) != family {
		return program{}, fmt.Errorf("--npb: program %s: %w", path, errOtherFamily)
	}
	return program{name: name, class: o.class, family: family, path: path}, nil
}

// ranksFor lists the numbers of ranks that a program can have.
func ranksFor(o options, name string, log io.Writer) (list []int) {
	for _, n := range o.ranks {
		switch {
		case rules[name].holds(n):
			list = append(list, n)
		case len(o.ranks) == 1:
			list = append(list, nearest(name, n))
			say(log, "%s needs %s of ranks: it runs on %d instead of %d\n", name, rules[name].words, list[0], n)
		default:
			say(log, "%s needs %s of ranks: it does not run on %d\n", name, rules[name].words, n)
		}
	}
	return list
}
