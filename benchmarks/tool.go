package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The names of the tools, in the order of the tables' columns.
const (
	toolNative   = "native"
	toolGompirun = "gompirun"
	toolFork     = "gompirun-fork" // --ckpt-mode fork
	toolStop     = "gompirun-stop" // --ckpt-mode stop
	toolLazy     = "gompirun-lazy" // restart --lazy
	toolZstd     = "gompirun-zstd" // --ckpt-compress zstd
	toolCRIU     = "CRIU"
	toolDMTCP    = "DMTCP"
	toolGzip     = "DMTCP-gzip" // with the compression that is its default
	toolDD       = "dd"
)

var toolNames = []string{toolGompirun, toolFork, toolStop, toolCRIU, toolDMTCP, toolDD, toolNative}

// extraTools are those that are measured when they are asked for.
var extraTools = []string{toolLazy, toolZstd, toolGzip}

// A job is what a tool is to run.
type job struct {
	argv  []string // program and arguments
	ranks int      // 0 without MPI
	size  int64    // of its memory, in bytes, where that is known
	mpi   string   // the family, "openmpi" or "mpich"
	env   []string
	dir   string        // empty, for images
	out   string        // file to whose end standard output goes
	every time.Duration // between checkpoints, for tools that are periodic; 0 is none
}

// A tool starts jobs.
type tool interface {
	// missing says why the tool cannot run such jobs on this host, else "".
	missing(j *job) string
	version(ctx context.Context) string
	start(ctx context.Context, j *job) (session, error)
}

// A session is a job that runs. Whatever happens, reaper.EndAll ends it.
type session interface {
	// checkpoint takes one while the job runs, or with last one that may end the
	// job, and returns when the tool says that it is done.
	checkpoint(ctx context.Context, last bool) (saved, error)
	// restart restores the newest checkpoint, all processes being gone, and
	// returns when that began. It may return before the job runs.
	restart(ctx context.Context) (began time.Time, err error)
	// wait waits for the job's own end.
	wait(ctx context.Context) error
}

// saved is what a tool says of a checkpoint.
type saved struct {
	bytes    int64         // written
	changed  int64         // of the job's memory since the one before; 0 if the tool does not say
	memory   int64         // that the tool's process on a host has had at its most; 0 if it has none
	reported time.Duration // the pause by the tool's own account; 0 for none
	done     time.Time     // when the tool said so
	dir      string        // of images that the tool has not synced; "" if it has
}

func newTool(name string, o options) tool {
	switch name {
	case toolGompirun:
		return gompirun{path: o.gompirun}
	case toolFork:
		return gompirun{path: o.gompirun, options: []string{"--ckpt-mode", "fork"}}
	case toolStop:
		return gompirun{path: o.gompirun, options: []string{"--ckpt-mode", "stop"}}
	case toolLazy:
		return gompirun{path: o.gompirun, restartOptions: []string{"--lazy"}}
	case toolZstd:
		return gompirun{path: o.gompirun, options: []string{"--ckpt-compress", "zstd"}}
	case toolCRIU:
		return criu{}
	case toolDMTCP:
		return dmtcp{options: []string{"--no-gzip"}}
	case toolGzip:
		return dmtcp{options: []string{"--gzip"}}
	case toolDD:
		return dd{}
	case toolNative:
		return native{}
	}
	panic("no tool " + name)
}

// mpirun is the command line of the native launcher.
func (j *job) mpirun() []string {
	if j.ranks == 0 {
		return j.argv
	}
	argv := []string{"mpirun." + j.mpi, "-np", fmt.Sprint(j.ranks)}
	if j.mpi == "openmpi" {
		argv = append(argv, "--oversubscribe")
	}
	return append(argv, j.argv...)
}

// syncAll makes the files below dir durable.
func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}

// diskUse adds up the sizes of the files below dir, in bytes.
func diskUse(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
