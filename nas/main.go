// Nas runs NAS Parallel Benchmarks under gompirun: checkpoints them while they
// run, kills everything of the job at a random moment, restarts it, on other
// hosts where there are any, and reads from the output whether the result was
// right in the end. A line tells what happens while a program runs, a table at
// the end what came out. It exits with 1 if anything was not verified.
//
//	go run ./nas --all --class W --ranks 4 --mpi openmpi --kill 2
//	go run ./nas --programs cg,lu --mpi both --cluster 4 --kill 5 --interval 2s
//	go run ./nas --all --npb /scratch/NPB3.4.1/NPB3.4-MPI/bin --class A --kill 2
//
// The programs are those of this directory, as make nas builds them, or with
// --npb those of a tree of NPB that was built elsewhere. The C sources are in
// src, since cmd/go refuses them in a package without cgo; README.md is about
// them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ci/reaper"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	status, err := drive(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "nas: %v\n", err)
	}
	os.Exit(status)
}

// Exit statuses.
const (
	allVerified = 0
	notVerified = 1
	wrongUsage  = 2
)

// drive runs everything that args select. The table goes to out, progress to
// log.
func drive(ctx context.Context, args []string, out, log io.Writer) (status int, err error) {
	o, err := parseOptions(args, log)
	if err != nil {
		return wrongUsage, err
	}
	jobs, err := selectJobs(o, log)
	if err != nil {
		return wrongUsage, err
	}
	if err := reaper.Adopt(); err != nil {
		return notVerified, err
	}
	s, err := newSite(o)
	if err != nil {
		return notVerified, err
	}
	defer func() { err = errors.Join(err, s.close()) }()

	if o.kill > 0 {
		say(log, "random moments come from --seed %d\n", o.seed)
	}
	random := rand.New(rand.NewPCG(o.seed, 0))
	var results []result
	for _, j := range jobs {
		r := runJob(ctx, j, o, s, random, log)
		if ctx.Err() != nil {
			return notVerified, errors.New("interrupted; the job was ended")
		}
		results = append(results, r)
		if !r.ok() {
			status = notVerified
		}
	}
	_, err = io.WriteString(out, table(results))
	return status, err
}
