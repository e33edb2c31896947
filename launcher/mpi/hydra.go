package mpi

import (
	"fmt"
	"strconv"

	"github.com/gompirun/gompirun/launcher/flags"
)

// hydra writes the command line of MPICH's mpiexec.hydra. Its options for the
// whole job stand before the first program.
func (b *builder) hydra() error {
	nodes, err := b.hydraNodes()
	if err != nil {
		return err
	}
	b.add(b.Launcher.Path, "-rmk", "user", "-launcher", "ssh")
	if b.Shim != "" {
		b.add("-launcher-exec", b.Shim)
	}
	b.add("-hosts", hostList(nodes))
	if b.HeadAddr != "" && len(nodes) > 1 {
		b.add("-localhost", b.HeadAddr)
	}
	if b.Run.Iface != "" {
		b.add("-iface", b.Run.Iface)
	}
	switch tag, stamp := b.Run.TagOutput, b.Run.TimestampOutput; {
	case tag && stamp:
		b.add("-prepend-pattern", "[%r] %t ")
	case tag:
		b.add("-prepend-rank")
	case stamp:
		b.add("-prepend-pattern", "%t ")
	}
	if err := b.addNative(); err != nil {
		return err
	}
	for i, c := range b.Run.Contexts {
		if i > 0 {
			b.add(":")
		}
		if err := b.hydraContext(i, c); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) hydraContext(i int, c flags.Context) error {
	n, err := b.ranks(c)
	if err != nil {
		return err
	}
	if len(c.Hosts) > 0 {
		return fmt.Errorf("program %s: MPICH has no host list for one program of a job; give one list before the first program", c.Program)
	}
	b.add("-n", strconv.Itoa(n))
	if c.EnvMode == flags.EnvNone {
		b.add("-envnone")
	}
	if c.Wdir != "" {
		b.add("-wdir", c.Wdir)
	}
	for _, kv := range contextEnvironment(b.Run, c, b.Family, b.caller) {
		b.add("-env", kv[0], kv[1])
	}
	b.add(b.Programs[i].Path)
	b.add(c.Args...)
	return nil
}

// hydraNodes is the list of nodes, with one slot each for --map-by node: Hydra
// takes the hosts in turn and begins again, which deals the ranks out one by
// one. It would not stop at a small host that is full.
func (b *builder) hydraNodes() ([]Node, error) {
	deal := false
	for _, kv := range b.Run.Native {
		deal = deal || kv[0] == "map-by" && isWord(kv[1], "node")
	}
	if !deal {
		return b.Nodes, nil
	}
	out := make([]Node, len(b.Nodes))
	for i, n := range b.Nodes {
		if n.Slots != b.Nodes[0].Slots {
			return nil, fmt.Errorf("--map-by node: MPICH can do this only where all hosts have as many slots, and %s has %d, %s %d",
				b.Nodes[0].Name, b.Nodes[0].Slots, n.Name, n.Slots)
		}
		out[i] = Node{n.Name, 1}
	}
	return out, nil
}
