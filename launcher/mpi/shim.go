package mpi

import (
	"fmt"
	"strings"
)

// ParseShim reads what a native launcher hands to the shim, without the shim's
// own name: options of a remote shell, the host, and the pieces of a command.
// The command is one line for /bin/sh -c. The host is one of the names given
// in the plan's host list.
func ParseShim(argv []string) (host, command string, err error) {
	i := 0
	for i < len(argv) && strings.HasPrefix(argv[i], "-") {
		// -x and -X (forwarding of X11), -n (no input), -q and -T are all
		// that the launchers use; none of them means anything here. Options
		// with a value would shift the host.
		if len(argv[i]) != 2 || !strings.Contains("xXnqT", argv[i][1:]) {
			return "", "", fmt.Errorf("the launcher passed %q to its remote shell, which means nothing here; leave out plm_rsh_args", argv[i])
		}
		i++
	}
	if i == len(argv) || argv[i] == "" {
		return "", "", fmt.Errorf("the launcher named no host to its remote shell (it said %q)", argv)
	}
	host, words := argv[i], argv[i+1:]
	command = strings.Join(words, " ")
	if strings.TrimSpace(command) == "" {
		return "", "", fmt.Errorf("the launcher gave its remote shell no command for host %s", host)
	}
	return host, command, nil
}
