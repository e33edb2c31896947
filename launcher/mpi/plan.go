package mpi

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
)

// A Node is one pod's host as the native launcher is to know it.
type Node struct {
	// Name is handed to the shim when the launcher wants a daemon there. It
	// need not resolve. The first node's should be the host name that pod 0
	// sees as its own.
	Name string
	// Slots is how many ranks the node takes before the next is begun, at
	// least 1.
	Slots int
}

// Nodes makes nodes of hosts with ranks on them, as hosts.Place returns them,
// and keeps the order. A perNode above 0 stands for the slots. A single local
// host whose slots nobody gave has as many as it has processors and ranks, so
// that Open MPI shares processors between ranks only where it must. The names
// are the user's; the caller may put the pods' own host names in their place.
func Nodes(placed []hosts.Assignment, perNode int) []Node {
	var out []Node
	for _, a := range placed {
		n := Node{Name: a.Host.Name, Slots: max(a.Host.Slots, 1)}
		if len(placed) == 1 && a.Host.Local() && !a.Host.SlotsGiven {
			n.Slots = max(min(len(a.Ranks), runtime.NumCPU()), 1)
		}
		if perNode > 0 {
			n.Slots = perNode
		}
		out = append(out, n)
	}
	return out
}

// A Job is what a plan is made from.
type Job struct {
	// Run is the command line.
	Run *flags.Run
	// Family is what Detect found.
	Family flags.MPI
	// Programs are the files of the contexts, as Detect returned them.
	Programs []Program
	// Launcher is what Find found; it is not used with MPINone.
	Launcher Launcher
	// Nodes are the hosts with a pod, that of pod 0 first.
	Nodes []Node
	// HeadAddr is the address under which the other pods reach pod 0. It may
	// be empty where they can resolve pod 0's host name.
	HeadAddr string
	// Shim is the absolute path, in pod 0, of a program that takes what
	// ParseShim reads. Open MPI splits the path at blanks and colons, so it
	// has none. It may be empty for a single node.
	Shim string
	// Yield has ranks that wait give their processor up, if the family can.
	Yield bool
	// Environ is the caller's environment.
	Environ []string
}

// A Plan is what to execute in pod 0.
type Plan struct {
	// Argv is the native launcher with its arguments, or the program itself
	// where the family is MPINone. Argv[0] is the file to execute; it may be
	// relative to Dir.
	Argv []string
	// Env is the environment to start it with, sorted. Daemons that the shim
	// asks for on other hosts must be started with the same.
	Env []string
	// Dir is the working directory, empty for the caller's.
	Dir string
	// Notes are sentences about options that were left out since the family
	// has none like them and the job is none the worse for it.
	Notes []string
}

// Make plans a job. It fails where an option has no counterpart in the family
// and leaving it out would change the job. The Job is not changed.
func Make(j Job) (Plan, error) {
	switch {
	case len(j.Run.Contexts) == 0 || len(j.Programs) != len(j.Run.Contexts):
		return Plan{}, fmt.Errorf("planning a job of %d programs, of which %d were looked at", len(j.Run.Contexts), len(j.Programs))
	case len(j.Nodes) == 0:
		return Plan{}, fmt.Errorf("planning a job without hosts")
	case len(j.Nodes) > 1 && j.Family == flags.MPINone:
		return Plan{}, fmt.Errorf("a program without MPI runs on one host, and %d were given", len(j.Nodes))
	case len(j.Nodes) > 1 && (!strings.HasPrefix(j.Shim, "/") || strings.ContainsAny(j.Shim, " \t:\n")):
		return Plan{}, fmt.Errorf("the path of the shim %q must be absolute and free of blanks and colons; choose another TMPDIR", j.Shim)
	}
	caller := fromList(j.Environ)
	env := jobEnvironment(j.Run, caller)
	setTransports(env, j.Run, j.Family, caller)
	if j.Yield {
		setYield(env, j.Run, j.Family, caller)
	}
	b := builder{Job: j, caller: caller, env: env}
	var err error
	switch j.Family {
	case flags.OpenMPI:
		err = b.openMPI()
	case flags.MPICH:
		err = b.hydra()
	case flags.MPINone:
		b.plain()
	default:
		err = fmt.Errorf("planning a job of the unknown MPI family %q", j.Family)
	}
	if err != nil {
		return Plan{}, err
	}
	return Plan{Argv: b.argv, Env: b.env.list(), Dir: b.dir, Notes: b.notes}, nil
}

// A builder collects one plan.
type builder struct {
	Job
	caller environment
	env    environment
	argv   []string
	dir    string
	notes  []string
}

func (b *builder) add(words ...string) { b.argv = append(b.argv, words...) }

// plain runs the program itself.
func (b *builder) plain() {
	c := b.Run.Contexts[0]
	if c.EnvMode != flags.EnvDefault {
		run := *b.Run
		run.EnvMode = c.EnvMode
		b.env = jobEnvironment(&run, b.caller)
	}
	for _, kv := range resolve(c.Env, b.caller) {
		b.env[kv[0]] = kv[1]
	}
	b.dir = c.Wdir
	b.add(b.Programs[0].Path)
	b.add(c.Args...)
	if len(b.Run.Native) > 0 {
		b.notes = append(b.notes, "--"+b.Run.Native[0][0]+" has no effect: there is no MPI launcher in this job")
	}
}

// ranks is the number of ranks of a context: of a single one, all slots if it
// was not given.
func (b *builder) ranks(c flags.Context) (int, error) {
	if c.NP > 0 {
		return c.NP, nil
	}
	if len(b.Run.Contexts) > 1 {
		return 0, fmt.Errorf("program %s: -np is missing; with several programs each needs its own", c.Program)
	}
	n := 0
	for _, node := range b.Nodes {
		n += node.Slots
	}
	return n, nil
}

// hostList is a:2,b:2, which both families read. A single node is localhost,
// since a job on one host should not depend on any name that resolves.
func hostList(nodes []Node) string {
	if len(nodes) == 1 {
		return fmt.Sprintf("localhost:%d", max(nodes[0].Slots, 1))
	}
	var words []string
	for _, n := range nodes {
		words = append(words, fmt.Sprintf("%s:%d", n.Name, max(n.Slots, 1)))
	}
	return strings.Join(words, ",")
}
