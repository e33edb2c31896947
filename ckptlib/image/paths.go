package image

import (
	"bytes"
	"strings"
)

// PathMap says where files are that were elsewhere at the checkpoint: entries
// OLD=NEW, both absolute, of files or of directories with all below them. The
// longest OLD counts.
type PathMap []string

// Path returns where a path of the image is now.
func (m PathMap) Path(path string) string {
	best, found := "", path
	for _, move := range m {
		from, to, _ := strings.Cut(move, "=")
		below, ok := strings.CutPrefix(path, from)
		if ok && len(from) > len(best) && (below == "" || below[0] == '/' || below == " (deleted)") {
			best, found = from, to+below
		}
	}
	return found
}

// MovePaths changes every path of the image. What a program remembers of names
// (arguments, environment, what it has read) stays as it was.
func (p *Pod) MovePaths(m PathMap) {
	if len(m) == 0 {
		return
	}
	move := func(paths ...*string) {
		for _, s := range paths {
			*s = m.Path(*s)
		}
	}
	for i := range p.Processes {
		q := &p.Processes[i]
		move(&q.Exe, &q.FS.Cwd)
		for k := range q.Threads {
			if fs := q.Threads[k].FS; fs != nil {
				move(&fs.Cwd)
			}
		}
		for k := range q.Mappings {
			if f := q.Mappings[k].File; f != nil {
				move(&f.Path, &q.Mappings[k].Name)
			}
		}
	}
	for i := range p.Files {
		f := &p.Files[i]
		switch {
		case f.Regular != nil:
			move(&f.Regular.Path)
		case f.Pipe != nil:
			move(&f.Pipe.Path)
		case f.Inotify != nil:
			for k := range f.Inotify.Watches {
				move(&f.Inotify.Watches[k].Path)
			}
		case f.Fanotify != nil:
			for k := range f.Fanotify.Marks {
				move(&f.Fanotify.Marks[k].Path)
			}
		case f.Unix != nil:
			f.Unix.moveNames(m)
		}
	}
}

// moveNames changes the names of a socket that are paths.
func (u *Unix) moveNames(m PathMap) {
	names := []*[]byte{&u.Name, &u.PeerName}
	for i := range u.Queue {
		names = append(names, &u.Queue[i].From)
	}
	for _, n := range names {
		if bytes.HasPrefix(*n, []byte("/")) {
			*n = []byte(m.Path(string(*n)))
		}
	}
}
