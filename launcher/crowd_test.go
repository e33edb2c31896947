package launcher

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
)

func TestHostsWithMoreRanksThanProcessorsAreRelieved(t *testing.T) {
	const yields = "OMPI_MCA_mpi_yield_when_idle"
	for _, tt := range []struct {
		name       string
		family     flags.MPI
		when       flags.Yield
		env        []string
		ranks      []int // of each pod
		hostOf     []int
		processors []int
		relief     string // a letter for each pod
		says       string
	}{
		{"enough processors", flags.MPICH, flags.YieldAuto, nil, []int{2, 2}, []int{0, 1}, []int{2, 2}, "..", ""},
		{"one host of two", flags.MPICH, flags.YieldAuto, nil, []int{2, 3}, []int{0, 1}, []int{2, 2}, ".p", "b has 3 ranks on 2 processors; the kernel is"},
		{"two pods on a host", flags.MPICH, flags.YieldAuto, nil, []int{2, 2}, []int{0, 0}, []int{2}, "pl", "a has 4 ranks on 2 processors; the kernel is"},
		{
			"many", flags.MPICH, flags.YieldAuto, nil,
			[]int{2, 2, 2, 2, 2},
			[]int{0, 1, 2, 3, 4},
			[]int{1, 1, 1, 1, 1},
			"ppppp",
			"a has 2 ranks on 1 processor, b has 2 ranks on 1 processor, c has 2 ranks on 1 processor, 2 other hosts too; the kernel is",
		},
		{"unwanted", flags.MPICH, flags.YieldNo, nil, []int{4}, []int{0}, []int{2}, ".", ""},
		{"wanted all the same", flags.MPICH, flags.YieldYes, nil, []int{2}, []int{0}, []int{2}, "p", "a has 2 ranks on 2 processors; the kernel is"},
		{"ranks that yield", flags.OpenMPI, flags.YieldAuto, []string{yields + "=1"}, []int{4}, []int{0}, []int{2}, "s", "a has 4 ranks on 2 processors; ranks that wait yield"},
		{"ranks that shall not", flags.OpenMPI, flags.YieldAuto, []string{yields + "=0"}, []int{4}, []int{0}, []int{2}, ".", ""},
		{"ranks that were not told", flags.OpenMPI, flags.YieldAuto, nil, []int{4}, []int{0}, []int{2}, "p", "a has 4 ranks on 2 processors; the kernel is"},
		{"no ranks", flags.MPINone, flags.YieldYes, nil, []int{1}, []int{0}, []int{1}, ".", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said bytes.Buffer
			j := newJob(Env{Stderr: &said}, flags.Common{})
			j.record = Record{Family: tt.family, Yield: tt.when, Env: tt.env}
			for i, n := range tt.ranks {
				h := tt.hostOf[i]
				j.record.Pods = append(j.record.Pods, PodRecord{ID: i, Ranks: n})
				j.agents = append(j.agents, &Agent{Pod: i, Host: hosts.Host{Name: string(rune('a' + h))}, Hello: wire.Hello{Processors: tt.processors[h]}})
			}
			j.relieve(j.crowded(tt.hostOf))
			j.stderr.flush(t.Context())
			// p: has a pulse; l: long slices, for another one has; s: slack only
			letter := map[rpc.Relief]string{{}: ".", {Slack: true}: "s", {Slack: true, Slices: true}: "l", {Slack: true, Slices: true, Pulse: true}: "p"}
			relief := ""
			for _, a := range j.agents {
				relief += letter[j.podOf(a).Relief]
			}
			if relief != tt.relief {
				t.Errorf("the pods' relief is %q, want %q", relief, tt.relief)
			}
			if got := said.String(); (got == "") != (tt.says == "") || !strings.HasPrefix(got, strings.TrimSuffix("gompirun: "+tt.says, "gompirun: ")) {
				t.Errorf("the user was told %q, want %q", got, tt.says)
			}
		})
	}
}
