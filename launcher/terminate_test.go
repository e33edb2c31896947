package launcher

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// A regular checkpoint is under way, and will fail, when the signal comes.
func TestTerminationTriesAgainWhenTheCheckpointUnderWayFails(t *testing.T) {
	under, signalled := make(chan bool), make(chan bool)
	first := true
	s := &script{answers: map[string]func() (any, error){
		rpc.Elect: func() (any, error) { return conn.Ends{}, nil },
		rpc.Snapshot: func() (any, error) {
			if !first {
				return nil, nil
			}
			first = false
			under <- true
			<-signalled
			return nil, errors.New("disk full")
		},
	}}
	j, said := scriptedJob(t, s)
	signals := make(chan os.Signal)
	j.env.Signals = signals
	j.record.Checkpoints.CkptInterval = time.Millisecond
	go func() {
		<-under
		signals <- unix.SIGTERM
		close(signalled)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	status, err := j.supervise(ctx)
	if err != nil || status != StatusCheckpointed {
		t.Errorf("supervise = %d, %v, want %d; it said %q", status, err, StatusCheckpointed, said)
	}
	// The last one leaves the job standing, to be ended.
	if s.times(rpc.Snapshot) != 2 || s.times(rpc.Abort) != 1 || s.times(rpc.Resume) != 0 {
		t.Errorf("the agent was asked %q, want two checkpoints of which the first was given up", s.asked)
	}
}
