package mpi

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
)

const awkward = `a b;c,d="e" 'f' $HOME \x * #`

// families are the two MPIs as Debian installs them side by side.
var families = []struct {
	family   flags.MPI
	compiler string
}{
	{flags.MPICH, "mpicc.mpich"},
	{flags.OpenMPI, "mpicc.openmpi"},
}

func TestJobsOverTwoHostsRunThroughTheShim(t *testing.T) {
	c := startCluster(t, 3)
	for _, f := range families {
		t.Run(string(f.family), func(t *testing.T) {
			program := filepath.Join(c.inside, filepath.Base(compile(t, f.compiler, c.home)))
			work := filepath.Join(c.home, "work")
			if err := os.MkdirAll(work, 0o755); err != nil {
				t.Fatal(err)
			}
			inWork := filepath.Join(c.inside, "work")
			for _, s := range []struct {
				name string
				line []string
				env  []string
				want []string // of the ranks
				asks []string // the hosts asked for, sorted
			}{
				{
					"four ranks",
					[]string{"-np", "4", "-host", "h1:2,h2:2", program},
					nil,
					[]string{"0/4 on h1 token 10", "1/4 on h1 token 10", "2/4 on h2 token 10", "3/4 on h2 token 10"},
					[]string{"h2"},
				},
				{
					"ranks per host",
					[]string{"-ppn", "1", "-host", "h1,h2,h3", program},
					nil,
					[]string{"0/3 on h1 token 6", "1/3 on h2 token 6", "2/3 on h3 token 6"},
					[]string{"h2", "h3"},
				},
				{
					"addresses",
					[]string{"-host", "10.88.0.1,10.88.0.2", program},
					nil,
					[]string{"0/2 on h1 token 3", "1/2 on h2 token 3"},
					[]string{"10.88.0.2"},
				},
				{
					"one host",
					[]string{"-np", "2", program},
					nil,
					[]string{"0/2 on h1 token 3", "1/2 on h1 token 3"},
					nil,
				},
				{
					"by node",
					[]string{"--map-by", "node", "-np", "4", "-host", "h1:2,h2:2", program},
					nil,
					[]string{"0/4 on h1 token 10", "1/4 on h2 token 10", "2/4 on h1 token 10", "3/4 on h2 token 10"},
					[]string{"h2"},
				},
				{
					"oversubscribed",
					[]string{"--oversubscribe", "-np", "3", "-host", "h1,h2", program},
					nil,
					[]string{"0/3 on h1 token 6", "1/3", "2/3"},
					[]string{"h2"},
				},
				{
					"environment and arguments",
					[]string{"-x", "A=" + awkward, "-host", "h1,h2", program, awkward, "", "z"},
					[]string{"B=from here"},
					[]string{
						"0/2 on h1 token 3 in " + c.inside + " A=<" + awkward + "> B=<from here> <" + awkward + "> <> <z>",
						"1/2 on h2 token 3 in " + c.inside + " A=<" + awkward + "> B=<from here> <" + awkward + "> <> <z>",
					},
					[]string{"h2"},
				},
				{
					"nothing inherited",
					[]string{"-genvnone", "-genv", "A", "set", "-host", "h1,h2", program},
					[]string{"B=from here"},
					[]string{"0/2 on h1 token 3 in " + c.inside + " A=<set> B=<unset>", "1/2 on h2 token 3 in " + c.inside + " A=<set> B=<unset>"},
					[]string{"h2"},
				},
				{
					"two programs",
					[]string{"-n", "1", "-host", "h1,h2", "-wdir", inWork, "-env", "A", "1", program, "x", ":", "-n", "1", "-env", "A", "2", program},
					nil,
					[]string{"0/2 on h1 token 3 in " + inWork + " A=<1> B=<unset> <x>", "1/2 on h2 token 3 in " + c.inside + " A=<2> B=<unset>"},
					[]string{"h2"},
				},
				{
					"relative program",
					[]string{"-wdir", inWork, "-host", "h1,h2", "../" + filepath.Base(program)},
					nil,
					[]string{"0/2 on h1 token 3 in " + inWork, "1/2 on h2 token 3 in " + inWork},
					[]string{"h2"},
				},
				{
					"in a Slurm allocation of others",
					[]string{"-host", "h1,h2", program},
					[]string{"SLURM_JOB_ID=1", "SLURM_JOBID=1", "SLURM_NODELIST=h3", "SLURM_JOB_NODELIST=h3", "SLURM_NNODES=1", "SLURM_JOB_NUM_NODES=1", "SLURM_TASKS_PER_NODE=1"},
					[]string{"0/2 on h1 token 3", "1/2 on h2 token 3"},
					[]string{"h2"},
				},
			} {
				t.Run(s.name, func(t *testing.T) {
					p := plan(t, c, f.family, s.line, s.env)
					out, status, requests := c.launch(t, "h1", p)
					if status != 0 {
						t.Fatalf("%q exits with %d, want 0; it says:\n%s", p.Argv, status, out)
					}
					var got []string
					for _, l := range strings.Split(out, "\n") {
						if l, ok := strings.CutPrefix(l, "rank "); ok {
							got = append(got, l)
						}
					}
					sort.Strings(got)
					if len(got) != len(s.want) {
						t.Fatalf("%q prints %d ranks, want %d:\n%s", p.Argv, len(got), len(s.want), out)
					}
					for i := range got {
						if !strings.HasPrefix(got[i], s.want[i]) {
							t.Errorf("%q prints rank %s, want rank %s...", p.Argv, got[i], s.want[i])
						}
					}
					var asks []string
					for _, r := range requests {
						host, _, err := ParseShim(r.Args)
						if err != nil || r.From != "h1" {
							t.Errorf("the shim was called on %s for %s, %v, want calls from h1 only", r.From, host, err)
						}
						asks = append(asks, host)
					}
					sort.Strings(asks)
					if diff := cmp.Diff(s.asks, asks); diff != "" {
						t.Errorf("%q asks the shim (-want +got):\n%s", p.Argv, diff)
					}
				})
			}
		})
	}
}

// plan goes the way of a real run: from the command line to the plan.
func plan(t *testing.T, c *cluster, family flags.MPI, line, env []string) Plan {
	t.Helper()
	cmd, err := flags.Parse(line, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	list, err := hosts.ParseList("-host", cmd.Run.Hosts...)
	if err != nil {
		t.Fatal(err)
	}
	np := 0
	var programs []Program
	for _, x := range cmd.Run.Contexts {
		np += x.NP
		programs = append(programs, Program{Path: x.Program, Family: family})
	}
	placed, err := hosts.Place(list, np, cmd.Run.PerNode, cmd.Run.Oversubscribe)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Find(family)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Make(Job{
		Run: cmd.Run, Family: family, Programs: programs, Launcher: l, Nodes: Nodes(placed, cmd.Run.PerNode),
		HeadAddr: "10.88.0.1", Shim: filepath.Join(c.inside, shimName),
		Environ: append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + c.inside, "USER=mpi", "SSH_TTY=/dev/pts/0"}, env...),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A head whose name in the list is not its host name, and hosts whose names
// nobody resolves, are what pods have after the user has chosen the names.
func TestHostNamesNeedNotResolve(t *testing.T) {
	c := startCluster(t, 2)
	for _, f := range families {
		t.Run(string(f.family), func(t *testing.T) {
			program := filepath.Join(c.inside, filepath.Base(compile(t, f.compiler, c.home)))
			p := plan(t, c, f.family, []string{"-host", "h1,h2", program}, nil)
			const alias = "node2.of.nowhere.example"
			for i, w := range p.Argv {
				p.Argv[i] = strings.ReplaceAll(w, "h2:1", alias+":1")
			}
			if !strings.Contains(fmt.Sprint(p.Argv), alias) {
				t.Fatalf("%q has no host list to change", p.Argv)
			}
			c.alias(alias, "h2")
			out, status, requests := c.launch(t, "h1", p)
			if status != 0 || !strings.Contains(out, "rank 1/2 on h2 token 3") {
				t.Errorf("%q exits with %d and prints:\n%s", p.Argv, status, out)
			}
			if len(requests) != 1 || requests[0].From != "h1" {
				t.Errorf("the shim got %+v, want one request", requests)
			}
		})
	}
}
