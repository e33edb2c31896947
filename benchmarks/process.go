package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
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

// syncFileSystem makes all that was written to the file system of dir durable.
func syncFileSystem(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return // gone, and with it what there was to sync
	}
	defer f.Close()
	_ = unix.Syncfs(int(f.Fd())) // the next one is slower then, no more
}
