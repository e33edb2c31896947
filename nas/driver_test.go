package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNumbersOfRanksAreThoseOfNPB(t *testing.T) {
	legal := map[string][]int{
		"ep": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18},
		"ft": {1, 2, 4, 8, 16},
		"bt": {1, 4, 9, 16},
		"lu": {1, 2, 4, 6, 8, 9, 12, 15, 16, 18},
	}
	for name, want := range legal {
		var got []int
		for n := 1; n <= 18; n++ {
			if rules[name].holds(n) {
				got = append(got, n)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s runs on %v ranks of 1 to 18, want %v", name, got, want)
		}
	}
	for _, test := range []struct {
		name    string
		n, want int
	}{{"cg", 6, 4}, {"cg", 7, 8}, {"bt", 8, 9}, {"bt", 2, 1}, {"lu", 3, 2}, {"lu", 13, 12}} {
		if got := nearest(test.name, test.n); got != test.want {
			t.Errorf("nearest(%s, %d) = %d, want %d", test.name, test.n, got, test.want)
		}
	}
}

// binaries lays a directory out as bin is, of the programs that build has made.
func binaries(t *testing.T, breakReferences bool) string {
	t.Helper()
	dir := t.TempDir()
	gompirun, err := filepath.Abs("../bin/gompirun")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(gompirun); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	for name, to := range map[string]string{"gompirun": gompirun, "nas": build(t, breakReferences)} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSelectionFollowsWhatIsBuiltAndTellsWhatCannotBe(t *testing.T) {
	bin := binaries(t, false)
	npb := t.TempDir()
	if err := os.Symlink(filepath.Join(bin, "nas", openMPI, "cg"), filepath.Join(npb, "cg.A.x")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args string
		want []string // program, family and ranks
		says string
	}{
		{"--programs cg,lu --mpi openmpi", []string{"cg openmpi 4", "lu openmpi 4"}, ""},
		{"--programs cg --ranks 3", []string{"cg openmpi 2", "cg mpich 2"}, "cg needs a power of two of ranks: it runs on 2 instead of 3\n"},
		{"--programs lu --mpi mpich --ranks 3,6", []string{"lu mpich 6"}, "lu needs n1*n2 with n1/2 <= n2 <= n1 of ranks: it does not run on 3\n"},
		{"--all --class A --npb " + npb, []string{"cg openmpi 4"}, ""},
		{"--all --class S --npb " + npb, nil, "named like cg.S.x"},
		{"--programs ep --class A --npb " + npb, nil, "program " + npb + "/ep.A.x: no such file"},
		{"--programs nothing", nil, `there is no "nothing"`},
		{"--all --programs cg", nil, "either --all or --programs"},
		{"--all --cluster 1", nil, "--cluster needs 2 to 200 hosts"},
	} {
		var log bytes.Buffer
		o, err := parseOptions(append([]string{"--bin", bin}, strings.Fields(test.args)...), &log)
		var jobs []job
		if err == nil {
			jobs, err = selectJobs(o, &log)
		}
		if err != nil {
			log.WriteString(err.Error())
		}
		var got []string
		for _, j := range jobs {
			got = append(got, fmt.Sprint(j.name, " ", j.family, " ", j.ranks))
		}
		if !slices.Equal(got, test.want) || (err == nil) != (test.want != nil) || !strings.Contains(log.String(), test.says) {
			t.Errorf("nas %s selects %q and says %q, want %q and %q", test.args, got, log.String(), test.want, test.says)
		}
	}
}

// driven runs the driver on this host and returns its status, table and log.
func driven(t *testing.T, args string) (status int, rows []string, log string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var out, said bytes.Buffer
	status, err := drive(ctx, append(strings.Fields(args), "--dir", t.TempDir()), &out, &said)
	if err != nil {
		t.Fatalf("nas %s: %v\n%s", args, err, said.String())
	}
	return status, strings.Split(strings.TrimSpace(out.String()), "\n")[2:], said.String()
}

func TestKilledProgramsAreVerified(t *testing.T) {
	if testing.Short() {
		t.Skip("runs MPI jobs")
	}
	status, rows, log := driven(t, "--programs is --class S --ranks 2 --mpi openmpi --kill 1 --seed 3 --bin "+binaries(t, false))
	if status != 0 || len(rows) != 1 || !strings.HasPrefix(rows[0], "| is      | S     | 2     | openmpi | verified |") {
		t.Errorf("status = %d, want 0 and a line of a verified program:\n%s\n%s", status, rows, log)
	}
	if cells := strings.Split(rows[0], "|"); strings.TrimSpace(cells[7]) != "1" || strings.TrimSpace(cells[11]) == "" {
		t.Errorf("the line says nothing of a kill and a restart: %s\n%s", rows[0], log)
	}
	if !strings.Contains(log, "killed, restarted on this host; verified\n") {
		t.Errorf("the log tells no kill and restart:\n%s", log)
	}
}

func TestWrongResultIsAFailure(t *testing.T) {
	if testing.Short() {
		t.Skip("runs MPI jobs")
	}
	status, rows, log := driven(t, "--programs is --class S --ranks 2 --mpi openmpi --bin "+binaries(t, true))
	if status != notVerified || !strings.Contains(rows[0], "| NOT VERIFIED |") {
		t.Errorf("status = %d, want %d, and the line is:\n%s\n%s", status, notVerified, rows[0], log)
	}
}
