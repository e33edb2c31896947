package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

// side is a Handler whose answers a test decides.
type side struct {
	request func(ctx context.Context, method string, params json.RawMessage) (any, error)
	events  chan string
	streams chan string
	credits chan int
}

func newSide() *side {
	return &side{events: make(chan string, 16), streams: make(chan string, 16), credits: make(chan int, 16)}
}

func (s *side) Request(ctx context.Context, m string, p json.RawMessage) (any, error) {
	return s.request(ctx, m, p)
}
func (s *side) Event(name string, p json.RawMessage) { s.events <- name + string(p) }
func (s *side) Stream(id StreamID, data []byte, end bool) {
	s.streams <- fmt.Sprintf("%s/%d %q %v", id.Name, id.Role, data, end)
}
func (s *side) Credit(_ StreamID, n int) { s.credits <- n }

// connect joins an agent and a coordinator by pipes.
func connect(t *testing.T, agent, coordinator *side) (a, c *Conn, hangUp func()) {
	t.Helper()
	up, down := newPipe(), newPipe()
	hello := NewHello()
	hello.HostName = "n1"
	type opened struct {
		c   *Conn
		err error
	}
	ch := make(chan opened)
	go func() {
		a, _, err := Open(down.r, up.w, hello, false, agent)
		ch <- opened{a, err}
	}()
	c, other, err := Open(up.r, down.w, NewHello(), true, coordinator)
	if err != nil || other.HostName != "n1" {
		t.Fatalf("Open = %+v, %v, want the hello of n1", other, err)
	}
	o := <-ch
	if o.err != nil {
		t.Fatal(o.err)
	}
	var wg sync.WaitGroup
	for _, x := range []*Conn{o.c, c} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := x.Serve(); err != nil {
				t.Errorf("Serve = %v, want an end in order", err)
			}
		}()
	}
	hangUp = func() {
		up.w.Close()
		down.w.Close()
		wg.Wait()
	}
	t.Cleanup(hangUp)
	return o.c, c, hangUp
}

type pipePair struct {
	r *io.PipeReader
	w *io.PipeWriter
}

func newPipe() pipePair {
	r, w := io.Pipe()
	return pipePair{r, w}
}

func TestManyCallsInBothDirectionsFindTheirAnswers(t *testing.T) {
	double := func(_ context.Context, _ string, p json.RawMessage) (any, error) {
		var n int
		err := json.Unmarshal(p, &n)
		return 2 * n, err
	}
	x, y := newSide(), newSide()
	x.request, y.request = double, double
	a, c, _ := connect(t, x, y)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			from := a
			if i%2 == 0 {
				from = c
			}
			var got int
			if err := from.Call(context.Background(), "double", i, &got); err != nil || got != 2*i {
				t.Errorf("Call(double, %d) = %d, %v, want %d", i, got, err, 2*i)
			}
		}()
	}
	wg.Wait()
}

func TestErrorsKeepTheirKind(t *testing.T) {
	x, y := newSide(), newSide()
	x.request = func(context.Context, string, json.RawMessage) (any, error) {
		return nil, fmt.Errorf("process 7: %w", &Error{KindRetry, "it is in vfork"})
	}
	_, c, _ := connect(t, x, y)
	err := c.Call(context.Background(), "suspend", nil, nil)
	if got, want := fmt.Sprint(err), "process 7: it is in vfork"; got != want || KindOf(err) != KindRetry {
		t.Errorf("Call = %q of kind %q, want %q of kind %q", got, KindOf(err), want, KindRetry)
	}
}

func TestCancelReachesTheMethod(t *testing.T) {
	x, y := newSide(), newSide()
	entered, left := make(chan struct{}), make(chan struct{})
	x.request = func(ctx context.Context, method string, _ json.RawMessage) (any, error) {
		if method == "wait" {
			close(entered)
			<-ctx.Done()
			close(left)
		}
		return nil, ctx.Err()
	}
	_, c, _ := connect(t, x, y)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-entered
		cancel()
	}()
	if err := c.Call(ctx, "wait", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Call = %v, want %v", err, context.Canceled)
	}
	<-left
	if err := c.Call(context.Background(), "next", nil, nil); err != nil {
		t.Errorf("a call after the one given up = %v", err)
	}
}

func TestCallsFailWhenTheOtherSideHasGone(t *testing.T) {
	x, y := newSide(), newSide()
	entered := make(chan struct{})
	x.request = func(ctx context.Context, _ string, _ json.RawMessage) (any, error) {
		close(entered)
		<-ctx.Done() // the agent's own connection ends as well
		return nil, ctx.Err()
	}
	_, c, hangUp := connect(t, x, y)
	failed := make(chan error)
	go func() { failed <- c.Call(context.Background(), "wait", nil, nil) }()
	<-entered
	go hangUp()
	if err := <-failed; !errors.Is(err, ErrGone) {
		t.Errorf("Call = %v, want %v", err, ErrGone)
	}
	<-c.Done()
	if err := c.Call(context.Background(), "wait", nil, nil); !errors.Is(err, ErrGone) {
		t.Errorf("a later Call = %v, want %v", err, ErrGone)
	}
}

func TestEventsAndStreamsComeInOrder(t *testing.T) {
	x, y := newSide(), newSide()
	a, c, _ := connect(t, x, y)
	if err := a.SendStream(StreamID{"main", Stdout}, []byte("one\n"), false); err != nil {
		t.Fatal(err)
	}
	if err := a.SendStream(StreamID{"main", Stdout}, nil, true); err != nil {
		t.Fatal(err)
	}
	if err := a.Notify("exit", map[string]int{"status": 7}); err != nil {
		t.Fatal(err)
	}
	if err := c.SendStream(StreamID{"main", Stdin}, []byte("in"), true); err != nil {
		t.Fatal(err)
	}
	if err := c.SendCredit(StreamID{"main", Stdout}, 4); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		got, want string
	}{
		{<-y.streams, `main/1 "one\n" false`},
		{<-y.streams, `main/1 "" true`},
		{<-y.events, `exit{"status":7}`},
		{<-x.streams, `main/0 "in" true`},
		{fmt.Sprint(<-x.credits), "4"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}

func TestAgentOfAnotherBuildIsRefusedWithASentence(t *testing.T) {
	up, down := newPipe(), newPipe()
	theirs := NewHello()
	theirs.Build = "feedfacecafe"
	failed := make(chan error)
	go func() {
		_, _, err := Open(down.r, up.w, theirs, false, newSide())
		failed <- err
	}()
	mine := NewHello()
	mine.Build = "0123456789ab"
	_, _, err := Open(up.r, down.w, mine, true, newSide())
	if err == nil || !strings.Contains(err.Error(), "another build") {
		t.Errorf("Open = %v, want a refusal of the other build", err)
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "it refuses: the agent is another build") {
		t.Errorf("the agent was told %v, want the reason", err)
	}
}

func TestFlowHoldsBackWhatIsNotCredited(t *testing.T) {
	f := NewFlow()
	n, err := f.Take(context.Background(), Window+1)
	if err != nil || n != Window {
		t.Fatalf("Take of a full window = %d, %v, want %d", n, err, Window)
	}
	got := make(chan int)
	go func() {
		n, err := f.Take(context.Background(), 10)
		if err != nil {
			t.Error(err)
		}
		got <- n
	}()
	f.Give(3)
	if n := <-got; n != 3 {
		t.Errorf("Take after a credit of 3 = %d, want 3", n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.Take(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Take of an empty window = %v, want %v", err, context.Canceled)
	}
}
