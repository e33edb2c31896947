package kobj

import (
	"errors"
	"fmt"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// A Kind is all there is to know about one kind of kernel object.
type Kind struct {
	// Name is the field's word for it, for messages.
	Name string
	// Match tells whether a description is of this kind. The first row of the
	// table that matches is taken.
	Match func(*Source) bool
	// Claim, if not nil, is asked in place of Match, where the description alone
	// does not tell: whether its object belongs to the pod or to the agent.
	Claim func(Capturer, *Source) bool
	// Capture fills the kind's part of the image. It leaves the object as it
	// was. It may be called only between Suspend and Resume.
	Capture func(Capturer, *Source, *image.File) error
	// Has tells whether an image is of this kind.
	Has func(*image.File) bool
	// Restore makes the description and returns a descriptor of it in this
	// process, close-on-exec, which the caller owns. Kinds whose ends are made
	// together (a pipe, a socket pair) keep the other end in Maker.Stash.
	Restore func(*Maker, *image.File) (int, error)
	// Settle, if not nil, completes an object once every description of the
	// pod exists and every process holds its descriptors.
	Settle func(*Maker, *image.File) error
}

// kinds is the table, in the order in which Match is asked.
var kinds = []Kind{
	stdioKind,
	pipeKind,
	fifoKind,
	memoryKind,
	eventFDKind,
	epollKind,
	timerFDKind,
	signalFDKind,
	inotifyKind,
	fanotifyKind,
	pidFDKind,
	ptyKind,
	unixKind,
	inetKind,
	netlinkKind,
	mqueueKind,
	regularKind,
}

// Capture captures one description.
func Capture(c Capturer, s *Source) (image.File, error) {
	f := image.File{Flags: s.Flags}
	for _, k := range kinds {
		if k.Claim != nil {
			if !k.Claim(c, s) {
				continue
			}
		} else if !k.Match(s) {
			continue
		}
		if err := k.Capture(c, s, &f); err != nil {
			if _, named := errors.AsType[*UnsupportedError](err); named {
				return f, err // which names the source itself
			}
			return f, fmt.Errorf("capture %s of %s: %w", k.Name, s, err)
		}
		if err := captureOwner(c, s, &f); err != nil {
			return f, err
		}
		return f, captureLocks(c, s, &f)
	}
	return f, &UnsupportedError{Source: s.String()}
}

// Restore makes one description in this process.
func Restore(m *Maker, f *image.File) (int, error) {
	k, err := kindOf(f)
	if err != nil {
		return -1, err
	}
	fd, err := k.Restore(m, f)
	if err != nil {
		return -1, fmt.Errorf("restore %s, file %d: %w", k.Name, f.ID, err)
	}
	return fd, nil
}

// Settle completes one description after all exist and all processes hold
// their descriptors.
func Settle(m *Maker, f *image.File) error {
	k, err := kindOf(f)
	if err != nil {
		return err
	}
	if k.Settle != nil {
		if err := k.Settle(m, f); err != nil {
			return fmt.Errorf("settle %s, file %d: %w", k.Name, f.ID, err)
		}
	}
	if err := restoreLocks(m, f); err != nil {
		return err
	}
	return restoreOwner(m, f)
}

func kindOf(f *image.File) (*Kind, error) {
	for i := range kinds {
		if kinds[i].Has(f) {
			return &kinds[i], nil
		}
	}
	return nil, fmt.Errorf("file %d is of no kind that this version knows: restart it with the version that wrote it", f.ID)
}
