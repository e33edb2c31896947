// Package sshexec reaches a host over SSH, puts one executable there and runs
// it with its standard input, output and error as pipes.
//
// The rules of the installed OpenSSH hold: what `ssh HOST` would do is asked
// of `ssh -G HOST`, so that the user's ssh_config, with all its Match and
// Include lines, needs no second parser. A standing ControlMaster connection
// is ridden where there is one, jump hosts and ProxyCommand work, keys come
// from files and from ssh-agent. One thing is stricter: the host key is always
// checked against known_hosts, whatever StrictHostKeyChecking says, since
// nobody watches a job start on a hundred hosts.
//
// Nothing is asked of the user: no passwords, no passphrases, no questions
// about host keys. What cannot be done without asking is refused with the
// command that settles it.
//
// Not supported: password and keyboard-interactive logins (ride a
// ControlMaster), GSSAPI, keys on security keys or PKCS#11 tokens outside an
// agent, KnownHostsCommand, RevokedHostKeys, ProxyUseFdpass, BindAddress.
package sshexec
