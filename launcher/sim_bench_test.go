package launcher

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/launcher/rpc"
)

// BenchmarkCoordinator measures the coordinator with simulated agents, each of
// which has 64 connections: a checkpoint, with its phases, and the phases of a
// restart in which the coordinator has something to do.
//
//	go test ./launcher -run none -bench Coordinator -benchtime 3x
func BenchmarkCoordinator(b *testing.B) {
	for _, agents := range []int{64, 256, 1024, 4096} {
		for _, slow := range []int{0, 100} {
			b.Run(fmt.Sprintf("agents=%d/slow=%dms", agents, slow), func(b *testing.B) {
				s := simAgents{Agents: agents, Degree: 32, SlowMS: slow}
				if slow > 0 {
					s.Every = 100
				}
				j, _ := simulatedJob(b, s)
				sum := map[string]time.Duration{}
				note := func(t Timing) {
					sum[string(t.Phase)] += t.Took
					sum["own"] += t.Own
					if strings.Contains("suspend elect drain snapshot refill resume", string(t.Phase)) {
						sum["pause"] += t.Took
						sum["own-in-pause"] += t.Own
					}
				}
				before := cpuTime(b)
				for b.Loop() {
					number, err := j.opened().Begin()
					if err != nil {
						b.Fatal(err)
					}
					a := &attempt{j: j, store: j.opened(), number: number, results: map[int]rpc.Result{}}
					err = RunPlan(context.Background(), j.agents, timed(a.plan(), j.own.total, note), a.abort())
					a.release()
					if err != nil {
						b.Fatal(err)
					}
					if err := restartPhases(j, sum); err != nil {
						b.Fatal(err)
					}
				}
				sum["cpu"] = cpuTime(b) - before
				for what, d := range sum {
					b.ReportMetric(d.Seconds()*1000/float64(b.N), "ms-"+what)
				}
				b.ReportMetric(float64(peak(b))/(1<<20), "MiB-peak")
				b.ReportMetric(0, "ns/op") // the figures above tell more
			})
		}
	}
}

// restartPhases are those of a restart that grow with the job.
func restartPhases(j *Job, sum map[string]time.Duration) error {
	v := &revival{j: j, pods: map[int]rpc.Rebuilt{}}
	plan := []Step[*Agent]{
		{Phase: Rebuild, Each: v.rebuild, Then: v.locate},
		{Phase: Connect, Each: v.connect},
	}
	return RunPlan(context.Background(), j.agents, timed(plan, j.own.total, func(t Timing) { sum[string(t.Phase)] += t.Took }), nil)
}

// cpuTime is what this process has used of the processors.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the most memory that this process has had since the last call, in
// bytes (proc_pid_clear_refs(5), "5").
func peak(b *testing.B) (kib int64) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if _, err := fmt.Sscan(v, &kib); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
	return kib << 10
}
