package sshexec

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// config is what ssh would use for one host, tokens and tildes expanded.
type config struct {
	alias    string // the host as the user wrote it
	hostname string
	user     string
	port     int
	network  string // tcp, tcp4 or tcp6

	identityFiles    []string
	certificateFiles []string
	identitiesOnly   bool
	identityAgent    string // socket; empty: no agent

	userKnownHosts   []string
	globalKnownHosts []string
	hostKeyAlias     string
	hashKnownHosts   bool

	controlPath    string
	proxyJump      string // comma-separated hops, the first one first
	proxyCommand   string
	proxyFdpass    bool
	connectTimeout time.Duration // 0: not configured

	sshCommand string // how the user would run ssh by hand, for hints
}

// sshSlots bounds how many ssh -G run at a time: each is a process, and a
// job may name a thousand hosts.
var sshSlots = make(chan struct{}, 8)

// readConfig asks the installed OpenSSH what it would do for t.
func readConfig(ctx context.Context, t Target, o *Options) (*config, error) {
	if t.Host == "" || strings.HasPrefix(t.Host, "-") || strings.ContainsAny(t.Host, " \t\r\n\x00") {
		return nil, fmt.Errorf("%q is no host name", t.Host)
	}
	name := o.SSH
	if name == "" {
		name = "ssh"
	}
	ssh, err := exec.LookPath(name)
	if err != nil {
		o.Log.Warn("no OpenSSH client found, ssh_config is not read", "client", name, "host", t.Host)
		return parseConfig(nil, t, o), nil
	}
	args := []string{"-G", "-T"}
	if o.ConfigFile != "" {
		args = append(args, "-F", o.ConfigFile)
	}
	if t.User != "" {
		args = append(args, "-l", t.User)
	}
	if t.Port != 0 {
		args = append(args, "-p", strconv.Itoa(t.Port))
	}
	select {
	case sshSlots <- struct{}{}:
		defer func() { <-sshSlots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, ssh, append(args, "--", t.Host)...)
	cmd.Stderr = &stderr
	// A Match exec command may leave children that hold the pipes. What ssh said
	// itself must have been read by then, also on a machine with much to do: without
	// it no host's key would be known.
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil && (!errors.Is(err, exec.ErrWaitDelay) || len(out) == 0) {
		return nil, fmt.Errorf("reading ssh_config with %s -G: %w: %s", ssh, err, firstLine(stderr.String()))
	}
	return parseConfig(out, t, o), nil
}

// parseConfig reads the output of ssh -G: a keyword in lower case and its
// value on each line. Without output the defaults of OpenSSH hold.
func parseConfig(out []byte, t Target, o *Options) *config {
	c := &config{alias: t.Host, hostname: t.Host, user: t.User, port: 22, network: "tcp", sshCommand: "ssh"}
	if t.Port != 0 {
		c.port = t.Port
	}
	if o.ConfigFile != "" {
		c.sshCommand += " -F " + quote(o.ConfigFile)
	}
	agent := "SSH_AUTH_SOCK"
	var user, global string
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		key, v, _ := strings.Cut(s.Text(), " ")
		if v == "none" && key != "hostname" && key != "user" && key != "hostkeyalias" {
			v = ""
		}
		switch key {
		case "hostname":
			c.hostname = v
		case "user":
			c.user = v
		case "port":
			c.port, _ = strconv.Atoi(v)
		case "addressfamily":
			c.network = map[string]string{"inet": "tcp4", "inet6": "tcp6"}[v]
			if c.network == "" {
				c.network = "tcp"
			}
		case "identityfile":
			c.identityFiles = appendNonEmpty(c.identityFiles, v)
		case "certificatefile":
			c.certificateFiles = appendNonEmpty(c.certificateFiles, v)
		case "identitiesonly":
			c.identitiesOnly = v == "yes"
		case "identityagent":
			agent = v
		case "userknownhostsfile":
			user = v
		case "globalknownhostsfile":
			global = v
		case "hostkeyalias":
			c.hostKeyAlias = v
		case "hashknownhosts":
			c.hashKnownHosts = v == "yes"
		case "controlpath":
			c.controlPath = v
		case "proxyjump":
			c.proxyJump = v
		case "proxycommand":
			c.proxyCommand = v
		case "proxyusefdpass":
			c.proxyFdpass = v == "yes"
		case "connecttimeout":
			n, _ := strconv.Atoi(v)
			c.connectTimeout = time.Duration(n) * time.Second
		}
	}
	if len(out) == 0 {
		c.identityFiles = []string{"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"}
		user = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
		global = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
	}
	c.expand(agent, user, global)
	return c
}

// timeout returns how long connecting and exchanging keys may take.
func (c *config) timeout(o *Options) time.Duration {
	switch {
	case o.ConnectTimeout > 0:
		return o.ConnectTimeout
	case c.connectTimeout > 0:
		return c.connectTimeout
	}
	return defaultConnectTimeout
}

func appendNonEmpty(list []string, s string) []string {
	if s == "" {
		return list
	}
	return append(list, s)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(line)
}
