package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stepTime bounds every single step of a tool.
const stepTime = 90 * time.Second

// background starts a command whose output goes to the end of the file out.
func background(out string, env []string, argv ...string) (*exec.Cmd, error) {
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	e, err := os.OpenFile(out+".err", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = f, e
	cmd.Env = append(os.Environ(), env...)
	// A session of its own: no tool has to save a terminal.
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	return cmd, cmd.Start()
}

// foreground runs a command to its end and returns its standard output.
func foreground(ctx context.Context, argv ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no end after %v", stepTime)
		}
		return nil, fmt.Errorf("%s: %w: %s", command(argv), err, lastLine(stderr.Bytes(), stdout.Bytes()))
	}
	return stdout.Bytes(), nil
}

// command is the part of a command line that is the same in every round.
func command(argv []string) string {
	words := []string{argv[0][strings.LastIndexByte(argv[0], '/')+1:]}
	if len(argv) > 1 && !strings.HasPrefix(argv[1], "-") && !strings.HasPrefix(argv[1], "/") {
		words = append(words, argv[1])
	}
	return strings.Join(words, " ")
}

func lastLine(texts ...[]byte) string {
	for _, b := range texts {
		if b = bytes.TrimSpace(b); len(b) > 0 {
			return string(b[bytes.LastIndexByte(b, '\n')+1:])
		}
	}
	return "no message"
}

// wait waits for a command for at most a time.
func wait(ctx context.Context, cmd *exec.Cmd, limit time.Duration) error {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(limit):
		return fmt.Errorf("%s: no end after %v", command(cmd.Args), limit)
	}
}

// sweep ends every descendant of this process. Orphans among them are its
// children, as it is a subreaper.
func sweep() {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		list := descendants()
		if len(list) == 0 {
			return
		}
		for _, pid := range list {
			_ = unix.Kill(pid, unix.SIGKILL) // it may be gone already
			// Those that have a waiter are waited for there.
			if _, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err != nil && !errors.Is(err, unix.ECHILD) {
				return
			}
		}
	}
}

// descendants lists the processes below this one, parents first.
func descendants() []int {
	children := map[int][]int{}
	for _, pid := range processes() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may hold anything.
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(f) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(f[1]); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	list := slices.Clone(children[os.Getpid()])
	for i := 0; i < len(list); i++ {
		list = append(list, children[list[i]]...)
	}
	return list
}

// processes lists all process ids of the host.
func processes() []int {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var list []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n.Name()); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

// syncFileSystem makes all that was written to the file system of dir durable.
func syncFileSystem(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return // gone, and with it what there was to sync
	}
	defer f.Close()
	_ = unix.Syncfs(int(f.Fd())) // the next one is slower then, no more
}
