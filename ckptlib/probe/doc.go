// Package probe finds out what this host and its kernel allow.
package probe
