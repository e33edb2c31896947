package mpi

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/launcher/flags"
)

// put writes an executable file and returns its path.
func put(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// elfFile is the test binary with some bytes of its header changed.
func elfFile(t *testing.T, dir, name string, change map[int]byte) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for at, v := range change {
		b[at] = v
	}
	return put(t, dir, name, string(b), 0o755)
}

func TestProgramsThatCannotStartAreRefusedWithTheShellsStatus(t *testing.T) {
	dir := t.TempDir()
	const machine, kind = 18, 16 // offsets in the ELF header
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program string
		status  int
		want    string
	}{
		{filepath.Join(dir, "nix"), 127, "no such file"},
		{"no-such-program-anywhere", 127, "neither on PATH nor in the working directory"},
		{dir, 126, "it is a directory"},
		{filepath.Join(dir, "fifo"), 126, "not a regular file"},
		{put(t, dir, "data", "#!/bin/sh\n", 0o644), 126, "may not be executed; chmod +x"},
		{put(t, dir, "text", "hello", 0o755), 126, "neither an ELF program nor a script"},
		{put(t, dir, "empty", "", 0o755), 126, "neither an ELF program nor a script"},
		{put(t, dir, "lost", "#!/no/such/sh -e\n", 0o755), 126, "its interpreter /no/such/sh does not exist"},
		{put(t, dir, "bare", "#!\n", 0o755), 126, "names no interpreter"},
		{put(t, dir, "short", "\x7fELF\x02\x01\x01", 0o755), 126, "damaged ELF file"},
		{elfFile(t, dir, "sparc", map[int]byte{machine: 43, machine + 1: 0}), 126, "it is made for EM_SPARCV9"},
		{elfFile(t, dir, "core", map[int]byte{kind: 4}), 126, "ELF file that cannot run (ET_CORE)"},
	} {
		_, err := Inspect(c.program, "")
		var pe *ProgramError
		if !errors.As(err, &pe) || pe.ExitStatus() != c.status || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.program) {
			t.Errorf("Inspect(%s) = %v, want status %d and ...%s...", c.program, err, c.status, c.want)
		}
	}
}

func TestProgramsAreFoundOnPathAndInTheirDirectory(t *testing.T) {
	dir, path := t.TempDir(), t.TempDir()
	put(t, dir, "here", "#!/bin/sh\n", 0o755)
	there := put(t, path, "there", "#!/bin/sh\n", 0o755)
	t.Setenv("PATH", path)
	for _, c := range []struct{ program, wdir, want string }{
		{"there", "", there},
		{"here", dir, "./here"},
		{"./here", dir, "./here"},
		{filepath.Join(dir, "here"), "/", filepath.Join(dir, "here")},
	} {
		got, err := Inspect(c.program, c.wdir)
		if err != nil || got.Path != c.want || got.Family != flags.MPINone {
			t.Errorf("Inspect(%s, %s) = %+v, %v, want %s without MPI", c.program, c.wdir, got, err, c.want)
		}
	}
}

func TestFamiliesAreToldApartByTheirLibraries(t *testing.T) {
	for libs, want := range map[string]flags.MPI{
		"libm.so.6 libc.so.6":           flags.MPINone,
		"libmpi.so.40 libc.so.6":        flags.OpenMPI,
		"libmpi_mpifh.so.40":            flags.OpenMPI,
		"libmpi_usempif08.so.40":        flags.OpenMPI,
		"libmpi_cxx.so.40 libmpi.so.40": flags.OpenMPI,
		"libmpich.so.12":                flags.MPICH,
		"libmpichfort.so.12":            flags.MPICH,
		"libmpi.so.12":                  flags.MPICH,
		"libmpifort.so.12 libmpi.so.12": flags.MPICH,
		"libmpiwrapper.so.1":            flags.MPINone,
	} {
		if got := familyOf(strings.Fields(libs)); got != want {
			t.Errorf("familyOf(%s) = %s, want %s", libs, got, want)
		}
	}
}

func TestProgramsDecideWhichLauncherStartsThem(t *testing.T) {
	dir := t.TempDir()
	script := put(t, dir, "script", "#!/bin/sh\n", 0o755)
	mpich, openmpi := compile(t, "mpicc.mpich", dir), compile(t, "mpicc.openmpi", dir)
	bin := t.TempDir()
	put(t, bin, "mpirun", "#!/bin/sh\necho 'mpirun (Open MPI) 4.1.9'\n", 0o755)
	t.Setenv("PATH", bin)
	for _, c := range []struct {
		ask      flags.MPI
		np       int
		programs []string
		want     flags.MPI
		err      string
	}{
		{flags.MPIAuto, 1, []string{mpich}, flags.MPICH, ""},
		{flags.MPIAuto, 2, []string{openmpi}, flags.OpenMPI, ""},
		{flags.MPIAuto, 1, []string{script}, flags.MPINone, ""},
		{flags.MPIAuto, 2, []string{script}, flags.OpenMPI, ""},
		{flags.MPIAuto, 2, []string{script, mpich}, flags.MPICH, ""},
		{flags.MPICH, 1, []string{script}, flags.MPICH, ""},
		{flags.MPINone, 1, []string{openmpi}, flags.MPINone, ""},
		{flags.MPIAuto, 2, []string{openmpi, mpich}, "", "one job has one MPI"},
		{flags.MPICH, 2, []string{openmpi}, "", "is linked with Open MPI; leave --mpi out"},
		{flags.MPIAuto, 1, []string{script, "/nix"}, "", "no such file"},
	} {
		run := &flags.Run{MPI: c.ask}
		for _, p := range c.programs {
			run.Contexts = append(run.Contexts, flags.Context{Program: p})
		}
		got, programs, err := Detect(run, c.np)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("Detect(%s, %v) = %v, want ...%s...", c.ask, c.programs, err, c.err)
			}
			continue
		}
		if err != nil || got != c.want || len(programs) != len(c.programs) {
			t.Errorf("Detect(%s, %v) = %s, %v, %v, want %s", c.ask, c.programs, got, programs, err, c.want)
		}
	}
}

func TestLaunchersAreAskedWhoTheyAre(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	if _, err := Find(flags.MPIAuto); err == nil || !strings.Contains(err.Error(), "no mpirun was found on PATH") {
		t.Errorf("Find with an empty PATH = %v, want an error that says so", err)
	}
	put(t, bin, "mpirun", "#!/bin/sh\necho 'HYDRA build details:'; echo '    Version:    4.2.1'\n", 0o755)
	put(t, bin, "mpiexec", "#!/bin/sh\necho 'mpiexec (OpenRTE) 4.1.4'\n", 0o755)
	for _, c := range []struct {
		family  flags.MPI
		want    flags.MPI
		name    string
		version string
	}{
		{flags.MPIAuto, flags.MPICH, "mpirun", "4.2.1"},
		{flags.MPICH, flags.MPICH, "mpirun", "4.2.1"},
		{flags.OpenMPI, flags.OpenMPI, "mpiexec", "4.1.4"},
	} {
		got, err := Find(c.family)
		if want := (Launcher{filepath.Join(bin, c.name), c.want, c.version}); err != nil || got != want {
			t.Errorf("Find(%s) = %+v, %v, want %+v", c.family, got, err, want)
		}
	}
	put(t, bin, "mpiexec", "#!/bin/sh\necho LAM; exit 1\n", 0o755)
	_, err := Find(flags.OpenMPI)
	if err == nil || !strings.Contains(err.Error(), "mpirun is MPICH 4.2.1") || !strings.Contains(err.Error(), "names neither Open MPI nor Hydra") {
		t.Errorf("Find(openmpi) = %v, want what was found instead", err)
	}
}

func TestShimReadsWhatBothLaunchersSay(t *testing.T) {
	for _, c := range []struct {
		argv                []string
		host, command, fail string
	}{
		{
			[]string{"-x", "h2", `"/usr/bin/hydra_pmi_proxy"`, "--control-port", "h1:4", "--proxy-id", "1"},
			"h2", `"/usr/bin/hydra_pmi_proxy" --control-port h1:4 --proxy-id 1`, "",
		},
		{[]string{"h2", " orted", "-mca", "ess", `"env"`}, "h2", ` orted -mca ess "env"`, ""},
		{[]string{"-X", "-n", "al@h2", "true"}, "al@h2", "true", ""},
		{[]string{"-p", "22", "h2", "true"}, "", "", `"-p"`},
		{[]string{"-x"}, "", "", "named no host"},
		{nil, "", "", "named no host"},
		{[]string{"h2"}, "", "", "no command for host h2"},
		{[]string{"h2", " "}, "", "", "no command for host h2"},
	} {
		host, command, err := ParseShim(c.argv)
		switch {
		case c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail)):
			t.Errorf("ParseShim(%q) = %v, want ...%s...", c.argv, err, c.fail)
		case c.fail == "" && (err != nil || host != c.host || command != c.command):
			t.Errorf("ParseShim(%q) = %q, %q, %v, want %q, %q", c.argv, host, command, err, c.host, c.command)
		}
	}
}
