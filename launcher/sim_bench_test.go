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

// BenchmarkCoordinator measures the coordinator with simulated agents: a
// checkpoint, with its phases, and the phases of a restart in which the coordinator
// has something to do. There are 32 agents that have as many connections as 128
// ranks connected all with all, and up to 4,096 with 64 connections each. Every
// hundredth of these may be odd: it takes 100 ms longer for each step, or fails in
// every other checkpoint, which is given up then, and measured beside the one that
// is made.
//
//	go test ./launcher -run none -bench Coordinator -benchtime 3x
func BenchmarkCoordinator(b *testing.B) {
	b.Run("agents=32/ends=496", func(b *testing.B) { coordinate(b, simAgents{Agents: 32, Degree: 248}) })
	for _, agents := range []int{64, 256, 1024, 4096} {
		for _, odd := range []string{"no", "slow", "fail"} {
			s := simAgents{Agents: agents, Degree: 32, Every: min(100, agents)}
			switch odd {
			case "slow":
				s.SlowMS = 100
			case "fail":
				s.Fails = rpc.Snapshot
			}
			b.Run(fmt.Sprintf("agents=%d/ends=64/odd=%s", agents, odd), func(b *testing.B) { coordinate(b, s) })
		}
	}
}

func coordinate(b *testing.B, s simAgents) {
	j, _ := simulatedJob(b, s)
	ctx := context.Background()
	sum := map[string]time.Duration{}
	note := func(t Timing) {
		sum[string(t.Phase)] += t.Took
		sum["own"] += t.Own
		if t.Phase == Elect {
			sum["own-elect"] += t.Own
		}
		if strings.Contains("suspend elect drain snapshot refill resume", string(t.Phase)) {
			sum["pause"] += t.Took
			sum["own-in-pause"] += t.Own
		}
	}
	for b.Loop() {
		if s.Fails != "" {
			start := time.Now()
			if _, err := j.checkpoint(ctx, false); err == nil || isBroken(err) {
				b.Fatalf("a checkpoint in which agents fail = %v, want an error after which the job goes on", err)
			}
			sum["given-up"] += time.Since(start)
		}
		number, err := j.opened().Begin()
		if err != nil {
			b.Fatal(err)
		}
		before := cpuTime(b)
		a := j.attempt(j.opened(), number)
		err = RunPlan(ctx, j.agents, timed(a.plan(), j.own.total, note), a.abort())
		a.release()
		if err != nil {
			b.Fatal(err)
		}
		between := cpuTime(b)
		if err := restartPhases(j, sum); err != nil {
			b.Fatal(err)
		}
		sum["cpu-checkpoint"] += between - before
		sum["cpu-restart"] += cpuTime(b) - between
	}
	for what, d := range sum {
		b.ReportMetric(d.Seconds()*1000/float64(b.N), "ms-"+what)
	}
	b.ReportMetric(float64(peak(b))/(1<<20), "MiB-peak")
	b.ReportMetric(0, "ns/op") // the figures above tell more
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
