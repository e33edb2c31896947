package mpi

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
)

// job makes a job over two hosts from a command line.
func job(t *testing.T, family flags.MPI, line string, environ ...string) Job {
	t.Helper()
	cmd, err := flags.Parse(strings.Fields(line), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	j := Job{Run: cmd.Run, Family: family, Nodes: []Node{{"a", 2}, {"b", 2}}, HeadAddr: "10.0.0.1", Shim: "/run/shim", Environ: environ}
	for _, c := range cmd.Run.Contexts {
		j.Programs = append(j.Programs, Program{Path: c.Program})
	}
	j.Launcher = Launcher{"/bin/mpiexec", family, "4.1.4"}
	if family == flags.MPINone {
		j.Nodes = j.Nodes[:1]
	}
	return j
}

func TestOptionsAreWrittenInTheFamilysOwnWords(t *testing.T) {
	const hydra = "/bin/mpiexec -rmk user -launcher ssh -launcher-exec /run/shim -hosts a:2,b:2 -localhost 10.0.0.1"
	for _, c := range []struct {
		family flags.MPI
		line   string
		want   string
		notes  int
	}{
		{flags.MPICH, "-np 3 ./p x", hydra + " -n 3 ./p x", 0},
		{flags.MPICH, "./p", hydra + " -n 4 ./p", 0},
		{
			flags.MPICH, "-l --bind-to package:2 --iface eth1 --print-all-exitcodes ./p",
			hydra + " -iface eth1 -prepend-rank -bind-to socket:2 -print-all-exitcodes -n 4 ./p", 0,
		},
		{flags.MPICH, "--timestamp-output --map-by slot --display-map ./p", hydra + " -prepend-pattern %t  -n 4 ./p", 1},
		{flags.MPICH, "--map-by node ./p", strings.Replace(hydra, "a:2,b:2", "a:1,b:1", 1) + " -n 4 ./p", 0},
		{flags.MPICH, "-np 1 -x A=1 -wdir /w ./p : -np 2 -env B 2 -x C ./q y", hydra + " -n 1 -wdir /w -env A 1 ./p : -n 2 -env B 2 -env C c ./q y", 0},
		{flags.MPINone, "-wdir /w -x A=1 ./p x y", "./p x y", 0},
		{flags.OpenMPI, "-np 3 ./p x", "/bin/mpiexec --host a:2,b:2 -np 3 ./p x", 0},
		{flags.OpenMPI, "-np 5 ./p", "/bin/mpiexec --oversubscribe --host a:2,b:2 -np 5 ./p", 0},
		{
			flags.OpenMPI, "-l --timestamp-output --bind-to Package --map-by node --rank-by slot --print-all-exitcodes ./p",
			"/bin/mpiexec --tag-output --timestamp-output --bind-to socket --map-by node --rank-by slot --host a:2,b:2 -np 4 ./p", 1,
		},
		{
			flags.OpenMPI, "-np 1 -host a ./p : -np 3 -host b:1,a -x C* -wdir /w ./q",
			"/bin/mpiexec --host a:2 -np 1 ./p : --host b:1,a:2 -np 3 --wdir /w -x C=c -x CC=cc ./q", 0,
		},
	} {
		p, err := Make(job(t, c.family, c.line, "C=c", "CC=cc"))
		if err != nil {
			t.Errorf("Make(%s, %s) = %v", c.family, c.line, err)
			continue
		}
		if got := strings.Join(p.Argv, " "); got != c.want || len(p.Notes) != c.notes {
			t.Errorf("Make(%s, %s):\n got %s %q\nwant %s and %d notes", c.family, c.line, got, p.Notes, c.want, c.notes)
		}
	}
}

func TestWhatAFamilyCannotDoIsRefused(t *testing.T) {
	for _, c := range []struct {
		family flags.MPI
		line   string
		change func(*Job)
		want   string
	}{
		{flags.MPICH, "--rank-by node ./p", nil, "--rank-by: MPICH has no such option"},
		{flags.MPICH, "--output-filename d ./p", nil, "it has -outfile-pattern"},
		{flags.OpenMPI, "--membind x ./p", nil, "--membind: Open MPI has no such option"},
		{flags.OpenMPI, "--prepend-pattern %r ./p", nil, "it has --tag-output"},
		{flags.OpenMPI, "-envnone ./p", nil, "-genvnone does it for all"},
		{flags.MPICH, "-np 1 -host a ./p : -np 1 -host b ./q", nil, "no host list for one program"},
		{flags.OpenMPI, "-np 1 -host a ./p : -np 1 -host z ./q", nil, "host z has no pod"},
		{flags.MPICH, "--map-by node ./p", func(j *Job) { j.Nodes[1].Slots = 3 }, "as many slots"},
		{flags.OpenMPI, "./p", func(j *Job) { j.Launcher.Version = "5.0.7" }, "only versions up to 4"},
		{flags.OpenMPI, "./p", func(j *Job) { j.Shim = "/tmp/my dir/shim" }, "free of blanks"},
		{flags.OpenMPI, "./p", func(j *Job) { j.Shim = "" }, "must be absolute"},
		{flags.OpenMPI, "./p", func(j *Job) { j.Nodes = nil }, "without hosts"},
		{flags.MPINone, "./p", func(j *Job) { j.Nodes = []Node{{"a", 1}, {"b", 1}} }, "runs on one host, and 2"},
	} {
		j := job(t, c.family, c.line)
		if c.change != nil {
			c.change(&j)
		}
		if _, err := Make(j); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Make(%s, %s) = %v, want ...%s...", c.family, c.line, err, c.want)
		}
	}
}

// variables are those of a plan that the test asks for, in one line.
func variables(p Plan, names ...string) string {
	env := fromList(p.Env)
	var out []string
	for _, n := range names {
		if v, ok := env[n]; ok {
			out = append(out, n+"="+v)
		}
	}
	return strings.Join(out, " ")
}

func TestTransportsAreSetUnlessTheUserSetThem(t *testing.T) {
	names := []string{"OMPI_MCA_pml", "OMPI_MCA_btl", "OMPI_MCA_btl_tcp_if_include", "UCX_TLS", "UCX_NET_DEVICES", "HWLOC_COMPONENTS"}
	for _, c := range []struct {
		family  flags.MPI
		line    string
		environ []string
		want    string
	}{
		{flags.OpenMPI, "./p", nil, "OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader,tcp HWLOC_COMPONENTS=-gl,-opencl"},
		{flags.OpenMPI, "--mca btl self,tcp ./p", nil, "OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,tcp HWLOC_COMPONENTS=-gl,-opencl"},
		{flags.OpenMPI, "./p", []string{"OMPI_MCA_pml=cm", "HWLOC_COMPONENTS=x"}, "OMPI_MCA_pml=cm OMPI_MCA_btl=self,vader,tcp HWLOC_COMPONENTS=x"},
		{flags.OpenMPI, "--iface eth1 ./p", nil, "OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader,tcp OMPI_MCA_btl_tcp_if_include=eth1 HWLOC_COMPONENTS=-gl,-opencl"},
		{flags.MPICH, "--iface eth1 ./p", nil, "UCX_TLS=self,tcp,sm UCX_NET_DEVICES=eth1 HWLOC_COMPONENTS=-gl,-opencl"},
		{flags.MPICH, "-genv UCX_TLS tcp ./p", nil, "UCX_TLS=tcp HWLOC_COMPONENTS=-gl,-opencl"},
		{flags.MPICH, "-x UCX_TLS=tcp ./p", nil, "HWLOC_COMPONENTS=-gl,-opencl"},
		{flags.MPICH, "-genvnone ./p", []string{"UCX_TLS=tcp"}, "UCX_TLS=self,tcp,sm HWLOC_COMPONENTS=-gl,-opencl"},
		{flags.MPINone, "./p", nil, ""},
	} {
		p, err := Make(job(t, c.family, c.line, c.environ...))
		if err != nil {
			t.Fatal(err)
		}
		if got := variables(p, names...); got != c.want {
			t.Errorf("Make(%s, %s) with %q sets %s, want %s", c.family, c.line, c.environ, got, c.want)
		}
	}
}

func TestEnvironmentIsPassedOnButForWhatBelongsToOneHostOrAnotherJob(t *testing.T) {
	environ := []string{
		"PATH=/bin", "HOME=/h", "MINE=1", "SSH_TTY=/dev/pts/1", "HOSTNAME=x", "PMI_RANK=3", "OMPI_COMM_WORLD_RANK=3",
		"OMPI_MCA_orte_hnp_uri=u", "OMPI_MCA_orte_tmpdir_base=/t", "DISPLAY=:0", "HYDRA_RMK=slurm", "malformed",
	}
	names := []string{
		"PATH", "HOME", "MINE", "SSH_TTY", "HOSTNAME", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "OMPI_MCA_orte_hnp_uri",
		"OMPI_MCA_orte_tmpdir_base", "DISPLAY", "HYDRA_RMK", "malformed", "NEW",
	}
	for line, want := range map[string]string{
		"./p":                                   "PATH=/bin HOME=/h MINE=1 OMPI_MCA_orte_tmpdir_base=/t",
		"-genvlist DISPLAY,NIX ./p":             "PATH=/bin HOME=/h MINE=1 OMPI_MCA_orte_tmpdir_base=/t DISPLAY=:0",
		"-genvnone -genv NEW 1 ./p":             "PATH=/bin HOME=/h NEW=1",
		"-genvnone -genvlist MINE ./p":          "PATH=/bin HOME=/h MINE=1",
		"--mca orte_tmpdir_base /elsewhere ./p": "PATH=/bin HOME=/h MINE=1 OMPI_MCA_orte_tmpdir_base=/elsewhere",
	} {
		p, err := Make(job(t, flags.MPICH, line, environ...))
		if err != nil {
			t.Fatal(err)
		}
		if got := variables(p, names...); got != want {
			t.Errorf("Make(%s) passes on %s, want %s", line, got, want)
		}
	}
}

func TestProgramThatInheritsNothingStillGetsWhatHoldsForAll(t *testing.T) {
	p, err := Make(job(t, flags.MPICH, "-genv A 1 -envnone -x B=2 ./p", "PATH=/bin", "MINE=1"))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(p.Argv, " ")
	want := "-n 4 -envnone -env A 1 -env HWLOC_COMPONENTS -gl,-opencl -env UCX_TLS self,tcp,sm -env B 2 ./p"
	if !strings.HasSuffix(got, want) {
		t.Errorf("Make(-envnone) = %s, want ...%s", got, want)
	}
}

func TestProgramWithoutMPIGetsItsEnvironmentAndDirectory(t *testing.T) {
	p, err := Make(job(t, flags.MPINone, "-wdir /w -envnone -x A=1 ./p", "PATH=/bin", "MINE=1"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Plan{Argv: []string{"./p"}, Env: []string{"A=1", "PATH=/bin"}, Dir: "/w"}, p); diff != "" {
		t.Errorf("Make (-want +got):\n%s", diff)
	}
}

func TestNodesTakeTheirSlotsFromThePlacement(t *testing.T) {
	for _, c := range []struct {
		list    string
		np, ppn int
		want    []Node
	}{
		{"a:2,b:4", 3, 0, []Node{{"a", 2}, {"b", 4}}},
		{"a:2,b:4", 2, 0, []Node{{"a", 2}}},
		{"a:4,b:4", 4, 2, []Node{{"a", 2}, {"b", 2}}},
		{"localhost", 1, 0, []Node{{"localhost", 1}}},
		{"localhost:3", 1, 0, []Node{{"localhost", 3}}},
	} {
		list, err := hosts.ParseList("-host", c.list)
		if err != nil {
			t.Fatal(err)
		}
		placed, err := hosts.Place(list, c.np, c.ppn, false)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, Nodes(placed, c.ppn)); diff != "" {
			t.Errorf("Nodes(%s, %d ranks, %d per host) (-want +got):\n%s", c.list, c.np, c.ppn, diff)
		}
	}
}

func TestRanksYieldWhereThatIsWantedUnlessTheUserSaysOtherwise(t *testing.T) {
	const name = "OMPI_MCA_mpi_yield_when_idle"
	for _, c := range []struct {
		family  flags.MPI
		line    string
		environ []string
		yield   bool
		want    string
	}{
		{flags.OpenMPI, "./p", nil, true, name + "=1"},
		{flags.OpenMPI, "./p", nil, false, ""},
		{flags.OpenMPI, "./p", []string{name + "=0"}, true, name + "=0"},
		{flags.OpenMPI, "--mca mpi_yield_when_idle 0 ./p", nil, true, name + "=0"},
		{flags.OpenMPI, "-np 1 -x " + name + "=0 ./p", nil, true, ""},
		{flags.MPICH, "./p", nil, true, ""},
	} {
		j := job(t, c.family, c.line, c.environ...)
		j.Yield = c.yield
		p, err := Make(j)
		if err != nil {
			t.Fatal(err)
		}
		if got := variables(p, name); got != c.want {
			t.Errorf("%s %s with %q, to yield %v: %q, want %q", c.family, c.line, c.environ, c.yield, got, c.want)
		}
	}
}
