package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"net"

	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// ShimName is the name under which this program is the shim.
const ShimName = "shim"

// ShimPath is where the shim is in every pod.
const ShimPath = pod.Dir + "/" + ShimName

// shimSocket is where the shim finds its agent.
const shimSocket = pod.Dir + "/ctl"

// shimExit is the status of a remote shell that cannot reach its host.
const shimExit = 255

// shimAnswer is what the shim is told; Error is empty if the daemon runs.
type shimAnswer struct {
	Error string `json:"error,omitempty"`
}

// ShimMain is the shim: what a native launcher executes in a pod where it would
// call ssh. It hands its arguments to the agent and returns the exit status,
// 0 once the daemon has been started on the other host. The daemon's own streams
// never pass through it.
func ShimMain(args []string, stderr io.Writer) int {
	if err := shim(args); err != nil {
		_, _ = fmt.Fprintf(stderr, "gompirun: %v\n", err) // the status says it, too
		return shimExit
	}
	return 0
}

func shim(args []string) error {
	c, err := net.Dial("unix", shimSocket)
	if err != nil {
		return fmt.Errorf("start a daemon on another host: reach the agent of this one: %w", err)
	}
	defer c.Close()
	if err := json.NewEncoder(c).Encode(rpc.ShimCall{Args: args}); err != nil {
		return fmt.Errorf("start a daemon on another host: ask the agent of this one: %w", err)
	}
	var answer shimAnswer
	if err := json.NewDecoder(c).Decode(&answer); err != nil {
		return fmt.Errorf("start a daemon on another host: the agent of this one did not answer: %w", err)
	}
	if answer.Error != "" {
		return fmt.Errorf("start a daemon on another host: %s", answer.Error)
	}
	return nil
}

// serveShim answers shims until the pod ends.
func (a *agent) serveShim(l *net.UnixListener) {
	go func() {
		<-a.ctx.Done()
		_ = l.Close() // nothing is lost
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go a.answerShim(c)
	}
}

func (a *agent) answerShim(c net.Conn) {
	defer c.Close()
	var call rpc.ShimCall
	if err := json.NewDecoder(c).Decode(&call); err != nil {
		a.log.Warn("a shim sent something else", "error", err)
		return
	}
	var answer shimAnswer
	if err := a.conn.Call(a.ctx, rpc.Shim, call, nil); err != nil {
		answer.Error = err.Error()
	}
	if err := json.NewEncoder(c).Encode(answer); err != nil {
		a.log.Warn("a shim was not answered", "error", err)
	}
}
