package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/kobj"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
)

func TestMain(m *testing.M) {
	pod.MaybeInit()
	os.Exit(m.Run())
}

// coordinator is the other side of an agent under test.
type coordinator struct {
	t     *testing.T
	conn  *wire.Conn
	exits chan rpc.Exit
	calls chan string
	down  *io.PipeWriter // what the agent reads
	ended chan error     // of Run

	mu  sync.Mutex
	out map[wire.StreamID]*bytes.Buffer
	end map[wire.StreamID]bool
}

// startAgent runs an agent in this process.
func startAgent(t *testing.T) *coordinator {
	t.Helper()
	agentIn, down := io.Pipe()
	up, agentOut := io.Pipe()
	c := &coordinator{
		t: t, exits: make(chan rpc.Exit, 8), calls: make(chan string, 8), down: down, ended: make(chan error, 1),
		out: map[wire.StreamID]*bytes.Buffer{}, end: map[wire.StreamID]bool{},
	}
	go func() {
		c.ended <- Run(context.Background(), agentIn, agentOut, slog.New(slog.DiscardHandler))
		agentOut.Close()
	}()
	mine, err := Hello()
	if err != nil {
		t.Fatal(err)
	}
	if c.conn, _, err = wire.Open(up, down, mine, true, c); err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := c.conn.Serve(); err != nil {
			t.Errorf("the agent's connection ended with %v", err)
		}
	}()
	t.Cleanup(func() {
		c.hangUp()
		<-served
	})
	return c
}

// hangUp is the coordinator's end; it returns when the agent has ended.
func (c *coordinator) hangUp() {
	c.down.Close()
	err := <-c.ended
	c.ended <- err
	if err != nil {
		c.t.Errorf("the agent ended with %v, want an end in order", err)
	}
}

func (c *coordinator) Request(_ context.Context, method string, params json.RawMessage) (any, error) {
	c.calls <- method + string(params)
	return nil, errors.New("host n9 has no part in this job")
}

func (c *coordinator) Event(name string, params json.RawMessage) {
	var e rpc.Exit
	if name == rpc.EventExit && json.Unmarshal(params, &e) == nil {
		c.exits <- e
	}
}

func (c *coordinator) Stream(id wire.StreamID, data []byte, end bool) {
	c.mu.Lock()
	if c.out[id] == nil {
		c.out[id] = &bytes.Buffer{}
	}
	c.out[id].Write(data)
	c.end[id] = c.end[id] || end
	c.mu.Unlock()
	go func() {
		_ = c.conn.SendCredit(id, len(data)) // the agent may have ended
	}()
}

func (c *coordinator) Credit(wire.StreamID, int) {}

func (c *coordinator) call(method string, params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return c.conn.Call(ctx, method, params, result)
}

func (c *coordinator) must(method string, params, result any) {
	c.t.Helper()
	if err := c.call(method, params, result); err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
}

func (c *coordinator) output(role int) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := wire.StreamID{Name: "main", Role: role}
	if c.out[id] == nil {
		return "", c.end[id]
	}
	return c.out[id].String(), c.end[id]
}

// shell is a program of the pod.
func shell(script string) rpc.Program {
	return rpc.Program{Stream: "main", Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: os.Environ(), Dir: "/", Input: true}
}

func TestProgramRunsFromSpawnToEnd(t *testing.T) {
	c := startAgent(t)
	c.must(rpc.StartPod, rpc.Pod{HostName: "virtual7"}, nil)
	c.must(rpc.Spawn, shell(`read word; echo "$word on $(hostname)"; echo trouble >&2; exit 7`), nil)
	if err := c.conn.SendStream(wire.StreamID{Name: "main"}, []byte("hello\n"), true); err != nil {
		t.Fatal(err)
	}
	e := <-c.exits
	if w := unix.WaitStatus(e.Status); e.Stream != "main" || w.ExitStatus() != 7 {
		t.Errorf("the program's end is %+v, want status 7 of main", e)
	}
	c.must(rpc.End, rpc.EndRequest{}, nil)
	for role, want := range map[int]string{wire.Stdout: "hello on virtual7\n", wire.Stderr: "trouble\n"} {
		if got, ended := c.output(role); got != want || !ended {
			t.Errorf("stream %d is %q and its end came: %v, want %q and its end before End returns", role, got, ended, want)
		}
	}
}

func TestSpawnTellsWhatIsAtFault(t *testing.T) {
	c := startAgent(t)
	c.must(rpc.StartPod, rpc.Pod{HostName: "n"}, nil)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("words"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, dir, kind string }{
		{"/no/such/program", "/", wire.KindMissing},
		{text, "/", wire.KindNotExec},
		{"/bin/sh", "/no/such/dir", wire.KindBadDir},
	} {
		err := c.call(rpc.Spawn, rpc.Program{Stream: "main", Path: tt.path, Args: []string{"x"}, Dir: tt.dir}, nil)
		if wire.KindOf(err) != tt.kind {
			t.Errorf("Spawn of %s in %s = %v of kind %q, want kind %q", tt.path, tt.dir, err, wire.KindOf(err), tt.kind)
		}
	}
	// None of them left anything that is in the way of the next one.
	c.must(rpc.Spawn, shell("exit 0"), nil)
	<-c.exits
}

func TestProgramsAreCheckedBeforeTheyAreNeeded(t *testing.T) {
	c := startAgent(t)
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"script": 0o700, "text": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	elf, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	elf[18], elf[19] = 0xf3, 0 // e_machine: RISC-V
	if err := os.WriteFile(filepath.Join(dir, "riscv"), elf, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, dir, kind, says string }{
		{"script", dir, "", ""},
		{"/bin/sh", dir, "", ""},
		{"none", dir, wire.KindMissing, "is not there"},
		{"text", dir, wire.KindNotExec, "chmod +x"},
		{"riscv", dir, wire.KindNotExec, "another architecture: EM_RISCV"},
		{"script", dir + "/none", wire.KindBadDir, "-wdir"},
	} {
		err := c.call(rpc.CheckProgram, rpc.File{Path: tt.path, Dir: tt.dir}, nil)
		if wire.KindOf(err) != tt.kind || tt.says != "" && !strings.Contains(fmt.Sprint(err), tt.says) {
			t.Errorf("CheckProgram(%s in %s) = %v, want kind %q and %q", tt.path, tt.dir, err, tt.kind, tt.says)
		}
	}
}

func TestDirectoryIsRecognisedByItsMark(t *testing.T) {
	c := startAgent(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mark"), []byte("ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.must(rpc.CheckDir, rpc.Dir{Path: dir, Mark: "mark", Content: "ours"}, nil)
	for _, d := range []rpc.Dir{{Path: dir + "/none", Mark: "mark", Content: "ours"}, {Path: dir, Mark: "mark", Content: "theirs"}} {
		err := c.call(rpc.CheckDir, d, nil)
		if err == nil || !strings.Contains(err.Error(), "a file system that all hosts of the job share") {
			t.Errorf("CheckDir(%+v) = %v, want a refusal with the remedy", d, err)
		}
	}
}

func TestPodEndsWithItsCoordinator(t *testing.T) {
	c := startAgent(t)
	fifo := filepath.Join(t.TempDir(), "alive")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	c.must(rpc.StartPod, rpc.Pod{HostName: "n"}, nil)
	c.must(rpc.Spawn, shell("exec 3>"+fifo+"; sleep 1000 & wait"), nil)
	alive, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	c.hangUp()
	if n, err := alive.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("reading what the pod's processes hold open gives %d, %v, want their end", n, err)
	}
}

func TestShimIsThereAndLeadsToThisProgram(t *testing.T) {
	c := startAgent(t)
	c.must(rpc.StartPod, rpc.Pod{HostName: "n"}, nil)
	c.must(rpc.Spawn, shell("test -S "+shimSocket+" && readlink "+ShimPath), nil)
	<-c.exits
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.must(rpc.End, rpc.EndRequest{}, nil)
	if got, _ := c.output(wire.Stdout); got != self+"\n" {
		t.Errorf("the shim in the pod is %q, want %q", got, self)
	}
}

func TestErrorsThatPassAreMarkedSo(t *testing.T) {
	err := classify(fmt.Errorf("write: %w", &kobj.RetryError{Source: "process 7", Reason: "is in vfork", Hint: "wait"}))
	if wire.KindOf(err) != wire.KindRetry || !strings.Contains(err.Error(), "process 7") {
		t.Errorf("classify = %v of kind %q, want kind %q", err, wire.KindOf(err), wire.KindRetry)
	}
	if err := classify(errors.New("other")); wire.KindOf(err) != "" {
		t.Errorf("another error has kind %q, want none", wire.KindOf(err))
	}
	if classify(nil) != nil {
		t.Error("classify(nil) is an error")
	}
}

func TestUnknownMethodsAndPhasesOutOfTurnAreErrors(t *testing.T) {
	c := startAgent(t)
	if err := c.call("dance", struct{}{}, nil); wire.KindOf(err) != wire.KindUnknown {
		t.Errorf("an unknown method gives %v, want kind %q", err, wire.KindUnknown)
	}
	for _, method := range []string{rpc.Suspend, rpc.Elect, rpc.Drain, rpc.Snapshot, rpc.Resume, rpc.Write, rpc.Connect, rpc.ResumeRestart, rpc.Processes} {
		if err := c.call(method, struct{}{}, nil); err == nil {
			t.Errorf("%s without a pod succeeds", method)
		}
	}
	for _, method := range []string{rpc.Abort, rpc.AbortRestart, rpc.End} {
		if err := c.call(method, struct{}{}, nil); err != nil {
			t.Errorf("%s without anything to give up = %v, want nothing", method, err)
		}
	}
}

func TestProbeMakesAndRemovesAPod(t *testing.T) {
	for _, f := range Probe() {
		if f.Needed && !f.OK {
			t.Errorf("%s: %s", f.Name, f.Detail)
		}
	}
}

func TestTooFewDescriptorsHaveARemedy(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{{fmt.Errorf("look: %w", unix.EMFILE), true}, {unix.ENOENT, false}, {nil, false}} {
		got := tooMany(tt.err)
		if !errors.Is(got, tt.err) || got != nil && strings.Contains(got.Error(), "ulimit -n") != tt.want {
			t.Errorf("tooMany(%v) = %v, want a remedy: %t", tt.err, got, tt.want)
		}
	}
}
