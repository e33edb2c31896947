// Benchmarks runs gompirun and, where they are installed, CRIU and DMTCP side
// by side, in turn and in the same rounds, and tells what each costs a program:
// how long it stands still, how long until a checkpoint is durable, how much is
// written, how long a restart takes until the program goes on, and the run time
// without checkpoints.
//
//	go run ./benchmarks
//
// With -scale it tells instead how the phases of a checkpoint grow with ranks and
// hosts.
//
// README.md says what each figure is and how it is measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ci/reaper"
)

// options are those of the command line.
type options struct {
	cases    []string
	tools    []string
	rounds   int
	mib      int
	out      string
	dir      string
	gompirun string
	nas      string

	scale        bool
	ranks, hosts []int
	mpi          string
	limit        time.Duration
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "benchmarks: %v\n", err)
		os.Exit(1)
	}
}

func parseOptions() (options, error) {
	var o options
	cases := flag.String("case", strings.Join(usualCases, ","), "which `cases` of "+strings.Join(caseNames(), ",")+", with commas; all is every one")
	tools := flag.String("tools", strings.Join(toolNames, ","), "which `tools`, with commas")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each tool is measured; with -scale, checkpoints of each job")
	flag.IntVar(&o.mib, "mib", 1024, "memory of the single process, in `MiB`")
	flag.StringVar(&o.out, "out", "benchmarks/results", "`directory` for the results")
	flag.StringVar(&o.dir, "dir", "/var/tmp", "`directory` on the file system that checkpoints are written to")
	flag.StringVar(&o.gompirun, "gompirun", "bin/gompirun", "`path` of gompirun")
	flag.StringVar(&o.nas, "nas", "bin/nas", "`directory` with openmpi/mg and mpich/mg")
	flag.BoolVar(&o.scale, "scale", false, "measure phases against ranks and hosts, on test hosts; as root")
	ranks := flag.String("ranks", "4,16,32,64,128", "with -scale: the numbers of `ranks`, with commas")
	hosts := flag.String("hosts", "1,2,4,8,16,32", "with -scale: the numbers of `hosts`; those that divide the ranks are measured")
	flag.StringVar(&o.mpi, "mpi", mpich, "with -scale: the `family`, openmpi or mpich")
	flag.DurationVar(&o.limit, "limit", 9*time.Minute, "with -scale: the `time` after which no other job is begun")
	flag.Parse()
	o.cases, o.tools = strings.Split(*cases, ","), strings.Split(*tools, ",")
	if *cases == "all" {
		o.cases = caseNames()
	}
	for _, c := range o.cases {
		if !slices.Contains(caseNames(), c) {
			return o, fmt.Errorf("there is no case %q; give some of %s", c, strings.Join(caseNames(), ","))
		}
	}
	for _, t := range o.tools {
		if known := append(slices.Clone(toolNames), extraTools...); !slices.Contains(known, t) {
			return o, fmt.Errorf("there is no tool %q; give some of %s", t, strings.Join(known, ","))
		}
	}
	if flag.NArg() > 0 || o.rounds < 1 || o.mib < 1 {
		return o, errors.New("-rounds and -mib are numbers from 1 on, and there are no other arguments; see -help")
	}
	var errs [4]error
	o.ranks, errs[0] = numbers(*ranks)
	o.hosts, errs[1] = numbers(*hosts)
	o.gompirun, errs[2] = filepath.Abs(o.gompirun)
	o.dir, errs[3] = filepath.Abs(o.dir)
	return o, errors.Join(errs[:]...)
}

// numbers reads numbers from 1 on, with commas.
func numbers(text string) (list []int, err error) {
	for s := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number of ranks or hosts; give some from 1 on, with commas", s)
		}
		list = append(list, n)
	}
	return list, nil
}

func run() (err error) {
	o, err := parseOptions()
	if err != nil {
		return err
	}
	if _, err := exec.LookPath(o.gompirun); err != nil {
		return fmt.Errorf("%w; make build makes it, -gompirun says where it is", err)
	}
	// What a tool leaves behind becomes a child of this process and can be ended.
	if err := reaper.Adopt(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	work, err := os.MkdirTemp(o.dir, "gompirun-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	defer reaper.EndAll()

	if o.scale {
		report, err := measureScale(ctx, o, work)
		if err != nil {
			return err
		}
		report.Host.LoadAfter = loadAverage()
		return publish(report, o.out)
	}
	report := &report{Host: describeHost(o.dir), Rounds: o.rounds}
	for _, name := range o.cases {
		c, err := newWorkload(name, o, work)
		if err != nil {
			return fmt.Errorf("case %s: %w", name, err)
		}
		r, err := measureCase(ctx, name, c, o, work)
		report.Cases = append(report.Cases, r)
		if err != nil {
			return fmt.Errorf("case %s: %w", name, err)
		}
	}
	report.Host.LoadAfter = loadAverage()
	return publish(report, o.out)
}

// publish prints a report and leaves it in a directory.
func publish(r interface {
	markdown() string
	save(dir string) error
}, dir string,
) error {
	if _, err := os.Stdout.WriteString(r.markdown()); err != nil {
		return err
	}
	return r.save(dir)
}
