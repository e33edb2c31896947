package sshexec

import (
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// expand fills in what ssh -G leaves as the user wrote it: tildes, tokens
// and variables in the names of files (ssh_config(5), TOKENS).
func (c *config) expand(agent, userHosts, globalHosts string) {
	me, err := user.Current()
	if err != nil {
		me = &user.User{Username: os.Getenv("USER"), HomeDir: os.Getenv("HOME")}
	}
	if c.user == "" {
		c.user = me.Username
	}
	c.hostname = strings.ToLower(c.hostname)
	for i, f := range c.identityFiles {
		c.identityFiles[i] = c.path(f, me)
	}
	for i, f := range c.certificateFiles {
		c.certificateFiles[i] = c.path(f, me)
	}
	for _, f := range splitPaths(userHosts) {
		c.userKnownHosts = append(c.userKnownHosts, c.path(f, me))
	}
	c.globalKnownHosts = splitPaths(globalHosts)

	switch {
	case agent == "SSH_AUTH_SOCK":
		c.identityAgent = os.Getenv("SSH_AUTH_SOCK")
	case strings.HasPrefix(agent, "$") && !strings.HasPrefix(agent, "${"):
		c.identityAgent = os.Getenv(agent[1:])
	default:
		c.identityAgent = c.path(agent, me)
	}
	// A name for this host's own sake, as ssh writes it in known_hosts.
	if c.hostKeyAlias != "" {
		c.hostKeyAlias = strings.ToLower(c.hostKeyAlias)
	}
}

// variable is the one form of reference that ssh expands in file names.
var variable = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

func (c *config) path(s string, me *user.User) string {
	s = variable.ReplaceAllStringFunc(s, func(v string) string { return os.Getenv(v[2 : len(v)-1]) })
	// OpenSSH takes the home directory of the password file, not $HOME.
	if s == "~" || strings.HasPrefix(s, "~/") {
		s = filepath.Join(me.HomeDir, s[1:])
	} else if name, rest, _ := strings.Cut(s, "/"); len(name) > 1 && name[0] == '~' {
		if u, err := user.Lookup(name[1:]); err == nil {
			s = filepath.Join(u.HomeDir, rest)
		}
	}
	local, _ := os.Hostname()
	short, _, _ := strings.Cut(local, ".")
	return expandTokens(s, map[byte]string{
		'd': me.HomeDir, 'h': c.hostname, 'i': me.Uid, 'k': c.knownHostsName(), 'L': short,
		'l': local, 'n': c.alias, 'p': strconv.Itoa(c.port), 'r': c.user, 'u': me.Username,
	})
}

// expandTokens replaces %x by values['x'] and %% by a percent sign; a token
// without a value stays as it is.
func expandTokens(s string, values map[byte]string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if v, ok := values[s[i]]; ok {
			b.WriteString(v)
		} else if s[i] == '%' {
			b.WriteByte('%')
		} else {
			b.WriteString(s[i-1 : i+1])
		}
	}
	return b.String()
}

// splitPaths splits a list of paths as ssh -G prints it: separated by blanks
// but without the quotes that a path with a blank had. Each path begins with a
// slash or a tilde, which tells them apart.
func splitPaths(s string) []string {
	var list []string
	for _, f := range strings.Split(s, " ") {
		switch {
		case f == "":
		case len(list) == 0 || strings.HasPrefix(f, "/") || strings.HasPrefix(f, "~"):
			list = append(list, f)
		default:
			list[len(list)-1] += " " + f
		}
	}
	return list
}

// address returns host and port as a dialer takes them.
func (c *config) address() string {
	return net.JoinHostPort(c.hostname, strconv.Itoa(c.port))
}
