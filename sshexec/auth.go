package sshexec

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// credentials are the keys to log in with at one host, and what to say when
// none of them is accepted.
type credentials struct {
	cfg       *config
	signers   []ssh.Signer
	tried     []string // one description per signer
	encrypted []string // key files that only an agent could open
	problems  []string
	allowed   []string // methods the server takes, known after the first try
	agent     net.Conn // closed by close; nil without an agent
}

// newCredentials collects keys in the order of OpenSSH: those of the agent that
// belong to a configured file, then the agent's others (unless IdentitiesOnly),
// then the files. The order matters since servers end a login after some
// refused keys (MaxAuthTries, 6 by default).
func newCredentials(cfg *config) *credentials {
	c := &credentials{cfg: cfg}
	held := c.fromAgent()
	var files []ssh.Signer
	var names []string
	wanted := map[string]bool{} // public keys of configured files, marshalled
	for _, file := range cfg.identityFiles {
		signer, public := c.readKey(file)
		if public != nil {
			wanted[string(public.Marshal())] = true
		}
		if signer == nil {
			continue
		}
		for _, s := range append(c.certified(signer, file), signer) {
			files, names = append(files, s), append(names, file)
		}
	}
	for _, preferred := range []bool{true, false} {
		for _, s := range held {
			if wanted[string(plainKey(s.PublicKey()).Marshal())] == preferred && (preferred || !cfg.identitiesOnly) {
				c.add(s, "agent key "+ssh.FingerprintSHA256(plainKey(s.PublicKey())))
			}
		}
	}
	for i, s := range files {
		c.add(s, names[i])
	}
	c.encrypted = slices.DeleteFunc(c.encrypted, func(file string) bool {
		public := readPublic(file)
		return public != nil && slices.ContainsFunc(held, func(s ssh.Signer) bool { return sameKey(plainKey(s.PublicKey()), public) })
	})
	return c
}

// add takes a signer unless it is there already, from the agent.
func (c *credentials) add(s ssh.Signer, name string) {
	if slices.ContainsFunc(c.signers, func(have ssh.Signer) bool { return sameKey(have.PublicKey(), s.PublicKey()) }) {
		return
	}
	c.signers = append(c.signers, s)
	c.tried = append(c.tried, name)
}

// fromAgent returns the keys that the agent holds. The connection stays open:
// the agent makes the signature too.
func (c *credentials) fromAgent() []ssh.Signer {
	if c.cfg.identityAgent == "" {
		return nil
	}
	conn, err := net.DialTimeout("unix", c.cfg.identityAgent, time.Second)
	if err != nil {
		c.problems = append(c.problems, fmt.Sprintf("no ssh-agent answers at %s", c.cfg.identityAgent))
		return nil
	}
	conn.SetDeadline(time.Now().Add(authTimeout))
	c.agent = conn
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		c.problems = append(c.problems, fmt.Sprintf("the ssh-agent at %s lists no keys: %v", c.cfg.identityAgent, err))
	}
	return signers
}

// readKey reads a private key file. The public key is known even of a file that
// is encrypted, or of which only the public half is here.
func (c *credentials) readKey(file string) (ssh.Signer, ssh.PublicKey) {
	data, err := os.ReadFile(file)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			c.problems = append(c.problems, err.Error())
		}
		return nil, readPublic(file)
	}
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return signer, signer.PublicKey()
	case errors.As(err, &locked):
		c.encrypted = append(c.encrypted, file)
		if locked.PublicKey != nil {
			return nil, locked.PublicKey
		}
	default:
		c.problems = append(c.problems, fmt.Sprintf("%s cannot be used: %v", file, err))
	}
	return nil, readPublic(file)
}

// certified returns the signer once for each certificate that goes with it.
func (c *credentials) certified(s ssh.Signer, file string) []ssh.Signer {
	var list []ssh.Signer
	for _, f := range append([]string{file + "-cert.pub"}, c.cfg.certificateFiles...) {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		public, _, _, _, err := ssh.ParseAuthorizedKey(data)
		if err != nil {
			continue
		}
		if cert, ok := public.(*ssh.Certificate); ok && sameKey(cert.Key, s.PublicKey()) {
			if cs, err := ssh.NewCertSigner(cert, s); err == nil {
				list = append(list, cs)
			}
		}
	}
	return list
}

// clientConfig returns what a login with these keys needs.
func (c *credentials) clientConfig() *ssh.ClientConfig {
	return &ssh.ClientConfig{
		User: c.cfg.user,
		Auth: []ssh.AuthMethod{ssh.PublicKeysCallback(func() ([]ssh.Signer, error) { return c.signers, nil })},
		AuthCallback: func(ctx *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
			c.allowed = slices.Clone(ctx.AllowedMethods)
			return nil, nil
		},
	}
}

// refused makes the error for a login that failed after the host key was
// accepted.
func (c *credentials) refused(err error) error {
	cfg := c.cfg
	what := "no key to log in with"
	if len(c.tried) > 0 {
		what = "tried " + strings.Join(c.tried, ", ")
	}
	e := &HostError{Host: cfg.alias, Err: fmt.Errorf("login as %s refused (%s): %w", cfg.user, strings.Join(append([]string{what}, c.problems...), "; "), err)}
	destination := fmt.Sprintf("-p %d %s", cfg.port, quote(cfg.user+"@"+cfg.hostname))
	switch {
	case len(c.encrypted) > 0:
		e.Hint = fmt.Sprintf("%s is encrypted and no agent holds it: ssh-add %s", c.encrypted[0], quote(c.encrypted[0]))
	case len(c.allowed) > 0 && !slices.Contains(c.allowed, "publickey"):
		e.Hint = fmt.Sprintf("it takes only %s: open a connection to share, %s -fNM -S PATH %s, with ControlPath PATH in ssh_config",
			strings.Join(c.allowed, ", "), cfg.sshCommand, destination)
	case len(c.tried) == 0:
		e.Hint = "make a key with ssh-keygen and take it there: ssh-copy-id " + destination
	default:
		e.Hint = "take the key there with ssh-copy-id " + destination + "; or see what " + cfg.sshCommand + " -v " + destination + " says"
	}
	return e
}

func (c *credentials) close() {
	if c.agent != nil {
		c.agent.Close()
	}
}

func readPublic(file string) ssh.PublicKey {
	data, err := os.ReadFile(file + ".pub")
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil
	}
	return key
}

func plainKey(k ssh.PublicKey) ssh.PublicKey {
	if cert, ok := k.(*ssh.Certificate); ok {
		return cert.Key
	}
	return k
}
