package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// count is a program that counts to 200; with what was printed before the last
// checkpoint and after the restart every number must be there once.
const count = `i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); sleep 0.01; done`

// numbers reads what count printed.
func numbers(t *testing.T, out string) []int {
	t.Helper()
	var list []int
	for _, w := range strings.Fields(out) {
		n, err := strconv.Atoi(w)
		if err != nil {
			t.Fatalf("the program printed %q", w)
		}
		list = append(list, n)
	}
	return list
}

func wantCounted(t *testing.T, before, after string) {
	t.Helper()
	got := append(numbers(t, before), numbers(t, after)...)
	want := make([]int, 200)
	for i := range want {
		want[i] = i
	}
	if !slices.Equal(got, want) {
		t.Errorf("the numbers printed before and after are %v, want 0 to 199", got)
	}
}

func TestStoppedJobGoesOnWhereItWas(t *testing.T) {
	dir := t.TempDir()
	j := startJob(t, dir, "--ckpt-dir", "c", "sh", "-c", count)
	j.awaitLine("20")
	one := gompirun(t, dir, "checkpoint", "c")
	if one.status != 0 || !strings.HasPrefix(one.out, "checkpoint 1: 1 rank, paused ") {
		t.Fatalf("checkpoint = %+v, want one line about checkpoint 1", one)
	}
	j.awaitLine("60")
	two := gompirun(t, dir, "checkpoint", "--stop", "c")
	if two.status != 0 || !strings.Contains(two.out, "gompirun restart c\n") {
		t.Fatalf("checkpoint --stop = %+v, want the command that resumes the job", two)
	}
	r := j.rest()
	if r.status != 75 || !strings.Contains(r.stderr, "gompirun: checkpoint 2: 1 rank, paused ") {
		t.Errorf("the run ended with %d and said %q, want 75 and checkpoint 2", r.status, r.stderr)
	}
	again := gompirun(t, dir, "restart", "c")
	if again.status != 0 {
		t.Errorf("restart = %+v, want status 0", again)
	}
	wantCounted(t, r.out, again.out)
	ended := gompirun(t, dir, "checkpoint", "c")
	if ended.status != 125 || !strings.Contains(ended.stderr, "has ended") || !strings.Contains(ended.stderr, "gompirun restart ") {
		t.Errorf("a checkpoint of an ended job = %+v, want a refusal that says so", ended)
	}
}

func TestTerminationBecomesACheckpoint(t *testing.T) {
	dir := t.TempDir()
	j := startJob(t, dir, "--ckpt-dir", "c", "sh", "-c", count)
	j.awaitLine("30")
	j.signal(syscall.SIGTERM)
	r := j.rest()
	if r.status != 75 {
		t.Fatalf("the run ended with %d and said %q, want 75", r.status, r.stderr)
	}
	again := gompirun(t, dir, "restart", "c")
	wantCounted(t, r.out, again.out)
}

func TestRestartTakesInputAndGivesStatus(t *testing.T) {
	dir := t.TempDir()
	in, w, err := os.Pipe() // an input that has not ended
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	j := startJobWith(t, in, dir, "--ckpt-dir", "c", "sh", "-c", "echo up; while :; do sleep 0.05; test -e stopped && break; done; read line; echo got $line; exit 9")
	j.awaitLine("up")
	if r := gompirun(t, dir, "checkpoint", "--stop", "c"); r.status != 0 {
		t.Fatalf("checkpoint = %+v", r)
	}
	if r := j.rest(); r.status != 75 {
		t.Fatalf("the run ended with %d, want 75", r.status)
	}
	if err := os.WriteFile(filepath.Join(dir, "stopped"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(dir, "restart", "c")
	cmd.Stdin = strings.NewReader("a line\n")
	if r := finish(t, cmd); r.status != 9 || r.out != "got a line\n" {
		t.Errorf("restart = %+v, want status 9 after the line", r)
	}
}

func TestRegularCheckpointsAreMadeKeptAndListed(t *testing.T) {
	dir := t.TempDir()
	j := startJob(t, dir, "--ckpt-dir", "c", "--ckpt-interval", "0.2s", "--ckpt-keep", "2", "sh", "-c", count)
	r := j.rest()
	if r.status != 0 || strings.Count(r.stderr, "gompirun: checkpoint ") < 3 {
		t.Fatalf("the run ended with %d and said %q, want 0 and some checkpoints", r.status, r.stderr)
	}
	wantCounted(t, r.out, "")
	var rows []map[string]any
	if err := json.Unmarshal([]byte(gompirun(t, dir, "ls", "--json", "c").out), &rows); err != nil {
		t.Fatal(err)
	}
	complete := 0
	for _, row := range rows {
		if row["complete"] == true {
			complete++
		}
		for _, key := range []string{"generation", "created", "pods", "processes", "ranks", "bytes_logical", "bytes_written", "pause_ms", "duration_ms"} {
			if _, ok := row[key]; !ok {
				t.Errorf("ls --json has no %s", key)
			}
		}
	}
	// The end of the job may come before the oldest one has been removed.
	if complete < 2 || complete > 3 {
		t.Errorf("%d generations are kept, want 2: %v", complete, rows)
	}
}

func TestDamagedCheckpointIsRefusedAndAnIntactOneOffered(t *testing.T) {
	dir := t.TempDir()
	j := startJob(t, dir, "--ckpt-dir", "c", "sh", "-c", count)
	j.awaitLine("10")
	gompirun(t, dir, "checkpoint", "c")
	gompirun(t, dir, "checkpoint", "--stop", "c")
	r := j.rest()
	image := filepath.Join(dir, "c/gen/000002/pod-0000.json")
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(image, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"restart", "c"}, {"restart", "c@2"}, {"restart", "--dry-run", "c"}, {"inspect", "c"}} {
		got := gompirun(t, dir, args...)
		if got.status != 76 || !strings.Contains(got.stderr, "gen/000002/pod-0000.json") || !strings.Contains(got.stderr, "gompirun restart c@1") {
			t.Errorf("gompirun %q = %+v, want status 76, the file's name and the offer of checkpoint 1", args, got)
		}
	}
	if got := gompirun(t, dir, "verify", "--json", "c"); got.status != 76 || !strings.Contains(got.out, `"intact": false`) {
		t.Errorf("verify = %+v, want status 76 and the verdict", got)
	}
	if got := gompirun(t, dir, "restart", "c@1"); got.status != 0 {
		t.Errorf("restart of the intact one = %+v", got)
	}
	if got := gompirun(t, dir, "restart", "c@7"); got.status != 76 || !strings.Contains(got.stderr, "no complete checkpoint 7") {
		t.Errorf("restart of one that is not there = %+v, want status 76", got)
	}
	if r.status != 75 {
		t.Errorf("the run ended with %d, want 75", r.status)
	}
}

func TestCheckpointDirectoriesThatWillNotDo(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "used"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "used/file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ dir, says string }{
		{"no/such/dir", "make it first"},
		{"used", "choose another place with --ckpt-dir"},
		{"/proc/c", "--ckpt-dir"},
	} {
		r := gompirun(t, dir, "--ckpt-dir", tt.dir, "true")
		if r.status != 125 || !strings.Contains(r.stderr, tt.says) {
			t.Errorf("with --ckpt-dir %s it ended with %d and said %q, want 125 and %q", tt.dir, r.status, r.stderr, tt.says)
		}
	}
	for _, verb := range []string{"ls", "verify", "inspect", "restart"} {
		r := gompirun(t, dir, verb, "used")
		if r.status == 0 || !strings.Contains(r.stderr, "holds no checkpoint store") {
			t.Errorf("gompirun %s of another directory = %+v, want a refusal", verb, r)
		}
	}
}

func TestSecondJobInADirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	j := startJob(t, dir, append([]string{"--ckpt-dir", "c"}, spin("")...)...)
	j.awaitLine("up")
	r := gompirun(t, dir, "--ckpt-dir", "c", "true")
	if r.status != 125 || !strings.Contains(r.stderr, "another running job uses this checkpoint directory") {
		t.Errorf("the second job = %+v, want a refusal", r)
	}
	if r := gompirun(t, dir, "checkpoint", "c"); r.status != 0 {
		t.Errorf("checkpoint of the first job = %+v", r)
	}
	j.signal(syscall.SIGINT)
	j.rest()
	r = gompirun(t, dir, "--ckpt-dir", "c", "true")
	if r.status != 125 || !strings.Contains(r.stderr, "holds checkpoints of an earlier job") {
		t.Errorf("a job in the directory of an earlier one = %+v, want a refusal", r)
	}
}

// Without any option for checkpoints nothing is left behind, and yet a job can be
// checkpointed.
func TestDirectoryIsMadeWhenTheFirstCheckpointIsAskedFor(t *testing.T) {
	dir := t.TempDir()
	j := startJob(t, dir, spin("")...)
	j.awaitLine("up")
	if _, err := os.Stat(filepath.Join(dir, "ckpt-sh")); err == nil {
		t.Error("ckpt-sh is there before it is needed")
	}
	if r := gompirun(t, dir, "checkpoint", "ckpt-sh"); r.status != 0 {
		t.Errorf("checkpoint = %+v", r)
	}
	j.signal(syscall.SIGINT)
	j.rest()
	if _, err := os.Stat(filepath.Join(dir, "ckpt-sh/gen/000001/manifest.json")); err != nil {
		t.Error(err)
	}
}

func TestCheckpointsAtTheSameTimeAreRefusedOrMade(t *testing.T) {
	dir := t.TempDir()
	j := startJob(t, dir, append([]string{"--ckpt-dir", "c"}, spin("")...)...)
	j.awaitLine("up")
	const asked = 6
	answers := make(chan result, asked)
	for range asked {
		go func() { answers <- gompirun(t, dir, "checkpoint", "c") }()
	}
	made := 0
	for range asked {
		switch r := <-answers; {
		case r.status == 0:
			made++
		case !strings.Contains(r.stderr, "a checkpoint of this job is under way"):
			t.Errorf("checkpoint = %+v, want success or a refusal", r)
		}
	}
	j.signal(syscall.SIGINT)
	if r := j.rest(); strings.Count(r.stderr, "gompirun: checkpoint ") != made || made == 0 {
		t.Errorf("%d checkpoints were answered, and the run said %q", made, r.stderr)
	}
}

// The coordinator's clock need not be exact; a job that is checkpointed all the
// time must still end right.
func TestJobEndsRightWhileItIsCheckpointed(t *testing.T) {
	for i := range 5 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			start := time.Now()
			r := gompirun(t, t.TempDir(), "--ckpt-dir", "c", "--ckpt-interval", "0.05s", "sh", "-c", fmt.Sprintf("sleep 0.%d; exit 4", 1+i))
			if r.status != 4 {
				t.Errorf("it ended with %d after %v and said %q, want 4", r.status, time.Since(start), r.stderr)
			}
		})
	}
}

func TestCheckpointsGoByWayOfAStagingDirectory(t *testing.T) {
	dir := t.TempDir()
	stage := filepath.Join(dir, "stage")
	if err := os.Mkdir(stage, 0o700); err != nil {
		t.Fatal(err)
	}
	j := startJob(t, dir, "-v", "--ckpt-dir", "c", "--ckpt-stage", stage, "sh", "-c", count)
	j.awaitLine("20")
	if r := gompirun(t, dir, "checkpoint", "c"); r.status != 0 {
		t.Fatalf("checkpoint = %+v", r)
	}
	// Without the directory it is made all the same.
	if err := os.Remove(stage); err != nil {
		t.Fatalf("the staging directory is not empty after a checkpoint: %v", err)
	}
	if r := gompirun(t, dir, "checkpoint", "--stop", "c"); r.status != 0 {
		t.Fatalf("checkpoint --stop = %+v", r)
	}
	r := j.rest()
	if r.status != 75 || strings.Count(r.stderr, "deliver: ") != 2 || strings.Count(r.stderr, "the staging directory "+stage+" was not used") != 1 {
		t.Errorf("the run ended with %d and said %q, want 75, two deliveries and one warning", r.status, r.stderr)
	}
	if v := gompirun(t, dir, "verify", "c"); v.status != 0 {
		t.Errorf("verify = %+v", v)
	}
	again := gompirun(t, dir, "restart", "c")
	wantCounted(t, r.out, again.out)
}
