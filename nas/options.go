package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The families of MPI, as gompirun and nas.mk name them.
const (
	openMPI = "openmpi"
	mpich   = "mpich"
)

// options are those of the command line.
type options struct {
	programs []string // empty for all that are built
	class    string
	ranks    []int
	families []string
	kill     int
	interval time.Duration
	repeat   int // 0: as often as the kills need
	cluster  int // test hosts; 0 for this host alone
	npb      string
	seed     uint64
	timeout  time.Duration
	bin      string
	dir      string
}

func parseOptions(args []string, log io.Writer) (o options, err error) {
	f := flag.NewFlagSet("nas", flag.ContinueOnError)
	f.SetOutput(log)
	all := f.Bool("all", false, "every program that is built")
	programs := f.String("programs", "", "these `programs`, with commas: "+strings.Join(suite, ","))
	f.StringVar(&o.class, "class", "S", "the `class` of the problem: S, W, A, B, C or D")
	ranks := f.String("ranks", "4", "`numbers` of ranks, with commas; a single one is replaced by the nearest that a program can have")
	family := f.String("mpi", "both", "`openmpi, mpich or both`")
	f.IntVar(&o.kill, "kill", 0, "how `often` everything is killed at a random moment after a checkpoint, and restarted")
	f.DurationVar(&o.interval, "interval", 0, "`time` from checkpoint to checkpoint; default 1s with --kill, else none")
	f.IntVar(&o.repeat, "repeat", 0, "NAS_REPEAT; default as `often` as the kills need (not with --npb)")
	f.IntVar(&o.cluster, "cluster", 0, "run on this `number` of test hosts, by ci/cluster as root; default on this host")
	f.StringVar(&o.npb, "npb", "", "`directory` with programs of NPB, named like cg.A.x")
	f.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "`number` that the random moments follow from")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "`time` after which a job that has not ended is given up")
	f.StringVar(&o.bin, "bin", "bin", "`directory` of gompirun and nas/")
	f.StringVar(&o.dir, "dir", "/var/tmp", "`directory` for checkpoints, without --cluster")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *all == (*programs != "") {
		return o, errors.New("give either --all or --programs")
	}
	if *programs != "" {
		o.programs = strings.Split(*programs, ",")
	}
	if o.families = []string{*family}; *family == "both" {
		o.families = []string{openMPI, mpich}
	}
	for word := range strings.SplitSeq(*ranks, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return o, fmt.Errorf("--ranks %s: %q is no number from 1 on", *ranks, word)
		}
		o.ranks = append(o.ranks, n)
	}
	if o.kill > 0 && o.interval == 0 {
		o.interval = time.Second
	}
	return o, o.check(f.Args())
}

func (o *options) check(rest []string) error {
	for _, p := range o.programs {
		if !slices.Contains(suite, p) {
			return fmt.Errorf("--programs: there is no %q; give some of %s", p, strings.Join(suite, ","))
		}
	}
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is no option; see --help", rest[0])
	case len(o.class) != 1 || !strings.Contains("SWABCD", o.class):
		return fmt.Errorf("--class %s: give S, W, A, B, C or D", o.class)
	case len(o.families) == 1 && o.families[0] != openMPI && o.families[0] != mpich:
		return fmt.Errorf("--mpi %s: give openmpi, mpich or both", o.families[0])
	case o.kill < 0 || o.interval < 0 || o.repeat < 0:
		return errors.New("--kill, --interval and --repeat are not negative")
	case o.cluster == 1 || o.cluster < 0 || o.cluster > 200:
		return errors.New("--cluster needs 2 to 200 hosts: a restart goes to others than those that were killed")
	case o.npb != "" && o.repeat > 0:
		return errors.New("--repeat: the programs of NPB run once")
	}
	return nil
}
