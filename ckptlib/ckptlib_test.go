package ckptlib_test

import (
	"bufio"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gompirun/gompirun/ckptlib"
	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/store"
)

func TestMain(m *testing.M) {
	pod.MaybeInit()
	os.Exit(m.Run())
}

// job is one pod with one program, whose questions and answers go over pipes.
type job struct {
	t     *testing.T
	pod   *ckptlib.Pod
	store *store.Store
	gen   int
	in    *os.File
	out   *bufio.Reader
	pipes [3]*os.File
	warn  []string
	moved image.PathMap
	lazy  bool       // restarts are
	lost  chan error // why the pod was ended

	options ckptlib.SnapshotOptions
	retries int            // how often each checkpoint is prepared in vain
	newest  int            // the last complete generation since the pod is there
	writer  *store.Writer  // its pages
	result  ckptlib.Result // of the last checkpoint
}

func config(j *job) ckptlib.Config {
	lo := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	return ckptlib.Config{
		HostName: "victimhost", Virtual: lo, Real: lo, FilePolicy: "truncate", PathMap: j.moved,
		Lazy: j.lazy, Lost: func(err error) { j.lost <- err },
		Warn: func(s string) { j.warn = append(j.warn, s); j.t.Log(s) },
	}
}

// pipesFor makes the pipes of a program's standard streams.
func (j *job) pipesFor() {
	j.t.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		j.t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		j.t.Fatal(err)
	}
	j.in, j.out, j.pipes = inW, bufio.NewReader(outR), [3]*os.File{inR, outW, os.Stderr}
	j.t.Cleanup(func() { inW.Close(); outR.Close(); inR.Close(); outW.Close() })
}

func launch(t *testing.T, argv ...string) *job {
	t.Helper()
	j := &job{t: t, lost: make(chan error, 1)}
	var err error
	if j.pod, err = ckptlib.Launch(config(j)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.pod.Kill() })
	j.pipesFor()
	path, err := exec.LookPath(argv[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.pod.Spawn(ckptlib.Command{
		Stream: "main", Path: path, Args: argv, Env: append(os.Environ(), "TMPDIR="+pod.TmpDir, "VICTIM_DIR="+t.TempDir()), Dir: "/",
		Stdin: j.pipes[0], Stdout: j.pipes[1], Stderr: j.pipes[2],
	}); err != nil {
		t.Fatal(err)
	}
	if j.store, err = store.Create(filepath.Join(t.TempDir(), "ckpt")); err != nil {
		t.Fatal(err)
	}
	if err := j.store.WriteJob([]byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	return j
}

// line reads one line of the program's output.
func (j *job) line() string {
	j.t.Helper()
	got := make(chan string, 1)
	go func() {
		s, _ := j.out.ReadString('\n')
		got <- strings.TrimSuffix(s, "\n")
	}()
	select {
	case s := <-got:
		return s
	case <-time.After(20 * time.Second):
		j.t.Fatal("no answer from the program in 20 s")
		return ""
	}
}

func (j *job) ask(q string) string {
	j.t.Helper()
	if _, err := j.in.WriteString(q + "\n"); err != nil {
		j.t.Fatal(err)
	}
	return j.line()
}

// checkpoint makes a generation of the one pod.
func (j *job) checkpoint() {
	j.t.Helper()
	gen, c, pause := j.snapshot()
	r, err := c.Write()
	j.fail(c, err)
	_, err = j.store.Commit(gen, store.Manifest{Files: r.Files})
	j.fail(c, err)
	j.gen, j.newest, j.writer, j.result = gen, gen, r.Writer, r
	j.t.Logf("generation %d: paused %v, %d processes, %d bytes, %d changed, %d written, warnings %q",
		gen, pause, r.Processes, r.BytesLogical, r.BytesChanged, r.BytesWritten, r.Warnings)
}

// abandon makes a checkpoint and gives it up when the job runs again.
func (j *job) abandon() {
	j.t.Helper()
	gen, c, _ := j.snapshot()
	if err := c.Abort(); err != nil {
		j.t.Fatal(err)
	}
	if _, err := j.store.Remove(gen); err != nil {
		j.t.Fatal(err)
	}
}

// fail ends the test if err is not nil, and the checkpoint before that.
func (j *job) fail(c *ckptlib.Checkpoint, err error) {
	j.t.Helper()
	if err != nil {
		if e := c.Abort(); e != nil {
			j.t.Error(e)
		}
		j.t.Fatal(err)
	}
}

// snapshot begins a generation and goes as far as the job's running again.
func (j *job) snapshot() (gen int, c *ckptlib.Checkpoint, pause time.Duration) {
	j.t.Helper()
	gen, err := j.store.Begin()
	if err != nil {
		j.t.Fatal(err)
	}
	o := j.options
	if o.Compress == "" {
		o.Compress = "none"
	}
	if o.Newest = j.newest; o.Newest > 0 {
		g, err := j.store.Load(o.Newest)
		if err != nil {
			j.t.Fatal(err)
		}
		if o.Known, err = j.store.Index(j.t.Context(), g, store.IndexOptions{Have: j.writer}); err != nil {
			j.t.Fatal(err)
		}
	}
	if err := j.pod.ReadIn(j.t.Context()); err != nil {
		j.t.Fatal(err)
	}
	for range 1 + j.retries {
		if err := j.pod.Prepare(j.t.Context(), j.store, gen, o); err != nil {
			j.t.Fatal(err)
		}
	}
	start := time.Now()
	if c, err = j.pod.Suspend(); err != nil {
		j.t.Fatal(err)
	}
	ends, err := c.Ends()
	j.fail(c, err)
	j.fail(c, c.Name(conn.Match([]conn.Ends{ends})[0]))
	for {
		stuck, pending, err := c.Drain()
		j.fail(c, err)
		if pending == 0 {
			break
		}
		for _, id := range stuck {
			j.fail(c, c.ReadQueues([]conn.ID{id.Peer()}))
		}
	}
	drained := c.Drained()
	j.fail(c, c.Snapshot(j.store, gen, o))
	for quiet := 0; quiet < 2; {
		pending, err := c.Settle(drained)
		j.fail(c, err)
		if quiet++; pending > 0 {
			quiet = 0
		}
	}
	j.fail(c, c.Refill(context.Background(), drained))
	j.fail(c, c.Resume())
	return gen, c, time.Since(start)
}

// restart kills the pod and makes it anew from the newest generation.
func (j *job) restart() {
	j.t.Helper()
	j.pod.Kill()
	j.pipesFor()
	g, err := j.store.Load(j.gen)
	if err != nil {
		j.t.Fatal(err)
	}
	start := time.Now()
	r, err := ckptlib.Begin(config(j), j.store, g)
	if err != nil {
		j.t.Fatal(err)
	}
	fail := func(err error) {
		j.t.Helper()
		if err != nil {
			r.Abort()
			j.t.Fatal(err)
		}
	}
	fail(r.Rebuild(map[string][3]*os.File{"main": j.pipes}))
	var peers []netip.AddrPort
	for _, c := range r.Conns() {
		peers = append(peers, r.Address(c.Family))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	fail(r.Connect(ctx, peers, [32]byte{1}))
	fail(r.Refill(ctx))
	p, err := r.Resume()
	fail(err)
	j.pod, j.newest, j.writer = p, j.gen, nil
	j.t.Cleanup(func() { p.Kill() })
	j.t.Logf("restarted after %v", time.Since(start))
}

func TestShellGoesOnAfterARestart(t *testing.T) {
	j := launch(t, "sh", "-c", `n=0; while read x; do n=$((n+1)); echo "$n $x $$"; done`)
	if got := j.ask("a"); !strings.HasPrefix(got, "1 a ") {
		t.Fatalf("before the checkpoint the shell said %q", got)
	}
	j.checkpoint()
	first := j.ask("b")
	if !strings.HasPrefix(first, "2 b ") {
		t.Fatalf("after the checkpoint the shell said %q", first)
	}
	j.restart()
	if got := j.ask("b"); got != first {
		t.Fatalf("after the restart the shell said %q, want %q", got, first)
	}
}

// A host that refuses has namespaces by then, and so have the others.
func TestARestartThatIsGivenUpAfterItsVerificationLeavesNothing(t *testing.T) {
	j := launch(t, "sh", "-c", `while read x; do echo "$x"; done`)
	j.ask("a")
	j.checkpoint()
	j.pod.Kill()
	before := children(t)
	g, err := j.store.Load(j.gen)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ckptlib.Begin(config(j), j.store, g)
	if err != nil {
		t.Fatal(err)
	}
	r.Abort()
	if after := children(t); !slices.Equal(after, before) {
		t.Errorf("the children of this process are %v, want %v", after, before)
	}
	j.restart()
	if got := j.ask("b"); got != "b" {
		t.Errorf("after the restart the shell said %q, want b", got)
	}
}

func children(t *testing.T) []int {
	t.Helper()
	list, err := procfs.Children(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return list
}
