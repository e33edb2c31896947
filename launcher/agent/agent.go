package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gompirun/gompirun/ckptlib"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
)

// An agent serves one coordinator. The coordinator calls the methods that change
// something one after the other; those that only ask may come at any time.
type agent struct {
	conn *wire.Conn
	log  *slog.Logger

	mu       sync.Mutex
	id       int // of the pod
	relief   rpc.Relief
	pod      *ckptlib.Pod
	restart  *ckptlib.Restart
	ckpt     *checkpoint
	programs map[string]*program
	writer   *store.Writer // of the last checkpoint: its keys are in memory
	written  int           // the generation it wrote
	outputs  sync.WaitGroup

	ctx context.Context // ends with the agent
}

// gcPercent has the collector run twice as often as usual: an agent's memory is
// the job's loss, and its time is not.
const gcPercent = 50

// Run serves the coordinator at in and out until it goes or ctx ends, and ends
// the pod then. The error says why, nil if the coordinator ended it in order.
func Run(ctx context.Context, in io.Reader, out io.Writer, log *slog.Logger) error {
	debug.SetGCPercent(gcPercent)
	hello, err := Hello()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &agent{log: log, programs: map[string]*program{}, ctx: ctx}
	c, _, err := wire.Open(in, out, hello, false, a)
	if err != nil {
		return fmt.Errorf("talk to the coordinator: %w", err)
	}
	a.conn = c
	served := make(chan error, 1)
	go func() { served <- c.Serve() }()
	select {
	case err = <-served:
	case <-ctx.Done():
		err = ctx.Err()
	}
	cancel()
	a.close()
	return err
}

// close ends what there is. A coordinator that has gone gets no output any more.
func (a *agent) close() {
	a.mu.Lock()
	pod, restart := a.pod, a.restart
	a.pod, a.restart = nil, nil
	a.mu.Unlock()
	if restart != nil {
		restart.Abort()
	}
	if pod != nil {
		pod.Kill()
	}
}

// methods is what an agent can be asked.
var methods = map[string]func(*agent, context.Context, json.RawMessage) (any, error){
	rpc.CheckDir:     method((*agent).checkDir),
	rpc.CheckProgram: method((*agent).checkProgram),

	rpc.StartPod:  method((*agent).startPod),
	rpc.Spawn:     method((*agent).spawn),
	rpc.Signal:    method((*agent).signal),
	rpc.Resize:    method((*agent).resize),
	rpc.Processes: method((*agent).processes),
	rpc.Locate:    method((*agent).locate),
	rpc.Own:       method((*agent).own),
	rpc.End:       method((*agent).end),
	rpc.Probe:     method((*agent).probe),

	rpc.Prepare:    method((*agent).prepare),
	rpc.Suspend:    method((*agent).suspend),
	rpc.Elect:      method((*agent).elect),
	rpc.Pair:       method((*agent).pair),
	rpc.Drain:      method((*agent).drain),
	rpc.ReadQueues: method((*agent).readQueues),
	rpc.TakenEnds:  method((*agent).takenEnds),
	rpc.Settle:     method((*agent).settle),
	rpc.Snapshot:   method((*agent).snapshot),
	rpc.Refill:     method((*agent).refill),
	rpc.Resume:     method((*agent).resume),
	rpc.Write:      method((*agent).write),
	rpc.Deliver:    method((*agent).deliver),
	rpc.Abort:      method((*agent).abort),
	rpc.Discard:    method((*agent).discard),

	rpc.Verify:        method((*agent).verify),
	rpc.Rebuild:       method((*agent).rebuild),
	rpc.Connect:       method((*agent).connect),
	rpc.RefillConns:   method((*agent).refillConns),
	rpc.ResumeRestart: method((*agent).resumeRestart),
	rpc.AbortRestart:  method((*agent).abortRestart),
}

// nothing is the parameter or the result of methods that have none.
type nothing struct{}

// method decodes the parameters of a method.
func method[P, R any](f func(*agent, context.Context, P) (R, error)) func(*agent, context.Context, json.RawMessage) (any, error) {
	return func(a *agent, ctx context.Context, raw json.RawMessage) (any, error) {
		var p P
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, fmt.Errorf("decode the request: %w", err)
		}
		return f(a, ctx, p)
	}
}

// Request implements wire.Handler.
func (a *agent) Request(ctx context.Context, name string, params json.RawMessage) (any, error) {
	m, ok := methods[name]
	if !ok {
		return nil, &wire.Error{Kind: wire.KindUnknown, Text: fmt.Sprintf("an agent has no method %q", name)}
	}
	start := time.Now()
	result, err := m(a, ctx, params)
	a.log.Debug(name, "took", time.Since(start), "error", err)
	return result, classify(err)
}

// Event implements wire.Handler. The coordinator sends none.
func (a *agent) Event(name string, _ json.RawMessage) {
	a.log.Warn("an unknown event came", "name", name)
}

// warn tells the user something.
func (a *agent) warn(text string) {
	a.log.Info("warning", "text", text)
	if err := a.conn.Notify(rpc.EventWarn, rpc.Warning{Text: text}); err != nil && !errors.Is(err, wire.ErrGone) {
		a.log.Error("a warning was not sent", "error", err)
	}
}

// loseTime bounds the wait for a coordinator that is told of a loss.
const loseTime = 10 * time.Second

// lose tells the coordinator that the pod is about to be ended, and why: it should
// know before it hears of the ends of programs.
func (a *agent) lose(err error) {
	ctx, cancel := context.WithTimeout(a.ctx, loseTime)
	defer cancel()
	l := rpc.Lost{Text: err.Error()}
	var kind *wire.Error
	if errors.As(classify(err), &kind) {
		l.Kind = kind.Kind
	}
	if err := a.conn.Call(ctx, rpc.Lose, l, nil); err != nil {
		a.log.Error("a loss was not told", "loss", l.Text, "error", err)
	}
}

// running returns the pod.
func (a *agent) running() (*ckptlib.Pod, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pod == nil {
		return nil, errors.New("this agent has no running pod")
	}
	return a.pod, nil
}
