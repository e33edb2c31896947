package launcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeAgent notes what it is told and fails where it should.
type fakeAgent struct {
	name    string
	fails   Phase
	mu      *sync.Mutex
	journal *[]string
}

func (f *fakeAgent) Where() string { return f.name }

func (f *fakeAgent) do(p Phase) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	*f.journal = append(*f.journal, fmt.Sprintf("%s %s", p, f.name))
	if f.fails == p {
		return errors.New("no")
	}
	return nil
}

func steps(phases ...Phase) []Step[*fakeAgent] {
	var out []Step[*fakeAgent]
	for _, p := range phases {
		out = append(out, Step[*fakeAgent]{Phase: p, Each: func(_ context.Context, f *fakeAgent) error { return f.do(p) }})
	}
	return out
}

var everyPhase = []Phase{Prepare, Suspend, Elect, Drain, Snapshot, Refill, Resume, Write}

func TestNoAgentPassesABarrierAnotherFailed(t *testing.T) {
	for _, fails := range everyPhase {
		t.Run(string(fails), func(t *testing.T) {
			var mu sync.Mutex
			var journal []string
			agents := []*fakeAgent{{"a", "", &mu, &journal}, {"b", fails, &mu, &journal}, {"c", "", &mu, &journal}}
			err := RunPlan(context.Background(), agents, steps(everyPhase...), steps(Abort))
			var p *PhaseError
			if !errors.As(err, &p) || p.Phase != fails || p.Where != "b" {
				t.Errorf("RunPlan = %v, want the failure of %s on b", err, fails)
			}
			count := map[string]int{}
			failed := false
			for _, j := range journal {
				phase, _, _ := strings.Cut(j, " ")
				count[phase]++
				if failed && phase != string(fails) && phase != string(Abort) {
					t.Errorf("%s was entered after %s had failed", phase, fails)
				}
				failed = failed || phase == string(fails)
			}
			if count[string(fails)] != 3 || count[string(Abort)] != 3 {
				t.Errorf("phase %s was entered by %d and abort by %d of 3 agents", fails, count[string(fails)], count[string(Abort)])
			}
		})
	}
}

func TestPhasesDoNotOverlap(t *testing.T) {
	var mu sync.Mutex
	var journal []string
	agents := []*fakeAgent{{"a", "", &mu, &journal}, {"b", "", &mu, &journal}}
	if err := RunPlan(context.Background(), agents, steps(everyPhase...), nil); err != nil {
		t.Fatal(err)
	}
	var order, want []string
	for _, j := range journal {
		phase, _, _ := strings.Cut(j, " ")
		order = append(order, phase)
	}
	for _, p := range everyPhase {
		want = append(want, string(p), string(p))
	}
	if d := cmp.Diff(want, order); d != "" {
		t.Errorf("phases were entered in another order (-want +got):\n%s", d)
	}
}

func TestAbortIsTakenOnAllAgentsThoughPartsOfItFail(t *testing.T) {
	var mu sync.Mutex
	var journal []string
	agents := []*fakeAgent{{"a", Drain, &mu, &journal}, {"b", Refill, &mu, &journal}}
	ctx, cancel := context.WithCancel(context.Background())
	plan := append(steps(Suspend), Step[*fakeAgent]{Phase: Drain, Each: func(_ context.Context, f *fakeAgent) error {
		cancel() // the user has given up as well
		return f.do(Drain)
	}})
	err := RunPlan(ctx, agents, plan, steps(Refill, Abort))
	if err == nil || !strings.Contains(err.Error(), "drain on a") || !strings.Contains(err.Error(), "refill on b") {
		t.Errorf("RunPlan = %v, want both failures", err)
	}
	aborts := 0
	for _, j := range journal {
		if strings.HasPrefix(j, string(Abort)) {
			aborts++
		}
	}
	if aborts != 2 {
		t.Errorf("%d of 2 agents gave up", aborts)
	}
}

func TestCoordinatorsPartFailsThePhase(t *testing.T) {
	var mu sync.Mutex
	var journal []string
	agents := []*fakeAgent{{"a", "", &mu, &journal}}
	plan := steps(Suspend, Elect, Resume)
	plan[1].Then = func(context.Context) error { return errors.New("two ends and three names") }
	err := RunPlan(context.Background(), agents, plan, steps(Abort))
	if got, want := fmt.Sprint(err), "elect: two ends and three names"; got != want {
		t.Errorf("RunPlan = %q, want %q", got, want)
	}
	if want := []string{"suspend a", "elect a", "abort a"}; !cmp.Equal(journal, want) {
		t.Errorf("the agent did %q, want %q", journal, want)
	}
}

func TestSlowestMemberOfAPhaseIsNamed(t *testing.T) {
	var mu sync.Mutex
	var journal []string
	agents := []*fakeAgent{{"a", "", &mu, &journal}, {"b", "", &mu, &journal}}
	first := make(chan struct{})
	plan := []Step[*fakeAgent]{
		{Phase: Suspend, Each: func(_ context.Context, f *fakeAgent) error {
			if f.Where() == "b" {
				<-first
				time.Sleep(time.Millisecond)
			} else {
				time.AfterFunc(time.Millisecond, func() { close(first) })
			}
			return nil
		}},
		{Phase: Commit, Then: func(context.Context) error { return nil }},
	}
	var got []Timing
	if err := RunPlan(context.Background(), agents, timed(plan, func() time.Duration { return 0 }, func(t Timing) { got = append(got, t) }), nil); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Phase != Suspend || got[0].Slowest != "b" || got[0].Longest > got[0].Took || got[1].Slowest != "" {
		t.Errorf("the timings are %+v, want b as the slowest of suspend and nobody of commit", got)
	}
	if s := got[0].String(); !strings.Contains(s, "longest on b: ") {
		t.Errorf("String() = %q, want the slowest member named", s)
	}
}

func TestNoMoreMembersThanThereAreTurnsWorkAtATime(t *testing.T) {
	var mu sync.Mutex
	var journal []string
	working, most := 0, 0
	var agents []*fakeAgent
	for i := range 9 {
		agents = append(agents, &fakeAgent{fmt.Sprint(i), "", &mu, &journal})
	}
	full := make(chan struct{})
	do := inTurn(3, func(_ context.Context, f *fakeAgent) error {
		mu.Lock()
		working++
		if most = max(most, working); most == 3 && len(journal) == 0 {
			journal = append(journal, "three")
			close(full) // only then does the first one end
		}
		mu.Unlock()
		<-full
		mu.Lock()
		defer mu.Unlock()
		working--
		return nil
	})
	if err := RunPlan(context.Background(), agents, []Step[*fakeAgent]{{Phase: Deliver, Each: do}}, nil); err != nil {
		t.Fatal(err)
	}
	if most != 3 {
		t.Errorf("%d members worked at a time, want 3", most)
	}
	// Whoever waits for a turn when the user gives up does not get one.
	ctx, cancel := context.WithCancel(context.Background())
	hold := inTurn(1, func(ctx context.Context, f *fakeAgent) error {
		cancel()
		<-ctx.Done()
		return f.do(Deliver)
	})
	journal = nil
	if err := RunPlan(ctx, agents[:2], []Step[*fakeAgent]{{Phase: Deliver, Each: hold}}, nil); !errors.Is(err, context.Canceled) || len(journal) != 1 {
		t.Errorf("RunPlan = %v, and %q worked, want one and that the others were canceled", err, journal)
	}
}
