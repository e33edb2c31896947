package flags

import (
	"fmt"
	"strings"
)

var jobOptions = []option{
	{
		name: "np", aliases: []string{"n", "c"}, arg: "N", scope: perContext, group: groupJob,
		doc: "number of ranks; without it, one for each slot of the hosts",
		set: func(p *parser, v string) (err error) {
			p.ctx.NP, err = parseCount(v)
			return err
		},
	},
	{
		name: "wdir", aliases: []string{"wd"}, arg: "DIR", scope: perContext, group: groupJob,
		doc: "working directory of the program; it must exist on every host",
		set: func(p *parser, v string) error {
			p.ctx.Wdir = v
			return notEmpty(v)
		},
	},
	{
		name: "mpi", arg: "FAMILY", group: groupJob,
		doc: "auto, mpich, openmpi or none; auto asks the program which library it needs",
		set: func(p *parser, v string) (err error) {
			p.run.MPI, err = oneOf(v, MPIAuto, MPICH, OpenMPI, MPINone)
			return err
		},
	},
	{
		name: "mca", aliases: []string{"gmca"}, arg: "NAME VALUE", pair: true, scope: list, group: groupJob,
		doc: "parameter for Open MPI",
		set: func(p *parser, v string) error {
			name, value, _ := strings.Cut(v, "=")
			p.run.MCA = append(p.run.MCA, [2]string{name, value})
			return checkEnvName(name)
		},
	},
	{
		name: "tty", aliases: []string{"t"}, arg: "WHEN", group: groupJob,
		doc: "give the program a terminal: auto, yes or no; auto does so for one process on a terminal",
		set: func(p *parser, v string) (err error) {
			p.run.TTY, err = oneOf(v, TTYAuto, TTYYes, TTYNo)
			return err
		},
	},
	{
		name: "yield", arg: "WHEN", group: groupJob, verbs: []Verb{VerbRun, VerbRestart},
		doc: "make ranks that wait give their processor up: auto, yes or no; auto does so on hosts with more ranks than processors",
		set: func(p *parser, v string) (err error) {
			p.run.Yield, err = oneOf(v, YieldAuto, YieldYes, YieldNo)
			return err
		},
	},
	{
		name: "timeout", arg: "TIME", group: groupJob, verbs: []Verb{VerbRun, VerbRestart},
		doc: "end the job after this time, with exit status 124",
		set: func(p *parser, v string) (err error) {
			p.run.Timeout, err = ParseDuration(v)
			return err
		},
	},
}

var hostOptions = []option{
	{
		name: "host", aliases: []string{"hosts", "H", "hostlist", "machines", "machinelist"}, arg: "LIST", scope: list, group: groupHosts,
		verbs: []Verb{VerbRun, VerbRestart, VerbDoctor},
		doc:   "hosts as [user@]name[:slots],...; brackets count: node[01-08]; a host named again has more slots",
		set: func(p *parser, v string) error {
			p.ctx.Hosts = append(p.ctx.Hosts, v)
			return notEmpty(v)
		},
	},
	{
		name: "hostfile", aliases: []string{"f", "machinefile", "default-hostfile"}, arg: "FILE", scope: list, group: groupHosts,
		verbs: []Verb{VerbRun, VerbRestart, VerbDoctor},
		doc:   "file of hosts, one a line, with slots=N, max_slots=N, user=NAME, port=N behind the name",
		set: func(p *parser, v string) error {
			p.run.Hostfiles = append(p.run.Hostfiles, v)
			return notEmpty(v)
		},
	},
	{
		name: "ppn", aliases: []string{"N", "npernode", "perhost"}, arg: "N", group: groupHosts,
		doc: "ranks on each host",
		set: func(p *parser, v string) error { return p.run.setPerNode(v) },
	},
	{
		name: "pernode", group: groupHosts,
		doc: "one rank on each host",
		set: func(p *parser, v string) error { return p.run.setPerNode("1") },
	},
	{
		name: "oversubscribe", group: groupHosts, verbs: []Verb{VerbRun, VerbRestart},
		doc: "allow more ranks than slots",
		set: func(p *parser, v string) error {
			p.run.Oversubscribe = true
			return nil
		},
	},
	{
		name: "nooversubscribe", group: groupHosts,
		doc: "refuse more ranks than slots, as is the default",
		set: func(p *parser, v string) error { return nil },
	},
	{
		name: "iface", arg: "NAME", group: groupHosts,
		doc: "network interface for the job's own traffic",
		set: func(p *parser, v string) error {
			p.run.Iface = v
			return notEmpty(v)
		},
	},
	{
		name: "ssh-config", arg: "FILE", group: groupHosts, verbs: []Verb{VerbRun, VerbRestart, VerbDoctor},
		doc: "configuration file for SSH in place of ~/.ssh/config",
		set: func(p *parser, v string) error {
			p.run.SSHConfig = v
			return notEmpty(v)
		},
	},
}

// setPerNode takes the number of ranks per host, which three options can give.
func (r *Run) setPerNode(v string) error {
	n, err := parseCount(v)
	if err == nil && r.PerNode != 0 && r.PerNode != n {
		return fmt.Errorf("%d ranks per host contradicts the %d given before", n, r.PerNode)
	}
	r.PerNode = n
	return err
}
