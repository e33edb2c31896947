package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// launchers start n ranks of a program under each MPI, by the name that
// nas.mk gives to its directory.
var launchers = map[string]func(n int, program ...string) []string{
	"mpich": func(n int, program ...string) []string {
		return append([]string{"mpiexec.mpich", "-n", strconv.Itoa(n)}, program...)
	},
	"openmpi": func(n int, program ...string) []string {
		return append([]string{"mpirun.openmpi", "--oversubscribe", "-n", strconv.Itoa(n)}, program...)
	},
}

// programs are all that nas.mk builds, each with numbers of ranks that it can
// have in class S: 1 and two more.
var programs = []struct {
	name  string
	ranks [3]int
}{
	{"ep", [3]int{1, 2, 4}},
	{"is", [3]int{1, 2, 4}},
	{"cg", [3]int{1, 2, 4}},
	{"mg", [3]int{1, 2, 4}},
	{"ft", [3]int{1, 2, 4}},
	{"lu", [3]int{1, 2, 4}},
	{"bt", [3]int{1, 4, 9}},
	{"sp", [3]int{1, 4, 9}},
}

var (
	successful   = regexp.MustCompile(`(?m)^ Verification\s*=\s+SUCCESSFUL$`)
	unsuccessful = regexp.MustCompile(`(?m)^ Verification\s*=\s+UNSUCCESSFUL$`)
)

// temporary is where programs are built; it lasts for all tests.
var temporary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "nas-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	temporary = dir
	m.Run()
}

// build makes all programs, with false reference values or without, and
// returns their directory. Only the first call takes long.
func build(t *testing.T, breakReferences bool) string {
	t.Helper()
	bin, flags := filepath.Join(temporary, "right"), ""
	if breakReferences {
		bin, flags = filepath.Join(temporary, "wrong"), "-DNAS_TEST_BREAK"
	}
	out, err := exec.Command("make", "-C", "..", "-f", "nas/nas.mk", "nas", "NAS_BIN="+bin, "NAS_CFLAGS="+flags).CombinedOutput()
	if err != nil {
		t.Fatalf("make nas NAS_CFLAGS=%s: %v\n%s", flags, err, out)
	}
	return bin
}

// eachMPI runs test as a subtest for each MPI. argv is the command for n ranks of
// a program.
func eachMPI(t *testing.T, breakReferences bool, test func(t *testing.T, argv func(n int, program string, args ...string) []string)) {
	if testing.Short() {
		t.Skip("runs MPI jobs")
	}
	for mpi, launch := range launchers {
		t.Run(mpi, func(t *testing.T) {
			for _, tool := range []string{"mpicc." + mpi, launch(1)[0]} {
				if _, err := exec.LookPath(tool); err != nil {
					t.Fatalf("%v: ci/setup installs it", err)
				}
			}
			bin := build(t, breakReferences)
			test(t, func(n int, program string, args ...string) []string {
				return launch(n, append([]string{filepath.Join(bin, mpi, program)}, args...)...)
			})
		})
	}
}

// run starts a program and returns what it printed and its exit status.
func run(t *testing.T, env []string, argv ...string) (output string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// hwloc asks X servers for their screens otherwise, and Open MPI refuses root.
	cmd.Env = append(append(os.Environ(), "HWLOC_COMPONENTS=-gl",
		"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"), env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", strings.Join(argv, " "), err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), ctx.Err(), out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestClassSIsVerifiedOnAnyNumberOfRanks(t *testing.T) {
	eachMPI(t, false, func(t *testing.T, argv func(int, string, ...string) []string) {
		for _, program := range programs {
			for _, n := range program.ranks {
				out, status := run(t, nil, argv(n, program.name, "S")...)
				if status != 0 || !successful.MatchString(out) {
					t.Errorf("%s.S on %d ranks: status = %d, want 0 and a successful verification:\n%s", program.name, n, status, out)
				}
				want := fmt.Sprintf(" Total processes = %24d\n", n)
				if !strings.Contains(out, want) {
					t.Errorf("%s.S on %d ranks: no line %q in:\n%s", program.name, n, want, out)
				}
			}
		}
	})
}

// Only from 8 ranks on does FT cut its grid along two axes, and is a rank of LU
// between two others.
func TestFTAndLUAreVerifiedOnEightRanks(t *testing.T) {
	eachMPI(t, false, func(t *testing.T, argv func(int, string, ...string) []string) {
		for _, program := range []string{"ft", "lu"} {
			out, status := run(t, nil, argv(8, program, "S")...)
			if status != 0 || !successful.MatchString(out) {
				t.Errorf("%s.S on 8 ranks: status = %d, want 0 and a successful verification:\n%s", program, status, out)
			}
		}
	})
}

// The number of accepted pairs is exact, whatever the order of the sums.
func TestEPCountsTheSamePairsOnAnyNumberOfRanks(t *testing.T) {
	want := " Gaussian pairs: 13176389\n Pairs by annulus: 6140517 5865300 1100361 68546 1648 17 0 0 0 0\n"
	eachMPI(t, false, func(t *testing.T, argv func(int, string, ...string) []string) {
		for _, n := range []int{1, 3} {
			out, _ := run(t, nil, argv(n, "ep", "S")...)
			if !strings.Contains(out, want) {
				t.Errorf("ep.S on %d ranks: no %q in:\n%s", n, want, out)
			}
		}
	})
}

func TestWrongReferenceValueFailsVerification(t *testing.T) {
	eachMPI(t, true, func(t *testing.T, argv func(int, string, ...string) []string) {
		for _, program := range programs {
			out, status := run(t, nil, argv(program.ranks[1], program.name, "S")...)
			if status != 1 || !unsuccessful.MatchString(out) || successful.MatchString(out) {
				t.Errorf("%s.S with wrong references: status = %d, want 1 and an unsuccessful verification:\n%s", program.name, status, out)
			}
		}
	})
}

func TestBadJobsAreRefusedInASentence(t *testing.T) {
	tests := []struct {
		n       int
		program string
		args    []string
		env     string
		want    string
	}{
		{3, "is", []string{"S"}, "", "IS: class S needs a power of two of ranks from 1 to 128, not 3"},
		{3, "cg", []string{"S"}, "", "CG: class S needs a power of two of ranks up to 1400, not 3"},
		{3, "mg", []string{"S"}, "", "MG: class S needs a power of two of ranks up to 4096, not 3"},
		{3, "ft", []string{"S"}, "", "FT: class S needs a power of two of ranks up to 4096, not 3"},
		{3, "lu", []string{"S"}, "", "LU: class S needs n1*n2 ranks with n1/2 <= n2 <= n1 <= 4, not 3"},
		{2, "bt", []string{"S"}, "", "BT: class S needs a square number of ranks up to 16, not 2"},
		{3, "sp", []string{"W"}, "", "SP: class W needs a square number of ranks up to 144, not 3"},
		{25, "sp", []string{"S"}, "", "SP: class S needs a square number of ranks up to 16, not 25"},
		{2, "is", []string{"D"}, "", "IS: class D needs a power of two of ranks from 4 to 1024, not 2"},
		{2, "ep", []string{"X"}, "", "EP: give the class as the one argument: S, W, A, B, C or D"},
		{1, "ep", nil, "", "EP: give the class as the one argument: S, W, A, B, C or D"},
		{2, "ep", []string{"S"}, "NAS_REPEAT=often", "EP: NAS_REPEAT must be a number from 1 to 1000000"},
	}
	eachMPI(t, false, func(t *testing.T, argv func(int, string, ...string) []string) {
		for _, test := range tests {
			out, status := run(t, []string{test.env}, argv(test.n, test.program, test.args...)...)
			if status != 2 || !strings.Contains(out, test.want+"\n") {
				t.Errorf("%s %s %v on %d ranks: status = %d, want 2 and %q:\n%s", test.env, test.program, test.args, test.n, status, test.want, out)
			}
		}
	})
}

func TestEachRepetitionStartsFromTheSameState(t *testing.T) {
	eachMPI(t, false, func(t *testing.T, argv func(int, string, ...string) []string) {
		for _, program := range programs {
			out, status := run(t, []string{"NAS_REPEAT=3"}, argv(program.ranks[1], program.name, "S")...)
			if status != 0 || !successful.MatchString(out) {
				t.Errorf("%s.S three times: status = %d, want 0 and a successful verification:\n%s", program.name, status, out)
			}
			for _, want := range []string{" Repetition 1 of 3: ", " Repetition 2 of 3: ", " Repetition 3 of 3: "} {
				if strings.Count(out, want) != 1 {
					t.Errorf("%s.S three times: %d lines of %q, want 1", program.name, strings.Count(out, want), want)
				}
			}
			if got := strings.Count(out, " Iteration 1\n"); got != 3 {
				t.Errorf("%s.S three times: %d first iterations, want 3", program.name, got)
			}
		}
	})
}
