package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// build makes this program and gompirun in a directory of the test's own.
func build(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for program, pkg := range map[string]string{"gompirun": "../cmd/gompirun", "benchmarks": "."} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, program), pkg).CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", pkg, err, out)
		}
	}
	return dir
}

// onlyResult reads the values of the one result that there is to be.
func onlyResult(t *testing.T, pattern string, values any) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatalf("the results are the files %v (%v), want one", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, values); err != nil {
		t.Fatal(err)
	}
}

// The smallest case works from end to end: each figure of gompirun is there.
func TestSmallestCaseIsMeasured(t *testing.T) {
	dir := build(t)
	results := filepath.Join(dir, "results")
	cmd := exec.Command(filepath.Join(dir, "benchmarks"), "-case", "process", "-mib", "16", "-rounds", "1", "-tools", "gompirun,dd,native",
		"-gompirun", filepath.Join(dir, "gompirun"), "-dir", dir, "-out", results)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var r report
	onlyResult(t, filepath.Join(results, "*.json"), &r)
	for _, tool := range r.Cases[0].Tools {
		for what, times := range tool.Failures {
			t.Errorf("%s: %s (%d times)", tool.Tool, what, times)
		}
		want := map[string][]string{
			toolGompirun: {keyPause, keyReported, keyDurable, keyBytes, keyPause2, keyDurable2, keyBytes2, keyRestart, keyRun, keyRunEvery},
			toolDD:       {keyDurable, keyBytes}, toolNative: {keyRun},
		}
		for _, key := range want[tool.Tool] {
			if len(tool.Series[key]) != 1 {
				t.Errorf("%s has %d values of %s, want 1", tool.Tool, len(tool.Series[key]), key)
			}
		}
	}
	if wrote := r.Cases[0].Tools[0].Series[keyBytes]; len(wrote) == 1 && wrote[0] < 16 {
		t.Errorf("the checkpoint of 16 MiB of random numbers wrote %v MiB", wrote[0])
	}
}
