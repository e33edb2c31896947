package sshexec

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// installMark begins the lines that are the script's, in case a start-up file
// of the login shell prints something too.
const installMark = "gompirun-install:"

// installScript puts the executable at $dir/$hash/gompirun. It reads the file
// from its input only after it has said "absent". The name of the temporary
// file is ours: $$ is not unique where hosts share a home directory. The hash
// is checked before the rename, so that what has the final name is whole. On a
// file system mounted noexec, access(2) denies X_OK, and so does test -x.
const installScript = `umask 077
say() { printf '%s %s\n' "$mark" "$*"; }
system=$(uname -s)/$(uname -m)
case " $systems " in
"  " | *" $system "*) ;;
*) say other "$system"; exit 1 ;;
esac
if [ -z "$dir" ]; then
	case $XDG_CACHE_HOME in
	/*) dir=$XDG_CACHE_HOME/gompirun ;;
	*) dir=${HOME:?is not set, so there is no cache directory}/.cache/gompirun ;;
	esac
fi
file=$dir/$hash/gompirun
if [ -x "$file" ] && [ "$(wc -c <"$file")" -eq "$size" ]; then
	say present "$file"
	exit 0
fi
mkdir -p "$dir/$hash" && chmod 700 "$dir" "$dir/$hash" || exit 1
temp=$dir/$hash/.$token
trap 'rm -f "$temp"' EXIT
trap 'exit 1' HUP INT TERM PIPE
say absent
cat >"$temp" || { echo "$temp cannot be written" >&2; exit 1; }
if [ "$(wc -c <"$temp")" -ne "$size" ]; then
	echo "$temp: not all bytes arrived" >&2
	exit 1
fi
sum=$(sha256sum <"$temp" 2>/dev/null || shasum -a 256 <"$temp" 2>/dev/null || openssl dgst -sha256 -r <"$temp" 2>/dev/null)
case $sum in
'' | "$hash"*) ;;
*) echo "$temp: damaged on the way, or changed while it was copied" >&2; exit 1 ;;
esac
chmod 700 "$temp" || exit 1
if ! [ -x "$temp" ]; then
	echo "$temp: cannot be executed (is the file system mounted noexec?)" >&2
	exit 1
fi
mv -f "$temp" "$file" || exit 1
say installed "$file"
`

// Install makes sure that the executable at path, a local file, is on the host
// too, and returns its absolute path there: gompirun/SHA256/gompirun below the
// user's cache directory, or SHA256/gompirun below Options.CacheDir, in
// directories only the user may enter. A file that is there already is not
// copied again, and any number of Installs may run at a time. A host of
// another architecture is refused. Errors are *HostError.
func (h *Host) Install(ctx context.Context, path string) (remotePath string, err error) {
	e, err := h.d.files.read(path)
	if err != nil {
		return "", &HostError{Host: h.Target.Host, Err: fmt.Errorf("reading the executable to install: %w", err)}
	}
	script := fmt.Sprintf("mark=%s hash=%s size=%d token=%s dir=%s systems=%s\n%s",
		installMark, e.hash, e.size, rand.Text(), quote(h.d.opt.CacheDir), quote(strings.Join(e.systems, " ")), installScript)
	p, err := h.startScript(ctx, script)
	if err != nil {
		return "", err
	}
	defer p.Close()
	defer context.AfterFunc(ctx, func() { p.Close() })()
	complaints := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(io.LimitReader(p.Stderr, 4096))
		complaints <- strings.TrimSpace(string(text))
		_, _ = io.Copy(io.Discard, p.Stderr) // the rest, or the host could not say how it ended
	}()
	remotePath, err = h.talkInstall(p, e)
	hint := ""
	if err == nil && remotePath == "" {
		var status Status
		if status, err = p.Wait(); err == nil {
			p.Close()
			said := <-complaints
			err = fmt.Errorf("status %d: %s", status.Code, said)
			if strings.Contains(said, "noexec") || strings.Contains(said, "space") || strings.Contains(said, "quota") {
				hint = "point XDG_CACHE_HOME to a directory with room where programs may run, in the start-up file of the shell there"
			}
		}
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return "", &HostError{Host: h.Target.Host, Err: fmt.Errorf("installing %s: %w", path, unname(h.Target.Host, err)), Hint: hint}
	}
	return remotePath, nil
}

// talkInstall is our side of installScript. It returns no path if the script
// ended without naming one.
func (h *Host) talkInstall(p *Process, e *executable) (string, error) {
	lines := bufio.NewScanner(p.Stdout)
	for lines.Scan() {
		said, ours := strings.CutPrefix(lines.Text(), installMark+" ")
		if !ours {
			continue
		}
		word, rest, _ := strings.Cut(said, " ")
		switch word {
		case "other":
			return "", fmt.Errorf("the host is %s, our executable is for %s", rest, e.systems[0])
		case "absent":
			h.d.opt.Log.Info("copying the executable", "host", h.Target.Host, "bytes", e.size)
			// A script that ends early says why on its standard error.
			var remote *HostError
			if err := e.send(p.Stdin); err != nil && !errors.As(err, &remote) {
				return "", err
			}
			p.Stdin.Close()
		case "present", "installed":
			if !filepath.IsAbs(rest) {
				return "", fmt.Errorf("%q is not an absolute path", rest)
			}
			return rest, nil
		}
	}
	return "", lines.Err()
}
