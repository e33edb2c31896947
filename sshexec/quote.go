package sshexec

import (
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"
)

// maxCommand is what one argument of execve may have on Linux
// (MAX_ARG_STRLEN: 32 pages), less its terminating zero: sshd hands the
// command to the login shell as one argument.
const maxCommand = 128<<10 - 1

// plain has the words that mean themselves in every shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+:,./-]+$`)

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// quote returns s as one word of a POSIX shell.
func quote(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// shellCommand wraps a script for /bin/sh so that any login shell hands it
// on unharmed. Inside single quotes csh still looks for ! and line ends, and
// fish for backslashes before a quote or another backslash, so none of these
// appear: they travel as octal numbers, which printf %b turns back.
func shellCommand(script string) (string, error) {
	if strings.ContainsRune(script, 0) {
		return "", errors.New("a command cannot contain a zero byte")
	}
	var b strings.Builder
	b.WriteString(`exec /bin/sh -c 'eval "$(printf %b "`)
	for i := 0; i < len(script); i++ {
		ch := script[i]
		if ch < ' ' || ch > '~' || strings.IndexByte("'\"`$!\\", ch) >= 0 {
			fmt.Fprintf(&b, `\0%03o`, ch)
		} else {
			b.WriteByte(ch)
		}
	}
	b.WriteString(`")"'`)
	if b.Len() > maxCommand {
		return "", fmt.Errorf("the command has %d bytes, at most %d can be sent to a host", b.Len(), maxCommand)
	}
	return b.String(), nil
}

// execScript returns the script that becomes argv, in directory dir and with
// env added to the environment. The shell is replaced (exec), so that signals
// and the exit status are the program's own.
func execScript(argv []string, env map[string]string, dir string) (string, error) {
	if len(argv) == 0 || argv[0] == "" || argv[0][0] == '-' {
		return "", fmt.Errorf("%q is no command", argv)
	}
	var b strings.Builder
	if dir != "" {
		if dir[0] != '/' {
			dir = "./" + dir // neither an option, nor "-", nor looked up in CDPATH
		}
		fmt.Fprintf(&b, "cd %s || exit 127\n", quote(dir))
	}
	names := make([]string, 0, len(env))
	for name := range env {
		if !identifier.MatchString(name) {
			return "", fmt.Errorf("%q is no name of an environment variable that a shell can set", name)
		}
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(&b, "export %s=%s\n", name, quote(env[name]))
	}
	b.WriteString("exec")
	for _, arg := range argv {
		b.WriteString(" " + quote(arg))
	}
	return b.String(), nil
}
