package hosts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func env(m map[string]string) func(string) string {
	return func(k string) string { return m[k] }
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAllocationsOfResourceManagersAreFound(t *testing.T) {
	pbs := write(t, "x\nx\ny\n")
	sge := write(t, "p 4 all.q@p UNDEFINED\nq 2 all.q@q <NULL>\n")
	for _, c := range []struct {
		name string
		env  map[string]string
		want *Allocation
	}{
		{"none", map[string]string{"SLURM_JOB_ID": "1"}, nil},
		{
			"slurm tasks",
			map[string]string{"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "a[01-03,07],b5", "SLURM_TASKS_PER_NODE": "2(x3),1,4"},
			&Allocation{"slurm", "7", []Host{given("a01", 2), given("a02", 2), given("a03", 2), given("a07", 1), given("b5", 4)}},
		},
		{
			"old slurm without tasks",
			map[string]string{"SLURM_JOBID": "8", "SLURM_NODELIST": "a,b", "SLURM_JOB_CPUS_PER_NODE": "16(x2)"},
			&Allocation{"slurm", "8", []Host{given("a", 16), given("b", 16)}},
		},
		{
			"lsf",
			map[string]string{"LSB_JOBID": "9", "LSB_MCPU_HOSTS": "h1 4 h2 4"},
			&Allocation{"lsf", "9", []Host{given("h1", 4), given("h2", 4)}},
		},
		{
			"sge",
			map[string]string{"JOB_ID": "10", "PE_HOSTFILE": sge},
			&Allocation{"sge", "10", []Host{given("p", 4), given("q", 2)}},
		},
		{
			"pbs",
			map[string]string{"PBS_JOBID": "11", "PBS_NODEFILE": pbs},
			&Allocation{"pbs", "11", []Host{given("x", 2), given("y", 1)}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Detect(env(c.env))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Detect (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBrokenAllocationIsAnErrorAndNotThisMachineAlone(t *testing.T) {
	for want, m := range map[string]map[string]string{
		"neither SLURM_TASKS_PER_NODE": {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "a"},
		"it counts 1 nodes":            {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "a,b", "SLURM_TASKS_PER_NODE": "2"},
		"more nodes than the 1":        {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "a", "SLURM_TASKS_PER_NODE": "2(x65536)"},
		"no closing parenthesis":       {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "a", "SLURM_TASKS_PER_NODE": "2(x1"},
		"one is missing":               {"LSB_JOBID": "9", "LSB_MCPU_HOSTS": "h1 4 h2"},
		"number of slots is missing":   {"JOB_ID": "1", "PE_HOSTFILE": write(t, "p\n")},
		"no such file":                 {"PBS_JOBID": "1", "PBS_NODEFILE": "/nonexistent"},
	} {
		if _, err := Detect(env(m)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Detect(%v) = %v, want ...%s...", m, err, want)
		}
	}
}

func TestListChoosesAmongTheHostsOfTheFiles(t *testing.T) {
	file := write(t, "a slots=4\nbob@b slots=4 port=22\nc slots=4 max_slots=4\n")
	none := env(nil)
	got, err := Gather([]string{"b", "a:2"}, []string{file}, none)
	if err != nil {
		t.Fatal(err)
	}
	want := []Host{{Name: "b", User: "bob", Port: 22, Slots: 4, SlotsGiven: true}, given("a", 2)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Gather (-want +got):\n%s", diff)
	}
	for word, want := range map[string]string{"z": "no hostfile given names this host", "c:5": "max_slots=4"} {
		if _, err := Gather([]string{word}, []string{file}, none); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Gather(%s) = %v, want ...%s...", word, err, want)
		}
	}
}

func TestWhatIsWrittenGoesBeforeTheAllocation(t *testing.T) {
	slurm := env(map[string]string{"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "a", "SLURM_TASKS_PER_NODE": "2"})
	two := write(t, "x:1\n")
	for _, c := range []struct {
		lists, files []string
		want         []Host
	}{
		{nil, nil, []Host{given("a", 2)}},
		{[]string{"b:3"}, nil, []Host{given("b", 3)}},
		{nil, []string{two, two}, []Host{given("x", 2)}},
	} {
		got, err := Gather(c.lists, c.files, slurm)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("Gather(%v, %v) (-want +got):\n%s", c.lists, c.files, diff)
		}
	}
	if got, err := Gather(nil, nil, env(nil)); len(got) != 0 || err != nil {
		t.Errorf("Gather() = %v, %v, want no hosts", got, err)
	}
}
