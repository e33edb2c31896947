package main

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGridBeginsWithTheLargestJobs(t *testing.T) {
	var got [][2]int
	for _, p := range grid([]int{4, 16, 32}, []int{1, 4, 8}) {
		got = append(got, [2]int{p.Ranks, p.Hosts})
	}
	want := [][2]int{{32, 8}, {32, 4}, {32, 1}, {16, 8}, {16, 4}, {16, 1}, {4, 4}, {4, 1}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("grid (-want +got):\n%s", d)
	}
}

func TestPhasesAreThoseOfTheTryThatSucceeded(t *testing.T) {
	got := parsePhases(`gompirun: login: 12.0 ms
gompirun: prepare: 3.0 ms, own 0.1 ms, longest on h1: 2.9 ms
gompirun: suspend: 5.0 ms
gompirun: a connection is being made
gompirun: prepare: 4.0 ms
gompirun: suspend: 6.0 ms, own 0.5 ms
gompirun: elect: 2.5 ms, own 1.5 ms, longest on h2: 1 ms
gompirun: write: 9.0 ms
gompirun: commit: 7.0 ms, own 7.0 ms
gompirun: prepare: 1.0 ms
gompirun: suspend: 8.0 ms
`)
	want := map[string]series{
		"prepare": {4}, "prepare own": {0}, "suspend": {6}, "suspend own": {0.5},
		"elect": {2.5}, "elect own": {1.5}, "pause": {8.5}, "pause own": {2}, "write": {9}, "write own": {0}, "commit": {7}, "commit own": {7},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("parsePhases (-want +got):\n%s", d)
	}
}

// exampleScale is jobs whose drain grows as the ranks and not with the hosts, and
// whose elect grows as the square of the ranks.
func exampleScale() *scaleReport {
	r := &scaleReport{Host: host{Name: "h<1>", Date: time.Date(2026, 11, 22, 18, 5, 0, 0, time.UTC)}, MPI: mpich, Rounds: 1}
	for _, p := range grid([]int{4, 16, 32, 64, 128}, []int{1, 2, 4, 8, 16, 32}) {
		n := float64(p.Ranks)
		p.MS = map[string]series{"drain": {2 * n}, "elect": {n * n / 10}, "elect own": {0}, "pause": {2*n + n*n/10}}
		r.Points = append(r.Points, p)
	}
	r.Points[0].Failure = "it broke"
	r.LeftOut = []point{{Ranks: 256, Hosts: 32}}
	return r
}

func TestReportTellsWhatGrowsFasterThanLinearly(t *testing.T) {
	got := exampleScale().markdown()
	for _, want := range []string{
		"| 128 | 16 | 0.0 | – | – | 1638.4 | 0.0 | 256.0 | – |",
		"- ranks 128, hosts 32: it broke\n",
		"- ranks 256, hosts 32: left out, the time was up\n",
		"With the ranks, from 32 to 64 with 32 hosts, as the power (1 is linear; times of less than 1 ms are left out): elect 2.00, drain 1.00, pause 1.",
		"**Faster than linearly: elect, pause.**",
		"With the hosts, from 4 to 16 with 128 ranks, as the power (1 is linear; times of less than 1 ms are left out): elect 0.00, drain 0.00, pause 0.00. **Faster than linearly: none.**",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q:\n%s", want, got)
		}
	}
}

func TestGrowthIsOfTheLargestJobs(t *testing.T) {
	r := &scaleReport{}
	for _, n := range []float64{4, 8, 16, 32} {
		r.Points = append(r.Points, point{Ranks: int(n), Hosts: 1, MS: map[string]series{"suspend": {max(100, n*n)}}})
	}
	if e, ok := exponent(r.along(byRanks, byHosts), byRanks, "suspend"); !ok || math.Abs(e-1.68) > 0.01 {
		t.Errorf("exponent = %v, %v, want the slope of 100, 256, 1024 over 8, 16, 32", e, ok)
	}
	if e, ok := exponent(r.along(byHosts, byRanks), byHosts, "suspend"); ok {
		t.Errorf("exponent of one point = %v, want that it is not known", e)
	}
}

func TestPlotsHaveALineForEachNumber(t *testing.T) {
	picture := exampleScale().svg()
	// Of four times, over the ranks and over the hosts.
	if got, want := wantXML(t, picture)["circle"], 4*(6+5); got != want {
		t.Errorf("the picture has %d lines, want %d", got, want)
	}
	if strings.Contains(picture, "NaN") || strings.Contains(picture, "Inf") {
		t.Errorf("a number of the picture is none:\n%s", picture)
	}
}

// A small grid is measured from end to end, and nothing is left of it.
func TestSmallJobsAreMeasuredOnTestHosts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: test hosts are network namespaces")
	}
	dir := build(t)
	work, results := filepath.Join(dir, "work"), filepath.Join(dir, "results")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "benchmarks"), "-scale", "-ranks", "2,4", "-hosts", "1,2", "-rounds", "1",
		"-gompirun", filepath.Join(dir, "gompirun"), "-dir", work, "-out", results)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Errorf("%v (%v) is left in %s", left, err, work)
	}
	var r scaleReport
	onlyResult(t, filepath.Join(results, "*-scale.json"), &r)
	if len(r.Points) != 4 || len(r.LeftOut) != 0 {
		t.Fatalf("%d points were measured and %d left out, want 4 and none", len(r.Points), len(r.LeftOut))
	}
	for _, p := range r.Points {
		if p.Failure != "" || slices.ContainsFunc(scaleColumns, func(key string) bool { return len(p.MS[key]) != 1 }) {
			t.Errorf("%d ranks on %d hosts: %v %s, want a value of each of %v", p.Ranks, p.Hosts, p.MS, p.Failure, scaleColumns)
		}
	}
}
