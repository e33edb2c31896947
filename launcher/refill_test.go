package launcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// full is a script in whose job a receiver's window is full, once.
func full() *script {
	id := conn.ID{Name: "a", Dialer: true}
	polls := 0
	return &script{answers: map[string]func() (any, error){
		rpc.Elect: func() (any, error) { return conn.Ends{}, nil },
		rpc.Drain: func() (any, error) {
			if polls++; polls == 1 {
				return rpc.Drained{Stuck: []conn.ID{id}, Pending: 1}, nil
			}
			return rpc.Drained{}, nil
		},
		rpc.TakenEnds: func() (any, error) { return []conn.ID{id.Peer()}, nil },
	}}
}

func fails(text string) func() (any, error) {
	return func() (any, error) { return nil, errors.New(text) }
}

func TestJobWhoseConnectionsCannotBeRefilledIsEndedAndNeverRunsOn(t *testing.T) {
	for name, script := range map[string]func(*script){
		"refill fails": func(s *script) { s.answers[rpc.Refill] = fails("nothing moved for 60 s") },
		"refill of an abort": func(s *script) {
			s.answers[rpc.Snapshot], s.answers[rpc.Refill] = fails("disk full"), fails("nothing moved for 60 s")
		},
		"nobody knows": func(s *script) { s.answers[rpc.TakenEnds] = fails("nothing moved for 60 s") },
	} {
		t.Run(name, func(t *testing.T) {
			s := full()
			script(s)
			j, said := scriptedJob(t, s)
			j.use(j.opened(), 3)
			j.record.Checkpoints.CkptInterval = time.Millisecond
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			status, err := j.supervise(ctx)
			want := []string{
				"could not be put back into their connections", "refill on n1: nothing moved for 60 s",
				"the job was ended; resume it from checkpoint 3: gompirun restart " + j.dir,
			}
			for _, w := range want {
				if !strings.Contains(fmt.Sprint(err), w) {
					t.Errorf("supervise = %d, %v, want %q in it", status, err, w)
				}
			}
			if strings.Contains(said.String(), "goes on running") {
				t.Errorf("the user was told %q", said)
			}
			if s.times(rpc.Abort) != 0 || s.times(rpc.Resume) != 0 || s.times(rpc.End) != 1 {
				t.Errorf("the agent was asked %q, want an End and nothing that lets the pod run", s.asked)
			}
		})
	}
}

func TestJobGoesOnWhenWhatWasTakenIsPutBack(t *testing.T) {
	s := full()
	s.answers[rpc.Snapshot] = fails("disk full")
	j, _ := scriptedJob(t, s)
	defer j.end(0)
	_, err := j.checkpoint(context.Background(), false)
	if err == nil || isBroken(err) {
		t.Errorf("checkpoint = %v, want an error after which the job goes on", err)
	}
	if s.times(rpc.Refill) != 1 || s.times(rpc.Abort) != 1 {
		t.Errorf("the agent was asked %q, want one Refill and one Abort", s.asked)
	}
}

func TestRequesterOfACheckpointThatBreaksTheJobLearnsSo(t *testing.T) {
	s := full()
	s.answers[rpc.Refill] = fails("nothing moved")
	j, _ := scriptedJob(t, s)
	answers := make(chan controlReply, 1)
	j.control = &control{requests: make(chan *controlRequest, 1), listener: listen(t)}
	j.control.requests <- &controlRequest{reply: func(r controlReply) { answers <- r }}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := j.supervise(ctx); !isBroken(err) {
		t.Errorf("supervise = %v, want that the job is broken", err)
	}
	if r := <-answers; !strings.Contains(r.Error, "the job was ended; it has no checkpoint") {
		t.Errorf("the request was answered %+v", r)
	}
}
